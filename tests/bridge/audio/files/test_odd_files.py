"""Sixty odd files: each is read to its true length, or refused by a sentence that names what it is.

The truth is what the files are built from. MP3 without its Xing header also has the encoder's delay and padding.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from bridge.audio.files.incoming import mpeg
from bridge.audio.files.incoming.decoding import opened
from bridge.audio.files.incoming.part import AudioRefused
from bridge.audio.files.reader import _decoded

RATE = 44_100
SECONDS = 4.0
LOUD = np.random.default_rng(3).normal(0, 0.1, (round(SECONDS * RATE), 1))
QUIET_START = LOUD * (np.arange(len(LOUD)) > 2.5 * RATE)[:, np.newaxis]
QUIET_END = LOUD * (np.arange(len(LOUD)) < 1.5 * RATE)[:, np.newaxis]
DELAY = 2300 / RATE
"""Seconds that an MP3 encoder puts before and behind the audio, at most."""


def encoded(
    samples: np.ndarray, container: str, subtype: str | None = None, rate: int = RATE, mode: str | None = None
) -> bytes:
    file = io.BytesIO()
    more = {"bitrate_mode": mode, "compression_level": 0.5} if mode else {}
    soundfile.write(file, samples, rate, format=container, subtype=subtype, **more)
    return file.getvalue()


def mp3(samples: np.ndarray = LOUD, mode: str = "VARIABLE", rate: int = RATE) -> bytes:
    return encoded(samples, "MP3", "MPEG_LAYER_III", rate, mode)


def bare(data: bytes) -> bytes:
    """An MP3 without its Xing header, and what its encoder put around it."""
    frames = [frame for _, frame in mpeg._frames(data)]
    return b"".join(frames[1:])


def wav(audio: bytes, *, size: int | None = None, form: bytes | None = None, before: bytes = b"") -> bytes:
    form = form or struct.pack("<HHIIHH", 1, 1, RATE, 2 * RATE, 2, 16)
    size = len(audio) if size is None else size
    body = b"WAVE" + chunk(b"fmt ", form) + before + b"data" + struct.pack("<I", size) + audio
    return b"RIFF" + struct.pack("<I", 0 if size != len(audio) else len(body)) + body


def chunk(name: bytes, body: bytes) -> bytes:
    return name + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)


def extensible(channels: int, mask: int) -> bytes:
    head = struct.pack("<HHIIHHHHI", 0xFFFE, channels, RATE, RATE * 2 * channels, 2 * channels, 16, 22, 16, mask)
    return head + struct.pack("<H", 1) + bytes.fromhex("000000001000800000aa00389b71")


def endless(flac: bytes) -> bytes:
    return flac[:21] + bytes((flac[21] & 0xF0,)) + bytes(4) + flac[26:]


def in_ogg(flac: bytes, old: bool = False) -> bytes:
    """FLAC in Ogg; a page to each packet, or pieces of one, since a page holds 255 times 255 bytes."""
    frames = flac[flac.index(b"\xff\xf8", 42) :]
    info = flac[:42]
    first = info[:4] if old else b"\x7fFLAC\x01\x00\x00\x01" + info
    packets = [first, *([info[4:]] if old else []), b"\x84\x00\x00\x08" + bytes(8), frames]
    pages, sequence = b"", 0
    for packet in packets:
        for start in range(0, len(packet), 255 * 255) or [0]:
            piece = packet[start : start + 255 * 255]
            ends = start + 255 * 255 >= len(packet)
            lacing = [255] * (len(piece) // 255) + ([len(piece) % 255] if ends and len(piece) < 255 * 255 else [])
            flags = (2 if sequence == 0 else 0) | (1 if start else 0)
            head = struct.pack("<4sBBqIIIB", b"OggS", 0, flags, 0, 7, sequence, 0, len(lacing)) + bytes(lacing)
            pages += head + piece
            sequence += 1
    return pages


def damaged(data: bytes, at: int, size: int = 40) -> bytes:
    return data[:at] + bytes(size) + data[at + size :]


ID3 = b"ID3\x04\x00\x00\x00\x00\x07\x76" + b"\0" * (7 * 128 + 0x76)
APE_ITEM = struct.pack("<II", 3, 0) + b"Title\0abc"
APE_FOOT = b"APETAGEX" + struct.pack("<IIII", 2000, len(APE_ITEM) + 32, 1, 0x80000000) + bytes(8)
APE = b"APETAGEX" + struct.pack("<IIII", 2000, len(APE_ITEM) + 32, 1, 0xA0000000) + bytes(8) + APE_ITEM + APE_FOOT
PCM = (LOUD * 32767).astype("<i2").tobytes()
FLAC, OGG = encoded(LOUD, "FLAC"), encoded(LOUD, "OGG", "VORBIS")
OPUS = encoded(LOUD, "OGG", "OPUS", 48_000)
OPUS_SECONDS = len(LOUD) / 48_000
LIST = chunk(b"LIST", b"INFOISFT" + struct.pack("<I", 14) + b"Lavf59.27.100\0")
IMA = encoded(LOUD, "WAV", "IMA_ADPCM")
MADE = mp3()


def cut(data: bytes, share: float = 0.5) -> bytes:
    return data[: round(len(data) * share)]


FILES: dict[str, tuple[Callable[[], bytes], float, float]] = {
    "wav": (lambda: wav(PCM), SECONDS, 0),
    "wav, size 0": (lambda: wav(PCM, size=0), SECONDS, 0),
    "wav, size 0, a list before": (lambda: wav(PCM, size=0, before=LIST), SECONDS, 0),
    "wav, size of a pipe": (lambda: wav(PCM, size=0xFFFFFFFF, before=LIST), SECONDS, 0),
    "wav, size of a recorder": (lambda: wav(PCM, size=0x7FFFF000), SECONDS, 0),
    "wav, cut": (lambda: cut(wav(PCM)), SECONDS / 2, 0),
    "wav, odd chunks and a list behind": (lambda: wav(PCM, before=chunk(b"junk", b"abc")) + LIST, SECONDS, 0),
    "wav, no block size": (lambda: wav(PCM, form=struct.pack("<HHIIHH", 1, 1, RATE, 0, 0, 16)), SECONDS, 0),
    "wav behind an ID3 tag": (lambda: ID3 + wav(PCM), SECONDS, 0),
    "wav, big endian": (lambda: soundfile_of("WAV", "PCM_16", "BIG"), SECONDS, 0),
    "wav, 8 bit": (lambda: encoded(LOUD, "WAV", "PCM_U8"), SECONDS, 0),
    "wav, 24 bit": (lambda: encoded(LOUD, "WAV", "PCM_24"), SECONDS, 0),
    "wav, float": (lambda: encoded(LOUD, "WAV", "FLOAT"), SECONDS, 0),
    "wav, double": (lambda: encoded(LOUD, "WAV", "DOUBLE"), SECONDS, 0),
    "wav, mu-law": (lambda: encoded(LOUD, "WAV", "ULAW"), SECONDS, 0),
    "wav, A-law": (lambda: encoded(LOUD, "WAV", "ALAW"), SECONDS, 0),
    "wav, IMA ADPCM and its fact": (lambda: with_fact(IMA, len(LOUD)), SECONDS, 0),
    "wav, IMA ADPCM, stereo and its fact": (
        lambda: with_fact(encoded(np.repeat(LOUD, 2, 1), "WAV", "IMA_ADPCM"), len(LOUD)), SECONDS, 0),
    "wav, MS ADPCM and its fact": (lambda: with_fact(encoded(LOUD, "WAV", "MS_ADPCM"), len(LOUD)), SECONDS, 0),
    "wav, GSM": (lambda: encoded(LOUD, "WAV", "GSM610", 8000), len(LOUD) / 8000, 0),
    "wav, six channels": (lambda: wav(PCM[: len(PCM) // 12 * 12], form=extensible(6, 0x3F)), SECONDS / 6, 0),
    "wav, RF64": (lambda: encoded(LOUD, "RF64"), SECONDS, 0),
    "wav, BW64": (lambda: b"BW64" + encoded(LOUD, "RF64")[4:], SECONDS, 0),
    "wav with MP3 in it": (lambda: wav(MADE, form=struct.pack("<HHIIHH", 0x55, 1, RATE, 16000, 1, 0)), SECONDS, 0),
    "flac": (lambda: FLAC, SECONDS, 0),
    "flac of a pipe": (lambda: endless(FLAC), SECONDS, 0),
    "flac that says too little": (lambda: FLAC[:22] + b"\0\0\x10\0" + FLAC[26:], SECONDS, 0),
    "flac behind an ID3 tag": (lambda: ID3 + FLAC, SECONDS, 0),
    "flac, cut": (lambda: cut(FLAC), SECONDS / 2, 0.1),
    "flac, joined": (lambda: FLAC + endless(FLAC), 2 * SECONDS, 0),
    "flac in ogg": (lambda: in_ogg(FLAC), SECONDS, 0),
    "flac in ogg, length unknown": (lambda: in_ogg(endless(FLAC)), SECONDS, 0),
    "flac in ogg, the old way": (lambda: in_ogg(FLAC, old=True), SECONDS, 0),
    "flac in ogg, chained": (lambda: in_ogg(FLAC) * 2, 2 * SECONDS, 0),
    "vorbis": (lambda: OGG, SECONDS, 0),
    "vorbis, chained, the same number": (lambda: OGG + OGG, 2 * SECONDS, 0),
    "vorbis, chained, three": (lambda: OGG + encoded(LOUD[:RATE], "OGG", "VORBIS") + OGG, 2 * SECONDS + 1, 0),
    "vorbis, chained, other rates and channels": (
        lambda: OGG + encoded(np.repeat(LOUD, 2, 1), "OGG", "VORBIS", 22_050), 3 * SECONDS, 0),
    "vorbis behind rubbish": (lambda: OGG + b"rubbish" * 9 + OGG, 2 * SECONDS, 0),
    "opus": (lambda: OPUS, OPUS_SECONDS, 0),
    "opus, chained": (lambda: OPUS + OPUS, 2 * OPUS_SECONDS, 0),
    "opus, then vorbis": (lambda: OPUS + OGG, OPUS_SECONDS + SECONDS, 0),
    "mp3": (lambda: MADE, SECONDS, 0),
    "mp3 VBR without Xing": (lambda: bare(MADE), SECONDS, DELAY),
    "mp3 VBR without Xing, silent first": (lambda: bare(mp3(QUIET_START)), SECONDS, DELAY),
    "mp3 VBR without Xing, loud first": (lambda: bare(mp3(QUIET_END)), SECONDS, DELAY),
    "mp3 ABR without Xing": (lambda: bare(mp3(QUIET_START, "AVERAGE")), SECONDS, DELAY),
    "mp3 CBR without Xing": (lambda: bare(mp3(mode="CONSTANT")), SECONDS, DELAY),
    "mp3 at 22 kHz, without Xing": (lambda: bare(mp3(QUIET_END, rate=22_050)), 2 * SECONDS, 2 * DELAY),
    "mp3, stereo, without Xing": (lambda: bare(mp3(np.repeat(QUIET_END, 2, 1))), SECONDS, DELAY),
    "mp3, joined": (lambda: MADE + MADE, 2 * SECONDS, 0),
    "mp3, joined, a tag between": (lambda: MADE + ID3 + MADE, 2 * SECONDS, 0),
    "mp3, joined, no Xing": (lambda: bare(MADE) + bare(mp3(QUIET_END)), 2 * SECONDS, 2 * DELAY),
    "mp3, joined, mono and stereo": (lambda: MADE + mp3(np.repeat(LOUD, 2, 1)), 2 * SECONDS, 0),
    "mp3 behind zeros": (lambda: bytes(5000) + MADE, SECONDS, 0),
    "mp3 behind a tag and zeros": (lambda: ID3 + bytes(70_000) + bare(MADE), SECONDS, DELAY),
    "mp3 behind an APE tag": (lambda: APE + MADE, SECONDS, 0),
    "mp3 between tags": (lambda: ID3 + APE + MADE + APE + b"TAG" + bytes(125), SECONDS, 0),
    "mp3, first frame damaged": (lambda: damaged(bare(MADE), 0, 3), SECONDS, DELAY),
    "mp3 behind half a frame": (lambda: bare(MADE)[200:], SECONDS, DELAY),
    "mp3, damaged": (lambda: damaged(MADE, len(MADE) // 2, 200), SECONDS, DELAY),
    "mp3, cut": (lambda: cut(mp3(mode="CONSTANT")), SECONDS / 2, DELAY),
}  # fmt: skip

REFUSED = {
    "AIFF": encoded(LOUD[:999], "AIFF"),
    "CAF": encoded(LOUD[:999], "CAF"),
    "AU": encoded(LOUD[:999], "AU"),
    "Wave64": encoded(LOUD[:999], "W64"),
    "M4A": b"\0\0\0\x20ftypM4A \0\0\0\0" + bytes(99),
    "MP4": b"\0\0\0\x20ftypisom\0\0\0\0" + bytes(99),
    "Matroska": b"\x1a\x45\xdf\xa3" + bytes(99),
    "Windows Media": b"\x30\x26\xb2\x75\x8e\x66\xcf\x11" + bytes(99),
    "AAC": (b"\xff\xf1\x50\x80\x02\x1f\xfc" + bytes(9)) * 9,
    "AMR": b"#!AMR\n" + bytes(99),
    "JPEG": b"\xff\xd8\xff\xe0" + bytes(99),
    "PDF": b"%PDF-1.7\n",
    "ZIP": b"PK\x03\x04" + bytes(99),
    "web page": b"<!DOCTYPE html><html>",
    "JSON": b'{"detail": "not found"}',
    "text": "Schöne Grüße".encode(),
    "MIDI": b"MThd\0\0\0\x06" + bytes(9),
    "AVI": b"RIFF\0\0\0\0AVI LIST" + bytes(99),
    "Speex": b"OggS\0\x02" + bytes(12) + bytes(8) + b"\x01\x50Speex   " + bytes(72),
    "AC-3": wav(PCM[:999], form=struct.pack("<HHIIHH", 0x2000, 2, 48000, 24000, 1, 0)),
    "ATRAC3": wav(PCM[:999], form=struct.pack("<HHIIHH", 0x270, 2, 44100, 16000, 384, 0)),
    "known kind": np.random.default_rng(5).bytes(3000),
    "zeros": bytes(3000),
    "ID3": ID3 + ID3,
}


def soundfile_of(container: str, subtype: str, endian: str) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, LOUD, RATE, format=container, subtype=subtype, endian=endian)
    return file.getvalue()


def with_fact(data: bytes, frames: int) -> bytes:
    at = data.index(b"fact") + 8
    return data[:at] + struct.pack("<I", frames) + data[at + 4 :]


@pytest.mark.parametrize("what", FILES)
def test_an_odd_file_is_read_to_its_true_length(tmp_path: Path, what: str) -> None:
    make, seconds, more = FILES[what]
    source = tmp_path / "file"
    source.write_bytes(make())
    decoder = opened(source)
    _, frames, loudest = _decoded(decoder, tmp_path / "kept.flac", 30.0)
    assert frames / decoder.rate == pytest.approx(seconds, abs=0.01 * seconds + more)
    assert loudest > 0.2


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_not_taken_is_refused_by_its_name(tmp_path: Path, what: str) -> None:
    source = tmp_path / "file"
    source.write_bytes(REFUSED[what])
    with pytest.raises(AudioRefused, match=what):
        opened(source)

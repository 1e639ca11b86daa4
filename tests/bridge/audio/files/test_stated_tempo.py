"""A tempo that a file states is believed, wherever it stands; one that cannot be is not."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile
from mutagen import id3
from mutagen.apev2 import APEv2
from mutagen.flac import FLAC
from mutagen.oggopus import OggOpus
from mutagen.oggvorbis import OggVorbis

from bridge.audio.files import riff
from bridge.audio.files.incoming.tempo import stated
from bridge.audio.files.reader import read

RATE = 48_000
AUDIO = np.random.default_rng(0).normal(0, 0.1, (RATE * 4, 1))


def encoded(container: str, subtype: str | None = None) -> io.BytesIO:
    file = io.BytesIO()
    soundfile.write(file, AUDIO, RATE, format=container, subtype=subtype)
    file.seek(0)
    return file


def tagged(kind: type, container: str, subtype: str | None, name: str, text: str) -> bytes:
    file = encoded(container, subtype)
    tags = kind(file)
    tags[name] = text
    file.seek(0)
    tags.save(file)
    return file.getvalue()


def in_wav(*chunks: riff.Chunk) -> bytes:
    return riff.with_chunks(encoded("WAV").getvalue(), chunks)


def id3_tag(version: int, *frames: object) -> bytes:
    tag, file = id3.ID3(), io.BytesIO()
    for frame in frames:
        tag.add(frame)
    tag.save(file, v2_version=version)
    return file.getvalue()


def ape(item: str, text: str) -> bytes:
    file = io.BytesIO()
    tags = APEv2()
    tags[item] = text
    tags.save(file)
    return file.getvalue()


LOOP = riff.acid(one_shot=False, root=None, beats=8, meter=(4, 4), bpm=190.5)
COUNTED = riff.acid(one_shot=False, root=None, beats=6, meter=(4, 4), bpm=0.0)
ONE_SHOT = riff.acid(one_shot=True, root=60, beats=0, meter=(4, 4), bpm=120.0)
MP3 = encoded("MP3").getvalue()
TBPM = id3.TBPM(encoding=1, text="66")
OLD = b"TBP\0\0\x04\0" + b"174"
STATED = {
    "acid": (in_wav(LOOP), 190.5, "acid"),
    "acid, beats alone": (in_wav(COUNTED), 90.0, "acid"),
    "id3 in wav": (in_wav(riff.Chunk(b"id3 ", id3_tag(4, TBPM))), 66.0, "id3"),
    "id3 2.4": (id3_tag(4, TBPM) + MP3, 66.0, "id3"),
    "id3 2.3": (id3_tag(3, id3.TBPM(encoding=0, text="66")) + MP3, 66.0, "id3"),
    "id3 2.2": (b"ID3\x02\0\0\0\0\0" + bytes((len(OLD),)) + OLD + MP3, 174.0, "id3"),
    "id3, exact": (id3_tag(4, TBPM, id3.TXXX(encoding=3, desc="BPM", text="65.7")) + MP3, 65.7, "id3"),
    "flac": (tagged(FLAC, "FLAC", None, "BPM", "60"), 60.0, "vorbis"),
    "flac, a comma": (tagged(FLAC, "FLAC", None, "tempo", "92,5 bpm"), 92.5, "vorbis"),
    "vorbis": (tagged(OggVorbis, "OGG", "VORBIS", "TBPM", "190"), 190.0, "vorbis"),
    "opus": (tagged(OggOpus, "OGG", "OPUS", "BPM", "72"), 72.0, "vorbis"),
    "ape": (MP3 + ape("BPM", "81"), 81.0, "ape"),
}
NOT_STATED = {
    "nothing": MP3,
    "a one-shot": in_wav(ONE_SHOT),
    "nothing that can be": tagged(FLAC, "FLAC", None, "BPM", "0"),
    "words": tagged(FLAC, "FLAC", None, "BPM", "fast"),
    "rubbish": b"ID3\x04\0\0\x7f\x7f\x7f\x7f" + b"TBPM" + bytes(50),
    "sizes that go past the end": b"fLaC\x84\xff\xff\xff" + struct.pack("<III", 4, 0, 2**32 - 1) * 3,
}


@pytest.mark.parametrize("what", STATED)
def test_a_stated_tempo_is_read(what: str) -> None:
    data, bpm, source = STATED[what]
    found = stated(data, 4.0)
    assert found is not None
    assert (found.bpm, found.source) == (pytest.approx(bpm), source)


@pytest.mark.parametrize("what", NOT_STATED)
def test_what_states_no_tempo_has_none(what: str) -> None:
    assert stated(NOT_STATED[what], 4.0) is None


def test_the_features_say_where_the_tempo_comes_from(tmp_path: Path) -> None:
    source = tmp_path / "file"
    source.write_bytes(in_wav(LOOP))
    assert read(source, tmp_path / "kept", 30.0)["tempo"] == {"bpm": 190.5, "confidence": 1.0, "source": "acid"}

"""WAV: RIFF, RIFX, RF64 and BW64, with a header that is true of what is in the file."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from bridge.audio.files.incoming import flac, mpeg
from bridge.audio.files.incoming.part import AudioRefused, Part

_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
_READ = {_PCM, _FLOAT, 2, 6, 7, 0x11, 0x31, 0x38, 0x40, 0x45}
_MPEG, _FLAC = {0x50, 0x55}, 0xF1AC
_NAMES = {
    0x08: "DTS", 0x10: "OKI ADPCM", 0x14: "G.723", 0x22: "TrueSpeech", 0x28: "LRC", 0x42: "G.723.1", 0x61: "Duck ADPCM",
    0x62: "Yamaha ADPCM", 0x64: "G.726 ADPCM", 0x75: "Voxware", 0x83: "G.729", 0x92: "AC-3 over S/PDIF", 0xFF: "AAC",
    0x160: "Windows Media Audio 1", 0x161: "Windows Media Audio", 0x162: "Windows Media Audio Pro",
    0x163: "Windows Media Audio Lossless", 0x200: "Creative ADPCM", 0x270: "ATRAC3", 0x674F: "Vorbis",
    0x1600: "AAC", 0x1602: "AAC", 0x2000: "AC-3", 0x2001: "DTS", 0x566F: "Vorbis", 0x704F: "Opus", 0xA109: "Speex",
}  # fmt: skip
_FILLED = {2, 0x11, 0x31, 0x38, 0x40, 0x45}
"""Codecs of whole blocks: the last one is filled up, and ``fact`` says how much of it counts."""
_MOST_CHUNKS = 1000


@dataclass(slots=True)
class _Wave:
    """What a WAV file's chunks say."""

    order: str
    form: bytes = b""
    fact: int | None = None
    start: int | None = None
    """Of the audio."""
    end: int = 0


def parts(data: bytes) -> list[Part]:
    """Take the audio of a WAV file, whatever its header says of its size. Raises AudioRefused, naming the codec."""
    wave = _read(data)
    if len(wave.form) < 14 or wave.start is None:
        raise AudioRefused("unreadable_audio", "This is a WAV file that ends before its audio begins.")
    audio = data[wave.start : wave.end]
    code, channels, rate = struct.unpack_from(f"{wave.order}HHI", wave.form)
    align, bits = struct.unpack_from(f"{wave.order}HH", wave.form.ljust(16, b"\0"), 12)
    mask, inner = 0, code
    if code == _EXTENSIBLE and len(wave.form) >= 40:
        mask = struct.unpack_from(f"{wave.order}I", wave.form, 20)[0]
        inner = struct.unpack_from(f"{wave.order}H", wave.form, 24)[0]
    if inner in _MPEG:
        return mpeg.parts(audio)
    if inner == _FLAC:
        return flac.parts(audio)
    if inner not in _READ:
        raise AudioRefused(
            "unsupported_media_type",
            f"This is a WAV file with {_NAMES.get(inner, f'a codec that is not known (number 0x{inner:04x})')}; "
            "send PCM, float or ADPCM in it.",
        )
    form = bytearray(wave.form.ljust(16, b"\0"))
    if inner in {_PCM, _FLOAT} and channels and bits and align < (whole := channels * -(-bits // 8)):
        # Some encoders leave it 0 or count one channel; more than needed would be a sample in a wider word.
        struct.pack_into(f"{wave.order}IHH", form, 8, min(rate * whole, 2**32 - 1), whole, bits)
    frames = _counted(wave, bytes(form), len(audio)) if inner in _FILLED else None
    return [Part(_written(wave.order, bytes(form), audio), "wav", frames, mask)]


def _read(data: bytes) -> _Wave:
    wave = _Wave(">" if data[:4] == b"RIFX" else "<")
    position, large = 12, 0
    for _ in range(_MOST_CHUNKS):
        if position + 8 > len(data):
            break
        name, size = data[position : position + 4], struct.unpack_from(f"{wave.order}I", data, position + 4)[0]
        start = position + 8
        body = data[start : start + min(size, 4096)]
        if name == b"ds64" and len(body) >= 16:
            large = struct.unpack_from("<Q", body, 8)[0]
        elif name == b"fmt " and not wave.form:
            wave.form = body
        elif name == b"fact" and len(body) >= 4:
            wave.fact = struct.unpack_from(f"{wave.order}I", body)[0]
        elif name == b"data" and wave.start is None:
            if size == 0xFFFFFFFF and large:
                size = large
            wave.start, wave.end = start, _end(data, start, size, wave.order)
            size = wave.end - start
        position = start + size + size % 2
    return wave


def _end(data: bytes, start: int, size: int, order: str) -> int:
    """Find the end of the audio: where the header says, or where the file ends when it says nothing that can be."""
    if 0 < size <= len(data) - start:
        return start + size
    if size == 0 and _chunks_to_the_end(data, start, order):
        return start
    return len(data)


def _chunks_to_the_end(data: bytes, position: int, order: str) -> bool:
    """Is what follows nothing but chunks? Then there is no audio between."""
    for _ in range(_MOST_CHUNKS):
        if position >= len(data):
            return True
        name = data[position : position + 4]
        if position + 8 > len(data) or not (name.isascii() and name.replace(b" ", b"").replace(b"_", b"").isalnum()):
            return False
        size = struct.unpack_from(f"{order}I", data, position + 4)[0]
        position += 8 + size + size % 2
        if position > len(data) + 1:
            return False
    return False


def _counted(wave: _Wave, form: bytes, size: int) -> int | None:
    """The frames that ``fact`` counts, when it can be right: the last block is begun, and not exceeded."""
    align = struct.unpack_from(f"{wave.order}H", form, 12)[0]
    channels = struct.unpack_from(f"{wave.order}H", form, 2)[0]
    if wave.fact is None or not align or not channels:
        return None
    block = struct.unpack_from(f"{wave.order}H", form, 18)[0] if len(form) >= 20 else 0
    if not block:
        return wave.fact or None
    whole = -(-size // align) * block
    return wave.fact if whole - block < wave.fact <= whole else None


def _written(order: str, form: bytes, audio: bytes) -> bytes:
    magic = b"RIFX" if order == ">" else b"RIFF"
    form += b"\0" * (len(form) % 2)

    def chunk(name: bytes, body: bytes) -> bytes:
        return name + struct.pack(f"{order}I", len(body)) + body + b"\0" * (len(body) % 2)

    body = b"WAVE" + chunk(b"fmt ", form) + chunk(b"data", audio)
    return magic + struct.pack(f"{order}I", len(body)) + body

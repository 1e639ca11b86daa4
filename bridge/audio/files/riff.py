"""RIFF: a WAV file's chunks next to its audio. Knows bytes alone, so that it can be read and written anywhere.

Layouts: ``smpl`` and ``LIST``/``INFO`` from Microsoft's "Multimedia Programming Interface and Data Specifications 1.0"
and "New Multimedia Data Types" (1994), ``bext`` from EBU Tech 3285 with its coding history from EBU R 98, ``acid`` as
ACID and libsndfile write it.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_FORM = struct.Struct("<HHIIHH")
_BEXT = struct.Struct("<256s32s32s10s8sQH64s190s")
_ACID = struct.Struct("<IHHfIHHf")
_BEXT_VERSION = 1
_ONE_SHOT, _ROOT_SET, _STRETCH = 0x01, 0x02, 0x04
_LARGEST = 2**32 - 1
_MOST_CHUNKS = 1000
"""A file of zeros would be read as chunks without name and length, for ever."""


class NotRiff(ValueError):
    """These bytes are not a WAV file."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """One chunk: four letters and its bytes, without the byte that makes it even."""

    name: bytes
    data: bytes


def audio_end(data: bytes) -> int:
    """Find where the audio ends: the offset behind the ``data`` chunk, and its padding. Raises NotRiff."""
    for name, start, size in _walk(data):
        if name == b"data":
            return min(start + size + size % 2, len(data))
    raise NotRiff("there is no audio in this file")


@dataclass(frozen=True, slots=True)
class Form:
    """How a WAV file's audio is written."""

    code: int
    """1: whole numbers; 3: floating point; 65534: a longer head says which."""
    channels: int
    bits: int


def audio(data: bytes) -> tuple[Form, int, int]:
    """Find the audio: its form, its first byte and the byte behind its last whole frame. Raises NotRiff."""
    form = None
    for name, start, size in _walk(data):
        if name == b"fmt " and size >= _FORM.size and start + _FORM.size <= len(data):
            code, channels, _, _, frame, bits = _FORM.unpack_from(data, start)
            form = (Form(code, channels, bits), frame)
        elif name == b"data" and form is not None and form[1] > 0 and form[0].channels > 0:
            whole = (min(start + size, len(data)) - start) // form[1] * form[1]
            return form[0], start, start + whole
    raise NotRiff("there is no audio in this file")


def chunks(data: bytes, *, behind: int = 0) -> list[Chunk]:
    """Read every chunk but the audio itself; a chunk that is cut off is left out. Raises NotRiff.

    ``behind``: only those from this offset on.
    """
    return [
        Chunk(name, data[start : start + size])
        for name, start, size in _walk(data)
        if name != b"data" and start > behind and start + size <= len(data)
    ]


def with_chunks(data: bytes, more: Sequence[Chunk]) -> bytes:
    """Put chunks behind the audio, in place of those that were there. Raises NotRiff.

    Behind, because many small players take everything after the first 44 bytes for audio.
    """
    end = audio_end(data)
    body = data[:end] + b"\0" * (end % 2) + b"".join(packed(each.name, each.data) for each in more)
    if len(body) - 8 > _LARGEST:
        raise NotRiff("a WAV file holds at most 4 GiB")
    return body[:4] + struct.pack("<I", len(body) - 8) + body[8:]


def packed(name: bytes, data: bytes) -> bytes:
    """Write one chunk, padded to an even length."""
    return name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)


def info(texts: Mapping[str, str]) -> Chunk:
    """Make the ``LIST``/``INFO`` chunk; ``texts``: four letters such as INAM -> text, written as UTF-8."""
    items = (packed(name.encode("ascii"), text.encode() + b"\0") for name, text in texts.items())
    return Chunk(b"LIST", b"INFO" + b"".join(items))


def read_info(chunk: Chunk) -> dict[str, str]:
    """Read a ``LIST``/``INFO`` chunk; any other chunk gives nothing."""
    if chunk.name != b"LIST" or chunk.data[:4] != b"INFO":
        return {}
    found: dict[str, str] = {}
    position = 4
    while position + 8 <= len(chunk.data):
        name, size = struct.unpack_from("<4sI", chunk.data, position)
        text = chunk.data[position + 8 : position + 8 + size]
        found[name.decode("latin-1")] = text.partition(b"\0")[0].decode("utf-8", "replace")
        position += 8 + size + size % 2
    return found


def smpl(rate: int, root: int, loop: tuple[int, int] | None) -> Chunk:
    """Make the ``smpl`` chunk. ``root``: MIDI note; ``loop``: first frame and the frame behind the last, for ever."""
    head = struct.pack("<9I", 0, 0, round(1e9 / rate), root, 0, 0, 0, int(loop is not None), 0)
    # the format names the last frame that is played, not the one behind it
    return Chunk(b"smpl", head + (struct.pack("<6I", 0, 0, loop[0], loop[1] - 1, 0, 0) if loop else b""))


def acid(*, one_shot: bool, root: int | None, beats: int, meter: tuple[int, int], bpm: float) -> Chunk:
    """Make the ``acid`` chunk. ``root``: MIDI note; ``beats``: length, 0 of a one-shot; ``bpm``: 0 where none is known.

    ``meter``: (3, 4) is three four.
    """
    flags = (_ONE_SHOT if one_shot else _STRETCH) | (0 if root is None else _ROOT_SET)
    note = 60 if root is None else root
    return Chunk(b"acid", _ACID.pack(flags, note, 0x8000, 0.0, beats, meter[1], meter[0], bpm))


def read_acid(chunk: Chunk) -> tuple[int, float] | None:
    """Read the beats and the bpm of an ``acid`` chunk, as they stand there; None for a one-shot and any other chunk."""
    if chunk.name != b"acid" or len(chunk.data) < _ACID.size:
        return None
    flags, _, _, _, beats, _, _, bpm = _ACID.unpack_from(chunk.data)
    return None if flags & _ONE_SHOT else (beats, bpm)


def bext(*, description: str, originator: str, reference: str, created: str, history: str) -> Chunk:
    """Make the ``bext`` chunk; all text is ASCII, what does not fit is cut.

    ``created``: ``YYYY-MM-DDThh:mm:ssZ``. ``history``: lines as in EBU R 98.
    """
    head = _BEXT.pack(
        _ascii(description),
        _ascii(originator),
        _ascii(reference),
        _ascii(created[:10]),
        _ascii(created[11:19]),
        0,
        _BEXT_VERSION,
        b"",
        b"",
    )
    return Chunk(b"bext", head + _ascii(history))


def read_history(chunk: Chunk) -> str:
    """Read a ``bext`` chunk's coding history; any other chunk gives none."""
    if chunk.name != b"bext":
        return ""
    return chunk.data[_BEXT.size :].partition(b"\0")[0].decode("ascii", "replace")


def _ascii(text: str) -> bytes:
    return text.encode("ascii", "replace")


def _walk(data: bytes) -> list[tuple[bytes, int, int]]:
    """Name, start and size of every chunk, in the file's order."""
    if data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        raise NotRiff("this is not a WAV file")
    found, position = list[tuple[bytes, int, int]](), 12
    while position + 8 <= len(data) and len(found) < _MOST_CHUNKS:
        name, size = struct.unpack_from("<4sI", data, position)
        found.append((name, position + 8, size))
        position += 8 + size + size % 2
    return found

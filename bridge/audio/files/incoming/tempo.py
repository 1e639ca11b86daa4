"""The tempo that a file states: WAV's acid chunk, ID3, Vorbis comments, APE tags.

Nothing is unpacked, and every loop ends with the bytes: what is read was made by strangers.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from bridge.audio.files import riff
from bridge.audio.files._id3 import ENCODINGS, from_syncsafe

SLOWEST, FASTEST = 20.0, 400.0
"""Quarter notes a minute; anything else is not believed."""

_NUMBER = re.compile(r"\s*(\d{1,3}(?:[.,]\d{1,6})?)\s*(?:bpm)?\s*", re.IGNORECASE)
_COMMENTS = re.compile(rb"\x03vorbis|OpusTags|[\x04\x84][\x00-\xff]{3}(?=[\x00-\xff]{2}\x00\x00)", re.DOTALL)
_LOOKED_AT, _BEGINNING = 1 << 20, 1 << 16
_COMMENT_BLOCK = 4
_MOST_ITEMS = 1000
_NAMES = {"bpm", "tbpm", "tempo"}


@dataclass(frozen=True, slots=True)
class Stated:
    """A tempo that somebody wrote into a file."""

    bpm: float
    source: str
    """acid, id3, vorbis or ape: where it stands."""


def stated(data: bytes, seconds: float) -> Stated | None:
    """Read the tempo that a file states; ``seconds``: how long its audio is. None when it states none."""
    readers = (("acid", _acid(data, seconds)), ("id3", _id3(data)), ("vorbis", _vorbis(data)), ("ape", _ape(data)))
    for source, found in readers:
        for bpm in found:
            if SLOWEST <= bpm <= FASTEST:
                return Stated(round(bpm, 3), source)
    return None


def _acid(data: bytes, seconds: float) -> Iterator[float]:
    """The tempo of the acid chunk, or its beats over the length; a one-shot has neither."""
    for chunk in _riff(data):
        if (found := riff.read_acid(chunk)) is not None:
            beats, bpm = found
            yield bpm
            if beats and seconds > 0:
                yield beats * 60.0 / seconds


def _riff(data: bytes) -> list[riff.Chunk]:
    try:
        return riff.chunks(data)
    except riff.NotRiff:
        return []


def _id3(data: bytes) -> Iterator[float]:
    """TXXX with the exact tempo, then TBPM, which holds whole numbers alone."""
    tags = [data, *(chunk.data for chunk in _riff(data) if chunk.name.lower() == b"id3 ")]
    texts = [pair for tag in tags for pair in _id3_texts(tag)]
    for wanted in ("bpm", "tempo", "tbpm"):
        yield from (number for name, text in texts if name == wanted for number in _numbers(text))


def _id3_texts(data: bytes) -> Iterator[tuple[str, str]]:
    """Description, or tbpm, and text of the frames that may hold a tempo."""
    if data[:3] != b"ID3" or len(data) < 10 or data[3] not in (2, 3, 4):
        return
    version, flags = data[3], data[5]
    tag = data[10 : 10 + from_syncsafe(data[6:10])]
    if flags & 0x80 and version < 4:
        tag = tag.replace(b"\xff\x00", b"\xff")
    head = 6 if version == 2 else 10
    position = 0
    if flags & 0x40 and version > 2 and len(tag) >= 4:
        position = from_syncsafe(tag[:4]) if version == 4 else 4 + int.from_bytes(tag[:4], "big")
    for _ in range(_MOST_ITEMS):
        frame = tag[position : position + head]
        if len(frame) < head or frame[0] == 0:
            return
        name = frame[: 3 if version == 2 else 4]
        size = int.from_bytes(frame[3:6] if version == 2 else frame[4:8], "big")
        if version == 4:
            size = from_syncsafe(frame[4:8])
        body = tag[position + head : position + head + min(size, 4096)]
        packed = version > 2 and frame[9] & 0xFE & (0x0C if version == 4 else 0xC0)
        if name in {b"TBPM", b"TBP", b"TXXX", b"TXX"} and body and body[0] < len(ENCODINGS) and not packed:
            text = body[1:].decode(ENCODINGS[body[0]], "replace")
            title, _, rest = text.partition("\0") if name.startswith(b"TX") else ("tbpm", "", text)
            yield title.strip("\ufeff ").lower(), rest.lstrip("\ufeff")
        position += head + size


def _vorbis(data: bytes) -> Iterator[float]:
    """Vorbis comments of FLAC and Ogg; Ogg's pages are left in, a short comment does not cross one."""
    if b"OggS" in data[:4]:
        for found in _COMMENTS.finditer(data, 0, _BEGINNING):
            yield from _comments(data, found.end())
        return
    position = data.find(b"fLaC", 0, _LOOKED_AT)
    if position < 0:
        return
    position += 4
    for _ in range(_MOST_ITEMS):
        head = data[position : position + 4]
        if len(head) < 4:
            return
        if head[0] & 0x7F == _COMMENT_BLOCK:
            yield from _comments(data, position + 4)
        if head[0] & 0x80:
            return
        position += 4 + int.from_bytes(head[1:], "big")


def _comments(data: bytes, position: int) -> Iterator[float]:
    def number(at: int) -> int:
        return int.from_bytes(data[at : at + 4], "little") if at + 4 <= len(data) else _LOOKED_AT

    position += 4 + number(position)
    count = number(position)
    position += 4
    for _ in range(min(count, _MOST_ITEMS)):
        size = number(position)
        if size >= _LOOKED_AT or position + 4 + size > len(data):
            return
        name, _, text = data[position + 4 : position + 4 + min(size, 256)].decode("utf-8", "replace").partition("=")
        if name.lower() in _NAMES:
            yield from _numbers(text)
        position += 4 + size


def _ape(data: bytes) -> Iterator[float]:
    for at in (data.find(b"APETAGEX", 0, _LOOKED_AT), data.rfind(b"APETAGEX")):
        if at < 0 or at + 32 > len(data):
            continue
        size, count, flags = struct.unpack_from("<III", data, at + 12)
        position = at + 32 if flags & 0x20000000 else at + 32 - size
        for _ in range(min(count, _MOST_ITEMS)):
            if not 0 <= position <= len(data) - 8:
                break
            length = int.from_bytes(data[position : position + 4], "little")
            end = data.find(b"\0", position + 8, position + 8 + 256)
            if end < 0:
                break
            if data[position + 8 : end].decode("latin-1").lower() in _NAMES:
                yield from _numbers(data[end + 1 : end + 1 + min(length, 32)].decode("utf-8", "replace"))
            position = end + 1 + length


def _numbers(text: str) -> Iterator[float]:
    found = _NUMBER.fullmatch(text.strip("\0").partition("\0")[0])
    if found:
        yield float(found[1].replace(",", "."))

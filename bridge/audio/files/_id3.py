"""ID3v2 in front of an MP3's audio: version 2.4 is written, 2.3 and 2.4 are read (id3.org, informal standards)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

_HEAD = 10
_ENCODINGS = ("latin-1", "utf-16", "utf-16-be", "utf-8")
_UTF8 = b"\x03"
_UNREADABLE = 0xC0
"""Header flags of a tag that we leave alone: unsynchronisation, extended header."""


@dataclass(frozen=True, slots=True)
class Id3:
    """One tag's text."""

    texts: Mapping[str, str] = field(default_factory=dict)
    """Frame such as TIT2 -> text."""
    extras: Mapping[str, str] = field(default_factory=dict)
    """Description of a TXXX frame -> text."""
    comment: str = ""


def write(tag: Id3) -> bytes:
    """Write a tag, to be put in front of the audio."""
    frames = [_frame(name, _UTF8 + text.encode()) for name, text in tag.texts.items()]
    frames += [
        _frame("TXXX", _UTF8 + description.encode() + b"\0" + text.encode()) for description, text in tag.extras.items()
    ]
    if tag.comment:
        frames.append(_frame("COMM", _UTF8 + b"eng" + b"\0" + tag.comment.encode()))
    body = b"".join(frames)
    return b"ID3\x04\x00\x00" + _syncsafe(len(body)) + body


def end(data: bytes) -> int:
    """Find where the audio begins: behind the tag, or 0 without one."""
    if data[:3] != b"ID3" or len(data) < _HEAD:
        return 0
    footer = _HEAD if data[5] & 0x10 else 0
    return min(_HEAD + _from_syncsafe(data[6:10]) + footer, len(data))


def read(data: bytes) -> Id3:
    """Read the tag in front of the audio; what cannot be read is left out."""
    texts: dict[str, str] = {}
    extras: dict[str, str] = {}
    comment = ""
    for name, body in _frames(data):
        if not body:
            continue
        text = _decode(body[0], body[4:] if name == "COMM" else body[1:])
        if name == "TXXX":
            description, _, value = text.partition("\0")
            extras[description] = value.lstrip("\ufeff").rstrip("\0")
        elif name == "COMM":
            comment = text.partition("\0")[2].lstrip("\ufeff").rstrip("\0")
        elif name.startswith("T"):
            texts[name] = text.rstrip("\0")
    return Id3(texts, extras, comment)


def _frames(data: bytes) -> Iterator[tuple[str, bytes]]:
    if end(data) == 0 or data[3] not in (3, 4) or data[5] & _UNREADABLE:
        return
    position, stop = _HEAD, end(data)
    while position + _HEAD <= stop and data[position] != 0:
        size_bytes = data[position + 4 : position + 8]
        size = _from_syncsafe(size_bytes) if data[3] == 4 else int.from_bytes(size_bytes, "big")
        start = position + _HEAD
        if start + size > stop:
            return
        if data[position + 9] == 0:  # neither compressed nor encrypted
            yield data[position : position + 4].decode("latin-1"), data[start : start + size]
        position = start + size


def _frame(name: str, body: bytes) -> bytes:
    return name.encode("ascii") + _syncsafe(len(body)) + b"\0\0" + body


def _decode(encoding: int, text: bytes) -> str:
    return text.decode(_ENCODINGS[encoding], "replace") if encoding < len(_ENCODINGS) else ""


def _syncsafe(number: int) -> bytes:
    """Seven bits in each of four bytes, so that no decoder takes a size for audio."""
    return bytes((number >> shift) & 0x7F for shift in (21, 14, 7, 0))


def _from_syncsafe(data: bytes) -> int:
    number = 0
    for byte in data:
        number = (number << 7) | (byte & 0x7F)
    return number

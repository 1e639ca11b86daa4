"""Reads ID3v2.3 and 2.4 in front of audio (id3.org, informal standards); mutagen writes it, see ``tags.py``.

Not read by mutagen: it unpacks compressed frames of any size, and takes a text apart at its zeros with a copy of the
rest for each. A tag of 200 KB that was made for it kept it busy for more than ten minutes.
"""

from __future__ import annotations

from collections.abc import Iterator

_HEAD = 10
ENCODINGS = ("latin-1", "utf-16", "utf-16-be", "utf-8")
_UNREADABLE = 0xC0
"""Header flags of a tag that is left alone: unsynchronisation, extended header."""


def end(data: bytes) -> int:
    """Find where the audio begins: behind the tag, or 0 without one."""
    if data[:3] != b"ID3" or len(data) < _HEAD:
        return 0
    footer = _HEAD if data[5] & 0x10 else 0
    return min(_HEAD + from_syncsafe(data[6:10]) + footer, len(data))


def extra_texts(data: bytes, description: str) -> list[str]:
    """Read the texts of the TXXX frames of that description; what cannot be read is left out."""
    found = []
    for name, body in _frames(data):
        if name == b"TXXX" and body and body[0] < len(ENCODINGS):
            title, _, text = body[1:].decode(ENCODINGS[body[0]], "replace").partition("\0")
            if title == description:
                found.append(text.lstrip("\ufeff").rstrip("\0"))
    return found


def _frames(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    if end(data) == 0 or data[3] not in (3, 4) or data[5] & _UNREADABLE:
        return
    position, stop = _HEAD, end(data)
    while position + _HEAD <= stop and data[position] != 0:
        size_bytes = data[position + 4 : position + 8]
        size = from_syncsafe(size_bytes) if data[3] == 4 else int.from_bytes(size_bytes, "big")
        start = position + _HEAD
        if start + size > stop:
            return
        if data[position + 9] == 0:  # neither compressed nor encrypted
            yield data[position : position + 4], data[start : start + size]
        position = start + size


def from_syncsafe(data: bytes) -> int:
    """Read a number of seven bits in each byte, so that no decoder takes it for audio."""
    number = 0
    for byte in data:
        number = (number << 7) | (byte & 0x7F)
    return number

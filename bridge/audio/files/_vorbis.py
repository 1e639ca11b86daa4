"""Vorbis comments, and where FLAC keeps them (RFC 9639, section 8.6; xiph.org, "Vorbis comment field and header")."""

from __future__ import annotations

import struct
from collections.abc import Mapping

_COMMENT_BLOCK = 4
_LAST = 0x80
_MOST_BLOCKS = 1000


class NotFlac(ValueError):
    """These bytes are no FLAC file."""


def pack(vendor: bytes, comments: Mapping[str, str]) -> bytes:
    """Write comments; names are upper-case ASCII."""
    items = [f"{name}={value}".encode() for name, value in comments.items()]
    lengths = [struct.pack("<I", len(item)) + item for item in items]
    return struct.pack("<I", len(vendor)) + vendor + struct.pack("<I", len(items)) + b"".join(lengths)


def unpack(data: bytes) -> tuple[bytes, dict[str, str]]:
    """Read (vendor, comments); what is cut off is left out."""
    vendor, position = _piece(data, 0)
    comments: dict[str, str] = {}
    if vendor is None or position + 4 > len(data):
        return b"", comments
    (count,) = struct.unpack_from("<I", data, position)
    position += 4
    for _ in range(count):
        item, position = _piece(data, position)
        if item is None:
            break
        name, _, value = item.decode("utf-8", "replace").partition("=")
        comments[name.upper()] = value
    return vendor, comments


def flac_with(data: bytes, comments: Mapping[str, str]) -> bytes:
    """Put comments into a FLAC file, in place of those it has; the encoder's name stays. Raises NotFlac."""
    blocks, start = _blocks(data)
    vendor = next((unpack(body)[0] for kind, body in blocks if kind == _COMMENT_BLOCK), b"")
    kept = [(kind, body) for kind, body in blocks if kind != _COMMENT_BLOCK]
    kept.insert(1, (_COMMENT_BLOCK, pack(vendor, comments)))  # the first block is the stream's own, always
    head = b"fLaC"
    for number, (kind, body) in enumerate(kept):
        last = _LAST if number == len(kept) - 1 else 0
        head += bytes([kind | last]) + len(body).to_bytes(3, "big") + body
    return head + data[start:]


def flac_comments(data: bytes) -> dict[str, str]:
    """Read a FLAC file's comments. Raises NotFlac."""
    return next((unpack(body)[1] for kind, body in _blocks(data)[0] if kind == _COMMENT_BLOCK), {})


def _blocks(data: bytes) -> tuple[list[tuple[int, bytes]], int]:
    """Every metadata block as (kind, body), and where the audio begins."""
    if data[:4] != b"fLaC":
        raise NotFlac("this is no FLAC file")
    blocks, position, last = list[tuple[int, bytes]](), 4, False
    while not last:
        if position + 4 > len(data) or len(blocks) >= _MOST_BLOCKS:
            raise NotFlac("this FLAC file is cut off")
        kind, size = data[position], int.from_bytes(data[position + 1 : position + 4], "big")
        last = bool(kind & _LAST)
        blocks.append((kind & ~_LAST, data[position + 4 : position + 4 + size]))
        position += 4 + size
    return blocks, position


def _piece(data: bytes, position: int) -> tuple[bytes | None, int]:
    if position + 4 > len(data):
        return None, position
    (size,) = struct.unpack_from("<I", data, position)
    stop = position + 4 + size
    return (None, position) if stop > len(data) else (data[position + 4 : stop], stop)

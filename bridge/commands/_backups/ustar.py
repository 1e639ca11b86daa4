"""Tar archives of plain files: written for any tar program, read with no trust at all.

Only what we write is read: regular files of the ustar form, each with its name in one header. Links, devices, folders
and every extension (long names, sparse files, headers of arbitrary size) are refused before anything is done.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final

_BLOCK: Final = 512
_END: Final = bytes(2 * _BLOCK)
_LARGEST: Final = 8**11 - 1
"""Bytes of one file: eleven octal digits."""


class NotOurs(Exception):
    """The archive holds something that we never write, or is none; the message says what, without a full stop."""


class Cut(NotOurs):
    """The archive ends too early."""


@dataclass(frozen=True, slots=True)
class Member:
    """One file of an archive."""

    name: str
    bytes: int
    start: int
    """Where its content begins."""


def header(name: str, size: int, moment: float) -> bytes:
    """The block before a file's content. Raises ValueError when name or size do not fit into the form."""
    if size > _LARGEST:
        raise ValueError(f"a file of {size} bytes is too large for a tar archive")
    info = tarfile.TarInfo(name)
    info.size, info.mode, info.mtime = size, 0o600, int(moment)
    return info.tobuf(tarfile.USTAR_FORMAT)


def padding(size: int) -> bytes:
    """What follows a file's content."""
    return bytes(-size % _BLOCK)


def end() -> bytes:
    """What ends an archive."""
    return _END


def members(archive: BinaryIO) -> Iterator[Member]:
    """Walk through an archive without reading its files. Raises NotOurs, Cut and OSError."""
    length = archive.seek(0, io.SEEK_END)
    place = 0
    while True:
        archive.seek(place)
        block = archive.read(_BLOCK)
        if len(block) < _BLOCK:
            raise Cut("it ends too early") if place else NotOurs("it is not a tar archive")
        if block == bytes(_BLOCK):
            return
        name, size = _parsed(block)
        start = place + _BLOCK
        if start + size > length:
            raise Cut("it ends too early")
        yield Member(name, size, start)
        place = start + size + (-size % _BLOCK)


def _parsed(block: bytes) -> tuple[str, int]:
    if block[257:263] != b"ustar\0":
        raise NotOurs("it is not a tar archive, or one of another program")
    if block[156:157] not in (b"0", b"\0") or block[157:257].strip(b"\0"):
        raise NotOurs("it holds something other than plain files")
    sums = 256 + sum(block[:148]) + sum(block[156:])
    if _octal(block[148:156]) != sums:
        raise NotOurs("a header in it is damaged")
    prefix, name = (part.split(b"\0", 1)[0] for part in (block[345:500], block[:100]))
    try:
        return (prefix + b"/" * bool(prefix) + name).decode("ascii"), _octal(block[124:136])
    except UnicodeDecodeError:
        raise NotOurs("it holds a name that does not belong in a backup") from None


def _octal(field: bytes) -> int:
    digits = field.split(b"\0", 1)[0].strip(b" ")
    if not digits or not set(digits) <= set(b"01234567"):
        raise NotOurs("a header in it is damaged")
    return int(digits, 8)

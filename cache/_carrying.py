"""What a master carries of its place in the catalogue: its spec, and the names and slots that show it.

It is one chunk at the end of the WAV file, ``sbrg``: JSON, padded with blanks to a multiple of 256 bytes, so that
another name fits in without a change of the file's length. Programs skip chunks that they do not know.
"""

from __future__ import annotations

import io
import json
import os
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

_NAME = b"sbrg"
_STEP = 256
"""Bytes; the chunk's data is a multiple of it."""
_MOST = 64 * 1024
"""Bytes; a longer chunk is not one of ours."""
_MOST_CHUNKS = 1000
_LARGEST = 2**32 - 1


@dataclass(frozen=True, slots=True)
class Place:
    """One slot that shows a sample."""

    name: str
    n: int
    standin: bool = False
    aliases: tuple[str, ...] = ()
    session: str | None = None


@dataclass(frozen=True, slots=True)
class Carried:
    """What a master says of where it belongs."""

    spec_id: str
    places: tuple[Place, ...]


@dataclass(frozen=True, slots=True)
class Audio:
    """The shape of a WAV file."""

    rate: int
    """Hz."""
    channels: int
    frames: int
    bytes: int
    """Of the whole file."""


@dataclass(frozen=True, slots=True)
class _Layout:
    audio: Audio
    end: int
    """Offset behind the last whole chunk that is not ours."""
    carried: bytes | None


def carry(master: Path, carried: Carried) -> bool:
    """Write what a master carries, in place of what it carried; False: the file is not a whole WAV file.

    The file must not be in use yet: a process that is killed in between leaves a file of another length.
    """
    with master.open("r+b") as file:
        layout = _layout(file)
        if layout is None:
            return False
        chunk = b"\0" * (layout.end % 2) + _packed(_to_json(carried), 0)
        size = layout.end + len(chunk) - 8
        if size > _LARGEST:
            return False
        file.truncate(layout.end)
        file.seek(layout.end)
        file.write(chunk)
        file.seek(4)
        file.write(struct.pack("<I", size))
    return True


def rewritten(data: bytes, keep: Callable[[Place], bool] | Sequence[Place]) -> bytes:
    """Return a master's bytes with other places in them, in the same length; where they do not fit, without any.

    ``keep``: the places, or which of those that it carries stay.
    """
    layout = _layout(io.BytesIO(data))
    carried = _from_json(layout.carried) if layout and layout.carried else None
    if layout is None or layout.carried is None or carried is None:
        return data
    start, size = layout.end + layout.end % 2, len(layout.carried)
    if start + 8 + size != len(data):
        return data  # it is not the last chunk, so this program did not write it
    places = [each for each in carried.places if keep(each)] if callable(keep) else keep
    for each in (places, ()):
        new = _packed(_to_json(Carried(carried.spec_id, tuple(each))), size)
        if len(new) == size + 8:
            return data[:start] + new
    return data


def read(master: Path) -> Carried | None:
    """Read what a master carries; None: nothing, or nothing that can be read. Raises OSError."""
    with master.open("rb") as file:
        layout = _layout(file)
    return None if layout is None or layout.carried is None else _from_json(layout.carried)


def shape(master: Path) -> Audio | None:
    """Read the shape of a master; None: it is not a whole WAV file. Raises OSError."""
    with master.open("rb") as file:
        layout = _layout(file)
    return None if layout is None else layout.audio


def _layout(file: BinaryIO) -> _Layout | None:
    total = file.seek(0, os.SEEK_END)
    file.seek(0)
    head = file.read(12)
    if len(head) < 12 or head[:4] != b"RIFF" or head[8:] != b"WAVE":
        return None
    declared = struct.unpack_from("<I", head, 4)[0] + 8
    position, end, form, frames, carried = 12, 12, b"", None, None
    for _ in range(_MOST_CHUNKS):
        file.seek(position)
        chunk = file.read(8)
        # What lies behind the declared end was being written when its writer was killed.
        if len(chunk) < 8 or position >= declared:
            break
        name, size = struct.unpack("<4sI", chunk)
        if position + 8 + size > total:
            return None
        if name == b"fmt ":
            form = file.read(min(size, 16))
        elif name == b"data" and len(form) == 16:
            frames = size // max(struct.unpack_from("<H", form, 12)[0], 1)
        if name == _NAME and size <= _MOST:
            carried = file.read(size)
        else:
            end = min(position + 8 + size + size % 2, total)
        position += 8 + size + size % 2
    if frames is None or declared > total:
        return None
    channels, rate = struct.unpack_from("<HI", form, 2)
    return _Layout(Audio(rate, channels, frames, total), end, carried) if rate and channels and frames else None


def _packed(text: bytes, least: int) -> bytes:
    size = max(-(-len(text) // _STEP) * _STEP, least)
    return _NAME + struct.pack("<I", size) + text.ljust(size)


def _to_json(carried: Carried) -> bytes:
    places = [
        {"name": each.name, "n": each.n}
        | ({"standin": True} if each.standin else {})
        | ({"aliases": list(each.aliases)} if each.aliases else {})
        | ({"session": each.session} if each.session is not None else {})
        for each in carried.places
    ]
    return json.dumps({"spec_id": carried.spec_id, "shown": places}, separators=(",", ":")).encode("ascii")


def _from_json(text: bytes) -> Carried | None:
    try:
        found = json.loads(text)
        places = tuple(_place(each) for each in found["shown"])
        return Carried(found["spec_id"], places) if isinstance(found["spec_id"], str) else None
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def _place(found: dict[str, Any]) -> Place:
    name, n, session = found["name"], found["n"], found.get("session")
    aliases = tuple(found.get("aliases", ()))
    if type(name) is not str or type(n) is not int or not all(type(each) is str for each in aliases):
        raise TypeError("a place has a name and a number")
    return Place(name, n, bool(found.get("standin")), aliases, session if isinstance(session, str) else None)

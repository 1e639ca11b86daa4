"""One version of a set as a file: a line of JSON, then the code as it was typed.

``sets/<id>/<number>.set`` in the data folder. A file never changes once it is there; forgetting words is the exception.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bridge.errors import InvalidRequest
from cache import replace_file

LONGEST_NAME: Final = 80
"""Characters of a set's name."""
MOST_CODE_BYTES: Final = 1024 * 1024
"""Of one set's code, in UTF-8."""
_LONGEST_HEADER: Final = 4096
_FORMAT: Final = 1
_FILE: Final = re.compile(r"([0-9]{6})\.set")


@dataclass(frozen=True, slots=True)
class Version:
    """What one save kept."""

    number: int
    """From 1, in the order of saving."""
    name: str
    """The set's name at that time."""
    saved: float
    """Unix seconds."""
    size: int
    """Bytes of the code in UTF-8."""
    code: str | None = None
    """None where only the first line of the file was read."""


def checked_name(name: str) -> str:
    """A set's name without spaces around it. Raises InvalidRequest."""
    name = name.strip()
    if not 0 < len(name) <= LONGEST_NAME or not name.isprintable():
        raise InvalidRequest(f"name: give the set a name of 1 to {LONGEST_NAME} characters on one line.", field="name")
    return name


def numbers_in(folder: Path) -> list[int]:
    """The numbers of the versions in a set's folder, ascending; empty where there is no folder. Raises OSError."""
    try:
        with os.scandir(folder) as entries:
            found = [_FILE.fullmatch(entry.name) for entry in entries]
    except (FileNotFoundError, NotADirectoryError):
        return []
    return sorted(int(match[1]) for match in found if match is not None)


def file_of(folder: Path, number: int) -> Path:
    """Where a version lies in its set's folder."""
    return folder / f"{number:06}.set"


def write(folder: Path, number: int, name: str, code: str, saved: float) -> Version:
    """Keep a version. Raises StoreFull, StoreNotWritable, StoreError; nothing is there then."""
    data = code.encode()
    header = {"set": _FORMAT, "name": name, "saved": saved, "bytes": len(data), "sha256": _digest(name, data)}
    replace_file(file_of(folder, number), json.dumps(header).encode() + b"\n" + data)
    return Version(number, name, saved, len(data), code)


def look(folder: Path, number: int) -> Version | None:
    """A version without its code; None where its first line is damaged or the file is gone. Raises OSError."""
    return _read(folder, number, whole=False)


def read(folder: Path, number: int) -> Version | None:
    """A version with its code; None where the file is damaged or gone. Raises OSError."""
    return _read(folder, number, whole=True)


def newest(folder: Path, numbers: Sequence[int]) -> Version | None:
    """The newest version that is whole, with its code; ``numbers``: ascending. None where none is. Raises OSError."""
    return next((found for number in reversed(numbers) if (found := read(folder, number))), None)


def listed(folder: Path, numbers: Sequence[int]) -> Iterator[Version]:
    """Yield the versions whose first line can be read, the newest first, without their code. Raises OSError."""
    return (found for number in reversed(numbers) if (found := look(folder, number)))


def _read(folder: Path, number: int, *, whole: bool) -> Version | None:
    try:
        # Without waiting, and following no link: whatever lies in the place of the file holds nobody up.
        handle = os.open(file_of(folder, number), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except (FileNotFoundError, NotADirectoryError):
        return None
    with os.fdopen(handle, "rb") as file:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            return None
        line = file.readline(_LONGEST_HEADER)
        data = file.read(MOST_CODE_BYTES + 1) if whole else b""
    try:
        header = json.loads(line)
        name, saved, size, digest = header["name"], float(header["saved"]), header["bytes"], header["sha256"]
        if header["set"] != _FORMAT or not isinstance(name, str) or not isinstance(size, int):
            return None
        if not whole:
            return Version(number, name, saved, size)
        return Version(number, name, saved, size, data.decode()) if digest == _digest(name, data) else None
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return None


def _digest(name: str, data: bytes) -> str:
    return hashlib.sha256(name.encode("utf-8", "surrogatepass") + b"\n" + data).hexdigest()

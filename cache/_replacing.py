"""Files that are exchanged whole: a reader sees the old bytes or the new ones, also after a power cut."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from cache._errors import from_os_error
from cache._plain import sync

MARK = ".damaged-"
"""Stands between the name of a file that was set aside and the moment when it was."""
_BESIDE = ("-wal", "-shm", "-journal")
"""What SQLite keeps next to a database belongs to it."""


def replace_file(path: Path, data: bytes) -> None:
    """Write a new file next to the old one, flush it, give it its name, and flush the folder. Only its owner reads it.

    Raises StoreFull, StoreNotWritable, StoreError; the file is then as it was.
    """
    try:
        handle, part = tempfile.mkstemp(suffix=".part", prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            Path(part).replace(path)
        except BaseException:
            Path(part).unlink(missing_ok=True)
            raise
        sync(path.parent)
    except OSError as error:
        raise from_os_error(error, path.parent) from error


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Hold a folder against other threads and processes that do the same. Raises OSError."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def set_aside(path: Path) -> Path:
    """Rename a damaged file to ``<name>.damaged-20261130T191300Z``, and what SQLite keeps next to it; say where it is.

    Raises StoreNotWritable, StoreError.
    """
    moment = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    number, place = 1, path.with_name(f"{path.name}{MARK}{moment}")
    while any(os.path.lexists(f"{place}{ending}") for ending in ("", *_BESIDE)):
        number += 1
        place = path.with_name(f"{path.name}{MARK}{moment}_{number}")
    try:
        # Its companion files go first: without its log the database is still whole, but not with an old log.
        for ending in _BESIDE:
            if os.path.lexists(f"{path}{ending}"):
                Path(f"{path}{ending}").replace(f"{place}{ending}")
        path.replace(place)
        sync(path.parent)
    except OSError as error:
        raise from_os_error(error, path.parent) from error
    return place


def remove_aside(place: Path) -> None:
    """Remove a file or folder that was set aside, and what lies next to it. Raises OSError."""
    for ending in (*_BESIDE, ""):
        each = Path(f"{place}{ending}")
        if each.is_dir() and not each.is_symlink():
            shutil.rmtree(each)
        else:
            each.unlink(missing_ok=True)


def aside(folder: Path, name: str | None = None) -> list[Path]:
    """Files of a folder that were set aside, the oldest first, without what lies next to them; ``name``: those of one.

    Waits for the disk. A folder that cannot be read has none.
    """
    try:
        found = [each for each in folder.iterdir() if MARK in each.name and not each.name.endswith(_BESIDE)]
    except OSError:
        return []
    return sorted(each for each in found if name is None or each.name.partition(MARK)[0] == name)

"""Reading the databases of a data folder without changing a byte of it, whether a server runs on it or not."""

from __future__ import annotations

import fcntl
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from cache import described

_BESIDE = ("-wal", "-journal")


def holder(folder: Path) -> str | None:
    """The number of the process that has the data folder open, ``unknown`` when it does not say; None: not open."""
    try:
        lock = os.open(folder / "lock", os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        number = os.read(lock, 32).decode("ascii", "replace").strip()
        return number if number.isdecimal() else "unknown"
    except OSError:
        return None
    finally:
        os.close(lock)
    return None


@contextmanager
def open_quietly(file: Path, data: Path | None = None) -> Iterator[sqlite3.Connection]:
    """Open a database of the data folder ``data`` (the file's own folder) for reading alone.

    Raises sqlite3.Error and OSError.

    While somebody uses it, it is read alongside them. Otherwise it is read as if it could not change; what a killed
    process left in a log next to it is seen in a copy, since reading it in place would fold it in.
    """
    if holder(data or file.parent) is not None:
        yield from _connected(file, "mode=ro")
        return
    left = [file.with_name(file.name + end) for end in _BESIDE]
    left = [each for each in left if each.is_file() and each.stat().st_size]
    if not left:
        yield from _connected(file, "mode=ro&immutable=1")
        return
    with tempfile.TemporaryDirectory(prefix="sample-bridge-") as scratch:
        for each in (file, *left):
            shutil.copyfile(each, Path(scratch) / each.name)
        yield from _connected(Path(scratch) / file.name, "mode=rw")


def _connected(file: Path, how: str) -> Iterator[sqlite3.Connection]:
    if not file.is_file():
        raise FileNotFoundError(2, "it is missing", str(file))
    connection = sqlite3.connect(
        f"file:{quote(str(file.absolute()))}?{how}", uri=True, timeout=30, isolation_level=None
    )
    try:
        connection.execute("PRAGMA query_only = ON")
        with described():
            yield connection
    finally:
        connection.close()

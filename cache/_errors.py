"""What the store refuses, as one tree.

::

    StoreError               store_failed         the disk or the catalogue failed
    ├── StoreNotWritable     store_not_writable   no folder can be made or written there
    ├── StoreLocked          store_locked         another process has the folder open
    ├── StoreClosed          store_closed         used after close()
    ├── FormatTooNew         format_too_new       written by a newer version
    ├── StoreDamaged         store_damaged        a file of the folder cannot be read
    ├── StoreFull            storage_full         no room; the call may be repeated when there is
    ├── UnknownSound         unknown_sound        no sound has that name or alias
    ├── UnknownTake          unknown_take         no sample was made of that spec
    ├── NameTaken            name_taken           another sound has that name or alias
    └── NotStorable          not_storable         an id, a file or facts that the store does not take
"""

from __future__ import annotations

import errno
import os
import shlex
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar


class StoreError(Exception):
    """The disk or the catalogue failed; root of the tree."""

    code: ClassVar[str] = "store_failed"


class StoreNotWritable(StoreError):
    """The data folder cannot be made or written."""

    code = "store_not_writable"


class StoreLocked(StoreError):
    """Another process has the data folder open; ``pid`` is its number when the lock file tells."""

    code = "store_locked"

    def __init__(self, message: str, pid: int | None = None) -> None:
        super().__init__(message)
        self.pid = pid


class StoreClosed(StoreError):
    """The store was used after ``close()``."""

    code = "store_closed"


class FormatTooNew(StoreError):
    """The data folder was written by a newer version of the program."""

    code = "format_too_new"


class StoreDamaged(StoreError):
    """A file of the data folder is not what it should be."""

    code = "store_damaged"


class StoreFull(StoreError):
    """The disk has no room; nothing was changed, and the call may be repeated when there is room again."""

    code = "storage_full"


class UnknownSound(StoreError):
    """No sound has that name or alias."""

    code = "unknown_sound"


class UnknownTake(StoreError):
    """No sample is kept for that spec."""

    code = "unknown_take"


class NameTaken(StoreError):
    """Another sound has that name or alias."""

    code = "name_taken"


class NotStorable(StoreError):
    """An id is not hexadecimal, a file is missing, or facts are not plain JSON."""

    code = "not_storable"


_NOT_WRITABLE = {errno.EACCES, errno.EPERM, errno.EEXIST}
_GONE = {errno.ENOENT, errno.ENOTDIR}
_FAILING = {errno.EIO, errno.ENXIO, errno.ENODEV, errno.ESTALE, errno.EUCLEAN}
_LEAST = 64 * 1024  # bytes that a transaction needs at the least
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def from_os_error(error: OSError, path: Path) -> StoreError:
    """Say what an ``OSError`` in the data folder ``path`` means for the player."""
    if error.errno in _FULL:
        return full(path)
    if error.errno == errno.EROFS:
        return read_only(path)
    if error.errno == errno.ENOENT and not path.exists():
        return StoreNotWritable(f"The data folder {path} is not there. Put it back, and start the bridge again.")
    if error.errno in _NOT_WRITABLE | _GONE:
        return not_writable(error, path)
    return StoreError(f"The disk under the data folder {path} failed: {error.strerror or error}. Check the disk.")


def is_of_disk(error: OSError) -> bool:
    """Does the number of this error speak of a disk, whatever was done?"""
    return error.errno in _FULL | _FAILING | {errno.EROFS, errno.EACCES, errno.EPERM}


def not_writable(error: OSError, path: Path) -> StoreNotWritable:
    """Build the sentence for a data folder that cannot be made or written."""
    return StoreNotWritable(
        f"The data folder {path} cannot be written ({error.strerror}). "
        "Give this user the right to write there, or choose another folder with --data-dir."
    )


def from_sqlite_error(error: sqlite3.Error, path: Path) -> StoreError:
    """Say what an SQLite error in the data folder ``path`` means for the player."""
    if is_full(error, path):
        return full(path)
    if _primary_code(error) in {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR} and _mounted_read_only(path):
        return read_only(path)
    if is_read_only(error):
        return StoreNotWritable(
            f"The catalogue in {path} cannot be written ({error}). "
            "Give this user the right to write there, or choose another folder with --data-dir."
        )
    if is_damage(error):
        return damaged(path, str(error))
    return StoreError(f"The catalogue in {path} failed: {error}. Check the disk.")


def _no_room(path: Path) -> bool:
    """Is the disk so full that SQLite cannot even write its journal, which it calls an I/O error?"""
    try:
        disk = os.statvfs(path)
    except OSError:
        return False
    return disk.f_bavail * disk.f_frsize < _LEAST


def _mounted_read_only(path: Path) -> bool:
    try:
        if os.statvfs(path).f_flag & os.ST_RDONLY:
            return True
        # A disk that has made itself read-only after an error does not say so: writing nothing to a file shows it.
        handle = os.open(path / "lock", os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(handle, b"")
        finally:
            os.close(handle)
    except OSError as error:
        return error.errno == errno.EROFS
    return False


def is_full(error: sqlite3.Error, path: Path) -> bool:
    """Has the disk under ``path`` no room for what was to be written?"""
    primary = _primary_code(error)
    return primary == sqlite3.SQLITE_FULL or (primary == sqlite3.SQLITE_IOERR and _no_room(path))


def is_read_only(error: sqlite3.Error) -> bool:
    """May the database not be written?"""
    return _primary_code(error) in {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM}


@contextmanager
def described() -> Iterator[None]:
    """Let SQLite's errors leave as errors of SQLite: a sentence may quote a text that is not Unicode any more.

    Python raises UnicodeDecodeError then; here it becomes an error that ``is_damage``.
    """
    try:
        yield
    except UnicodeDecodeError as error:
        raise sqlite3.DatabaseError(
            "the description of its tables cannot be read: could not decode to UTF-8 text"
        ) from error


def is_damage(error: sqlite3.Error) -> bool:
    """Is the database file itself broken?"""
    return _primary_code(error) in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB} or (
        # The module's own word for text that is not Unicode any more.
        not _primary_code(error) and "decode to UTF-8" in str(error)
    )


def damaged(path: Path, why: str) -> StoreDamaged:
    """Build the sentence for a catalogue in the folder ``path`` that cannot be read."""
    return StoreDamaged(f"The catalogue in {path} is damaged ({' '.join(why.split())}). {rebuild_advice(path)}")


def rebuild_advice(path: Path) -> str:
    """Say what to type to rebuild the catalogue of the folder ``path``."""
    return f"Stop the server, then type: sample-bridge rebuild --data-dir {shlex.quote(str(path))}"


def read_only(path: Path) -> StoreNotWritable:
    """Build the sentence for a disk that takes no writes."""
    return StoreNotWritable(
        f"The disk of the data folder {path} is read-only, so nothing new can be kept there. Check the disk and mount "
        "it for writing again, or choose another folder with --data-dir."
    )


def full(path: Path, lacking: int = 0) -> StoreFull:
    """Build the sentence for a full disk; ``lacking``: bytes that have to be freed until something new fits."""
    free = ""
    try:
        disk = os.statvfs(path)
        left = disk.f_bavail * disk.f_frsize
        free = f": {_mib(left)} are free there"
        if lacking:
            free += f", and {_mib(left + lacking)} have to be, so that sounds can be deleted and forgotten at any time"
    except OSError:  # it is not there any more
        pass
    return StoreFull(
        f"The disk of the data folder {path} is full{free}. Free some space on that disk or delete sounds, then try "
        "again."
    )


def _mib(size: int) -> str:
    return f"{size / 2**20:.1f} MiB"


def _primary_code(error: sqlite3.Error) -> int:
    # An extended code keeps its primary code in the low byte; errors of the module itself have none.
    return int(getattr(error, "sqlite_errorcode", None) or 0) & 0xFF

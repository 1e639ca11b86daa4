"""What the errors of a disk, of SQLite and of the store mean for a player: the one place that says so.

Which number of the system means what stands in ``cache/_errors.py``; here the store's errors become ours.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cache
from bridge.errors import BridgeError, Busy, Conflict, DiskFailed, NotFound, StorageFull


def as_ours(error: BaseException, folder: Path) -> BridgeError | None:
    """Say what an error means that came while ``folder`` was used; None when the disk has no part in it.

    StorageFull: there is no room. DiskFailed: the disk is read-only, failing, or its files are damaged.
    """
    match error:
        case BridgeError():
            return error
        case ConnectionError() | TimeoutError():  # OSErrors of sockets
            return None
        case OSError():
            return None if error.errno is None else _of_store(cache.from_os_error(error, folder))
        case sqlite3.Error():
            return _of_store(cache.from_sqlite_error(error, folder))
        case cache.StoreError():
            return _of_store(error)
        case _:
            return None


def of_disk(error: BaseException, folder: Path) -> BridgeError | None:
    """Say what an error of unknown origin means; None unless it is about a disk."""
    if isinstance(error, OSError) and not cache.is_of_disk(error):
        return None
    return as_ours(error, folder)


@contextmanager
def on_disk(folder: Path, *, perhaps: bool = False) -> Iterator[None]:
    """Let errors of the disk leave as ours. Raises StorageFull, DiskFailed, and the store's NotFound and Conflict.

    ``perhaps``: not all that is done here has to do with ``folder``.
    """
    try:
        yield
    except (OSError, sqlite3.Error, cache.StoreError) as error:
        ours = of_disk(error, folder) if perhaps else as_ours(error, folder)
        if ours is None:
            raise
        raise ours from error


def _of_store(error: cache.StoreError) -> BridgeError:
    message, code = str(error), error.code
    match error:
        case cache.NameTaken():
            return Conflict(message, code=code)
        case cache.UnknownSound():
            return NotFound(message, code=code)
        case cache.StoreFull():
            return StorageFull(message)
        case cache.StoreClosed():
            return Busy("The bridge is being stopped. Ask again in a moment.", code=code)
        case cache.NotStorable() | cache.UnknownTake():  # a mistake of ours, not the disk's
            return BridgeError(message, code=code)
        case _:
            return DiskFailed(message, code=code)

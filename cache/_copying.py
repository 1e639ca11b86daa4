"""When the catalogue is copied: not while nothing changed, not without room, not while a rebuild is due."""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path

from cache import _copies, _events, _mending, _room
from cache._checking import Unreadable, look
from cache._database import Database
from cache._errors import StoreError
from cache._folder import Folder

_log = logging.getLogger(__name__)
_LEAST = 4 * 2**20
"""Bytes that stay free when it is copied. The reserve is for this too: what was deleted stays so only by a copy."""


class Copier:
    """Copies one open catalogue."""

    def __init__(self, folder: Folder, database: Database, clock: Callable[[], float], reserve: int) -> None:
        self._folder = folder
        self._database = database
        self._clock = clock
        self._reserve = reserve
        self._lock = threading.Lock()
        self._copied: int | None = database.changes if self._is_copied() else None
        """Changes of the catalogue when it was copied last."""

    def copy(self, *, anew: bool = False) -> Path | None:
        """Copy the catalogue, if it changed; None: it was not. Never raises for what the disk does.

        ``again``: also when it did not change. While a rebuild is due no copy is made: older ones may know more.
        """
        with self._lock:
            changes = self._database.changes
            if (self._copied == changes and not anew) or self._database.damage:
                return None
            try:
                with self._database.read() as con:
                    # Of the connection: the file may have been taken away, and is whole for a reader that has it open.
                    pages, size = (con.execute(f"PRAGMA {each}").fetchone()[0] for each in ("page_count", "page_size"))
                    if _room.missing(self._folder.path, min(self._reserve, _LEAST), pages * size):
                        _log.warning("the catalogue is not copied, since the disk is nearly full")
                        return None
                    if _mending.due(con) is not None:
                        return None
                    copied = _copies.write(self._folder, con, self._clock())
            except (OSError, StoreError, sqlite3.Error) as error:
                _log.warning("the catalogue could not be copied: %s", error)
                return None
            self._copied = changes
            return copied

    def _is_copied(self) -> bool:
        try:
            for file in _copies.copies(self._folder)[:1]:
                copy = look(file, thorough=False)
                with self._database.read() as con:
                    epoch = con.execute("SELECT value FROM meta WHERE key = 'epoch'").fetchone()[0]
                    return (copy.epoch, copy.head) == (epoch, _events.head(con))
        except (Unreadable, OSError, sqlite3.Error):
            pass
        return False

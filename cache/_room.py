"""Room on the disk: how much is missing, and a ballast file that is given up when not even a deletion fits."""

from __future__ import annotations

import logging
import os
from contextlib import suppress
from pathlib import Path

from cache._private import write_private

_log = logging.getLogger(__name__)
_BALLAST = 4 * 2**20
"""Bytes; a deletion writes some hundred KiB to SQLite's log."""


def missing(path: Path, reserve: int, size: int = 0) -> int:
    """Return how many bytes have to be freed until ``size`` more leave the reserve free; 0: none. Raises OSError."""
    disk = os.statvfs(path)
    return max(reserve + size - disk.f_bavail * disk.f_frsize, 0)


class Ballast:
    """A file that takes room while there is some."""

    def __init__(self, folder: Path, reserve: int) -> None:
        self._file = folder / "ballast"
        self._folder = folder
        # Without a reserve on the disk there is no ballast either.
        self._size = min(_BALLAST, reserve)

    def fill(self) -> None:
        """Take the room, if there is enough. Never raises: without it only a full disk is worse."""
        part = self._file.with_name("ballast.part")
        try:
            if not self._size or (self._file.is_file() and self._file.stat().st_size >= self._size):
                return
            if missing(self._folder, self._size, self._size):
                return
            # Not sparse, and not zeros: some disks keep those in no room at all.
            write_private(part, os.urandom(self._size))
            part.replace(self._file)
        except OSError as error:
            _log.debug("no ballast: %s", error)
            with suppress(OSError):
                part.unlink(missing_ok=True)

    def lacking(self) -> int:
        """Return how many bytes are needed to fill it. Raises OSError."""
        return 0 if not self._size or self._file.is_file() else self._size

    def drop(self) -> bool:
        """Give the room up; False: there was none. Raises OSError."""
        if not self._file.is_file():
            return False
        self._file.unlink(missing_ok=True)
        return True

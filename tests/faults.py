"""A disk that fails on request: a layer under the file and database calls of this process.

``FaultyDisk`` stands between Python and one folder. It knows what a call would write, and lets it through, refuses it,
or keeps it waiting, as a real disk would that is ``full``, ``read_only``, ``failing``, ``forbidden`` (its rights were
taken away) or ``frozen``. Reading always works. Children of the process see the real disk.

Real disks are used where a test may mount them: ``tests/reliability/test_disks.py``.
"""

from __future__ import annotations

import builtins
import contextlib
import errno
import io
import os
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest

Fault = Literal["full", "read_only", "failing", "forbidden", "frozen"]

_ERRNO = {"full": errno.ENOSPC, "read_only": errno.EROFS, "failing": errno.EIO, "forbidden": errno.EACCES}
_SQLITE = {
    "full": (sqlite3.SQLITE_FULL, "database or disk is full"),
    "read_only": (sqlite3.SQLITE_READONLY, "attempt to write a readonly database"),
    "failing": (sqlite3.SQLITE_IOERR, "disk I/O error"),
    "forbidden": (sqlite3.SQLITE_READONLY, "attempt to write a readonly database"),
}
_WRITING = ("BEGIN IMMEDIATE", "INSERT", "UPDATE", "DELETE", "REPLACE", "CREATE", "DROP", "ALTER", "VACUUM")
_FREEING = ("unlink", "rmdir")
"""Calls that a full disk does not mind."""


class FaultyDisk:
    """The disk under ``folder``, whole until ``fails`` says otherwise."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.folder = os.path.abspath(folder)
        self.fault: Fault | None = None
        self.loop_waited: list[str] = []
        """Writes that the thread of the event loop tried while the disk was frozen; each would have stopped it."""
        self.writes = 0
        """How many writes the disk has seen."""
        self._thawed = threading.Event()
        self._thawed.set()
        self._loop_thread = threading.current_thread()
        for name in ("unlink", "rmdir", "mkdir", "replace", "rename", "utime", "truncate", "chmod"):
            patch.setattr(os, name, self._guarded(name, getattr(os, name)))
        patch.setattr(os, "fsync", self._guarded_handle(os.fsync))
        patch.setattr(os, "open", self._os_open(os.open))
        patch.setattr(os, "statvfs", self._statvfs(os.statvfs))
        opened = self._open(io.open)
        patch.setattr(io, "open", opened)
        patch.setattr(builtins, "open", opened)
        disk, connect = self, sqlite3.connect

        class Connection(sqlite3.Connection):
            """A connection whose writing statements reach the faulty disk."""

            def execute(self, sql: str, *rest: Any) -> sqlite3.Cursor:
                disk._statement(sql)
                return super().execute(sql, *rest)

            def executemany(self, sql: str, *rest: Any) -> sqlite3.Cursor:
                disk._statement(sql)
                return super().executemany(sql, *rest)

            def executescript(self, sql: str) -> sqlite3.Cursor:
                disk._statement(sql)
                return super().executescript(sql)

        def connected(database: Any, *arguments: Any, **keywords: Any) -> sqlite3.Connection:
            if self._ours(str(database).removeprefix("file:")):
                keywords.setdefault("factory", Connection)
            return connect(database, *arguments, **keywords)

        patch.setattr(sqlite3, "connect", connected)

    @contextlib.contextmanager
    def fails(self, fault: Fault) -> Iterator[None]:
        """Let the disk be so for a while."""
        if fault == "frozen":
            self._thawed.clear()
        self.fault = fault
        try:
            yield
        finally:
            self.fault = None
            self._thawed.set()

    # ------------------------------------------------------------------ what a write meets

    def _meet(self, what: str) -> None:
        self.writes += 1
        fault = self.fault
        if fault is None or (fault == "full" and what in _FREEING):
            return
        if fault != "frozen":
            raise OSError(_ERRNO[fault], os.strerror(_ERRNO[fault]))
        if threading.current_thread() is self._loop_thread:
            self.loop_waited.append(what)
            return
        self._thawed.wait()

    def _statement(self, sql: str) -> None:
        if not sql.lstrip().upper().startswith(_WRITING):
            return
        self.writes += 1
        fault = self.fault
        if fault == "frozen":
            self._meet(sql)
        elif fault is not None:
            number, message = _SQLITE[fault]
            error = sqlite3.OperationalError(message)
            error.sqlite_errorcode = number
            raise error

    def _ours(self, path: Any) -> bool:
        if not isinstance(path, str | os.PathLike):
            return False
        return os.path.abspath(os.fspath(path)).startswith(self.folder)

    def _guarded(self, name: str, real: Any) -> Any:
        def call(path: Any, *arguments: Any, **keywords: Any) -> Any:
            if keywords.get("dir_fd") is None and self._ours(path):
                self._meet(name)
            return real(path, *arguments, **keywords)

        return call

    def _guarded_handle(self, real: Any) -> Any:
        def call(handle: int) -> Any:
            if self._handle_is_ours(handle):
                self._meet("fsync")
            return real(handle)

        return call

    def _handle_is_ours(self, handle: int) -> bool:
        try:
            return self._ours(os.readlink(f"/proc/self/fd/{handle}"))
        except OSError:
            return False

    def _os_open(self, real: Any) -> Any:
        def call(path: Any, flags: int, *arguments: Any, **keywords: Any) -> Any:
            writes = flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT) and self._ours(path)
            # A file that is there can be opened on a full disk.
            if writes and not (self.fault == "full" and os.path.exists(path)):
                self._meet("open")
            return real(path, flags, *arguments, **keywords)

        return call

    def _open(self, real: Any) -> Any:
        def call(file: Any, mode: str = "r", *arguments: Any, **keywords: Any) -> Any:
            if set(mode) & set("wax+") and self._ours(file):
                self._meet("open")
            return real(file, mode, *arguments, **keywords)

        return call

    def _statvfs(self, real: Any) -> Any:
        def call(path: Any) -> Any:
            found = real(path)
            if self.fault == "full" and self._ours(path):
                found = os.statvfs_result((*found[:3], 0, 0, *found[5:]))
            return found

        return call

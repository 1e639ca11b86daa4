"""The catalogue's connections: one that writes, under one lock, and as many readers as threads ask at a time."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cache import _schema
from cache._errors import NotStorable, StoreClosed, StoreError, damaged, from_sqlite_error, is_damage

_READERS = 6


class Database:
    """SQLite in WAL mode: readers see the last commit and never wait."""

    def __init__(self, file: Path, *, durable: bool) -> None:
        self._file = file
        self.lock = threading.RLock()
        """Held while code changes the catalogue or the files that belong to it."""
        self._pool_lock = threading.Lock()
        self._readers: list[sqlite3.Connection] = []
        self._open = True
        self.damage: str | None = None
        """What was wrong when a statement found the file to be damaged; None while none did."""
        self._writer = self._connect()
        try:
            with self._translated():
                self._writer.execute("PRAGMA journal_mode = WAL")
                # A commit survives the process with either; FULL makes it survive the power supply too.
                self._writer.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
                self._writer.execute("PRAGMA foreign_keys = ON")
                _schema.create(self._writer)
                # Opening a connection makes files, which a disk that hangs does not answer: readers have theirs before.
                self._readers += [self._reader() for _ in range(_READERS)]
        except BaseException:
            for con in (*self._readers, self._writer):
                con.close()
            raise

    def close(self) -> None:
        """Close every connection; a reader that is busy closes its own when it is done."""
        with self.lock:
            with self._pool_lock:
                self._open = False
                while self._readers:
                    self._readers.pop().close()
            self._writer.close()

    @property
    def changes(self) -> int:
        """Count the rows that were changed since it was opened."""
        return self._writer.total_changes

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """One transaction that is committed at the end, or taken back by any exception."""
        with self.lock:
            if not self._open:
                raise _closed()
            with self._translated():
                self._writer.execute("BEGIN IMMEDIATE")
                try:
                    yield self._writer
                    self._writer.execute("COMMIT")
                except BaseException:
                    # A full disk makes SQLite roll back by itself.
                    if self._writer.in_transaction:
                        self._writer.execute("ROLLBACK")
                    raise
                # The first reader after a commit writes a mark into the shared index. Here it is this one, so that the
                # others can read even when the disk takes no more writes.
                with suppress(sqlite3.Error):
                    self._writer.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone()

    def maintain(self, work: Callable[[sqlite3.Connection], None]) -> None:
        """Do what SQLite does outside of transactions alone."""
        with self.lock:
            if not self._open:
                raise _closed()
            with self._translated():
                work(self._writer)

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """One consistent view; several threads may read at the same time."""
        with self._translated():
            con = self._borrow()
            try:
                con.execute("BEGIN")
                yield con
            finally:
                with suppress(sqlite3.Error):
                    con.execute("ROLLBACK")
                self._give_back(con)

    def _borrow(self) -> sqlite3.Connection:
        with self._pool_lock:
            if not self._open:
                raise _closed()
            if self._readers:
                return self._readers.pop()
        return self._reader()

    def _reader(self) -> sqlite3.Connection:
        con = self._connect()
        con.execute("PRAGMA query_only = ON")
        con.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone()
        return con

    def _give_back(self, con: sqlite3.Connection) -> None:
        with self._pool_lock:
            if self._open:
                self._readers.append(con)
            else:
                con.close()

    def _connect(self) -> sqlite3.Connection:
        with self._translated():
            # Connections wander between threads, one user at a time.
            con = sqlite3.connect(self._file, isolation_level=None, check_same_thread=False, timeout=30)
            con.execute("PRAGMA temp_store = MEMORY")
            return con

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            if is_damage(error):
                self.damage = self.damage or str(error)
            raise from_sqlite_error(error, self._file.parent) from error
        except json.JSONDecodeError as error:  # only rows of ours are read as JSON in here
            self.damage = self.damage or f"what is kept of a sound cannot be read: {error}"
            raise damaged(self._file.parent, self.damage) from error
        except UnicodeEncodeError as error:
            raise NotStorable("A name or word is not Unicode text: it contains half of a surrogate pair.") from error


def _closed() -> StoreError:
    return StoreClosed("The store is closed. Open it again.")

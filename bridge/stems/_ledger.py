"""What was promised to other programs: every request for stems, and whether its callback has arrived.

A request is written down before it is answered, and crossed out after its callback was taken. Whatever ends the
server in between, the next one goes on where it stopped; a callback may therefore come twice, and never not at all.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bridge.errors import BridgeError, StorageFull

FILE = "stems.sqlite3"
"""Below the data folder."""
PROCESSING, COMPLETED, FAILED = "processing", "completed", "failed"
NONE, WAITING, DELIVERED, GIVEN_UP = "none", "waiting", "delivered", "given_up"

_SCHEMA = """
CREATE TABLE IF NOT EXISTS requests (
    id TEXT PRIMARY KEY,
    digest TEXT NOT NULL,      -- of the body, to know the same request when it comes again
    body TEXT NOT NULL,        -- JSON
    base TEXT NOT NULL,        -- our own address, as the caller knows it
    created REAL NOT NULL,     -- Unix seconds, like ended and due
    state TEXT NOT NULL,
    result TEXT,               -- JSON, once it has ended
    ended REAL,
    callback TEXT NOT NULL DEFAULT 'none',
    attempts INTEGER NOT NULL DEFAULT 0,
    due REAL NOT NULL DEFAULT 0
) WITHOUT ROWID
"""
_COLUMNS = "id, digest, body, base, created, state, result, ended, callback, attempts, due"


@dataclass(frozen=True, slots=True)
class Row:
    """One request as it stands."""

    id: str
    digest: str
    body: dict[str, Any]
    base: str
    created: float
    state: str
    result: dict[str, Any] | None
    ended: float | None
    callback: str
    attempts: int
    due: float
    """When the next attempt of the callback is to be made, in Unix seconds."""


class Ledger:
    """One SQLite file. Its methods wait for the disk and may be called from any thread.

    Raises StorageFull, or BridgeError when the file cannot be used.
    """

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        with _as_ours(path):
            self._database = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
            try:
                self._database.execute("PRAGMA journal_mode = WAL")
                # What was promised is still there when the plug is pulled.
                self._database.execute("PRAGMA synchronous = FULL")
                self._database.execute("PRAGMA secure_delete = ON")
                self._database.execute(_SCHEMA)
            except BaseException:
                self._database.close()
                raise
        self._path = path

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._database.close()

    def accept(self, request_id: str, digest: str, body: dict[str, Any], base: str, created: float) -> Row | None:
        """Write a request down; one that is there already is answered instead, and stays as it is."""
        text = json.dumps(body)
        with self._using() as database:
            insert = "INSERT OR IGNORE INTO requests (id, digest, body, base, created, state) VALUES (?, ?, ?, ?, ?, ?)"
            done = database.execute(insert, (request_id, digest, text, base, created, PROCESSING))
            if done.rowcount:
                return None
        return self.get(request_id)

    def get(self, request_id: str) -> Row | None:
        """Look a request up."""
        return next(iter(self._rows("id = ?", request_id)), None)

    def unfinished(self) -> list[Row]:
        """Requests that have not ended, the oldest first."""
        return self._rows("state = ? ORDER BY created", PROCESSING)

    def undelivered(self) -> list[Row]:
        """Ended requests whose callback has not been taken."""
        return self._rows("callback = ? ORDER BY due", WAITING)

    def begin_again(self, request_id: str, body: dict[str, Any]) -> None:
        """Let a request that failed be made once more; its words may have been wiped meanwhile."""
        values = (PROCESSING, json.dumps(body), NONE)
        self._change("state = ?, body = ?, result = NULL, ended = NULL, callback = ?", *values, where=request_id)

    def finish(self, request_id: str, state: str, result: dict[str, Any], ended: float, *, callback: bool) -> None:
        """Note how a request ended; in the same moment its callback is due."""
        values = (state, json.dumps(result), ended, WAITING if callback else NONE, ended)
        self._change("state = ?, result = ?, ended = ?, callback = ?, attempts = 0, due = ?", *values, where=request_id)

    def note_callback(self, request_id: str, callback: str, attempts: int = 0, due: float = 0.0) -> None:
        """Note how a callback stands."""
        self._change("callback = ?, attempts = ?, due = ?", callback, attempts, due, where=request_id)

    def remove_before(self, moment: float) -> list[str]:
        """Remove requests that ended before a moment and wait for nothing; their ids."""
        with self._using() as database:
            found = database.execute(
                "DELETE FROM requests WHERE ended < ? AND callback != ? RETURNING id", (moment, WAITING)
            )
            return [name for (name,) in found.fetchall()]

    def wipe(self, names: tuple[str, ...]) -> int:
        """Take members out of the parameters of requests that wait for nothing; how many were concerned."""
        paths = ", ".join(f"'$.parameters.{name}'" for name in names)
        shown = ", ".join(f"'$.parameters.{name}', NULL" for name in names)
        with self._using() as database:
            changed = database.execute(
                f"UPDATE requests SET body = json_remove(body, {paths}), result = json_replace(result, {shown}) "  # noqa: S608  our own names
                "WHERE state != ? AND callback != ?",
                (PROCESSING, WAITING),
            )
            return changed.rowcount

    def _rows(self, condition: str, *values: Any) -> list[Row]:
        with self._using() as database:
            found = database.execute(f"SELECT {_COLUMNS} FROM requests WHERE {condition}", values).fetchall()  # noqa: S608  our own words
        rows = []
        for name, digest, body, base, created, state, result, ended, callback, attempts, due in found:
            parsed = json.loads(result) if result else None
            rows.append(
                Row(name, digest, json.loads(body), base, created, state, parsed, ended, callback, attempts, due)
            )
        return rows

    def _change(self, columns: str, *values: Any, where: str) -> None:
        with self._using() as database:
            database.execute(f"UPDATE requests SET {columns} WHERE id = ?", (*values, where))  # noqa: S608  our own words

    @contextmanager
    def _using(self) -> Iterator[sqlite3.Connection]:
        with self._lock, _as_ours(self._path):
            yield self._database


@contextmanager
def _as_ours(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        if "full" in str(error):
            raise StorageFull("The disk is full: free some space, and ask again.") from error
        raise BridgeError(f"{path} cannot be used ({error}).", code="ledger_failed") from error

"""What was promised to other programs: every request for stems, and whether its callback has arrived.

A request is written down before it is answered, and crossed out after its callback was taken. Whatever ends the
server in between, the next one continues where it stopped; a callback may therefore come twice, and never not at all.
"""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bridge.system.ledgers import STEMS, LedgerFile, ledger_schema

logger = logging.getLogger(__name__)

FILE = STEMS
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
) WITHOUT ROWID;
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

    Raises StartupError for a file of a newer version; StorageFull, LedgerDamaged (the file was replaced by a new one:
    try once more), DiskFailed.
    """

    def __init__(self, path: Path) -> None:
        self._open_ones: dict[str, Row] = {}
        """What has not ended, or waits for its callback: what a new file begins with when this one is damaged."""
        self._file = LedgerFile(path, _LEDGER, prepare=_prepare, on_renewed=self._write_again)
        for row in (*self.unfinished(), *self.undelivered()):
            self._open_ones[row.id] = row

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def accept(self, request_id: str, digest: str, body: dict[str, Any], base: str, created: float) -> Row | None:
        """Write a request down; one that is there already is answered instead, and stays as it is."""
        text = json.dumps(body)
        with self._file.using() as database:
            insert = "INSERT OR IGNORE INTO requests (id, digest, body, base, created, state) VALUES (?, ?, ?, ?, ?, ?)"
            done = database.execute(insert, (request_id, digest, text, base, created, PROCESSING))
        if done.rowcount:
            self._open_ones[request_id] = Row(
                request_id, digest, body, base, created, PROCESSING, None, None, NONE, 0, 0.0
            )
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
        if (row := self.get(request_id)) is not None:
            self._open_ones[request_id] = row

    def finish(self, request_id: str, state: str, result: dict[str, Any], ended: float, *, callback: bool) -> None:
        """Note how a request ended; in the same moment its callback is due."""
        waiting = WAITING if callback else NONE
        values = (state, json.dumps(result), ended, waiting, ended)
        self._change("state = ?, result = ?, ended = ?, callback = ?, attempts = 0, due = ?", *values, where=request_id)
        self._note(request_id, state=state, result=result, ended=ended, callback=waiting, attempts=0, due=ended)

    def note_callback(self, request_id: str, callback: str, attempts: int = 0, due: float = 0.0) -> None:
        """Note how a callback stands."""
        self._change("callback = ?, attempts = ?, due = ?", callback, attempts, due, where=request_id)
        self._note(request_id, callback=callback, attempts=attempts, due=due)

    def remove_before(self, moment: float) -> list[str]:
        """Remove requests that ended before a moment and wait for nothing; their ids."""
        with self._file.using() as database:
            found = database.execute(
                "DELETE FROM requests WHERE ended < ? AND callback != ? RETURNING id", (moment, WAITING)
            )
            return [name for (name,) in found.fetchall()]

    def wipe(self, names: tuple[str, ...], sample_ids: Collection[str] | None = None) -> int:
        """Take members out of the parameters of requests that wait for nothing; how many were concerned.

        ``sample_ids``: only of requests with a file of one of these samples.
        """
        which, of = "", [] if sample_ids is None else [json.dumps(sorted(sample_ids))]
        if sample_ids is not None:
            which = " AND EXISTS (SELECT 1 FROM json_each(?) WHERE instr(requests.result, '-' || json_each.value))"
        paths = ", ".join(f"'$.parameters.{name}'" for name in names)
        shown = ", ".join(f"'$.parameters.{name}', NULL" for name in names)
        with self._file.using() as database:
            changed = database.execute(
                f"UPDATE requests SET body = json_remove(body, {paths}), result = json_replace(result, {shown}) "  # noqa: S608  our own names
                f"WHERE state != ? AND callback != ?{which}",
                (PROCESSING, WAITING, *of),
            )
            return changed.rowcount

    def clean(self) -> None:
        """Write the file again and empty its log: freed pages keep what stood in them."""
        self._file.clean()

    def _note(self, request_id: str, **changes: Any) -> None:
        row = self._open_ones.get(request_id)
        if row is None:
            return
        row = replace(row, **changes)
        if row.state == PROCESSING or row.callback == WAITING:
            self._open_ones[request_id] = row
        else:
            del self._open_ones[request_id]

    def _write_again(self, database: sqlite3.Connection) -> None:
        for row in self._open_ones.values():
            result = None if row.result is None else json.dumps(row.result)
            database.execute(
                f"INSERT OR REPLACE INTO requests ({_COLUMNS}) VALUES ({', '.join('?' * 11)})",  # noqa: S608  our own words
                (row.id, row.digest, json.dumps(row.body), row.base, row.created, row.state, result, row.ended,
                 row.callback, row.attempts, row.due),
            )  # fmt: skip

    def _rows(self, condition: str, *values: Any) -> list[Row]:
        with self._file.using() as database:
            found = database.execute(f"SELECT {_COLUMNS} FROM requests WHERE {condition}", values).fetchall()  # noqa: S608  our own words
        rows = []
        for name, digest, body, base, created, state, result, ended, callback, attempts, due in found:
            try:
                parsed = json.loads(result) if result else None
                rows.append(
                    Row(name, digest, json.loads(body), base, created, state, parsed, ended, callback, attempts, due)
                )
            except (ValueError, TypeError) as error:
                logger.warning("a request for stems cannot be read (%s): it has to be sent again", error)
        return rows

    def _change(self, columns: str, *values: Any, where: str) -> None:
        with self._file.using() as database:
            database.execute(f"UPDATE requests SET {columns} WHERE id = ?", (*values, where))  # noqa: S608  our own words


def _prepare(database: sqlite3.Connection) -> None:
    database.execute("PRAGMA secure_delete = ON")


_LEDGER = ledger_schema(STEMS, (_SCHEMA,), {"requests": _COLUMNS})

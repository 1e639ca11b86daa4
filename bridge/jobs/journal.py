"""What was accepted, on disk: a job that was promised is finished or reported failed, whatever is killed when.

One SQLite file beside the catalogue. A ticket is written before its asker is answered, and again when it ended; what
has not ended when the file is opened is handed back to the queue. ``attempts`` counts the starts that a job has not
survived: one that takes the server down again and again is given up.
"""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bridge.jobs._job import TERMINAL, State

_SCHEMA = """
CREATE TABLE IF NOT EXISTS tickets (
    id TEXT PRIMARY KEY,
    key TEXT NOT NULL,
    lane TEXT NOT NULL,
    work TEXT NOT NULL,
    asked TEXT NOT NULL,
    priority INTEGER NOT NULL,
    state TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    error TEXT,
    outcome TEXT,
    created REAL NOT NULL,
    started REAL,
    ended REAL
) STRICT;
CREATE INDEX IF NOT EXISTS tickets_state ON tickets (state, created);
CREATE TABLE IF NOT EXISTS repeats (
    idempotency_key TEXT PRIMARY KEY,
    fingerprint TEXT NOT NULL,
    tickets TEXT NOT NULL,
    created REAL NOT NULL
) STRICT;
"""
_TERMINAL = tuple(sorted(TERMINAL))
_COLUMNS = "id, key, lane, work, asked, priority, state, attempts, error, outcome, created, started, ended"


@dataclass(frozen=True, slots=True)
class Entry:
    """One ticket as the journal keeps it: plain values."""

    id: str
    key: str
    lane: str
    work: Mapping[str, Any]
    asked: Mapping[str, Any]
    priority: int
    state: State
    attempts: int
    """Starts of the server that found the job running and unfinished."""
    error: Mapping[str, Any] | None
    """``{"type", "code", "message"}`` of a job that failed or was cancelled."""
    outcome: Any
    """What came of it, as JSON values."""
    created: float
    started: float | None
    ended: float | None


class Journal:
    """One file, one connection, any thread; every method waits for the disk.

    ``kept_seconds``: how long ended tickets are remembered.
    """

    def __init__(self, path: Path, *, kept_seconds: float = 7 * 86400.0) -> None:
        self._kept_seconds = kept_seconds
        self._lock = threading.Lock()
        self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._connection.execute("PRAGMA journal_mode = WAL")
        # A promise outlives a power cut, too.
        self._connection.execute("PRAGMA synchronous = FULL")
        self._connection.executescript(_SCHEMA)

    def accept(self, entry: Entry) -> None:
        """Write a new ticket."""
        row = (
            entry.id, entry.key, entry.lane, _text(entry.work), _text(entry.asked), entry.priority, str(entry.state),
            entry.attempts, _text(entry.error), _text(entry.outcome), entry.created, entry.started, entry.ended,
        )  # fmt: skip
        with self._lock:
            marks = ", ".join("?" * len(row))
            self._connection.execute(f"INSERT OR REPLACE INTO tickets ({_COLUMNS}) VALUES ({marks})", row)  # noqa: S608

    def moved(self, ids: Iterable[str], state: State, started: float | None) -> None:
        """Note that the work of these tickets has begun, or waits again after a clean stop."""
        with self._lock:
            self._connection.executemany(
                "UPDATE tickets SET state = ?, started = ? WHERE id = ?",
                [(str(state), started, ticket_id) for ticket_id in ids],
            )

    def ended(
        self, ticket_id: str, state: State, ended: float, error: Mapping[str, Any] | None = None, outcome: Any = None
    ) -> None:
        """Note how a ticket ended."""
        with self._lock:
            self._connection.execute(
                "UPDATE tickets SET state = ?, ended = ?, error = ?, outcome = ? WHERE id = ?",
                (str(state), ended, _text(error), _text(outcome), ticket_id),
            )

    def reopen(self) -> tuple[list[Entry], list[Entry]]:
        """Return what is unfinished, oldest first, and what has ended and is still kept, oldest first.

        Jobs that were running have not survived a start: their ``attempts`` grow by one. Old ended tickets go.
        """
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.execute(
                "UPDATE tickets SET attempts = attempts + 1, state = ? WHERE state = ?",
                (str(State.QUEUED), str(State.RUNNING)),
            )
            oldest = time.time() - self._kept_seconds
            self._connection.execute("DELETE FROM tickets WHERE ended < ?", (oldest,))
            self._connection.execute("DELETE FROM repeats WHERE created < ?", (oldest,))
            self._connection.execute("COMMIT")
            rows = self._connection.execute(f"SELECT {_COLUMNS} FROM tickets ORDER BY created, rowid").fetchall()  # noqa: S608
        entries = [_entry(row) for row in rows]
        return (
            [entry for entry in entries if entry.state not in TERMINAL],
            [entry for entry in entries if entry.state in TERMINAL],
        )

    def repeated(self, idempotency_key: str) -> tuple[str, list[str]] | None:
        """The fingerprint and the tickets of an earlier request with that key."""
        with self._lock:
            row = self._connection.execute(
                "SELECT fingerprint, tickets FROM repeats WHERE idempotency_key = ?", (idempotency_key,)
            ).fetchone()
        return (row[0], json.loads(row[1])) if row else None

    def remember(self, idempotency_key: str, fingerprint: str, ticket_ids: Iterable[str]) -> None:
        """Bind a key to what was asked and to its tickets."""
        with self._lock:
            self._connection.execute(
                "INSERT OR REPLACE INTO repeats VALUES (?, ?, ?, ?)",
                (idempotency_key, fingerprint, json.dumps(list(ticket_ids)), time.time()),
            )

    def forget(self, keys: Collection[str] | None, names: Collection[str] = ()) -> None:
        """Drop ended tickets of these keys, or that asked for one of these sounds; None drops all that have ended.

        The file is written anew: freed pages keep what stood in them.
        """
        which = "" if keys is None else (
            " AND (key IN (SELECT value FROM json_each(?))"
            " OR json_extract(asked, '$.name') IN (SELECT value FROM json_each(?)))"
        )  # fmt: skip
        asked = [] if keys is None else [json.dumps(sorted(keys)), json.dumps(sorted(names))]
        with self._lock:
            self._connection.execute("PRAGMA secure_delete = ON")
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.execute(
                f"DELETE FROM tickets WHERE state IN ({', '.join('?' * len(_TERMINAL))}){which}",  # noqa: S608  our own words
                [*(str(state) for state in _TERMINAL), *asked],
            )
            self._connection.execute(
                "DELETE FROM repeats WHERE EXISTS (SELECT 1 FROM json_each(repeats.tickets)"
                " WHERE value NOT IN (SELECT id FROM tickets))"
            )
            self._connection.execute("COMMIT")
            self._connection.execute("VACUUM")
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()


def _text(value: Any) -> str | None:
    return None if value is None else json.dumps(value, allow_nan=False)


def _entry(row: tuple[Any, ...]) -> Entry:
    ticket_id, key, lane, work, asked, priority, state, attempts, error, outcome, created, started, ended = row
    return Entry(
        id=ticket_id,
        key=key,
        lane=lane,
        work=json.loads(work),
        asked=json.loads(asked),
        priority=priority,
        state=State(state),
        attempts=attempts,
        error=json.loads(error) if error else None,
        outcome=json.loads(outcome) if outcome else None,
        created=created,
        started=started,
        ended=ended,
    )

"""What was accepted, on disk: a job that was promised is finished or reported failed, whatever is killed when.

One SQLite file next to the catalogue. A ticket is written before its asker is answered, and again when it ended; what
has not ended when the file is opened is handed back to the queue. ``attempts`` counts the starts that a job has not
survived: one that takes the server down again and again is given up.

A ticket is a short row: what is to be made stands once in ``works``, however many wait for it, and not at all when
nothing had to be made. Ended tickets are kept for a day, at most ``KEPT`` of them.
"""

from __future__ import annotations

import hashlib
import json
import logging
import sqlite3
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bridge.jobs.claims import Claim, Work
from bridge.jobs.job import TERMINAL, State
from bridge.system.ledgers import JOURNAL, LedgerFile, ledger_schema
from cache import statements

logger = logging.getLogger(__name__)

KEPT: Final = 10_000
"""This many ended tickets are remembered, and this many Idempotency-Keys."""
KEPT_SECONDS: Final = 86400.0
PRUNED_EVERY: Final = 500
"""Old tickets go whenever this many new ones have come."""
_PIECE = 5000
"""Rows of an older version that go in one transaction: some 20 ms."""

_VERSION_1 = """
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
_VERSION_2 = """
CREATE TABLE works (digest TEXT PRIMARY KEY, work TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE tickets (
    number INTEGER PRIMARY KEY,  -- in the order of being accepted
    id TEXT NOT NULL UNIQUE,
    key TEXT NOT NULL,
    lane TEXT NOT NULL,
    work TEXT,                   -- digest of what is to be made; NULL: nothing had to be
    asked TEXT NOT NULL,
    priority INTEGER NOT NULL,
    state TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    error TEXT,
    outcome TEXT,
    created REAL NOT NULL,
    started REAL,
    ended REAL
) STRICT;
CREATE INDEX tickets_waiting ON tickets (number) WHERE ended IS NULL;
CREATE INDEX tickets_ended ON tickets (number, ended) WHERE ended IS NOT NULL;
CREATE INDEX tickets_work ON tickets (work) WHERE work IS NOT NULL;
"""
_COLUMNS = "id, key, lane, work, asked, priority, state, attempts, error, outcome, created, started, ended"
_INSERT = f"INSERT OR REPLACE INTO tickets ({_COLUMNS}) VALUES ({', '.join('?' * 13)})"  # noqa: S608  our own words
_WAITING = (str(State.QUEUED), str(State.RUNNING))


@dataclass(frozen=True, slots=True)
class Entry:
    """One ticket as the journal keeps it."""

    id: str
    key: str
    lane: str
    work: Work
    claim: Claim
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

    ``kept``, ``kept_seconds``: how many ended tickets are remembered, and how long. Methods raise StorageFull,
    LedgerDamaged (the file was replaced by a new one: try once more), DiskFailed.
    """

    def __init__(self, path: Path, *, kept: int = KEPT, kept_seconds: float = KEPT_SECONDS) -> None:
        self._kept, self._kept_seconds = kept, kept_seconds
        self._written = 0
        self._last: tuple[Work, str, str] | None = None
        """The work that was written last, its text, and its digest: that of a whole request is one object."""
        self._unfinished: dict[str, Entry] = {}
        """Promises that are not kept yet: what a new file begins with when this one turns out to be damaged."""
        self._file = LedgerFile(path, _SCHEMA, on_renewed=self._promise_again)

    def together(self) -> AbstractContextManager[sqlite3.Connection]:
        """One transaction for several calls."""
        return self._file.using()

    def accept(self, entry: Entry) -> None:
        """Write a new ticket."""
        if entry.state not in TERMINAL:
            self._unfinished[entry.id] = entry
        try:
            with self._file.using() as con:
                self._insert(con, entry)
                self._written += 1
                if self._written >= PRUNED_EVERY:
                    self._written = 0
                    self._prune(con)
        except BaseException:
            self._unfinished.pop(entry.id, None)
            raise

    def moved(self, ids: Iterable[str], state: State, started: float | None) -> None:
        """Note that the work of these tickets has started, or waits again after a clean stop."""
        with self._file.using() as con:
            con.executemany(
                "UPDATE tickets SET state = ?, started = ? WHERE id = ?",
                [(str(state), started, ticket_id) for ticket_id in ids],
            )

    def ended(
        self, ticket_id: str, state: State, ended: float, error: Mapping[str, Any] | None = None, outcome: Any = None
    ) -> None:
        """Note how a ticket ended."""
        with self._file.using() as con:
            con.execute(
                "UPDATE tickets SET state = ?, ended = ?, error = ?, outcome = ? WHERE id = ?",
                (str(state), ended, _text(error), _text(outcome), ticket_id),
            )
        self._unfinished.pop(ticket_id, None)

    def reopen(self, newest: int = 1000) -> tuple[list[Entry], list[Entry]]:
        """Return what is unfinished, oldest first, and this many of the newest that have ended, oldest first.

        Jobs that were running have not survived a start: their ``attempts`` grow by one. Old ended tickets go.
        """
        with self._file.using() as con:
            con.execute(
                "UPDATE tickets SET attempts = attempts + 1, state = ? WHERE ended IS NULL AND state = ?",
                (str(State.QUEUED), str(State.RUNNING)),
            )
            self._prune(con)
            unfinished = _entries(con, "ended IS NULL ORDER BY number")
            ended = _entries(con, "ended IS NOT NULL ORDER BY number DESC LIMIT ?", newest)
        self._unfinished = {entry.id: entry for entry in unfinished}
        return unfinished, ended[::-1]

    def repeated(self, idempotency_key: str) -> tuple[str, list[str]] | None:
        """The fingerprint and the tickets of an earlier request with that key."""
        with self._file.using() as con:
            row = con.execute(
                "SELECT fingerprint, tickets FROM repeats WHERE idempotency_key = ?", (idempotency_key,)
            ).fetchone()
        try:
            return (row[0], [str(each) for each in json.loads(row[1])]) if row else None
        except (ValueError, TypeError):  # damaged: as if it had not been kept
            return None

    def remember(self, idempotency_key: str, fingerprint: str, ticket_ids: Iterable[str]) -> None:
        """Bind a key to what was asked and to its tickets."""
        with self._file.using() as con:
            con.execute(
                "INSERT OR REPLACE INTO repeats VALUES (?, ?, ?, ?)",
                (idempotency_key, fingerprint, json.dumps(list(ticket_ids)), time.time()),
            )

    def forget(self, keys: Collection[str] | None, names: Collection[str] = ()) -> None:
        """Drop ended tickets of these keys, or that asked for one of these sounds; None drops all that have ended.

        The file is written again: freed pages keep what stood in them.
        """
        which = "" if keys is None else (
            " AND (key IN (SELECT value FROM json_each(?))"
            " OR json_extract(asked, '$.name') IN (SELECT value FROM json_each(?)))"
        )  # fmt: skip
        asked = [] if keys is None else [json.dumps(sorted(keys)), json.dumps(sorted(names))]
        with self._file.outside() as con:
            con.execute("PRAGMA secure_delete = ON")
        with self._file.using() as con:
            con.execute("DROP TABLE IF EXISTS old_tickets")
            con.execute(f"DELETE FROM tickets WHERE ended IS NOT NULL{which}", asked)  # noqa: S608  our own words
            _drop_unused(con)
            con.execute(
                "DELETE FROM repeats WHERE EXISTS (SELECT 1 FROM json_each(repeats.tickets)"
                " WHERE value NOT IN (SELECT id FROM tickets))"
            )
        self._last = None
        self._file.clean()

    def tidy(self) -> bool:
        """Remove a piece of what an older version has left; is there more? In the end the file is written again."""
        with self._file.using() as con:
            if not con.execute("SELECT 1 FROM sqlite_schema WHERE name = 'old_tickets'").fetchone():
                return False
            there = con.execute(
                "DELETE FROM old_tickets WHERE rowid IN (SELECT rowid FROM old_tickets LIMIT ?)", (_PIECE,)
            )
            if there.rowcount == _PIECE:
                return True
            con.execute("DROP TABLE old_tickets")
        self._file.clean()
        return False

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _insert(self, con: sqlite3.Connection, entry: Entry) -> None:
        digest = None
        if entry.work.specs:
            if self._last is None or self._last[0] is not entry.work:
                text = json.dumps(entry.work.as_json(), allow_nan=False)
                self._last = (entry.work, text, _digest(text))
            _, text, digest = self._last
            con.execute("INSERT OR IGNORE INTO works VALUES (?, ?)", (digest, text))
        row = (
            entry.id, entry.key, entry.lane, digest, _text(entry.claim.as_json()), entry.priority, str(entry.state),
            entry.attempts, _text(entry.error), _text(entry.outcome), entry.created, entry.started, entry.ended,
        )  # fmt: skip
        con.execute(_INSERT, row)

    def _prune(self, con: sqlite3.Connection) -> None:
        """Let go of ended tickets that are old or too many, of work that no ticket refers to, and of old keys."""
        oldest = time.time() - self._kept_seconds
        con.execute("DELETE FROM tickets WHERE ended < ?", (oldest,))
        con.execute(
            "DELETE FROM tickets WHERE ended IS NOT NULL AND number <= "
            "(SELECT number FROM tickets WHERE ended IS NOT NULL ORDER BY number DESC LIMIT 1 OFFSET ?)",
            (self._kept,),
        )
        con.execute("DELETE FROM repeats WHERE created < ?", (oldest,))
        con.execute(
            "DELETE FROM repeats WHERE rowid <= (SELECT rowid FROM repeats ORDER BY rowid DESC LIMIT 1 OFFSET ?)",
            (self._kept,),
        )
        _drop_unused(con)

    def _promise_again(self, con: sqlite3.Connection) -> None:
        for entry in self._unfinished.values():
            self._insert(con, entry)


def _drop_unused(con: sqlite3.Connection) -> None:
    con.execute("DELETE FROM works WHERE digest NOT IN (SELECT work FROM tickets WHERE work IS NOT NULL)")


def _entries(con: sqlite3.Connection, condition: str, *values: Any) -> list[Entry]:
    """Read tickets; those whose row is damaged are dropped, and the log says how many, with the first of them."""
    entries: list[Entry] = []
    unreadable: list[str] = []
    works: dict[str, Work] = {}
    for row in con.execute(f"SELECT {_COLUMNS} FROM tickets WHERE {condition}", values).fetchall():  # noqa: S608  our own words
        try:
            digest = row[3]
            if digest is not None and digest not in works:
                found = con.execute("SELECT work FROM works WHERE digest = ?", (digest,)).fetchone()
                works[digest] = Work.from_json(json.loads(found[0]))
            entries.append(_entry(row, works[digest] if digest is not None else Work()))
        except (ValueError, TypeError, AttributeError) as error:
            unreadable.append(f"{row[0]}: {error}")
            con.execute("DELETE FROM tickets WHERE id = ?", (row[0],))
    if unreadable:
        text = "%d tickets of the journal cannot be read, the first is %s; their sounds have to be asked for again"
        logger.warning(text, len(unreadable), unreadable[0])
    return entries


def _entry(row: tuple[Any, ...], work: Work) -> Entry:
    ticket_id, key, lane, _, asked, priority, state, attempts, error, outcome, created, started, ended = row
    return Entry(
        id=ticket_id,
        key=key,
        lane=lane,
        work=work,
        claim=Claim.from_json(json.loads(asked)),
        priority=priority,
        state=State(state),
        attempts=attempts,
        error=json.loads(error) if error else None,
        outcome=json.loads(outcome) if outcome else None,
        created=created,
        started=started,
        ended=ended,
    )


def _share_works(con: sqlite3.Connection) -> None:
    """Version 1 to 2: what waits is kept, and the newest of what has ended; each work once.

    The old table goes later, piece by piece: see Journal.tidy.
    """
    con.execute("ALTER TABLE tickets RENAME TO old_tickets")
    for statement in statements(_VERSION_2):
        con.execute(statement)
    seen: set[str] = set()

    def copied(rows: sqlite3.Cursor) -> Iterator[tuple[Any, ...]]:
        for row in rows:
            text = row[3]
            digest = None if text == "{}" else _digest(text)
            if digest is not None and digest not in seen:
                seen.add(digest)
                con.execute("INSERT INTO works VALUES (?, ?)", (digest, text))
            yield (*row[:3], digest, *row[4:])

    # The oldest of the newest; a ticket that was cancelled while its job ran has no end.
    first = con.execute("SELECT rowid FROM old_tickets ORDER BY rowid DESC LIMIT 1 OFFSET ?", (KEPT - 1,)).fetchone()
    columns = _COLUMNS.replace("ended", "coalesce(ended, created)")
    done = con.execute(
        f"SELECT {columns} FROM old_tickets NOT INDEXED WHERE rowid >= ? AND state NOT IN (?, ?) "  # noqa: S608  our own words
        "AND coalesce(ended, created) > ? ORDER BY rowid",
        (first[0] if first else 0, *_WAITING, time.time() - KEPT_SECONDS),
    )
    con.executemany(_INSERT, copied(done))
    columns = _COLUMNS.replace("ended", "NULL")
    waiting = con.execute(
        f"SELECT {columns} FROM old_tickets WHERE state IN (?, ?) ORDER BY created, rowid",  # noqa: S608  our own words
        _WAITING,
    )
    con.executemany(_INSERT, copied(waiting))
    con.execute("DROP INDEX IF EXISTS tickets_state")


_SCHEMA: Final = ledger_schema(
    JOURNAL,
    (_VERSION_1, _share_works),
    {"tickets": _COLUMNS, "works": "digest, work", "repeats": "idempotency_key, fingerprint, tickets, created"},
    old={"tickets", "repeats"},
)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _text(value: Any) -> str | None:
    return None if value is None else json.dumps(value, allow_nan=False)

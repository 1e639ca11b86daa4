"""What providers were paid: ``spending.sqlite3`` in the data folder. All processes of the bridge keep to one limit."""

from __future__ import annotations

import contextlib
import hashlib
import sqlite3
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from bridge.errors import EngineUnavailable
from prompts import SampleSpec

FILE: Final = "spending.sqlite3"
KEPT_DAYS: Final = 400
_GUESSED_SECONDS: Final = 30.0
"""Of a provider's work, while nothing is known about what its sounds take."""
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS spent (
  id INTEGER PRIMARY KEY, at REAL NOT NULL, engine TEXT NOT NULL, work TEXT NOT NULL, cost REAL NOT NULL,
  settled INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS spent_at ON spent (at);
"""


def work_of(spec: SampleSpec) -> str:
    """Name the work on one sound, whichever seed a further attempt takes, and whichever engine was in the ensemble."""
    bare = spec.model_copy(update={"seed": None, "engine": "auto", "model": None})
    return hashlib.sha256(bare.canonical().encode()).hexdigest()[:16]


@dataclass
class Charge:
    """What one request costs."""

    seconds: float | None = None
    """Of the provider's work, where it says so; None: as long as it took."""


class Spending:
    """The ledger. ``folder`` None keeps it in memory. ``price`` is for one second, ``limit`` for one day (UTC)."""

    def __init__(self, folder: Path | None, *, price: float = 0.0, limit: float = 0.0) -> None:
        self._file = str(folder / FILE) if folder else None
        self._price, self._limit = price, limit
        self._memory = (
            None if self._file else sqlite3.connect(":memory:", check_same_thread=False, isolation_level=None)
        )
        self._alone = threading.Lock()

    @contextlib.contextmanager
    def charge(self, engine: str, spec: SampleSpec) -> Iterator[Charge]:
        """Set money aside for one request, and write down what it cost when it has ended, however it did.

        A process that is killed in the middle leaves what was set aside. Raises EngineUnavailable when the day's limit
        would be passed.
        """
        number = self._set_aside(engine, work_of(spec))
        charge, begun = Charge(), time.monotonic()
        try:
            yield charge
        finally:
            seconds = time.monotonic() - begun if charge.seconds is None else charge.seconds
            with self._open() as ledger:
                ledger.execute("UPDATE spent SET cost = ?, settled = 1 WHERE id = ?", (seconds * self._price, number))

    def today(self) -> float:
        """What the day has cost so far, with what is set aside for requests that run."""
        with self._open() as ledger:
            return _sum_of_day(ledger)

    def of(self, work: str, since: float) -> float:
        """What the work on one sound has cost since ``since`` (Unix seconds)."""
        if self._file and not Path(self._file).exists():
            return 0.0
        with self._open() as ledger:
            found = ledger.execute("SELECT total(cost) FROM spent WHERE work = ? AND at >= ?", (work, since)).fetchone()
            return float(found[0])

    def _set_aside(self, engine: str, work: str) -> int:
        with self._open() as ledger:
            ledger.execute("BEGIN IMMEDIATE")
            ledger.execute("DELETE FROM spent WHERE at < ?", (time.time() - KEPT_DAYS * 86400,))
            row = ledger.execute(
                "SELECT avg(cost) FROM (SELECT cost FROM spent WHERE engine = ? AND settled ORDER BY id DESC LIMIT 20)",
                (engine,),
            ).fetchone()
            expected = self._price * _GUESSED_SECONDS if row[0] is None else float(row[0])
            spent = _sum_of_day(ledger)
            if self._limit and spent + expected > self._limit + 1e-9:
                raise EngineUnavailable(
                    f"Cloud engines may spend {self._limit:g} a day, {spent:.2f} of it is spent, and this sound would "
                    f"cost about {expected:.2g}. Wait until midnight UTC, or raise BRIDGE_CLOUD_DAILY_LIMIT.",
                    code="spending_limit",
                )
            entry = ledger.execute(
                "INSERT INTO spent (at, engine, work, cost, settled) VALUES (?, ?, ?, ?, 0)",
                (time.time(), engine, work, expected),
            )
            return int(entry.lastrowid or 0)

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        if self._memory is not None:
            with self._alone, self._memory:
                self._memory.executescript(_SCHEMA)
                yield self._memory
            return
        ledger = sqlite3.connect(str(self._file), timeout=10.0, isolation_level=None)
        try:
            ledger.executescript(_SCHEMA)
            with ledger:
                yield ledger
        finally:
            ledger.close()


def _sum_of_day(ledger: sqlite3.Connection) -> float:
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0).timestamp()
    return float(ledger.execute("SELECT total(cost) FROM spent WHERE at >= ?", (midnight,)).fetchone()[0])

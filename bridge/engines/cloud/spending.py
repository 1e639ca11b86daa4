"""What providers were paid: ``spending.sqlite3`` in the data folder. All processes of the bridge keep to one limit.

A ledger that is damaged is set aside, and what was spent before is unknown then: where there is a limit, the day (UTC)
counts as spent in full, for as long as the file that was set aside on it lies in the folder.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import cache
from bridge.errors import BridgeError, EngineUnavailable
from bridge.system.ledgers import SPENDING, LedgerDamaged, as_ours, failure, ledger_schema, open_ledger
from prompts import SampleSpec

logger = logging.getLogger(__name__)

FILE: Final = SPENDING
KEPT_DAYS: Final = 400
_ANY_SIZE: Final = 2**62
_GUESSED_SECONDS: Final = 30.0
"""Of a provider's work, while nothing is known about what its sounds take."""
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS spent (
  id INTEGER PRIMARY KEY, at REAL NOT NULL, engine TEXT NOT NULL, work TEXT NOT NULL, cost REAL NOT NULL,
  settled INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS spent_at ON spent (at);
"""
_LEDGER: Final = ledger_schema(SPENDING, (_SCHEMA,), {"spent": "id, at, engine, work, cost, settled"})


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
        self._file = folder / FILE if folder else None
        self._price, self._limit = price, limit
        self._memory = (
            None if self._file else sqlite3.connect(":memory:", check_same_thread=False, isolation_level=None)
        )
        self._alone = threading.Lock()

    @contextlib.contextmanager
    def charge(self, engine: str, spec: SampleSpec) -> Iterator[Charge]:
        """Set money aside for one request, and write down what it cost when it has ended, however it did.

        A process that is killed in the middle leaves what was set aside. Raises EngineUnavailable when the day's limit
        would be passed, or when the ledger cannot be written.
        """
        number = self._set_aside(engine, work_of(spec))
        charge, started = Charge(), time.monotonic()
        try:
            yield charge
        finally:
            seconds = time.monotonic() - started if charge.seconds is None else charge.seconds
            try:
                with self._open() as ledger:
                    ledger.execute(
                        "UPDATE spent SET cost = ?, settled = 1 WHERE id = ?", (seconds * self._price, number)
                    )
            except BridgeError as error:  # what was paid for is not thrown away; what was set aside for it stays
                logger.warning("what a sound cost cannot be written down: %s", failure(error))

    def of(self, work: str, since: float) -> float:
        """What the work on one sound has cost since ``since`` (Unix seconds)."""
        if self._file and not self._file.exists():
            return 0.0
        with self._open() as ledger:
            found = ledger.execute("SELECT total(cost) FROM spent WHERE work = ? AND at >= ?", (work, since)).fetchone()
            return float(found[0])

    def _set_aside(self, engine: str, work: str) -> int:
        try:
            return self._set_aside_once(engine, work)
        except LedgerDamaged:
            return self._set_aside_once(engine, work)
        except EngineUnavailable:
            raise
        except BridgeError as error:
            raise EngineUnavailable(
                f"What cloud engines cost cannot be written down, so nothing is asked of them. {error.message}",
                code="spending_unwritable",
            ) from error

    def _set_aside_once(self, engine: str, work: str) -> int:
        with self._open() as ledger:
            if self._limit and (place := self._lost_today()) is not None:
                raise EngineUnavailable(
                    f"What cloud engines cost today is unknown, because {FILE} was damaged, and they may spend "
                    f"{self._limit:g} a day. Wait until midnight UTC, or, if you know that less was spent, delete "
                    f"{place} and ask again.",
                    code="spending_limit",
                )
            ledger.execute("BEGIN IMMEDIATE")
            ledger.execute("DELETE FROM spent WHERE at < ?", (time.time() - KEPT_DAYS * 86400,))
            row = ledger.execute(
                "SELECT avg(cost) FROM (SELECT cost FROM spent WHERE engine = ? AND settled ORDER BY id DESC LIMIT 20)",
                (engine,),
            ).fetchone()
            expected = self._price * _GUESSED_SECONDS if row[0] is None else float(row[0])
            midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0).timestamp()
            (spent,) = ledger.execute("SELECT total(cost) FROM spent WHERE at >= ?", (midnight,)).fetchone()
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

    def _lost_today(self) -> Path | None:
        """The ledger that was set aside today, None when there is none."""
        today = f"{FILE}{cache.MARK}{datetime.now(UTC):%Y%m%d}T"
        found = cache.aside(self._file.parent, FILE) if self._file else []
        return next((place for place in found if place.name.startswith(today)), None)

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """The ledger in one transaction. Raises LedgerDamaged (it was replaced: try once more), and as open_ledger."""
        if self._memory is not None:
            with self._alone, self._memory:
                self._memory.executescript(_SCHEMA)
                yield self._memory
            return
        assert self._file is not None  # noqa: S101  else it is in memory
        ledger = open_ledger(self._file, _LEDGER, check=0)
        try:
            with as_ours(self._file), ledger:
                yield ledger
        except LedgerDamaged:
            ledger.close()
            open_ledger(self._file, _LEDGER, check=_ANY_SIZE).close()  # another process may have replaced it already
            raise
        finally:
            ledger.close()


def check_spending(folder: Path) -> None:
    """Look through the ledger of a data folder, where there is one; a damaged one is set aside. Raises BridgeError."""
    if os.path.lexists(folder / FILE):
        open_ledger(folder / FILE, _LEDGER).close()

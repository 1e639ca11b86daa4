"""The small files next to the catalogue: opened, set aside when they are damaged, and what is said of that then.

A damaged file never keeps the server from starting: it is renamed with a date, a new one is started, and as long as the
renamed file lies in the data folder, ``/health`` and ``sample-bridge doctor`` say what may have been lost.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import cache
from bridge.errors import BridgeError, Busy, DiskFailed, StartupError, StorageFull
from cache import Schema, Step, StoreDamaged, StoreError

logger = logging.getLogger(__name__)

CATALOGUE: Final = "catalogue.sqlite3"
JOURNAL: Final = "jobs.sqlite3"
STEMS: Final = "stems.sqlite3"
SPENDING: Final = "spending.sqlite3"
USAGE: Final = "usage.jsonl"
USAGE_BEFORE: Final = "usage.1.jsonl"

APPLICATIONS: Final[Mapping[str, int]] = MappingProxyType(
    {JOURNAL: 0x53424A4F, STEMS: 0x53425354, SPENDING: 0x53425350}  # SBJO, SBST, SBSP
)
"""``application_id`` of each database: a file under another's name is not taken for it."""
VERSIONS: Final[Mapping[str, int]] = MappingProxyType({JOURNAL: 2, STEMS: 1, SPENDING: 1})
"""The newest version of each. Version 1 is what was written before there were versions."""


@dataclass(frozen=True, slots=True)
class Loss:
    """What is said when a file was damaged."""

    what: str
    """What is in the file, after "The"."""
    lost: str
    """What may be lost and what to do, as sentences."""
    sounds: bool
    """May sounds be missing?"""


LOSSES: Final[Mapping[str, Loss]] = MappingProxyType(
    {
        JOURNAL: Loss(
            "journal of jobs",
            "Sounds that were waiting to be made may be missing: ask for them again.",
            sounds=True,
        ),
        STEMS: Loss(
            "list of requests for stems",
            "Stems that were not finished and callbacks that were not delivered may be missing: "
            "the program that wants them has to ask again.",
            sounds=True,
        ),
        SPENDING: Loss(
            "list of what cloud engines cost",
            "What was spent before is unknown. Where BRIDGE_CLOUD_DAILY_LIMIT is set, this day (UTC) counts as spent "
            "in full.",
            sounds=False,
        ),
        USAGE: Loss("usage log", "Lines about who asked for what may be missing.", sounds=False),
        USAGE_BEFORE: Loss("older usage log", "Lines about who asked for what may be missing.", sounds=False),
    }
)


@dataclass(frozen=True, slots=True)
class Warned:
    """Something that is wrong with what is kept, although the server runs."""

    text: str
    sounds: bool
    """May sounds be missing?"""


class LedgerDamaged(DiskFailed):
    """A ledger was damaged and has been set aside; the next call goes to a new one."""

    default_code = "ledger_damaged"


def refuse_newer(folder: Path) -> None:
    """Look at the versions of all ledgers before anything is opened. Raises StartupError when one is newer."""
    for name, version in VERSIONS.items():
        found = cache.newer_than(folder / name, APPLICATIONS[name], version)
        if found is not None:
            error = cache.too_new(folder / name, found, version)
            raise StartupError(str(error), code=error.code)


def ledger_schema(name: str, steps: tuple[Step, ...], tables: Mapping[str, str], old: Collection[str] = ()) -> Schema:
    """Describe a database of ours; ``old``: tables of version 1, when they differ from those of ``tables``."""
    assert len(steps) == VERSIONS[name], "a new version is listed in VERSIONS"  # noqa: S101
    return Schema(APPLICATIONS[name], steps, tables, frozenset(old))


def set_aside_in(folder: Path) -> list[Warned]:
    """What is to be said of the files that were set aside in a data folder. Waits for the disk."""
    found = []
    for place in cache.aside(folder):
        name = place.name.partition(cache.MARK)[0]
        loss = LOSSES.get(name)
        if loss is not None:
            text = (
                f"The {loss.what}, {name}, was damaged and is now {place.name}. {loss.lost} "
                f"Delete {place} when you do not need it any more."
            )
            found.append(Warned(text, loss.sounds))
    return found


def forget_set_aside(folder: Path) -> None:
    """Remove all that was set aside, whatever its name: words may stand in it, and cannot be taken out of there.

    The catalogue's are the store's. Raises DiskFailed.
    """
    with as_ours(folder):
        for place in list(folder.glob(f"*{cache.MARK}*")):
            if not place.name.startswith(f"{CATALOGUE}{cache.MARK}"):
                cache.remove_aside(place)


def put_aside(path: Path) -> Path:
    """Set a damaged file aside, and log what may be lost. Raises BridgeError."""
    with as_ours(path):
        place = cache.set_aside(path)
    loss = LOSSES.get(path.name)
    logger.error("%s was damaged and is now %s. %s", path, place.name, loss.lost if loss else "A new one is started.")
    return place


def open_ledger(path: Path, schema: Schema, **options: Any) -> sqlite3.Connection:
    """Open a database (see cache.open_database); a damaged one is set aside, and a new one started.

    Raises StartupError for a newer version, else StorageFull, DiskFailed.
    """
    with as_ours(path):
        try:
            return cache.open_database(path, schema, **options)
        except StoreDamaged:
            with cache.alone_in(path.parent):
                try:  # another process may have set it aside meanwhile
                    return cache.open_database(path, schema, **options)
                except StoreDamaged as error:
                    logger.warning("%s", error)
                    put_aside(path)
            return cache.open_database(path, schema, **options)


@contextmanager
def as_ours(path: Path) -> Iterator[None]:
    """Let errors of a ledger leave as ours."""
    try:
        with cache.described():
            yield
    except cache.FormatTooNew as error:
        raise StartupError(str(error), code=error.code) from error
    except cache.StoreFull as error:
        raise StorageFull(str(error)) from error
    except StoreDamaged as error:
        raise LedgerDamaged(str(error)) from error
    except StoreError as error:
        raise DiskFailed(str(error), code="ledger_failed") from error
    except (sqlite3.Error, OSError) as error:
        ours = cache.explained(error, path) if isinstance(error, sqlite3.Error) else cache.from_os_error(error, path)
        with as_ours(path):
            raise ours from error


class LedgerFile:
    """One database that stays open: its methods wait for the disk and may be called from any thread.

    A file that turns out to be damaged, or has vanished, is replaced by a new one; ``on_renewed`` then writes what has
    to be in it.
    """

    def __init__(
        self,
        path: Path,
        schema: Schema,
        *,
        prepare: Callable[[sqlite3.Connection], None] = lambda _: None,
        on_renewed: Callable[[sqlite3.Connection], None] = lambda _: None,
    ) -> None:
        self.path = path
        self._schema = schema
        self._prepare = prepare
        self._on_renewed = on_renewed
        self._lock = threading.RLock()
        self._depth = 0
        self._connection: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None
        self._closed = False
        self._open()

    @contextmanager
    def using(self) -> Iterator[sqlite3.Connection]:
        """One transaction; used within itself, it is the same one.

        Raises StorageFull, LedgerDamaged (the file was replaced: try once more), DiskFailed.
        """
        with self._lock:
            if self._depth:
                yield self._there()
                return
            con = self._there_still()
            self._depth = 1
            try:
                with as_ours(self.path):
                    con.execute("BEGIN IMMEDIATE")
                    try:
                        yield con
                        con.execute("COMMIT")
                    except BaseException:
                        with suppress(sqlite3.Error):
                            if con.in_transaction:
                                con.execute("ROLLBACK")
                        raise
            except LedgerDamaged:
                self._renew(damaged=True)
                raise
            finally:
                self._depth = 0

    @contextmanager
    def outside(self) -> Iterator[sqlite3.Connection]:
        """The connection outside a transaction, for what SQLite does there alone. Raises as ``using``."""
        with self._lock:
            con = self._there_still()
            try:
                with as_ours(self.path):
                    yield con
            except LedgerDamaged:
                self._renew(damaged=True)
                raise

    def clean(self) -> None:
        """Write the file again and empty its log: freed pages keep what stood in them. Raises as ``using``."""
        with self.outside() as con:
            con.execute("VACUUM")
            con.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._closed = True
            self._drop()

    def _there_still(self) -> sqlite3.Connection:
        """The connection to the file of that name, which somebody may have taken away."""
        if self._connection is not None and self._stat() != self._file:
            logger.error("%s has been removed or replaced; it is opened again.", self.path)
            self._renew(damaged=False)
        return self._there()

    def _there(self) -> sqlite3.Connection:
        if self._closed:
            raise Busy(f"{self.path.name} is closed, as the bridge is being stopped. Ask again in a moment.")
        if self._connection is None:  # it could not be opened again
            self._renew(damaged=False)
        assert self._connection is not None  # noqa: S101  _renew opens it, or raises
        return self._connection

    def _renew(self, *, damaged: bool) -> None:
        self._drop()
        if damaged:
            put_aside(self.path)
        self._open()
        assert self._connection is not None  # noqa: S101
        with as_ours(self.path):
            self._connection.execute("BEGIN IMMEDIATE")
            self._on_renewed(self._connection)
            self._connection.execute("COMMIT")

    def _open(self) -> None:
        con = open_ledger(self.path, self._schema)
        try:
            with as_ours(self.path):
                self._prepare(con)
        except BaseException:
            con.close()
            raise
        self._connection, self._file = con, self._stat()

    def _drop(self) -> None:
        if self._connection is not None:
            with suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None

    def _stat(self) -> tuple[int, int] | None:
        try:
            found = self.path.stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino


def failure(error: BaseException) -> str:
    """An error as a sentence for the log."""
    return error.message if isinstance(error, BridgeError) else f"{type(error).__name__}: {error}"

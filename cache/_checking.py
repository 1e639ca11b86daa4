"""Looking at a catalogue, or at a copy of one, without changing it: is it whole, whose is it, how far did it come?"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from cache import _schema
from cache._plain import oddity

EMPTY = "it is empty"
_HEADER = b"SQLite format 3\0"
_MOST_VERSIONS = 1000
"""There will not be as many: a higher number was not written by any version."""
_OF_THE_DISK = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_INTERRUPT,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_AUTH,
}


@dataclass(frozen=True, slots=True)
class Seen:
    """A catalogue of ours that can be read."""

    file: Path
    version: int
    epoch: str
    epochs: frozenset[str]
    """Those that it had before."""
    head: int
    """Number of its newest event."""
    sounds: int


class Unreadable(Exception):
    """The file is not a whole catalogue of ours; the text says why, as a part of a sentence."""


def _refuse_odd(file: Path) -> None:
    if found := oddity(file):
        raise Unreadable(f"it is {found}")
    for beside in (Path(f"{file}{ending}") for ending in ("-wal", "-shm", "-journal")):
        if found := oddity(beside):
            raise Unreadable(f"{beside.name} is {found}")


@contextmanager
def reading(file: Path) -> Iterator[sqlite3.Connection]:
    """Open a catalogue to read only: nothing in it or next to it is changed."""
    address = f"file:{quote(str(file))}?mode=ro"
    with closing(sqlite3.connect(address, uri=True, isolation_level=None, timeout=30)) as con:
        con.execute("PRAGMA temp_store = MEMORY")
        yield con


def look(file: Path, *, thorough: bool = True) -> Seen:
    """Look at a catalogue. ``thorough``: read every page of it. Raises Unreadable, OSError, sqlite3.Error."""
    _refuse_odd(file)
    with file.open("rb") as stream:
        start = stream.read(20)
    if not start:
        raise Unreadable(EMPTY)
    # The last two bytes say how it is written and read; with others SQLite takes it for one that cannot be written.
    if not start.startswith(_HEADER) or not {1, 2}.issuperset(start[18:]):
        raise Unreadable("it is not a database")
    try:
        with reading(file) as con:
            con.execute("BEGIN")
            return _seen(file, con, thorough=thorough)
    except sqlite3.Error as error:
        if _of_the_disk(error):  # it says nothing about the file
            raise
        raise Unreadable(f"{error}") from error
    except (ValueError, TypeError) as error:
        raise Unreadable(f"{error}") from error


def damage(con: sqlite3.Connection) -> str | None:
    """Read the whole catalogue and say what is wrong with it, None when nothing is. Takes a while."""
    try:
        found = str(con.execute("PRAGMA integrity_check(1)").fetchone()[0])
        if found != "ok":
            return " ".join(found.split())
        row = con.execute("PRAGMA foreign_key_check").fetchone()
        if row is not None:
            return f"a row of {row[0]} names nothing in {row[2]}"
        for table, column in (("takes", "facts"), ("events", "data")):
            query = f"SELECT count(*) FROM {table} WHERE NOT json_valid({column})"  # noqa: S608 - our own words
            if con.execute(query).fetchone()[0]:
                return f"{column} in {table} cannot be read"
        for query in ("SELECT name FROM names", "SELECT name FROM sounds", "SELECT facts FROM takes"):
            for _ in con.execute(query):  # text that is not Unicode any more raises
                pass
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
        return str(error)
    return None


def _seen(file: Path, con: sqlite3.Connection, *, thorough: bool) -> Seen:
    there = {name for (name,) in con.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    if not there:
        raise Unreadable(EMPTY)
    version = int(con.execute("PRAGMA user_version").fetchone()[0]) or 1
    if not 1 <= version <= _MOST_VERSIONS or (version <= _schema.FORMAT and not there.issuperset(_schema.TABLES)):
        raise Unreadable("it is another database")
    meta = dict(con.execute("SELECT key, value FROM meta WHERE key IN ('epoch', 'epochs')").fetchall())
    if "epoch" not in meta:
        raise Unreadable("it is another database")
    if thorough:
        found = str(con.execute("PRAGMA quick_check(1)").fetchone()[0])
        if found != "ok":
            raise Unreadable(" ".join(found.split()))
    head = con.execute("SELECT coalesce(max(seq), 0) FROM events").fetchone()[0]
    sounds = con.execute("SELECT count(*) FROM sounds WHERE removed IS NULL").fetchone()[0]
    epochs = frozenset(str(meta.get("epochs", "")).split())
    return Seen(file, version, str(meta["epoch"]), epochs, int(head), int(sounds))


def _of_the_disk(error: sqlite3.Error) -> bool:
    code = int(getattr(error, "sqlite_errorcode", None) or 0)
    short = code == sqlite3.SQLITE_IOERR_SHORT_READ
    return code & 0xFF in _OF_THE_DISK or (code & 0xFF == sqlite3.SQLITE_IOERR and not short)

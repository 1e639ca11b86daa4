"""What a catalogue that is not open as a store says, or a copy of one."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from cache import _checking, _mending, _schema
from cache._errors import described


@dataclass(frozen=True, slots=True)
class Listing:
    """What a catalogue holds."""

    sounds: int
    """How many sounds there are; deleted ones that can still be restored are not counted."""
    samples: dict[str, tuple[int, str]]
    """Bytes and SHA-256 of each sample's master, by the sample's id."""
    names: dict[str, tuple[str, ...]]
    """Names of the sounds that show a sample, by the sample's id."""


def listing(con: sqlite3.Connection) -> Listing:
    """Read a catalogue. Raises sqlite3.Error when it is damaged, or no catalogue at all."""
    con.execute("BEGIN")
    try:
        samples = {row[0]: (row[1], row[2]) for row in con.execute("SELECT id, bytes, digest FROM samples ORDER BY id")}
        names: dict[str, list[str]] = {}
        rows = con.execute(
            "SELECT DISTINCT sample_id, name FROM slots JOIN sounds ON sounds.id = sound WHERE removed IS NULL"
            " ORDER BY sample_id, name"
        )
        for sample_id, name in rows:
            names.setdefault(sample_id, []).append(name)
        sounds = con.execute("SELECT count(*) FROM sounds WHERE removed IS NULL").fetchone()[0]
    finally:
        con.execute("ROLLBACK")
    return Listing(sounds, samples, {each: tuple(found) for each, found in names.items()})


def known_format() -> int:
    """The newest version of data folders that this program knows."""
    return _schema.FORMAT


def rebuild_due(con: sqlite3.Connection) -> str | None:
    """Why sounds may be missing in a catalogue, as sentences; None when they are not."""
    return _mending.due(con)


def catalogue_complaints(con: sqlite3.Connection) -> list[str]:
    """What is wrong with a catalogue, read from beginning to end: one sentence at most."""
    if not {name for (name,) in con.execute("SELECT name FROM sqlite_schema")}.issuperset(_schema.TABLES):
        return ["it is another database"]
    found = _checking.damage(con)
    return [found] if found else []


def complaints(con: sqlite3.Connection) -> list[str]:
    """What SQLite finds wrong with a database, foreign keys included: at most ten sentences, none when it is whole."""
    try:
        with described():
            found = [str(row[0]) for row in con.execute("PRAGMA integrity_check(10)").fetchall()]
            lost = con.execute("PRAGMA foreign_key_check").fetchmany(10)
    except sqlite3.Error as error:
        return [str(error)]
    found = [] if found == ["ok"] else found
    return [*found, *(f"a row of {table} names a row of {parent} that is missing" for table, _, parent, _ in lost)][:10]

"""Names that are not made again unasked: a person who deleted a sound that is always there wants it gone."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

_KEY = "unwanted:"


def remember(con: sqlite3.Connection, names: Iterable[str]) -> None:
    """Note that these names are not wanted."""
    con.executemany("INSERT OR REPLACE INTO meta VALUES (?, '')", [(_KEY + name,) for name in names])


def forget(con: sqlite3.Connection, names: Iterable[str]) -> None:
    """Note that these names are wanted again."""
    con.executemany("DELETE FROM meta WHERE key = ?", [(_KEY + name,) for name in names])


def names(con: sqlite3.Connection) -> frozenset[str]:
    """Look up what is not wanted."""
    found = con.execute("SELECT substr(key, ?) FROM meta WHERE key GLOB ?", (len(_KEY) + 1, _KEY + "*"))
    return frozenset(row[0] for row in found)

"""The catalogue's tables, and the version of the folder's format."""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Callable, Mapping

FORMAT = 2
"""Version of the folder's layout and of these tables; the catalogue has it as ``user_version``.

2: masters that no row names may be waiting for a rebuild; programs of version 1 would delete them.
"""

MIGRATIONS: Mapping[int, Callable[[sqlite3.Connection], None]] = {1: lambda _: None}
"""From version n to n + 1: ``MIGRATIONS[n](catalogue)``, within a transaction."""

TABLES = ("meta", "samples", "takes", "sounds", "names", "slots", "terms", "events")

_TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

CREATE TABLE samples (
    id TEXT PRIMARY KEY, rate INTEGER NOT NULL, channels INTEGER NOT NULL, frames INTEGER NOT NULL,
    bytes INTEGER NOT NULL, digest TEXT NOT NULL, created REAL NOT NULL
) WITHOUT ROWID;

-- One answer for each spec. `lost`: the master file has vanished or has changed, so the spec is made again.
CREATE TABLE takes (
    spec_id TEXT PRIMARY KEY, sample_id TEXT NOT NULL REFERENCES samples (id), root, commercial INTEGER NOT NULL,
    facts TEXT NOT NULL, created REAL NOT NULL, lost INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE INDEX takes_sample ON takes (sample_id);

-- kind .. flagged repeat facts of slot n, for filters; `commercial` holds for every slot.
CREATE TABLE sounds (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL, n INTEGER NOT NULL, revision INTEGER NOT NULL,
    pinned INTEGER NOT NULL DEFAULT 0, session TEXT, created REAL NOT NULL, changed REAL NOT NULL,
    used REAL NOT NULL, seq INTEGER NOT NULL, removed REAL,
    kind TEXT, engine TEXT, licence TEXT, commercial INTEGER, bpm REAL, key TEXT, flagged INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX sounds_name ON sounds (name) WHERE removed IS NULL;
CREATE INDEX sounds_seq ON sounds (seq) WHERE removed IS NULL;
CREATE INDEX sounds_used ON sounds (used) WHERE removed IS NULL;
CREATE INDEX sounds_session ON sounds (session, seq) WHERE removed IS NULL;
CREATE INDEX sounds_kind ON sounds (kind, seq) WHERE removed IS NULL;
CREATE INDEX sounds_engine ON sounds (engine, seq) WHERE removed IS NULL;
CREATE INDEX sounds_licence ON sounds (licence, seq) WHERE removed IS NULL;
CREATE INDEX sounds_bpm ON sounds (bpm) WHERE removed IS NULL;
CREATE INDEX sounds_key ON sounds (key, seq) WHERE removed IS NULL;
CREATE INDEX sounds_removed ON sounds (removed) WHERE removed IS NOT NULL;

-- Names and aliases share one space; those of a deleted sound rest (live = 0) until it is restored or purged.
CREATE TABLE names (
    name TEXT NOT NULL, sound INTEGER NOT NULL REFERENCES sounds (id), alias INTEGER NOT NULL,
    live INTEGER NOT NULL DEFAULT 1
);
CREATE UNIQUE INDEX names_live ON names (name) WHERE live;
CREATE INDEX names_sound ON names (sound);

CREATE TABLE slots (
    sound INTEGER NOT NULL REFERENCES sounds (id), n INTEGER NOT NULL, spec_id TEXT NOT NULL,
    sample_id TEXT NOT NULL REFERENCES samples (id), standin INTEGER NOT NULL, PRIMARY KEY (sound, n)
) WITHOUT ROWID;
CREATE INDEX slots_sample ON slots (sample_id);

CREATE TABLE terms (
    term TEXT NOT NULL, sound INTEGER NOT NULL REFERENCES sounds (id), weight REAL NOT NULL, PRIMARY KEY (term, sound)
) WITHOUT ROWID;
CREATE INDEX terms_sound ON terms (sound);

CREATE TABLE events (seq INTEGER PRIMARY KEY, type TEXT NOT NULL, data TEXT NOT NULL);
"""


def create(con: sqlite3.Connection) -> None:
    """Make the tables in one transaction, unless they are there; a new catalogue gets a new epoch."""
    if con.execute("SELECT 1 FROM sqlite_schema WHERE name = 'meta'").fetchone():
        return
    epoch = secrets.token_hex(8)
    con.executescript(
        f"BEGIN IMMEDIATE;{_TABLES}INSERT INTO meta VALUES ('epoch', '{epoch}');PRAGMA user_version = {FORMAT};COMMIT;"  # noqa: S608 - our own hex digits
    )


def version(con: sqlite3.Connection) -> int:
    """Return the catalogue's version. Those of version 1 have none written in them."""
    return int(con.execute("PRAGMA user_version").fetchone()[0]) or 1


def migrate(con: sqlite3.Connection) -> None:
    """Take every step to our version, each in a transaction of its own; it may be killed at any time and run again."""
    while (here := version(con)) < FORMAT:
        con.execute("BEGIN IMMEDIATE")
        try:
            MIGRATIONS[here](con)
            con.execute(f"PRAGMA user_version = {here + 1}")
            con.execute("COMMIT")
        except BaseException:
            if con.in_transaction:
                con.execute("ROLLBACK")
            raise


def renew_epoch(con: sqlite3.Connection) -> None:
    """Give the catalogue a new epoch, since its events were numbered otherwise; it remembers the ones it had."""
    con.execute(
        "INSERT INTO meta SELECT 'epochs', value FROM meta WHERE key = 'epoch'"
        " ON CONFLICT DO UPDATE SET value = value || ' ' || excluded.value"
    )
    con.execute("UPDATE meta SET value = ? WHERE key = 'epoch'", (secrets.token_hex(8),))

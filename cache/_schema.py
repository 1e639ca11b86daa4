"""The catalogue's tables, and the version of the folder's format."""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Callable, Mapping
from pathlib import Path

FORMAT = 1
"""Version of the folder's layout and of these tables."""

MIGRATIONS: Mapping[int, Callable[[Path], None]] = {}
"""From version n to n + 1, in place: ``MIGRATIONS[n](folder)``. Version 1 is the first."""

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
    con.executescript(f"BEGIN IMMEDIATE;{_TABLES}INSERT INTO meta VALUES ('epoch', '{epoch}');COMMIT;")  # noqa: S608 - our own hex digits

"""Copies of the catalogue, made by SQLite's backup: ``copies/<number>-<date>.sqlite3``, the last seven are kept.

They are numbered, since clocks jump: the highest number is the newest.
"""

from __future__ import annotations

import os
import re
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from cache._errors import StoreDamaged, described
from cache._folder import Folder
from cache._plain import remove, sync

KEPT = 7
_NAME = re.compile(r"(\d{6,})-\d{8}T\d{6}Z\.sqlite3")
_PART = "catalogue.part"


def copies(folder: Folder) -> list[Path]:
    """List the copies, the newest first."""
    if not folder.copies.is_dir():
        return []
    return sorted((each for each in folder.copies.iterdir() if _number(each)), key=_number, reverse=True)


def write(folder: Folder, con: sqlite3.Connection, now: float, *, kept: int = KEPT) -> Path:
    """Copy the catalogue of a connection, and drop the oldest copies: return the new one.

    It gets its name when it is whole and on the disk. Raises OSError, sqlite3.Error, StoreDamaged.
    """
    folder.copies.mkdir(mode=0o700, exist_ok=True)
    part = folder.copies / _PART
    _remove(part)
    try:
        os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        with closing(sqlite3.connect(part, isolation_level=None)) as copy, described():
            con.backup(copy)
            # One plain file, which can be read where nothing can be written.
            copy.execute("PRAGMA journal_mode = DELETE").fetchall()
            found = copy.execute("PRAGMA quick_check(1)").fetchone()[0]
            if found != "ok":
                raise StoreDamaged(f"The catalogue in {folder.path} cannot be copied, since it is damaged ({found}).")
        sync(part)
        before = copies(folder)
        number = _number(before[0]) + 1 if before else 1
        copy_path = folder.copies / f"{number:06}-{datetime.fromtimestamp(now, UTC):%Y%m%dT%H%M%SZ}.sqlite3"
        part.replace(copy_path)
        sync(folder.copies)
    finally:
        _remove(part)
    for old in before[kept - 1 :]:
        _remove(old)
    return copy_path


def drop_part(folder: Folder) -> None:
    """Remove what was left of a copy whose writer was killed."""
    _remove(folder.copies / _PART)


def _number(path: Path) -> int:
    found = _NAME.fullmatch(path.name)
    return int(found[1]) if found else 0


def _remove(part: Path) -> None:
    for left in (part, part.with_name(f"{part.name}-journal"), part.with_name(f"{part.name}-wal")):
        remove(left)

"""What an open finds: a catalogue that is missing, damaged, older or another folder's, and what is done about it.

Nothing is ever overwritten: a damaged catalogue is set aside with its date. The newest whole copy takes its place;
where there is none, a new one begins. Masters that it does not know stay where they are until a rebuild has looked at
them.
"""

from __future__ import annotations

import logging
import os
import shutil
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cache import _copies, _schema
from cache._checking import EMPTY, Seen, Unreadable, look
from cache._errors import FormatTooNew, rebuild_advice
from cache._folder import Folder, too_new
from cache._plain import oddity, sync
from cache._replacing import set_aside

_log = logging.getLogger(__name__)
DUE = "rebuild_due"
"""In ``meta``: why masters may be missing in the catalogue. While it stands, they stay, and so do the copies."""


@dataclass(frozen=True, slots=True)
class Mended:
    """What was done."""

    note: str | None = None
    """What is to be told."""
    source: Path | None = None
    """The copy that took the catalogue's place."""


def mend(folder: Folder, now: float) -> Mended:
    """Bring a whole catalogue of our version into its place, where there is something to lose. The folder is locked.

    Raises FormatTooNew, StoreDamaged, OSError, sqlite3.Error.
    """
    seen, why = _present(folder)
    source = None
    if seen is not None:
        _compare(folder, seen)
    elif not _has_sounds(folder) and why in ("", EMPTY):
        return Mended()
    else:
        source = _replace(folder, why, now)
    with closing(sqlite3.connect(folder.catalogue, isolation_level=None)) as con:
        if _schema.version(con) < _schema.FORMAT:
            _copies.write(folder, con, now)
            _schema.migrate(con)
        note = due(con)
    return Mended(note, source)


def newest_whole(files: Iterable[Path]) -> Seen | None:
    """Return the first of these copies that is whole."""
    for file in files:
        try:
            seen = look(file)
        except (Unreadable, OSError) as error:
            _log.warning("%s cannot be used: %s", file, error)
            continue
        if seen.version <= _schema.FORMAT:
            return seen
    return None


def mark_due(con: sqlite3.Connection, sentence: str) -> None:
    """Note in the catalogue that masters may be missing in it."""
    con.execute("INSERT OR IGNORE INTO meta VALUES (?, ?)", (DUE, sentence))


def due(con: sqlite3.Connection) -> str | None:
    """Return why masters may be missing in the catalogue."""
    row = con.execute("SELECT value FROM meta WHERE key = ?", (DUE,)).fetchone()
    return None if row is None else str(row[0])


def clear_due(con: sqlite3.Connection) -> None:
    """Note that nothing is missing any more."""
    con.execute("DELETE FROM meta WHERE key = ?", (DUE,))


def _present(folder: Folder) -> tuple[Seen | None, str]:
    """Look at the catalogue: (None, "") where there is none, (None, what is wrong) where it cannot be used."""
    if not os.path.lexists(folder.catalogue):
        return None, ""
    try:
        seen = look(folder.catalogue)
    except Unreadable as error:
        return None, str(error)
    if seen.version > _schema.FORMAT:
        raise FormatTooNew(too_new(folder.path, seen.version))
    return seen, ""


def _has_sounds(folder: Folder) -> bool:
    return bool(_copies.copies(folder)) or any(True for _ in folder.master_files())


def _said(folder: Folder, why: str, now: float) -> str:
    moment = f"{datetime.fromtimestamp(now, UTC):%Y-%m-%d %H:%M} UTC"
    if not why:
        return f"The catalogue of {folder.path} was missing on {moment}"
    return f"The catalogue of {folder.path} was damaged on {moment} ({why}) and set aside"


def _replace(folder: Folder, why: str, now: float) -> Path | None:
    """Put the newest whole copy into the catalogue's place, or a new one: return the copy."""
    for beside in (Path(f"{folder.catalogue}{ending}") for ending in ("-wal", "-shm", "-journal")):
        if oddity(beside):
            set_aside(beside)  # the catalogue can be learned from without it
    if any(os.path.lexists(f"{folder.catalogue}{ending}") for ending in ("", "-wal", "-shm")):
        if not os.path.lexists(folder.catalogue):
            folder.catalogue.touch(mode=0o600)  # a log alone is set aside as well: a new one would be read with it
        set_aside(folder.catalogue)
    copy = newest_whole(_copies.copies(folder))
    part = folder.path / "catalogue.part"
    part.unlink(missing_ok=True)
    if copy is not None:
        shutil.copyfile(copy.file, part)
        part.chmod(0o600)
    with closing(sqlite3.connect(part, isolation_level=None)) as con:
        if copy is None:
            _schema.create(con)
            done = "A new one was started. The sound files stay where they are, but no sound is listed"
        else:
            done = f"The copy {copy.file.name} took its place; what was made or changed later is missing"
        con.execute("BEGIN IMMEDIATE")
        if copy is not None:
            _schema.renew_epoch(con)
        clear_due(con)
        mark_due(con, f"{_said(folder, why, now)}. {done}. {rebuild_advice(folder.path)}")
        con.execute("COMMIT")
    sync(part)
    part.replace(folder.catalogue)
    sync(folder.path)
    return copy.file if copy else None


def _compare(folder: Folder, seen: Seen) -> None:
    """Notice a catalogue that is older than our newest copy, or of another folder."""
    for file in _copies.copies(folder)[:1]:
        try:
            copy = look(file, thorough=False)
        except (Unreadable, OSError):
            return
        if copy.version > _schema.FORMAT:
            return
        if copy.epoch == seen.epoch and copy.head > seen.head:
            what = f"is older than its copy {file.name}: what was made since is missing"
        elif copy.epoch != seen.epoch and copy.epoch not in seen.epochs:
            what = f"does not belong to its copy {file.name}: it is older, or of another folder"
        else:
            return
        with closing(sqlite3.connect(folder.catalogue, isolation_level=None)) as con:
            con.execute("BEGIN IMMEDIATE")
            if due(con) is None:
                _schema.renew_epoch(con)  # numbers after its head were given to other events
                mark_due(con, f"The catalogue of {folder.path} {what}. {rebuild_advice(folder.path)}")
            con.execute("COMMIT")

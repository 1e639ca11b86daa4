"""Taking a new sample's files into the folder, and its rows into the catalogue."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import stat
from contextlib import ExitStack
from pathlib import Path
from typing import Literal, TypeAlias

from cache import _events, _reading
from cache._deliveries import Deliveries
from cache._errors import NotStorable
from cache._folder import Folder, check_format, check_id
from cache._model import NewSample
from cache._plain import sync
from cache._trash import Trash

Plan: TypeAlias = Literal["known", "shared", "new"]
"""known: the spec has a sample, the new one is dropped. shared: another spec gave this audio. new: keep it."""


def check(new: NewSample, folder: Folder) -> str:
    """Return the facts as JSON; raise NotStorable when something about the sample is not right."""
    check_id(new.sample_id)
    check_id(new.spec_id)
    for file in (new.master, *new.deliveries.values()):
        if file.parent.resolve() != folder.incoming.resolve() or file.is_symlink() or not file.is_file():
            raise NotStorable(f"{file} is not a file in {folder.incoming}. Write it there first.")
    for fmt in new.deliveries:
        check_format(fmt)
    if min(new.rate, new.channels, new.frames) < 1:
        raise NotStorable(f"A sample has a rate, channels and frames, not {new.rate}, {new.channels}, {new.frames}.")
    return _events.to_json(new.facts, "facts of a sample")


def measure(file: Path) -> tuple[str, int]:
    """Return a file's SHA-256 and its size in bytes."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest(), stream.tell()


def plan(con: sqlite3.Connection, new: NewSample, folder: Folder) -> Plan:
    """Say what is to be done for a sample, by what the catalogue and the disk have already."""
    taken = _reading.take(con, new.spec_id)
    if taken is not None and whole(folder.master(taken.sample_id), taken.bytes):
        return "known"
    row = con.execute(
        "SELECT bytes, digest, EXISTS (SELECT 1 FROM takes WHERE sample_id = id AND lost) FROM samples WHERE id = ?",
        (new.sample_id,),
    ).fetchone()
    master = folder.master(new.sample_id)
    # Of the right length, and lost all the same: it is another sound's.
    shared = row is not None and whole(master, row[0]) and (not row[2] or measure(master)[0] == row[1])
    return "shared" if shared else "new"


def whole(master: Path, size: int) -> bool:
    """Is the file there, in its full length?"""
    try:
        found = master.stat()
        return found.st_size == size and stat.S_ISREG(found.st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False


def move_in(
    new: NewSample, folder: Folder, deliveries: Deliveries, trash: Trash, undo: ExitStack, *, durable: bool
) -> None:
    """Move the files to where they will be served from; ``undo`` puts each of them back.

    A file that is there already, and is not what the catalogue says, goes to the trash.

    Everything is on the disk when this returns (if ``durable``), so that no row ever speaks of bytes that a power cut
    can take.
    """
    master = folder.master(new.sample_id)
    fresh = not master.parent.exists()
    master.parent.mkdir(mode=0o700, exist_ok=True)
    if durable:
        sync(new.master)
    if os.path.lexists(master):
        trash.take(master)
    undo.callback(_put_back, master, new.master)
    new.master.replace(master)
    if durable:
        sync(master.parent)
        if fresh:
            sync(folder.masters)
    for fmt, file in new.deliveries.items():
        path = folder.delivery(new.sample_id, fmt)
        if not path.exists():
            undo.callback(deliveries.forget, [path.name])
            undo.callback(_put_back, path, file)
            deliveries.put(new.sample_id, fmt, file)


def write(con: sqlite3.Connection, new: NewSample, now: float) -> None:
    """Write the row of a sample whose master is about to be moved in, or has changed."""
    digest, size = measure(new.master)
    con.execute(
        "INSERT INTO samples (id, rate, channels, frames, bytes, digest, created) VALUES (?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT DO UPDATE SET rate = excluded.rate, channels = excluded.channels, frames = excluded.frames,"
        " bytes = excluded.bytes, digest = excluded.digest",
        (new.sample_id, new.rate, new.channels, new.frames, size, digest, now),
    )
    con.execute("UPDATE takes SET lost = 0 WHERE sample_id = ?", (new.sample_id,))


def write_take(con: sqlite3.Connection, new: NewSample, facts: str, now: float) -> None:
    """Write that a spec gave this sample."""
    root = new.facts.get("root")
    con.execute(
        "INSERT OR REPLACE INTO takes (spec_id, sample_id, root, commercial, facts, created) VALUES (?, ?, ?, ?, ?, ?)",
        (
            new.spec_id,
            new.sample_id,
            root if isinstance(root, str | int | float) else None,
            bool(new.facts.get("commercial")),
            facts,
            now,
        ),
    )


def _put_back(there: Path, origin: Path) -> None:
    if there.exists():
        there.replace(origin)

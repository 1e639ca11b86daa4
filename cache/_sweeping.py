"""Bringing folder and catalogue together again after a crash, and checking what is kept."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Literal, TypeAlias

from cache import _adopting
from cache._database import Database
from cache._deliveries import Deliveries
from cache._folder import Folder, files_under

_log = logging.getLogger(__name__)

Damage: TypeAlias = Literal["missing", "wrong size", "wrong digest"]


def sweep(folder: Folder, database: Database, deliveries: Deliveries) -> int:
    """Remove files that no row names, and mark the takes whose master is missing or cut: return how many files went.

    It may run while the store is in use; a writer waits for at most one of the 256 folders.
    """
    gone = 0
    for files in files_under(folder.masters):
        # Under the lock, a file without a row belongs to nobody: no publishing is half way.
        with database.lock:
            ours = _known(database, {file.name.removesuffix(".wav") for file in files})
            for file in files:
                if not (file.name.endswith(".wav") and file.name.removesuffix(".wav") in ours):
                    Path(file.path).unlink(missing_ok=True)
                    gone += 1
    for files in files_under(folder.deliveries):
        with database.lock:
            gone += deliveries.sweep_files(files, _known(database, {file.name.partition(".")[0] for file in files}))
    deliveries.sweep_rows()
    _mark_lost(folder, database)
    return gone


def verify(folder: Folder, database: Database) -> dict[str, Damage]:
    """Read every master and compare it with the catalogue: return what is wrong, by sample id."""
    damaged: dict[str, Damage] = {}
    with database.read() as con:
        rows = con.execute("SELECT id, bytes, digest FROM samples ORDER BY id").fetchall()
    for sample_id, size, digest in rows:
        file = folder.master(sample_id)
        try:
            if file.stat().st_size != size:
                damaged[sample_id] = "wrong size"
            elif _adopting.measure(file)[0] != digest:
                damaged[sample_id] = "wrong digest"
        except FileNotFoundError:
            damaged[sample_id] = "missing"
    return damaged


def _known(database: Database, sample_ids: set[str]) -> set[str]:
    with database.read() as con:
        asked = json.dumps(sorted(sample_ids))
        rows = con.execute("SELECT id FROM samples WHERE id IN (SELECT value FROM json_each(?))", (asked,))
        return {row[0] for row in rows}


def _mark_lost(folder: Folder, database: Database) -> None:
    with database.read() as con:
        rows = con.execute(
            "SELECT id, bytes, max(lost) FROM samples JOIN takes ON sample_id = id GROUP BY id"
        ).fetchall()
    for sample_id, size, was_lost in rows:
        if _adopting.whole(folder.master(sample_id), size) == bool(was_lost):
            # Look again under the lock: it may have been evicted, or published anew, a moment ago.
            with database.write() as con:
                row = con.execute("SELECT bytes FROM samples WHERE id = ?", (sample_id,)).fetchone()
                if row is not None:
                    lost = not _adopting.whole(folder.master(sample_id), row[0])
                    con.execute("UPDATE takes SET lost = ? WHERE sample_id = ?", (lost, sample_id))
                    if lost:
                        _log.warning("the master file of sample %s is lost; it will be made again", sample_id)

"""Bringing folder and catalogue together again after a crash, and checking what is kept."""

from __future__ import annotations

import itertools
import json
import logging
import os
from pathlib import Path
from typing import Literal, TypeAlias

from cache import _adopting, _lost, _mending
from cache._database import Database
from cache._deliveries import Deliveries
from cache._errors import rebuild_advice
from cache._folder import Folder, files_under, is_master_name
from cache._trash import Trash

_log = logging.getLogger(__name__)

_FEW = 3
"""Masters that a crash can leave without a row."""

Damage: TypeAlias = Literal["missing", "wrong size", "wrong digest"]


def sweep(folder: Folder, database: Database, deliveries: Deliveries, trash: Trash) -> int:
    """Move files that no row names to the trash, and mark the takes whose master is missing or cut.

    While a rebuild is due, masters stay where they are, and the trash is not emptied. More than a few masters without a
    row mean that the catalogue lacks them: then a rebuild is due. It may run while the store is in use; a writer waits
    for at most one of the 256 folders. Returns how many files went.
    """
    with database.read() as con:
        waiting = _mending.due(con) is not None
    gone = 0 if waiting else _sweep_masters(folder, database, trash)
    for files in files_under(folder.deliveries):
        with database.lock:
            gone += deliveries.sweep_files(files, _known(database, {file.name.partition(".")[0] for file in files}))
    deliveries.sweep_rows()
    mark_lost(folder, database)
    with database.lock, database.read() as con:
        if _mending.due(con) is None:
            trash.purge()
    return gone


def _sweep_masters(folder: Folder, database: Database, trash: Trash) -> int:
    moved = masters = 0
    loose = [Path(each.path) for each in os.scandir(folder.masters) if not each.is_dir(follow_symlinks=False)]
    grouped = ([Path(file.path) for file in files] for files in files_under(folder.masters))
    for files in itertools.chain(grouped, [loose]):
        # Under the lock, a file without a row has no owner: no publishing is half way.
        with database.lock:
            ours = _known(database, {file.name.removesuffix(".wav") for file in files})
            for file in files:
                known = file.name.endswith(".wav") and file.name.removesuffix(".wav") in ours
                if (not known or file in loose) and (place := trash.take(file)):
                    _log.warning("no row of the catalogue names %s; it is in %s now", file.name, place.parent)
                    moved += 1
                    masters += is_master_name(file.name)
    if masters > _FEW:
        note = (
            f"The catalogue of {folder.path} did not know {masters} sound files; they are in the folder trash now. "
            f"{rebuild_advice(folder.path)}"
        )
        with database.write() as con:
            _mending.mark_due(con, note)
    return moved


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


def mark_lost(folder: Folder, database: Database) -> None:
    """Mark the takes whose master is not what the catalogue says, and those whose master is there again."""
    with database.read() as con:
        masters = _lost.known(con)
    for said in masters:
        with database.read() as con:
            as_said = _lost.is_right(con, folder.master(said.sample_id), said) != said.lost
        if not as_said:
            # Look again under the lock: it may have been evicted, or published again, a moment ago.
            with database.write() as con:
                row = con.execute("SELECT bytes, digest FROM samples WHERE id = ?", (said.sample_id,)).fetchone()
                if row is not None:
                    now = _lost.Known(said.sample_id, row[0], row[1], said.lost)
                    lost = not _lost.is_right(con, folder.master(said.sample_id), now)
                    con.execute("UPDATE takes SET lost = ? WHERE sample_id = ?", (lost, said.sample_id))
                    if lost:
                        _log.warning("the master file of sample %s is lost; it will be made again", said.sample_id)

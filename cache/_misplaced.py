"""Whole masters that lie under a wrong name: recognised by what is in them, and moved to where they belong."""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from cache import _adopting, _carrying, _lost
from cache._folder import Folder
from cache._lost import Known
from cache._trash import Trash

_log = logging.getLogger(__name__)
_ON_ITS_WAY = ".moving"


def bring_back(con: sqlite3.Connection, folder: Folder, trash: Trash) -> tuple[str, ...]:
    """Move masters to their places that lie in another's, elsewhere below ``masters``, or in the trash.

    No file is written over: what lies in the place of one goes to the trash. Killed in between, it can be run again,
    as the files are recognised wherever they are. Returns the sounds that have audio again. Raises OSError.
    """
    wrong = {
        each.sample_id: each
        for each in _lost.known(con)
        if not _lost.is_right(con, folder.master(each.sample_id), each, thorough=True)
    }
    if not wrong:
        return ()
    found = _recognised(con, wrong, _candidates(con, folder, trash, wrong))
    moving = {sample_id: _set_out(folder, sample_id, file) for sample_id, file in found.items()}
    for sample_id, file in moving.items():
        place = folder.master(sample_id)
        if os.path.lexists(place) and trash.take(place) is None and os.path.lexists(place):
            continue
        file.rename(place)
        _log.info("the master file of sample %s was found elsewhere and is in its place again", sample_id)
        con.execute("UPDATE takes SET lost = 0 WHERE sample_id = ?", (sample_id,))
    lost = set(wrong).difference(moving)
    con.executemany("UPDATE takes SET lost = 1 WHERE sample_id = ?", [(sample_id,) for sample_id in lost])
    return _names(con, moving)


def _candidates(con: sqlite3.Connection, folder: Folder, trash: Trash, wrong: dict[str, Known]) -> Iterator[Path]:
    """Files that are not the right master of a row."""
    right = {f"{row[0]}.wav" for row in con.execute("SELECT id FROM samples") if row[0] not in wrong}
    for top in (folder.masters, trash.top):
        for file in sorted(top.rglob("*")):
            in_place = file.name in right and file == folder.master(file.stem)
            if not in_place and file.is_file() and not file.is_symlink():
                yield file


def _recognised(con: sqlite3.Connection, wrong: dict[str, Known], files: Iterator[Path]) -> dict[str, Path]:
    """Which of the files is which master: by its digest, else by the spec that it carries, in the right length."""
    by_digest = {each.digest: sample_id for sample_id, each in wrong.items()}
    sizes = {each.bytes for each in wrong.values()}
    found: dict[str, Path] = {}
    perhaps: dict[str, Path] = {}
    for file in files:
        size = file.stat().st_size
        if size not in sizes:
            continue
        sample_id = by_digest.get(_adopting.measure(file)[0])
        if sample_id is not None:
            found.setdefault(sample_id, file)
        elif (carried := _carrying.read(file)) is not None:
            row = con.execute("SELECT sample_id FROM takes WHERE spec_id = ?", (carried.spec_id,)).fetchone()
            if row is not None and row[0] in wrong and wrong[row[0]].bytes == size:
                perhaps.setdefault(row[0], file)
    return {**perhaps, **found}


def _set_out(folder: Folder, sample_id: str, file: Path) -> Path:
    """Take a file out of the place where it lies, so that this place is free for the one that belongs there."""
    place = folder.master(sample_id)
    place.parent.mkdir(mode=0o700, exist_ok=True)
    number, way = 1, place.with_name(f"{sample_id}{_ON_ITS_WAY}")
    while os.path.lexists(way):
        number += 1
        way = place.with_name(f"{sample_id}.{number}{_ON_ITS_WAY}")
    file.rename(way)
    return way


def _names(con: sqlite3.Connection, sample_ids: dict[str, Path]) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for sample_id in sample_ids:
        rows = con.execute(
            "SELECT name FROM slots JOIN sounds ON sounds.id = sound WHERE sample_id = ? AND removed IS NULL",
            (sample_id,),
        )
        found.update((row[0], None) for row in rows)
    return tuple(found)

"""Forgetting beyond the catalogue: in files that no row names, in copies of it, and in those that were set aside."""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Callable, Collection, Iterator
from contextlib import closing
from pathlib import Path

from cache import _carrying, _copies, _forgetting
from cache._carrying import Place
from cache._checking import Unreadable, look
from cache._folder import Folder
from cache._forgetting import Forgetting, Found
from cache._plain import sync
from cache._replacing import MARK, aside, remove_aside
from cache._trash import Trash

_log = logging.getLogger(__name__)


def places(con: sqlite3.Connection, sample_id: str) -> tuple[Place, ...]:
    """Where a sample is shown now, as its master carries it."""
    rows = con.execute(
        "SELECT sounds.id, sounds.name, slots.n, standin, session FROM slots JOIN sounds ON sounds.id = sound"
        " WHERE sample_id = ? ORDER BY sounds.id, slots.n",
        (sample_id,),
    ).fetchall()
    return tuple(
        Place(
            name,
            n,
            bool(standin),
            tuple(row[0] for row in con.execute("SELECT name FROM names WHERE sound = ? AND alias", (number,))),
            session,
        )
        for number, name, n, standin, session in rows
    )


def wipe_loose(
    folder: Folder,
    trash: Trash,
    known: Collection[str],
    names: Collection[str] | None,
    change: Callable[[bytes], bytes],
) -> None:
    """Wipe files that no row names: the words of all of them, whosever they were, and these names (None: all names).

    ``known``: ids of the samples that have a row. A file that is not a whole master is removed, since it is unknown
    what stands in it. The caller holds the store's lock. Raises OSError.
    """
    in_place = {folder.master(sample_id) for sample_id in known}
    for top in (trash.top, folder.masters):
        for file in list(top.rglob("*")):
            a_folder = file.is_dir() and not file.is_symlink()
            if file not in in_place and not a_folder and not _wipe(file, names, change):
                file.unlink(missing_ok=True)


def wipe_copies(folder: Folder, found: Found, name: str | None, how: Forgetting, now: float, *, keep: bool) -> None:
    """Wipe the copies of the catalogue, and the catalogues that were set aside.

    ``keep``: a rebuild is due and may need them, so the words are wiped in each; otherwise they are removed, and the
    caller makes a new copy. What cannot be read is removed either way. Raises OSError.
    """
    for file in list(_files(folder)):
        if not keep or not _forget_in(file, found, name, how, now):
            remove_aside(file)
    for left in folder.path.glob(f"{folder.catalogue.name}{MARK}*-*"):
        if left not in aside(folder.path) and not os.path.lexists(f"{left}".rpartition("-")[0]):
            remove_aside(left)  # what lay next to a catalogue that somebody has taken away
    _copies.drop_part(folder)


def _files(folder: Folder) -> Iterator[Path]:
    yield from _copies.copies(folder)
    yield from aside(folder.path, folder.catalogue.name)


def _wipe(file: Path, names: Collection[str] | None, change: Callable[[bytes], bytes]) -> bool:
    """Wipe one file; False: it is not a whole master."""
    if file.is_symlink() or not file.is_file():
        return False
    before = file.read_bytes()
    after = _carrying.rewritten(
        change(before), lambda place: names is not None and not {place.name, *place.aliases} & {*names}
    )
    if after != before:
        part = file.with_name(f"{file.name}.part")
        try:
            part.write_bytes(after)
            sync(part)
            part.replace(file)
        finally:
            part.unlink(missing_ok=True)
    return _carrying.shape(file) is not None


def _forget_in(file: Path, found: Found, name: str | None, how: Forgetting, now: float) -> bool:
    """Forget in a catalogue that is not open; False: it cannot be read."""
    try:
        look(file)
        with closing(sqlite3.connect(file, isolation_level=None)) as con:
            con.execute("BEGIN IMMEDIATE")
            concerned = _forgetting.same(con, found, name)
            if concerned.sounds or concerned.spec_ids:
                _forgetting.forget(con, concerned, how, now)
            con.execute("COMMIT")
            _forgetting.clean(con)
    except (Unreadable, sqlite3.Error, ValueError) as error:
        _log.warning("%s is removed, since nothing can be forgotten in it: %s", file, error)
        return False
    return True

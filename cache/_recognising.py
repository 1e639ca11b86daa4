"""Whose folder is it, when format.json does not say?"""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path

from cache import _schema
from cache._checking import Unreadable, look

_MASTER = re.compile(r"[0-9a-f]{2}/([0-9a-f]{16,64})\.wav")


def version(path: Path) -> int | None:
    """Return the version of a data folder of ours; None: nothing in it says that it is one. Raises OSError.

    What says so is a whole catalogue, a whole copy of one, or sound files that are named and placed as only we do it.
    """
    for file in (path / "catalogue.sqlite3", *sorted((path / "copies").glob("*.sqlite3"), reverse=True)):
        try:
            return look(file).version
        except (Unreadable, OSError, sqlite3.Error):
            continue
    masters = path / "masters"
    if not masters.is_dir():
        return None
    files = [each for each in masters.rglob("*") if each.is_symlink() or not each.is_dir()]
    ours = all(_is_ours(each, masters) for each in files)
    return _schema.FORMAT if files and ours else None


def _is_ours(file: Path, masters: Path) -> bool:
    found = _MASTER.fullmatch(file.relative_to(masters).as_posix())
    if found is None or file.is_symlink() or not file.is_file() or file.parent.name != found[1][:2]:
        return False
    with file.open("rb") as stream:
        head = stream.read(12)
    return head[:4] == b"RIFF" and head[8:] == b"WAVE"

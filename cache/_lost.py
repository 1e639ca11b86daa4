"""Masters that are not what the catalogue says: missing, of another length, another sound's, or no file at all."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from pathlib import Path

from cache import _adopting, _carrying
from cache._errors import rebuild_advice

_SOME = 5
"""Names that a sentence tells."""


@dataclass(frozen=True, slots=True)
class Known:
    """What the catalogue says of one master."""

    sample_id: str
    bytes: int
    digest: str
    lost: bool
    """It was found to be lost."""


def known(con: sqlite3.Connection) -> list[Known]:
    """Return all masters that a take names."""
    rows = con.execute("SELECT id, bytes, digest, max(lost) FROM samples JOIN takes ON sample_id = id GROUP BY id")
    return [Known(row[0], row[1], row[2], bool(row[3])) for row in rows]


def is_right(con: sqlite3.Connection, master: Path, said: Known, *, thorough: bool = False) -> bool:
    """Is this file what the catalogue says of a master? Raises OSError.

    Its length is, and the spec that it carries. A file that carries none, and one that was lost, is read to its end;
    ``thorough``: every file of an older version, too, which carries none.
    """
    if not _adopting.whole(master, said.bytes):
        return False
    carried = _carrying.read(master)
    if carried is None:
        sure = not (said.lost or thorough) and _carrying.shape(master) is not None
    else:
        row = con.execute("SELECT sample_id FROM takes WHERE spec_id = ?", (carried.spec_id,)).fetchone()
        sure = not said.lost and (row is None or row[0] == said.sample_id)
    return sure or _adopting.measure(master)[0] == said.digest


def sentence(con: sqlite3.Connection, folder: Path) -> str | None:
    """Say of how many sounds audio is lost, and what to type; None: of none."""
    names = [
        row[0]
        for row in con.execute(
            "SELECT DISTINCT sounds.name FROM takes JOIN slots USING (spec_id) JOIN sounds ON sounds.id = sound"
            " WHERE lost AND removed IS NULL ORDER BY sounds.name"
        )
    ]
    if not names:
        return None
    some = ", ".join(names[:_SOME]) + (f" and {len(names) - _SOME} more" if len(names) > _SOME else "")
    return (
        f"The audio of {len(names)} sound{'s' * (len(names) > 1)} in {folder} is lost: the sound files are missing or "
        f"damaged ({some}). It is made again when it is asked for; files that lie in a wrong place come back by a "
        f"rebuild, others from a backup (sample-bridge restore). {rebuild_advice(folder)}"
    )

"""The data folder that commit 968f128 left when it was killed: what is in it, and a copy for a test to open.

Every database in it has version 1 and a write-ahead log that nobody has folded in. Later versions have to open it.
"""

from __future__ import annotations

import sqlite3
import tarfile
import time
from pathlib import Path
from typing import Final

ARCHIVE: Final = Path(__file__).parent / "data" / "folder-968f128.tar.xz"
_MADE: Final = 1796066505.0
"""When the server was killed, in Unix seconds."""

SOUNDS: Final = {
    "gen_kick": 1,
    "gen_hihat": 2,
    "gen_pluck": 1,
    "gen_stab": 1,
    "gen_second_name": 1,
    "gen_new_name": 1,
    "gen_ambient_tone_220_hz": 1,
    "gen_tone_of_stems_done_bass_stem_f_major_120_bpm": 1,
    "gen_tone_of_stems_callback_bass_stem_c_major_120_bpm": 1,
}
"""Names of the sounds, and how many slots each has. ``gen_stab`` and ``gen_second_name`` show the same sample."""
ALIASES: Final = {"gen_old_name": "gen_new_name", "musicgen_kick": "gen_kick"}
ROOT: Final = ("gen_pluck", "a4")
PINNED: Final = "gen_stab"
DELETED: Final = "gen_deleted"
"""It can be restored, as long as the time to do so lasts."""
SAMPLES: Final = 10
UNFINISHED: Final = ("gen_551af826f25d", "gen_9fdacd0c6a74", "gen_82a874299e72")
"""Tickets that were running; each would take more than 20 s."""
COMPLETED: Final = ("gen_8361e1ca2bb7", "gen_9c042d9a119e", "gen_3a6bdea0823b", "gen_49a1c0f60a7b")
FAILED: Final = "gen_c6c7572c197b"
REPEATED: Final = "repeat-1"
"""An Idempotency-Key that was answered."""
STEMS: Final = {"stems-done": "completed", "stems-callback": "completed", "stems-unfinished": "processing"}
"""Requests for stems and their states; the callback of the second waits."""
USAGE_LINES: Final = 12
SPENT: Final = 1.5

_TIMES: Final = {
    "catalogue.sqlite3": {
        "samples": ("created",),
        "takes": ("created",),
        "sounds": ("created", "changed", "used", "removed"),
    },
    "jobs.sqlite3": {"tickets": ("created", "started", "ended"), "repeats": ("created",)},
    "stems.sqlite3": {"requests": ("created", "ended", "due")},
    "spending.sqlite3": {"spent": ("at",)},
}
"""Columns that hold Unix seconds."""


def unpack(target: Path, *, age: float | None = 60.0) -> Path:
    """Unpack it as ``target/data``, as if the server had been killed ``age`` seconds ago; None: when it really was."""
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(target, filter="data")
    folder = target / "data"
    folder.chmod(0o700)
    if age is not None:
        later = time.time() - age - _MADE
        for file, tables in _TIMES.items():
            _shift(folder / file, tables, later)
    return folder


def _shift(file: Path, tables: dict[str, tuple[str, ...]], seconds: float) -> None:
    database = sqlite3.connect(file)
    with database:
        for table, columns in tables.items():
            changes = ", ".join(f"{column} = {column} + {seconds}" for column in columns)
            database.execute(f"UPDATE {table} SET {changes}")
    database.close()

"""Files that are their owner's alone: also in a data folder that somebody else has made, whatever the umask."""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path
from typing import Final

_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_ENDS: Final = (
    "lock", "ballast", ".sqlite3", ".sqlite3-wal", ".sqlite3-shm", ".db", ".db-wal", ".db-shm", ".json", ".jsonl",
    ".part",
)  # fmt: skip
_FOLDERS: Final = frozenset({"masters", "deliveries", "incoming", "uploads", "stems", "sets", "trash", "copies"})


def write_private(path: Path, data: bytes) -> None:
    """Write a file that nobody else can read, not even for a moment when it is new. Raises OSError."""
    # A pipe in the place of the file is an error, and no call waits for a reader of it.
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NONBLOCK, 0o600)
    with os.fdopen(handle, "wb") as file:
        os.fchmod(handle, 0o600)
        file.write(data)


def keep_private(folder: Path) -> None:
    """Take from others what earlier versions have left open in a data folder: its files, and its folders with all that
    is in them. What is not ours, and the data folder itself, whose rights somebody has chosen, stay as they are.
    """
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            ours = entry.name in _FOLDERS if entry.is_dir(follow_symlinks=False) else entry.name.endswith(_ENDS)
            with contextlib.suppress(OSError):
                found = entry.stat(follow_symlinks=False)
                if ours and found.st_mode & _OTHERS and found.st_uid == os.geteuid() and not entry.is_symlink():
                    Path(entry.path).chmod(stat.S_IMODE(found.st_mode) & ~_OTHERS)

"""What lies in a data folder, under which name, and whether a backup takes it along."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, TypeAlias

from cache import MARK

Kind: TypeAlias = Literal["database", "lines", "json", "tree", "other"]
"""lines: JSON lines that grow. tree: a folder of files that never change once they are there."""


@dataclass(frozen=True, slots=True)
class Part:
    """One file or folder directly below the data folder."""

    name: str
    kind: Kind
    what: str
    """What it holds, for people."""
    backed_up: bool = False
    """False: it can be made again, or it says something about this machine alone."""

    @property
    def folder(self) -> bool:
        """Is it a folder?"""
        return self.kind == "tree" or self.name in _FOLDERS


_FOLDERS: Final = ("deliveries", "copies", "trash", "incoming", "musicgen")
CATALOGUE: Final = "catalogue.sqlite3"
FORMAT: Final = "format.json"
MASTERS: Final = "masters"
SPENDING: Final = "spending.sqlite3"
PARTS: Final = (
    Part(FORMAT, "json", "the version of the folder", backed_up=True),
    # The journal before the catalogue: what it calls unfinished may be in the catalogue already, which is harmless.
    Part("jobs.sqlite3", "database", "the journal of tasks", backed_up=True),
    Part("stems.sqlite3", "database", "requests for stems", backed_up=True),
    Part(SPENDING, "database", "what cloud engines were paid", backed_up=True),
    Part(CATALOGUE, "database", "the catalogue of sounds", backed_up=True),
    Part("usage.jsonl", "lines", "the usage log", backed_up=True),
    Part("usage.1.jsonl", "lines", "the older usage log", backed_up=True),
    Part("engines.json", "json", "what the engines said about themselves", backed_up=True),
    Part(MASTERS, "tree", "the audio of the sounds", backed_up=True),
    Part("stems", "tree", "files of finished stems", backed_up=True),
    Part("uploads", "tree", "audio that was uploaded", backed_up=True),
    Part("sets", "tree", "the players' code", backed_up=True),
    Part("deliveries", "other", "files made from the masters"),
    Part("copies", "other", "copies of the catalogue"),
    Part("trash", "other", "files that the catalogue does not know, kept for a while"),
    Part("ballast", "other", "space that is freed when the disk is full"),
    Part("incoming", "other", "files that are being written"),
    Part("lock", "other", "the number of the process that uses the folder"),
    Part("server.json", "json", "where the running server is"),
    Part("musicgen", "other", "prepared weights"),
    Part("musicgen-speed.json", "json", "the measured speed of MusicGen"),
)
BY_NAME: Final = {part.name: part for part in PARTS}
BESIDES: Final = ("-wal", "-shm", "-journal")
"""What SQLite puts next to a database."""

_MASTER: Final = re.compile(r"masters/([0-9a-f]{2})/\1[0-9a-f]{14,62}\.wav")
_WORD: Final = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}"
_IN_TREES: Final = re.compile(rf"(?:stems/{_WORD}/{_WORD}|sets/[0-9a-f]{{16}}/{_WORD}|uploads/{_WORD})")


def is_backup_path(path: str) -> bool:
    """Is this, seen from the data folder, the name of a file that a backup may hold?"""
    part = BY_NAME.get(path)
    if part is not None:
        return part.backed_up and part.kind != "tree"
    return bool(_MASTER.fullmatch(path) or _IN_TREES.fullmatch(path)) and not path.endswith(".part")


def part_of(name: str) -> Part | None:
    """The part that a name directly below the data folder belongs to, None for a stranger's."""
    name = name.partition(MARK)[0]
    for beside in BESIDES:
        owner = BY_NAME.get(name.removesuffix(beside))
        if owner is not None and (owner.name == name or owner.kind == "database"):
            return owner
    return None


def strangers(folder: Path) -> list[str]:
    """Names below a data folder that are none of its parts, such as soundfonts that somebody put there."""
    found = (entry.name for entry in folder.iterdir() if part_of(entry.name) is None)
    return sorted(name for name in found if not name.endswith(".part") and name != "lost+found")

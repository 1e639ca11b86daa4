"""Words of prompts in sets: taken out of every version, of deleted sets too."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Final, Protocol

from bridge.sets import versions
from bridge.sets.store import FOLDER
from cache import alone_in, replace_file

INSTEAD: Final = "forgotten"
"""Stands where a prompt stood."""
_MAKING: Final = r"\b(?:gen|generateMusic|generateStem)\s*\(\s*"
"""What takes a prompt in code: a single word is a prompt only there."""
_TEXTS: Final = re.compile(
    r"""
    "(?:\\.|[^"\\])*" | '(?:\\.|[^'\\])*' | `(?:\\.|[^`\\])*`
    | //[^\n]* | /\*.*?\*/
    """,
    re.DOTALL | re.VERBOSE,
)
"""Strings and comments: sounds are named nowhere else."""


def forget_in_sets(data_dir: Path, prompts: Collection[str], renamed: Mapping[str, str]) -> None:
    """Take ``prompts`` out of all sets, and write the new names of sounds where old ones stand.

    A prompt of several words goes wherever it stands, in any case; one of a single word goes where code makes a sound
    of it: everywhere else it may be a name that plays. ``renamed``: old name to new one. Waits for the disk.

    Raises OSError, StoreError; it is to be asked for again then.
    """
    folder = data_dir / FOLDER
    if not folder.is_dir() or not (prompts or renamed):
        return
    change = _changer(prompts, renamed)
    with alone_in(folder):
        for each in sorted(folder.iterdir()):
            for part in each.glob(".*.part"):
                part.unlink(missing_ok=True)
            for number in versions.numbers_in(each):
                _forget(each, number, change)


class _Change(Protocol):
    def __call__(self, text: str, *, code: bool) -> str: ...


def _forget(folder: Path, number: int, change: _Change) -> None:
    kept = versions.read(folder, number)
    if kept is None or kept.code is None:
        place = versions.file_of(folder, number)
        if place.is_file() and not place.is_symlink():  # damaged: what is whole in it is unknown
            text = place.read_bytes().decode("utf-8", "surrogateescape")
            if (changed := change(text, code=False)) != text:
                replace_file(place, changed.encode("utf-8", "surrogateescape"))
        return
    name, code = change(kept.name, code=False)[: versions.LONGEST_NAME], change(kept.code, code=True)
    if (name, code) != (kept.name, kept.code):
        versions.write(folder, number, name, code, kept.saved)


def _changer(prompts: Collection[str], renamed: Mapping[str, str]) -> _Change:
    asked = sorted({" ".join(each.split()) for each in prompts if each.strip()}, key=len, reverse=True)
    phrases = [r"\s+".join(map(re.escape, each.split())) for each in asked if " " in each]
    words = [re.escape(each) for each in asked if " " not in each]
    anywhere = re.compile("|".join(phrases), re.IGNORECASE) if phrases else None
    made = re.compile(rf"({_MAKING})([\"'`])(?:{'|'.join(words)})\2", re.IGNORECASE) if words else None
    new = {old.lower(): name for old, name in renamed.items()}
    names = re.compile(r"(?<!\w)(?:" + "|".join(map(re.escape, new)) + r")(?!\w)", re.IGNORECASE) if new else None

    def change(text: str, *, code: bool) -> str:
        if anywhere:
            text = anywhere.sub(INSTEAD, text)
        if made:
            text = made.sub(rf"\1\2{INSTEAD}\2", text)
        if names is None:
            return text
        known = names

        def renaming(found: re.Match[str]) -> str:
            return known.sub(lambda name: new[name[0].lower()], found[0])

        return _TEXTS.sub(renaming, text) if code else known.sub(lambda name: new[name[0].lower()], text)

    return change

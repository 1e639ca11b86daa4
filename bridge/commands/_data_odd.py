"""What ``sample-bridge doctor --data`` says of things that stand in the place of our files, and of rights that lack."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from bridge.commands._advice import give_right, move_away
from bridge.commands._data_files import BESIDES, CATALOGUE, MASTERS, Part
from bridge.commands._data_report import Finding
from bridge.commands._oddities import Odd, oddity
from bridge.system.ledgers import LOSSES
from cache import Listing

_MANY: Final = 5


def odd_part(part: Part, data: Path, rebuild: str) -> Iterator[Finding]:
    """What is wrong where a part, or what SQLite puts next to it, is not a file (or folder) or cannot be read.

    ``rebuild``: how to rebuild.
    """
    path = data / part.name
    if odd := oddity(path, "folder" if part.folder else "file"):
        if odd.right:
            step = give_right(path, below=part.folder)
            yield Finding(part.name, "problem", f"It {odd.text}. It may be whole: only the right is missing.", step)
            return
        yield Finding(part.name, "problem", f"It {odd.text}. {_then(part)}", move_away(path, data))
        if part.name == CATALOGUE:
            text = "It is missing. Copies of it, and the audio itself, bring the names back."
            yield Finding(part.name, "problem", text, rebuild)
        return
    for beside in BESIDES if part.kind == "database" else ():
        other = path.with_name(path.name + beside)
        if odd := oddity(other, "file"):
            step = give_right(other) if odd.right else move_away(other, data)
            yield Finding(part.name, "problem", f"{other.name}, which belongs to it, {odd.text}.", step)
        elif other.exists() and not os.access(other, os.W_OK):
            text = f"This user does not have the right to write {other.name}, which belongs to it."
            yield Finding(part.name, "problem", text, give_right(other))


def odd_masters(odd: Mapping[str, Odd], listed: Listing, data: Path) -> Iterator[Finding]:
    """Masters, by the sample's id, that are not files or cannot be read."""
    barred = [each for each, why in odd.items() if why.right]
    if barred:
        text = (
            f"The audio of {named(barred, listed)} cannot be read: this user does not have the right to. It may be "
            "whole."
        )
        yield Finding(MASTERS, "problem", text, give_right(data / MASTERS, below=True))
    others = [each for each in odd if each not in barred]
    for number, each in enumerate(others[:_MANY]):
        more = len(others) - _MANY if number == _MANY - 1 else 0
        file = data / MASTERS / each[:2] / f"{each}.wav"
        text = (
            f"{file.relative_to(data)}, the audio of {named([each], listed)}, {odd[each].text}. Move it away: the "
            "sound is made again when it is asked for, or comes back from a backup."
        )
        text += f" There are {more} more of that kind." if more > 0 else ""
        yield Finding(MASTERS, "problem", text, move_away(file, data))


def named(sample_ids: list[str], listed: Listing) -> str:
    """Names of the sounds that show these samples, for a sentence."""
    names = sorted({name for each in sample_ids for name in listed.names.get(each, ())})
    if not names:
        return f"{len(sample_ids)} deleted {'sample' if len(sample_ids) == 1 else 'samples'}"
    return ", ".join(names[:_MANY]) + (f" and {len(names) - _MANY} more sounds" if len(names) > _MANY else "")


def _then(part: Part) -> str:
    if part.name in (CATALOGUE, MASTERS):
        return "Move it away."
    loss = LOSSES.get(part.name)
    return f"Move it away: the next start makes a new one. {loss.lost if loss else ''}".strip()

"""``sample-bridge rebuild``: bring sounds back whose catalogue is lost, damaged or older than their audio."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bridge.commands._advice import command
from bridge.commands._backups.placing import refuse_while_used
from bridge.commands._start import begin
from bridge.errors import StartupError
from cache import Rebuilt, StoreError

if TYPE_CHECKING:
    SubParsers = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001  argparse names it no other way

_MANY = 10
"""Names that are printed of each kind."""


def add_parser(subparsers: SubParsers) -> None:
    """Describe the command."""
    parser = subparsers.add_parser(
        "rebuild",
        help="bring sounds back whose catalogue is lost or damaged",
        description="Take what is left of the catalogue, its newest whole copy, and what the sound files say of "
        "themselves, and bring every sound back that can be had. It only adds; a whole library stays as it is.",
    )
    parser.add_argument("--data-dir", type=Path, metavar="DIR", help="folder of the catalogue and the sounds")
    parser.add_argument("--config", type=Path, metavar="FILE", help="settings file instead of bridge.toml")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Rebuild, and say what came back; 1 when a sound file is missing or cannot be read. Raises StartupError."""
    from bridge.sounds.rebuilding import rebuild

    data = begin(args).data_dir
    refuse_while_used(data, command("rebuild", data=data))
    try:
        rebuilt = rebuild(data)
    except StoreError as error:
        raise StartupError(str(error), code=error.code) from None
    print(json.dumps(_document(rebuilt), indent=2, ensure_ascii=False) if args.json else _page(rebuilt, data))
    return 1 if rebuilt.missing or rebuilt.unreadable else 0


def _document(rebuilt: Rebuilt) -> dict[str, Any]:
    return {
        "changed": rebuilt.changed,
        "sounds": rebuilt.sounds,
        "kept": rebuilt.kept,
        "named": list(rebuilt.named),
        "found": list(rebuilt.found),
        "missing": list(rebuilt.missing),
        "unreadable": [str(file) for file in rebuilt.unreadable],
        "source": str(rebuilt.source) if rebuilt.source else None,
    }


def _page(rebuilt: Rebuilt, data: Path) -> str:
    if not rebuilt.changed and not rebuilt.missing and not rebuilt.unreadable:
        return f"There is nothing to rebuild: the catalogue is whole and knows {_count(rebuilt.sounds, 'sound')}."
    if rebuilt.changed:
        lines = [f"Rebuilt: there are {_count(rebuilt.sounds, 'sound')} now, {rebuilt.kept} of them were never lost."]
    else:
        lines = [f"There is nothing to rebuild: the catalogue knows {_count(rebuilt.sounds, 'sound')}."]
    if rebuilt.source:
        lines.append(f"The catalogue was taken from its copy {rebuilt.source.name}.")
    if rebuilt.named:
        lines.append(f"{_count(len(rebuilt.named), 'sound')} came back under their names: {_some(rebuilt.named)}.")
    if rebuilt.found:
        text = f"{_count(len(rebuilt.found), 'sound')} came back under new names: {_some(rebuilt.found)}."
        lines.append(f"{text} Listen to them, and rename or delete them.")
    if rebuilt.missing:
        lines.append(
            f"! Audio is missing of {_count(len(rebuilt.missing), 'sound')}: {_some(rebuilt.missing)}. It is made "
            f"again when it is asked for, or comes back with: {command('restore', 'BACKUP', '--replace', data=data)}"
        )
    if rebuilt.unreadable:
        lines.append(
            f"! {_count(len(rebuilt.unreadable), 'file')} cannot be read as sounds and stay where they are: "
            f"{_some([str(file) for file in rebuilt.unreadable])}."
        )
    return "\n".join(lines)


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _some(names: list[str] | tuple[str, ...]) -> str:
    return ", ".join(names[:_MANY]) + (f" and {len(names) - _MANY} more" if len(names) > _MANY else "")

"""``sample-bridge backup``: copy the library into a file or a folder, while a server runs or not."""

from __future__ import annotations

import argparse
import json
import os
import sqlite3
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bridge.commands._advice import command
from bridge.commands._backups import reading, taking, writing
from bridge.commands._backups.placing import full_disk
from bridge.commands._backups.taking import Taken
from bridge.commands._progress import ProgressBar
from bridge.commands._start import begin
from bridge.commands._stopping import stopped_cleanly
from bridge.errors import StartupError
from cache import explained

if TYPE_CHECKING:
    SubParsers = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001  argparse names it no other way

_MANY = 5
"""Names that are told of each kind."""
_NOTHING = "no backup was made"


def add_parser(subparsers: SubParsers) -> None:
    """Describe the command."""
    parser = subparsers.add_parser(
        "backup",
        help="copy all sounds and what is known of them into a file or a folder",
        description="Copy the library, while a server runs or not. A name that ends in .tar becomes one file. Anything "
        "else becomes a folder: each further backup into it copies only what is new, and the last states are kept.",
    )
    parser.add_argument(
        "target", type=Path, metavar="FILE.tar|FOLDER", help="where it is written, outside the data folder"
    )
    parser.add_argument("--keep", type=int, default=7, metavar="N", help="states that a folder keeps (7)")
    parser.add_argument("--verify", action="store_true", help="read the whole backup again afterwards")
    parser.add_argument("--data-dir", type=Path, metavar="DIR", help="folder of the catalogue and the sounds")
    parser.add_argument("--config", type=Path, metavar="FILE", help="settings file instead of bridge.toml")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Back up; 1 when it was made, but something could not be taken along. Raises StartupError."""
    if args.keep < 1:
        raise StartupError("--keep: a folder keeps at least 1 state.", code="usage")
    data = begin(args).data_dir
    target: Path = args.target
    started = time.monotonic()
    progress = ProgressBar(silent=args.json)
    try:
        writing.check(target, data)
        size = taking.look(data)
        if writing.is_archive(target):
            _check_room(target, size)
        with stopped_cleanly(), writing.opened(target, keep=args.keep, verify=args.verify) as out:
            taken = taking.take(data, out, lambda done, all_: progress.show("backup", done / max(all_, 1)))
        if args.verify:
            with reading.opened(target) as backup:
                backup.check(lambda done, all_: progress.show("verify", done / max(all_, 1)))
    except OSError as error:
        if sentence := full_disk(error, target, _NOTHING):
            raise sentence from None
        raise StartupError(
            f"The backup could not be made ({error.strerror or error}: {error.filename or target}). "
            "Check the disk and its rights, then try again.",
            code="backup_failed",
        ) from None
    except sqlite3.Error as error:
        raise StartupError(f"The backup could not be made. {explained(error, target)}", code="backup_failed") from None
    finally:
        progress.clear()
    report = _report(target, data, taken, time.monotonic() - started)
    print(json.dumps(report, indent=2, ensure_ascii=False) if args.json else _page(report))
    return 1 if report["problems"] else 0


def _check_room(target: Path, size: int) -> None:
    disk = os.statvfs(target.parent)
    free = disk.f_bavail * disk.f_frsize
    if free < size:
        raise StartupError(
            f"The backup needs about {size / 2**20:.0f} MiB, and {target.parent} has {free / 2**20:.0f} MiB free. "
            "Choose another disk, or free some space.",
            code="storage_full",
        )


def _report(target: Path, data: Path, taken: Taken, seconds: float) -> dict[str, Any]:
    manifest = taken.manifest
    problems = list(taken.warnings)
    said: dict[str, list[str]] = {}
    for ids, usual in (
        (manifest.missing, "is missing in the data folder"),
        (manifest.damaged, "differs from what the catalogue says; it was copied as it is"),
    ):
        for each in ids:
            said.setdefault(taken.why.get(each, usual), []).append(each)
    for what, alike in said.items():
        names = sorted({name for each in alike for name in taken.names.get(each, ())})
        shown = ", ".join(names[:_MANY]) + (f" and {len(names) - _MANY} more" if len(names) > _MANY else "")
        left = "" if what.endswith("as it is") else ", so it could not be copied"
        deleted = f"{len(alike)} deleted {'sample' if len(alike) == 1 else 'samples'}"
        problems.append(f"The audio of {shown or deleted} {what}{left}.")
    if problems:
        problems.append(f"To see what to do, type: {command('doctor', '--data', data=data)}")
    return {
        "backup": str(target),
        "restore": command("restore", target.absolute(), "--replace", data=data),
        "made": manifest.made,
        "sounds": manifest.sounds,
        "files": len(manifest.files),
        "bytes": manifest.size,
        "new_bytes": taken.new_bytes,
        "seconds": round(seconds, 2),
        "missing": list(manifest.missing),
        "damaged": list(manifest.damaged),
        "left_out": taken.left_out,
        "problems": problems,
    }


def _page(report: dict[str, Any]) -> str:
    sounds = f"{report['sounds']} {'sound' if report['sounds'] == 1 else 'sounds'}"
    size = f"{report['bytes'] / 1e6:.1f} MB ({report['new_bytes'] / 1e6:.1f} MB"
    lines = [
        f"Backed up: {sounds}, {report['files']} files, {size} copied) in {report['seconds']:.1f} s.",
        f"It is {report['backup']}. Bring it back with: {report['restore']}",
    ]
    if report["left_out"]:
        lines.append(f"Not ours, and left out: {', '.join(report['left_out'])}.")
    return "\n".join([*lines, *(f"! {sentence}" for sentence in report["problems"])])

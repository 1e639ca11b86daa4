"""``sample-bridge restore``: put a backup in the place of the data folder."""

from __future__ import annotations

import argparse
import json
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING

from bridge.commands._advice import command
from bridge.commands._backups import reading
from bridge.commands._backups.placing import full_disk, restore
from bridge.commands._progress import ProgressBar
from bridge.commands._start import begin
from bridge.commands._stopping import stopped_cleanly
from bridge.errors import StartupError

if TYPE_CHECKING:
    SubParsers = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001  argparse names it no other way


def add_parser(subparsers: SubParsers) -> None:
    """Describe the command."""
    parser = subparsers.add_parser(
        "restore",
        help="bring the sounds of a backup back",
        description="Put a backup in the place of the data folder. Every file is checked before anything is changed.",
    )
    parser.add_argument("backup", type=Path, metavar="FILE.tar|FOLDER", help="what sample-bridge backup has made")
    parser.add_argument("--state", metavar="NAME", help="an older state of a folder of backups (the newest)")
    parser.add_argument("--replace", action="store_true", help="move a data folder that is not empty aside first")
    parser.add_argument("--check", action="store_true", help="only check the backup, change nothing")
    parser.add_argument("--data-dir", type=Path, metavar="DIR", help="folder of the catalogue and the sounds")
    parser.add_argument("--config", type=Path, metavar="FILE", help="settings file instead of bridge.toml")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Restore, or check; the code is 0. Raises StartupError, and nothing was changed then."""
    data = begin(args).data_dir
    progress = ProgressBar(silent=args.json)
    restored = None
    try:
        with stopped_cleanly(), reading.opened(args.backup, args.state) as backup:
            manifest = backup.manifest
            if args.check:
                backup.check(lambda done, all_: progress.show("check", done / max(all_, 1)))
            else:
                restored = restore(
                    backup,
                    data,
                    again=_again(args, data),
                    replace=args.replace,
                    on_file=lambda done, all_: progress.show("restore", done / max(all_, 1)),
                )
    except (OSError, sqlite3.Error) as error:
        if isinstance(error, OSError) and (sentence := full_disk(error, data, "nothing was restored")):
            raise sentence from None
        raise StartupError(
            f"The backup could not be restored ({error}). Check the disk and its rights, then try again.",
            code="restore_failed",
        ) from None
    finally:
        progress.clear()
    aside = restored.aside if restored else None
    if args.json:
        report = {
            "backup": str(args.backup),
            "made": manifest.made,
            "sounds": manifest.sounds,
            "files": len(manifest.files),
            "bytes": manifest.size,
            "missing": list(manifest.missing),
            "data_dir": None if args.check else str(data),
            "moved_aside": str(aside) if aside else None,
        }
        print(json.dumps(report, indent=2, ensure_ascii=False))
        return 0
    sounds = f"{manifest.sounds} {'sound' if manifest.sounds == 1 else 'sounds'}"
    if args.check:
        print(
            f"The backup of {manifest.made} is whole: {sounds}, {len(manifest.files)} files, "
            f"{manifest.size / 1e6:.1f} MB."
        )
        return 0
    print(f"Restored: {sounds} of {manifest.made}, in {data}. Type: {command('serve', data=data)}")
    if manifest.missing:
        print(f"! The audio of {len(manifest.missing)} samples was missing already when the backup was made.")
    if aside:
        print(f"The old data folder is now {aside}. Delete it if nothing is missing.")
    return 0


def _again(args: argparse.Namespace, data: Path) -> str:
    state = ["--state", args.state] if args.state else []
    return command("restore", args.backup.absolute(), *state, *(["--replace"] if args.replace else []), data=data)

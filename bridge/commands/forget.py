"""``sample-bridge forget``: wipe the words that sounds were made of."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from typing import TYPE_CHECKING, Any

from bridge.client.opening import open_maker
from bridge.commands._start import begin
from bridge.commands.settings import add_options
from bridge.errors import StartupError
from bridge.settings import Settings

if TYPE_CHECKING:
    SubParsers = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001  argparse names it no other way

_QUESTION = "Every sound gets a name that says nothing; patterns that play the old names fall silent. Go on? [y/N] "


def add_parser(subparsers: SubParsers) -> None:
    """Describe the command."""
    parser = subparsers.add_parser(
        "forget",
        help="wipe the words that sounds were made of",
        description="Wipe prompts from the library and from its files. The sounds go on playing.",
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="sounds whose prompts are wiped")
    parser.add_argument("--prompts", action="store_true", help="wipe the prompts of all sounds")
    parser.add_argument("--all", action="store_true", help="wipe all prompts, and the names of the sounds too")
    parser.add_argument("--yes", action="store_true", help="do not ask before --all")
    parser.add_argument("--json", action="store_true", help="print JSON")
    add_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Forget, and say what was concerned. Raises BridgeError."""
    if bool(args.names) + args.prompts + args.all != 1:
        raise StartupError("Name the sounds, or give either --prompts or --all.", code="usage")
    if args.all and not args.yes:
        _ask()
    settings = begin(args)
    wishes: list[dict[str, Any]] = [{"name": name} for name in args.names]
    done = asyncio.run(_forget(settings, wishes or [{"what": "all" if args.all else "prompts"}]))
    names = list(dict.fromkeys(name for each in done for name in each["sounds"]))
    if args.json:
        print(json.dumps({"sounds": names}, indent=2))
    else:
        print(f"Forgotten: the words of {len(names)} {'sound' if len(names) == 1 else 'sounds'}.")
        if args.names:
            print("Their names stay, since patterns play by them: rename or delete what should be gone as well.")
    return 0


async def _forget(settings: Settings, wishes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    async with open_maker(settings) as maker:
        return [await maker.forget(wish) for wish in wishes]


def _ask() -> None:
    if not sys.stdin.isatty():
        raise StartupError("--all takes the names of all sounds. Add --yes if you mean that.", code="not_confirmed")
    if input(_QUESTION).strip().lower() not in ("y", "yes"):
        raise StartupError("Nothing was forgotten.", code="not_confirmed")

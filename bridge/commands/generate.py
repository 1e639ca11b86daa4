"""``sample-bridge generate``: make one sound from words."""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bridge.client.maker import MadeSound
from bridge.client.opening import open_maker
from bridge.client.wishes import Wish, add_spec_options, read_wish, spec_fields
from bridge.commands._output import check_file, numbered, write_whole
from bridge.commands._progress import ProgressBar
from bridge.commands._start import begin
from bridge.commands.settings import add_options
from bridge.settings import Settings

if TYPE_CHECKING:
    SubParsers = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001  argparse names it no other way


def add_parser(subparsers: SubParsers) -> None:
    """Describe the command."""
    parser = subparsers.add_parser("generate", help="make one sound from words")
    parser.add_argument("prompt", metavar="PROMPT", help='what you want to hear, such as "dusty vinyl break, 92 bpm"')
    add_spec_options(parser)
    parser.add_argument("--name", metavar="N", help="the sound to append to; without it the name comes from the words")
    parser.add_argument("--variations", type=int, default=1, metavar="N", help="how many different ones, 1 to 16")
    parser.add_argument("--fresh", action="store_true", help="a new one, even if these words were answered before")
    parser.add_argument(
        "--output", type=Path, metavar="FILE", help="write it to FILE: .wav, .24.wav, .flac, .ogg or .mp3"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    add_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Make the sound, write its file, print what to paste. Raises BridgeError."""
    document = {"prompt": args.prompt, "name": args.name, "variations": args.variations, "fresh": args.fresh}
    wish = read_wish({**document, **spec_fields(args)})
    extension = check_file(args.output) if args.output else None
    settings = begin(args)
    files = [numbered(args.output, number) for number in range(args.variations)] if args.output else []
    sounds = asyncio.run(_make(settings, wish, ProgressBar(silent=args.json), files, extension or ""))
    if args.json:
        rows = [sound.as_json() | written(files, number) for number, sound in enumerate(sounds)]
        print(json.dumps({"sounds": rows}, indent=2, ensure_ascii=False))
    else:
        print("\n\n".join(describe(sound, written(files, number)) for number, sound in enumerate(sounds)))
    return 0


async def _make(
    settings: Settings, wish: Wish, progress: ProgressBar, files: Sequence[Path], extension: str
) -> list[MadeSound]:
    async with open_maker(settings) as maker:
        try:
            sounds = await maker.make(wish, lambda fraction, eta_s: progress.show(wish.label, fraction, eta_s))
        finally:
            progress.clear()
        sounds.sort(key=lambda sound: sound.n)  # the engine may have finished the second before the first
        for sound, file in zip(sounds, files, strict=False):
            write_whole(file, await maker.audio(sound, extension))
    return sounds


def written(files: Sequence[Path], number: int) -> dict[str, str]:
    """Name the file of a sound, if there is one."""
    return {"file": str(files[number])} if number < len(files) else {}


def describe(sound: MadeSound, more: Mapping[str, Any]) -> str:
    """Write a sound's facts as lines, the code to paste last."""
    facts = sound.facts
    told = [facts.kind, f"{facts.seconds:.3f} s"]
    told += [f"{facts.bpm:g} bpm"] if facts.bpm else []
    told += [f"{facts.bars} {'bar' if facts.bars == 1 else 'bars'}"] if facts.bars else []
    told += [facts.key] if facts.key else []
    rows = {
        "name": f"{sound.name}, n {sound.n}{' (kept already)' if sound.cached else ''}",
        "sound": ", ".join(told),
        "engine": f"{facts.engine}, {facts.model}" if facts.model else facts.engine,
        "licence": facts.licence if facts.commercial else f"{facts.licence} (no commercial use)",
        **more,
        "paste": sound.strudel,
    }
    return "\n".join(f"{label:<8} {text}" for label, text in rows.items())

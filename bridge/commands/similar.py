"""``sample-bridge similar``: new audio like a file's, without a server, or through the one that runs."""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from bridge.client.opening import open_maker
from bridge.client.wishes import read_wish
from bridge.commands._output import check_folder, write_whole
from bridge.commands._start import begin
from bridge.commands.settings import add_options
from bridge.errors import StartupError
from bridge.exchange.likeness import NO_EMBEDDING, RATE, SimilarBody
from bridge.settings import Settings
from bridge.sounds.orders import from_validation

if TYPE_CHECKING:
    SubParsers = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001  argparse names it no other way

_EXAMPLE = {"prompt": "warm electric piano chords, 92 bpm, C minor", "kind": "raw", "duration": 8.0}
"""What is listened to when no file is given."""


def add_parser(subparsers: SubParsers) -> None:
    """Describe the command."""
    parser = subparsers.add_parser("similar", help="make new audio that is like a file")
    parser.add_argument(
        "file", nargs="?", type=Path, metavar="FILE", help="WAV, MP3, FLAC or Ogg; without it an example is made"
    )
    parser.add_argument("--output", type=Path, default=Path("similar.wav"), metavar="FILE", help="the WAV, 32 kHz")
    parser.add_argument("--duration", type=float, metavar="S", help="seconds, 5 to 120")
    parser.add_argument("--cfg-coef", "--cfg_coef", type=float, metavar="X", help="1 to 10: how closely to follow it")
    parser.add_argument("--temperature", type=float, metavar="X", help="0.1 to 2")
    parser.add_argument("--prompt", metavar="WORDS", help="words that go before those found for the file")
    parser.add_argument("--seed", type=int, metavar="N", help="another seed, another sound")
    parser.add_argument("--json", action="store_true", help="print JSON")
    add_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Measure the file, make audio like it, write both. Raises BridgeError."""
    wish = {name: getattr(args, name) for name in ("duration", "cfg_coef", "temperature", "prompt", "seed")}
    wish = {name: value for name, value in wish.items() if value is not None}
    try:
        SimilarBody.model_validate(wish)  # before any work
    except ValidationError as error:
        raise from_validation(error) from None
    if args.output.suffix.lower() != ".wav":
        raise StartupError(f"--output {args.output}: the name has to end in .wav.", code="unknown_format")
    check_folder(args.output.resolve().parent, "--output")
    if args.file is not None and not args.file.is_file():
        raise StartupError(f"{args.file} is not a file. Give the name of a sound file.", code="no_such_file")
    told = asyncio.run(_similar(begin(args), args.file, wish, args.output))
    print(json.dumps(told, indent=2, ensure_ascii=False) if args.json else _described(told))
    return 0


async def _similar(settings: Settings, file: Path | None, wish: dict[str, Any], output: Path) -> dict[str, Any]:
    async with open_maker(settings) as maker:
        if file is not None:
            made = await maker.similar(file, wish)
        else:
            with tempfile.TemporaryDirectory(prefix="sample-bridge-") as folder:
                example, *_ = await maker.make(read_wish(_EXAMPLE))
                heard = Path(folder) / "example.wav"
                await asyncio.to_thread(heard.write_bytes, await maker.audio(example, "wav"))
                made = await maker.similar(heard, wish)
    found = output.with_suffix(".json")
    described = {
        "audio_id": made.audio_id,
        "features": made.features,
        "embedding": None,
        "embedding_reason": NO_EMBEDDING,
    }
    write_whole(output, made.wav)
    write_whole(found, json.dumps(described, indent=2).encode())
    return described | {
        "prompt": made.sound.facts.prompt,
        "engine": made.sound.facts.engine,
        "sample_rate": RATE,
        "file": str(output),
        "features_file": str(found),
        "strudel": made.sound.strudel,
    }


def _described(told: dict[str, Any]) -> str:
    features = told["features"]
    tempo, key = features["tempo"], features["key"]
    facts = [f"{features['duration']:.3f} s"]
    facts += [f"{tempo['bpm']:g} bpm"] if tempo else []
    facts += [key["name"]] if key else []
    rows = {
        "heard": ", ".join(facts),
        "words": told["prompt"],
        "engine": told["engine"],
        "file": told["file"],
        "facts": told["features_file"],
        "paste": told["strudel"],
        "note": told["embedding_reason"],
    }
    return "\n".join(f"{label:<8} {text}" for label, text in rows.items())

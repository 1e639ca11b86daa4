"""`sample-bridge settings`: what is set, and where it comes from."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bridge.settings import FIELDS, Settings, explain, load, unknown_variables

if TYPE_CHECKING:
    SubParsers = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001  argparse names it no other way


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the settings that commands take as options; one that is not given stays None."""
    group = parser.add_argument_group("settings", "every setting: docs/settings.md, or `sample-bridge settings`")
    group.add_argument("--config", type=Path, metavar="FILE", help="settings file instead of bridge.toml")
    group.add_argument("--data-dir", type=Path, metavar="DIR", help="folder of the catalogue and the sounds")
    group.add_argument("--engine", metavar="NAME", help="engine that makes the sounds, or auto")
    group.add_argument(
        "--model",
        "--model_size",
        "--model-size",
        metavar="NAME",
        help="MusicGen size, hub id or folder; selects the engine musicgen",
    )
    group.add_argument("--device", choices=("auto", "cpu", "cuda"), help="where the model runs")


def from_arguments(args: argparse.Namespace) -> Settings:
    """Load the settings with what was typed on top. Raises StartupError."""
    typed = {name: value for name, value in vars(args).items() if name in FIELDS}
    return load(typed, config=getattr(args, "config", None))


def add_parser(subparsers: SubParsers) -> argparse.ArgumentParser:
    """Describe the command."""
    parser = subparsers.add_parser("settings", help="show every setting, its value and where it comes from")
    parser.add_argument("--json", action="store_true", help="as JSON")
    add_options(parser)
    parser.set_defaults(run=run)
    return parser


def run(args: argparse.Namespace) -> int:
    """Print every setting with its source; secrets only say that they are set. Raises StartupError."""
    settings = from_arguments(args)
    rows = explain(settings)
    if args.json:
        unknown = [{"name": name, "nearest": nearest} for name, nearest in unknown_variables(os.environ)]
        document = {
            "settings": {name: {"value": value, "source": source} for name, value, source in rows},
            "notes": list(settings.notes),
            "foreign": list(settings.foreign),
            "unknown": unknown,
        }
        print(json.dumps(document, indent=2, ensure_ascii=False))
        return 0
    texts = [(name, _text(value), source) for name, value, source in rows]
    names, values = (max(len(row[column]) for row in texts) for column in (0, 1))
    for name, text, source in texts:
        print(f"{name:<{names}}  {text:<{min(values, 40)}}  {source}".rstrip())
    for sentence in settings.foreign:
        print(f"! {sentence}", file=sys.stderr)
    for note in settings.notes:
        print(f"\n! {note}")
    return 0


def _text(value: Any) -> str:
    if value is None or value == ():
        return "-"
    if isinstance(value, bool):
        return str(value).lower()
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)

"""``sample-bridge generate-batch --prompts FILE --output_dir DIR``: ``batch`` by the names of contract B."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from bridge.commands import batch
from bridge.errors import StartupError

if TYPE_CHECKING:
    SubParsers = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001  argparse names it no other way


def add_parser(subparsers: SubParsers) -> None:
    """Describe the command."""
    parser = subparsers.add_parser("generate-batch", help="make many sounds, one prompt per line, into a folder")
    parser.add_argument(
        "--prompts", dest="file", type=Path, required=True, metavar="FILE", help="text with one prompt per line"
    )
    batch.add_batch_options(parser)
    parser.add_argument(
        "--compile", action="store_true", help="has no effect: engines decide for themselves when to compile"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Make every line; the folder is made when it is not there. Repeated, it continues where it was stopped."""
    if args.output_dir is not None:
        try:
            args.output_dir.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StartupError(
                f"--output_dir: {args.output_dir} cannot be made ({error.strerror}). Choose another.",
                code="no_such_folder",
            ) from None
    return batch.run(args)

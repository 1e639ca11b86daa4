"""``sample-bridge batch``: make many sounds, one prompt per line.

What was made is kept, so a batch that was stopped continues where it was when the same command is given again.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bridge.audio.formats import FORMATS
from bridge.client.maker import Maker
from bridge.client.opening import open_maker
from bridge.client.wishes import Wish, add_spec_options, read_wish, spec_fields, wish_of_spec
from bridge.commands._batch_report import Failure, Report, Tally
from bridge.commands._output import check_folder, write_whole
from bridge.commands._start import begin
from bridge.commands.settings import add_options
from bridge.errors import BridgeError, StartupError, is_hopeless
from bridge.settings import Settings

if TYPE_CHECKING:
    SubParsers = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001  argparse names it no other way

AT_ONCE = 8
"""Sounds asked for at a time unless it is said: enough for every engine, and far from filling a server's queue."""
_MOST_AT_ONCE = 64
_BUSY_SECONDS = 2.0


def add_parser(subparsers: SubParsers) -> None:
    """Describe the command."""
    parser = subparsers.add_parser("batch", help="make many sounds, one prompt per line")
    parser.add_argument(
        "file", nargs="?", type=Path, metavar="FILE",
        help="text with one prompt per line, # begins a comment line, - reads stdin; "
             "without FILE the common stems and the example prompts are made",
    )  # fmt: skip
    add_batch_options(parser)
    parser.set_defaults(run=run)


def add_batch_options(parser: argparse.ArgumentParser) -> None:
    """Add what both names of the command take."""
    parser.add_argument(
        "--output-dir", "--output_dir", type=Path, metavar="DIR", help="also write each sound to DIR, as <name>_<n>"
    )
    parser.add_argument("--format", choices=tuple(FORMATS), default="wav", help="of the files in DIR (wav)")
    add_spec_options(parser)
    parser.add_argument("--variations", type=int, default=1, metavar="N", help="how many sounds for each line, 1 to 16")
    parser.add_argument(
        "--batch-size", "--batch_size", type=int, default=AT_ONCE, metavar="N",
        help=f"how many lines are asked for at a time, 1 to {_MOST_AT_ONCE} ({AT_ONCE})",
    )  # fmt: skip
    parser.add_argument("--fresh", action="store_true", help="new sounds, even for lines that were made before")
    parser.add_argument("--json", action="store_true", help="print JSON at the end, nothing else")
    add_options(parser)


def run(args: argparse.Namespace) -> int:
    """Make every line; 1 when some could not be made. Raises BridgeError when none can."""
    defaults = {**spec_fields(args), "variations": args.variations, "fresh": args.fresh}
    lines = _listed(defaults) if args.file is None else _lines(args.file, defaults)
    if not lines:
        raise StartupError(f"{args.file} holds no prompt. Write one per line.", code="nothing_to_make")
    if not 1 <= args.batch_size <= _MOST_AT_ONCE:
        raise StartupError(f"--batch-size {args.batch_size}: give 1 to {_MOST_AT_ONCE}.", code="invalid_request")
    if args.output_dir is not None:
        check_folder(args.output_dir, "--output-dir")
    settings = begin(args)
    tally = Tally(len(lines))
    report = Report(tally, quiet=args.json)
    try:
        asyncio.run(_make_all(settings, lines, tally, report, args.output_dir, args.format, args.batch_size))
    except (BridgeError, KeyboardInterrupt):
        report.summary(stopped=True)
        raise
    report.summary()
    if args.json:
        sounds = [sound.as_json() | ({"file": file} if file else {}) for sound, file in tally.sounds]
        failed = [failure.as_json() for failure in tally.failures]
        print(json.dumps({"sounds": sounds, "failed": failed}, indent=2, ensure_ascii=False))
    return 1 if tally.failures else 0


def _lines(file: Path, defaults: Mapping[str, Any]) -> list[Wish | Failure]:
    """Read the prompts of a file; a line that cannot be asked for fails alone. Raises StartupError."""
    try:
        raw = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
        text = raw.decode("utf-8-sig")
    except OSError as error:
        raise StartupError(f"{file} cannot be read ({error.strerror}). Check its name.", code="no_such_file") from None
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise StartupError(f"{file}, line {line}, is not UTF-8 text. Save it as UTF-8.", code="not_text") from None
    found: list[Wish | Failure] = []
    for number, line in enumerate(text.split("\n"), start=1):
        prompt = line.strip()
        if prompt and not prompt.startswith("#"):
            with _failing_alone(found, f"line {number}: {prompt[:60]}"):
                found.append(read_wish({"prompt": prompt, **defaults}))
    return found


def _listed(defaults: Mapping[str, Any]) -> list[Wish | Failure]:
    """Ask for the common stems, under their own names, and the example prompts."""
    from prompts import common_stems, example_prompts

    found: list[Wish | Failure] = []
    for stem in common_stems():
        with _failing_alone(found, stem.name):
            found.append(wish_of_spec(stem.spec, defaults, name=stem.sound, aliases=stem.aliases))
    for spec in example_prompts():
        with _failing_alone(found, spec.prompt):
            found.append(wish_of_spec(spec, defaults))
    return found


@contextmanager
def _failing_alone(found: list[Wish | Failure], label: str) -> Iterator[None]:
    try:
        yield
    except BridgeError as error:
        found.append(Failure(label, error))


async def _make_all(
    settings: Settings,
    lines: Sequence[Wish | Failure],
    tally: Tally,
    report: Report,
    folder: Path | None,
    extension: str,
    at_once: int,
) -> None:
    """Make all lines, this many at a time. Raises what makes going on pointless."""
    waiting = iter(enumerate(lines))

    async def work(maker: Maker) -> None:
        for position, line in waiting:  # shared: each worker takes the next line that is free
            if isinstance(line, Failure):
                report.failed(line)
                continue
            try:
                await _make_one(maker, line, position, tally, report, folder, extension)
            except BridgeError as error:
                if is_hopeless(error):
                    raise
                report.failed(Failure(line.label, error))
            finally:
                tally.running.pop(position, None)

    async with open_maker(settings) as maker:
        workers = [asyncio.create_task(work(maker)) for _ in range(min(at_once, len(lines)))]
        try:
            await asyncio.gather(*workers)
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)


async def _make_one(
    maker: Maker, wish: Wish, position: int, tally: Tally, report: Report, folder: Path | None, extension: str
) -> None:
    def on_progress(fraction: float, _: float | None) -> None:
        tally.running[position] = fraction
        report.progress(wish.label)

    while True:
        try:
            sounds = await maker.make(wish, on_progress, batch=True)
            break
        except BridgeError as error:
            if error.code != "queue_full":
                raise
            await asyncio.sleep(_BUSY_SECONDS)  # others fill the server; our turn comes
    for sound in sounds:
        file = None
        if folder is not None:
            path = folder / f"{sound.name}_{sound.n}.{FORMATS[extension].suffix}"
            await asyncio.to_thread(write_whole, path, await maker.audio(sound, extension))
            file = str(path)
        tally.sounds.append((sound, file))
    tally.made += 1
    tally.running.pop(position, None)
    report.made(wish.label, sounds)

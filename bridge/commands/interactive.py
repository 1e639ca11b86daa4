"""``sample-bridge interactive``: type words, get the sound and the code that plays it, again and again."""

from __future__ import annotations

import argparse
import asyncio
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from bridge.client.maker import MadeSound, Maker
from bridge.client.opening import open_maker
from bridge.client.wishes import Wish, add_spec_options, read_wish, spec_fields
from bridge.commands._output import check_file, write_whole
from bridge.commands._progress import ProgressBar
from bridge.commands._start import begin
from bridge.commands.generate import describe
from bridge.commands.settings import add_options
from bridge.errors import BridgeError, StartupError
from bridge.settings import Settings

if TYPE_CHECKING:
    SubParsers = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001  argparse names it no other way

HELP = """\
Say what you want to hear, such as: dusty vinyl break, 92 bpm
  again        another one of the last words
  save FILE    write the last sound to FILE (.wav, .24.wav, .flac, .ogg, .mp3)
  help         this
  quit         or Ctrl-D"""


def add_parser(subparsers: SubParsers) -> None:
    """Describe the command."""
    parser = subparsers.add_parser("interactive", help="type words, get sounds, one after the other")
    add_spec_options(parser)
    add_options(parser)
    parser.set_defaults(run=run, json=False)


def run(args: argparse.Namespace) -> int:
    """Answer line after line until the end of the input. Raises BridgeError when nothing can be made at all."""
    settings = begin(args)
    fields = spec_fields(args)
    read_wish({"prompt": "x", **fields})  # what is wrong with the options is said before anything starts
    asyncio.run(_Talk(fields).run(settings))
    return 0


class _Talk:
    """One sitting: the last words, and the last sound."""

    def __init__(self, fields: dict[str, object]) -> None:
        self._fields = fields
        self._words = ""
        self._sound: MadeSound | None = None

    async def run(self, settings: Settings) -> None:
        asks = sys.stdin.isatty()
        lines = _lines()
        if asks:
            print(HELP)
        async with open_maker(settings) as maker:
            while True:
                if asks:
                    print("> ", end="", flush=True)
                line = await lines.get()
                if not line or line.strip().lower() in {"quit", "exit"}:
                    return
                try:
                    await self._answer(maker, line.strip())
                except StartupError as error:
                    if error.code not in {"unknown_format", "no_such_folder", "folder_not_writable", "output_failed"}:
                        raise
                    _complain(error)
                except BridgeError as error:
                    _complain(error)

    async def _answer(self, maker: Maker, line: str) -> None:
        word, _, rest = line.partition(" ")
        if not line or line.startswith("#"):
            return
        if line.lower() == "help":
            print(HELP)
        elif word.lower() == "save" and rest:
            await self._save(maker, rest.strip())
        elif line.lower() == "again":
            if not self._words:
                print("Nothing was made yet. Say what you want to hear.", file=sys.stderr)
                return
            await self._make(maker, read_wish({**self._fields, "prompt": self._words, "fresh": True}))
        else:
            await self._make(maker, read_wish({**self._fields, "prompt": line}))
            self._words = line

    async def _make(self, maker: Maker, wish: Wish) -> None:
        progress = ProgressBar(silent=not sys.stderr.isatty())
        try:
            self._sound, *_ = await maker.make(wish, lambda done, eta_s: progress.show(wish.label, done, eta_s))
        finally:
            progress.clear()
        print(describe(self._sound, {}), end="\n\n", flush=True)

    async def _save(self, maker: Maker, file: str) -> None:
        if self._sound is None:
            print("Nothing was made yet. Say what you want to hear.", file=sys.stderr)
            return
        path = Path(file).expanduser()  # noqa: ASYNC240  it asks no disk
        write_whole(path, await maker.audio(self._sound, check_file(path)))
        print(f"Written to {path}.", flush=True)


def _lines() -> asyncio.Queue[str]:
    """What is typed, line by line; "" at the end. Read by a thread that is not waited for: Ctrl-C ends the command."""
    lines: asyncio.Queue[str] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    def read() -> None:
        line = " "
        while line:
            line = sys.stdin.readline()
            loop.call_soon_threadsafe(lines.put_nowait, line)

    threading.Thread(target=read, daemon=True).start()
    return lines


def _complain(error: BridgeError) -> None:
    print(f"{error.message} [{error.code}]", file=sys.stderr, flush=True)

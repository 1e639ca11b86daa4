"""The command line: ``sample-bridge COMMAND``.

One module a command below ``bridge/commands``; each is imported when it is asked for, so that ``--help`` is quick.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from typing import NoReturn

from bridge import __version__
from bridge.errors import BridgeError

COMMANDS = {
    "serve": "start the server and its page",
    "generate": "make one sound from words",
    "batch": "make many sounds: a file of prompts, or the common stems and example prompts",
    "doctor": "show what is installed, which device and weights there are, and what to type next",
    "check": "smoke test of a running server",
    "settings": "print every setting with its value and where it comes from",
}


class _Parser(argparse.ArgumentParser):
    """Ends with exit code 2 and one sentence."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}. Try {self.prog} --help.\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; its exit code is 0, 1 when something it looked at is not well, 2 when it cannot run."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    parser = _Parser(prog="sample-bridge", description="Sounds that do not exist yet, playable in your session.")
    parser.add_argument("--version", action="version", version=f"sample-bridge {__version__}")
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=_Parser)
    wanted = next((word for word in given if not word.startswith("-")), None)
    for name, summary in COMMANDS.items():
        if name == wanted:
            importlib.import_module(f"bridge.commands.{name}").add_parser(subparsers)
        else:
            subparsers.add_parser(name, help=summary)
    options = parser.parse_args(given)
    try:
        return int(options.run(options))
    except BridgeError as error:
        print(f"sample-bridge: {error.message}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130

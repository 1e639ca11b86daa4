"""The command line: ``sample-bridge COMMAND``.

One module a command below ``bridge/commands``; each is imported when it is asked for, so that ``--help`` is quick.

Exit codes: 0 done; 1 something that was looked at or made is not well; 2 the command could not do its work, with a
stable code and a sentence; 130 stopped by Ctrl-C.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import io
import json
import os
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from bridge import __version__
from bridge.errors import BridgeError

COMMANDS = {
    "serve": "start the server and its page",
    "generate": "make one sound from words",
    "batch": "make many sounds: a file of prompts, or the common stems and example prompts",
    "generate-batch": "the same as batch: --prompts FILE --output_dir DIR",
    "interactive": "type words, get sounds, one after the other",
    "doctor": "show what is installed, which device and weights there are, and what to type next",
    "check": "smoke test of a running server",
    "similar": "make new audio that is like a file",
    "inspect": "show how a sound file was made, from the file alone",
    "forget": "wipe the words that sounds were made of",
    "backup": "copy all sounds and what is known of them into a file or a folder",
    "restore": "bring the sounds of a backup back",
    "rebuild": "bring sounds back whose catalogue is lost or damaged",
    "settings": "print every setting with its value and where it comes from",
}


class _UsageError(BridgeError):
    default_code = "usage"


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one sentence, by the same way as every other error."""

    def error(self, message: str) -> NoReturn:
        raise _UsageError(f"{message[:1].upper()}{message[1:].rstrip('.')}. Try {self.prog} --help.")


def parse(given: Sequence[str]) -> argparse.Namespace:
    """Read a command line; its ``run`` is the command's. Raises BridgeError with code ``usage``."""
    parser = _Parser(prog="sample-bridge", description="Sounds that do not exist yet, playable in your session.")
    parser.add_argument("--version", action="version", version=f"sample-bridge {__version__}")
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=_Parser)
    wanted = next((word for word in given if not word.startswith("-")), None)
    for name, summary in COMMANDS.items():
        if name == wanted:
            importlib.import_module(f"bridge.commands.{name.replace('-', '_')}").add_parser(subparsers)
        else:
            subparsers.add_parser(name, help=summary)
    return parser.parse_args(given)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and answer its exit code. A traceback is never shown, whatever happens."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a prompt may hold what the terminal's encoding has not
    try:
        try:
            options = parse(given)
            return int(options.run(options))
        finally:
            # Here, and not when Python ends: a reader that has gone, or a full disk, is noticed where it can be told.
            if sys.stdout is not None:  # closed by the caller: >&-
                sys.stdout.flush()
    except BridgeError as error:
        return _fail(error.code, error.message, as_json="--json" in given)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader has seen enough (| head).
        return _abandon_stdout(0)
    except OSError as error:
        _abandon_stdout(2)
        return _fail("system_error", f"The system refused: {error}. Fix that, and try again.", as_json=False)
    except Exception as error:
        return _broken(error, as_json="--json" in given)


def serve(arguments: Sequence[str] | None = None) -> int:
    """``music-gen-api``: the command ``serve``."""
    return main(["serve", *(sys.argv[1:] if arguments is None else arguments)])


def _fail(code: str, message: str, *, as_json: bool) -> int:
    """Tell why it did not work: for people on stderr, for programs on stdout."""
    if as_json:
        with contextlib.suppress(BrokenPipeError):
            print(json.dumps({"error": {"code": code, "message": message}}, ensure_ascii=False), flush=True)
            return 2
        return _abandon_stdout(2)
    print(f"sample-bridge: {message} [{code}]", file=sys.stderr)
    return 2


def _broken(error: Exception, *, as_json: bool) -> int:
    if os.environ.get("BRIDGE_LOG_LEVEL", "").lower() == "debug":
        import traceback

        traceback.print_exception(error)
    found = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return _fail(
        "internal",
        f"Something broke in sample-bridge itself ({found}). Set BRIDGE_LOG_LEVEL=debug to see where, and report it.",
        as_json=as_json,
    )


def _abandon_stdout(code: int) -> int:
    """Let nothing be written any more, so that Python does not complain when it closes stdout at its end."""
    with contextlib.suppress(OSError):
        nowhere: Any = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
    return code

"""How a command that makes sounds begins: settings, their notes, and a log that does not disturb."""

from __future__ import annotations

import argparse
import logging
import sys

from bridge.commands.settings import from_arguments
from bridge.settings import Settings


def begin(args: argparse.Namespace) -> Settings:
    """Load the settings and set the log up: warnings only, as plain lines on stderr. Raises StartupError."""
    settings = from_arguments(args)
    level = logging.DEBUG if settings.log_level == "debug" else logging.WARNING
    logging.basicConfig(level=level, format="%(message)s", stream=sys.stderr, force=True)
    for sentence in settings.foreign:
        print(f"! {sentence}", file=sys.stderr)
    if not args.json:
        for note in settings.notes:
            print(f"! {note}", file=sys.stderr)
    return settings

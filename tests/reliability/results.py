"""Where results of ``make reliability`` go: to the terminal, and dated to ``docs/reliability.md``.

The page keeps one line a result, the newest; it is written by a run in full number with ``RELIABILITY_DOCS=1``.
"""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime
from pathlib import Path

from tests.benchmarks._machine import machine, machine_line

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"

_HEAD = """\
# Reliability

Written by `RELIABILITY_DOCS=1 make reliability`, which runs the tests of `tests/reliability` in full number; a tenth of
each runs in `make test`. Every line is one test: when, where, what was done and what came of it.
"""


def note(name: str, result: str, page: Path = PAGE) -> None:
    """Print a result; keep it when that was asked for."""
    print(f"{name}: {result}")
    if os.environ.get("RELIABILITY") == "full" and os.environ.get("RELIABILITY_DOCS"):
        keep(name, f"{datetime.now(UTC):%Y-%m-%d}, {machine_line(machine())}: {result}", page)


def keep(name: str, line: str, page: Path) -> None:
    """Write a result into the page, in the place of an older one of that name."""
    text = page.read_text(encoding="utf-8") if page.exists() else _HEAD
    entries = dict(re.findall(r"^## (.+)\n\n(.+)\n", text, re.MULTILINE))
    entries[name] = line
    body = "".join(f"\n## {each}\n\n{entries[each]}\n" for each in sorted(entries))
    page.write_text(_HEAD + body, encoding="utf-8")

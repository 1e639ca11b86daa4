"""Measure speed and size: ``python -P -m tests.benchmarks [NAME ...] [--docs] [--full]``.

Prints a table, writes ``var/bench/NAME.json``; ``--docs`` writes ``docs/measured.md`` from what was measured last.
Ends with exit code 1 when a bar is missed or a benchmark breaks.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

from tests.benchmarks._figure import Figure, Skipped, text_table
from tests.benchmarks._machine import load, machine, machine_line
from tests.benchmarks._report import write_page, write_results

FIRST = ("start", "stems", "serving", "push", "clients", "client")
NAMES = (
    *FIRST,
    *sorted(
        {file.stem for file in Path(__file__).parent.glob("[!_]*.py") if not file.stem.startswith("test_")} - set(FIRST)
    ),
)
"""Every file of this folder without an underscore in front is a benchmark."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what is asked for, one after the other."""
    parser = argparse.ArgumentParser(prog="tests.benchmarks", description="Measure speed and size.")
    parser.add_argument("names", nargs="*", default=["all"], metavar="NAME", help=f"all, {', '.join(NAMES)}")
    parser.add_argument("--docs", action="store_true", help="write docs/measured.md, too")
    parser.add_argument("--full", action="store_true", help="nothing worked out from a part: takes minutes longer")
    options = parser.parse_args(arguments)
    if options.full:
        os.environ["BENCH_FULL"] = "1"
    unknown = set(options.names) - {"all", *NAMES}
    if unknown:
        parser.error(f"there is no benchmark {', '.join(sorted(unknown))}; choose from all, {', '.join(NAMES)}")
    wanted = NAMES if "all" in options.names else options.names
    facts = machine()
    print(machine_line(facts))
    well = [_run(name, facts) for name in wanted]
    if options.docs:
        write_page({name: _title(name) for name in NAMES})
    return 0 if all(well) else 1


def _run(name: str, facts: dict[str, object]) -> bool:
    before = load()
    print(f"\n{name}: {_title(name)}", flush=True)
    try:
        figures: dict[str, Figure] = asyncio.run(importlib.import_module(f"tests.benchmarks.{name}").measure())
    except Skipped as why:
        print(f"skipped: {why}")
        return True
    except Exception:
        traceback.print_exc()
        return False
    after = load()
    write_results(name, facts, (before, after), figures)
    print(text_table(figures))
    print(f"load {before} before, {after} after")
    return all(figure.ok is not False for figure in figures.values())


def _title(name: str) -> str:
    """Give the first sentence of a benchmark's docstring."""
    return (importlib.import_module(f"tests.benchmarks.{name}").__doc__ or "").partition("\n")[0]


if __name__ == "__main__":
    sys.exit(main())

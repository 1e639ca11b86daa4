"""Where figures go: ``var/bench/NAME.json``, and a dated copy in ``docs/measured.md``."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.benchmarks._figure import Figure, rows
from tests.benchmarks._machine import machine_line

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "var" / "bench"
PAGE = ROOT / "docs" / "measured.md"

_HEAD = """\
# Measured figures

Written by `make bench ARGS=--docs`; `make bench BENCH=name` measures one of them again. Each benchmark is a file of
`tests/benchmarks/`, whose first lines say what is measured, and how. Ratios are taken within one run, times are medians
unless they say otherwise, client and server share the machine. Only quiet runs stand here: the machine had no more to
do than it has cores, and no figure was disturbed by others.
"""
HEADLINES = (
    ("start", "ready"),
    ("stems", "all 45 common stems"),
    ("push", "asked to registered"),
    ("clients", "99 % of arrivals"),
    ("busy", "WAV by its URL, 99 %"),
    ("busy", "POST /generate of a kept sound, 99 %"),
    ("finishing", "grid, hard: within 0.5 %"),
    ("finishing", "loops, hard: seam z, worst"),
    ("instruments", "one-shot, 95 %"),
    ("musicgen", "audio a second, 1 together"),
    ("musicgen", "request to first 0.5 s, warm"),
)
"""The figures that say most, as benchmark and figure: they stand first."""
NOISY = "NOISY"
"""How the note of a disturbed figure begins."""


def write_results(name: str, facts: dict[str, Any], loads: tuple[float, float], figures: Mapping[str, Figure]) -> Path:
    """Write one benchmark's figures as ``{"machine", "figures": {name: {"value", "bar", "ok", ...}}, ...}``."""
    document = {
        "machine": facts,
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "load": list(loads),
        "figures": {figure: each.as_dict() for figure, each in figures.items()},
    }
    RESULTS.mkdir(parents=True, exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(
        json.dumps(document, indent=1, ensure_ascii=False, default=lambda number: number.item()) + "\n",
        encoding="utf-8",
    )
    return path


def write_page(names: Mapping[str, str], results: Path = RESULTS, page: Path = PAGE) -> None:
    """Write the page from the newest results of every benchmark; ``names`` maps each to its title."""
    found = {name: json.loads(path.read_text("utf-8")) for name in names if (path := results / f"{name}.json").exists()}
    quiet = {name: document for name, document in found.items() if _is_quiet(document)}
    figures = {name: _published(document) for name, document in quiet.items()}
    machines = Counter(machine_line(document["machine"]) for document in quiet.values())
    usual = machines.most_common(1)[0][0] if machines else ""
    parts = [_HEAD, f"\nMachine, unless a table names another: {usual}.\n" if usual else ""]
    first = [(name, figure) for name, figure in HEADLINES if figure in figures.get(name, {})]
    lines = [f"| {name} | {_cells({figure: figures[name][figure]})[0][2:]}" for name, figure in first]
    if lines:
        parts.append("\n".join(["", "| | figure | value | bar | ok | |", "|---|---|---:|---:|---|---|", *lines, ""]))
    if missing := [name for name in names if name not in quiet]:
        parts.append(f"\nNot measured on a quiet machine since the last change: {', '.join(missing)}.\n")
    for name, document in quiet.items():
        machine = machine_line(document["machine"])
        about = document["date"] if machine == usual else f"{document['date']} · {machine}"
        parts.append(f"\n## {name}\n\n{names[name]}\n\n{about}\n\n")
        parts.append(
            "\n".join(["| figure | value | bar | ok | |", "|---|---:|---:|---|---|", *_cells(figures[name])]) + "\n"
        )
    page.write_text("".join(parts), encoding="utf-8")


def _is_quiet(document: Mapping[str, Any]) -> bool:
    """No more processes wanted to run before it began than there are cores."""
    return bool(document["load"][0] <= document["machine"]["cores"])


def _published(document: Mapping[str, Any]) -> dict[str, Figure]:
    """The figures that were measured, and that nothing disturbed."""
    figures = {name: Figure.from_dict(plain) for name, plain in document["figures"].items()}
    return {
        name: figure
        for name, figure in figures.items()
        if figure.value is not None and not figure.void and not figure.note.startswith(NOISY)
    }


def _cells(figures: Mapping[str, Figure]) -> list[str]:
    return [f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in rows(figures)]

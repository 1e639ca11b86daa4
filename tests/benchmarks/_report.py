"""Where figures go: ``var/bench/NAME.json``, and a dated copy in ``docs/measured.md``."""

from __future__ import annotations

import json
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
unless they say otherwise, client and server share the machine. *Load* is the average number of processes that wanted to
run in the minute before and after: figures from a busy machine are upper bounds.
"""


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
    parts = [_HEAD]
    for name, title in names.items():
        path = results / f"{name}.json"
        if not path.exists():
            continue
        document = json.loads(path.read_text(encoding="utf-8"))
        before, after = document["load"]
        figures = {figure: Figure.from_dict(plain) for figure, plain in document["figures"].items()}
        lines = [
            f"\n## {name}\n",
            f"{title}\n",
            f"{document['date']} · {machine_line(document['machine'])} · load {before} before, {after} after\n",
            "| figure | value | bar | ok | |",
            "|---|---:|---:|---|---|",
            *(f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in rows(figures)),
        ]
        parts.append("\n".join(lines) + "\n")
    page.write_text("".join(parts), encoding="utf-8")

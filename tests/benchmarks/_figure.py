"""One measured number, the bar it is held to, and how a list of them is shown."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal


class Skipped(Exception):
    """A benchmark cannot be run here; the text says what is missing."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A value in a unit. Without a bar it is only shown; without a value it could not be measured, see ``note``."""

    value: float | None
    unit: str = ""
    bar: float | None = None
    better: Literal["lower", "higher"] = "lower"
    """A lower value is to stay under the bar, a higher one is to reach it."""
    note: str = ""
    """What belongs to the number: how many runs, or why it is void."""
    void: bool = False
    """True: measured under conditions in which the bar says nothing."""

    @property
    def ok(self) -> bool | None:
        """Is the bar held? None when there is nothing to hold."""
        if self.value is None or self.bar is None or self.void:
            return None
        return self.value < self.bar if self.better == "lower" else self.value >= self.bar

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "value": self.value,
            "bar": self.bar,
            "ok": self.ok,
            "unit": self.unit,
            "better": self.better,
            "note": self.note,
        }

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Figure:
        """Read what ``as_dict`` wrote."""
        void = plain["ok"] is None and plain["bar"] is not None
        fields = {name: plain[name] for name in ("value", "bar", "unit", "better", "note")}
        return cls(**fields, void=void)


def skipped(unit: str, why: str, bar: float | None = None) -> Figure:
    """Stand in for a figure whose program is not installed."""
    return Figure(None, unit, bar, note=why)


def median(values: Iterable[float]) -> float:
    """Middle value."""
    return float(statistics.median(values))


def percentile(values: Sequence[float], percent: float) -> float:
    """Smallest of the values that ``percent`` per cent of them do not exceed (nearest rank)."""
    ordered = sorted(values)
    rank = max(1, -(-len(ordered) * percent // 100))
    return float(ordered[int(rank) - 1])


def rows(figures: Mapping[str, Figure]) -> list[tuple[str, str, str, str, str]]:
    """Figure, value, bar, ok and note of each, as text."""
    return [(name, _value(each), _bar(each), _verdict(each), each.note) for name, each in figures.items()]


def text_table(figures: Mapping[str, Figure]) -> str:
    """Align the figures for a terminal."""
    lines = [("figure", "value", "bar", "ok", ""), *rows(figures)]
    widths = [max(len(line[column]) for line in lines) for column in range(4)]
    shown = []
    for name, value, bar, verdict, note in lines:
        cells = (name.ljust(widths[0]), value.rjust(widths[1]), bar.rjust(widths[2]), verdict.ljust(widths[3]), note)
        shown.append("  ".join(cells).rstrip())
    return "\n".join(shown)


def _value(figure: Figure) -> str:
    return "–" if figure.value is None else f"{_number(figure.value)} {figure.unit}".rstrip()


def _bar(figure: Figure) -> str:
    if figure.bar is None:
        return ""
    return f"{'<' if figure.better == 'lower' else '≥'} {_number(figure.bar)}"


def _verdict(figure: Figure) -> str:
    if figure.value is None:
        return "skipped"
    if figure.void and figure.bar is not None:
        return "void"
    return {None: "", True: "ok", False: "MISSED"}[figure.ok]


def _number(value: float) -> str:
    """Three digits that count, none after the point from 100 up."""
    if abs(value) >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) < 1 else f"{value:.{1 if abs(value) >= 10 else 2}f}"

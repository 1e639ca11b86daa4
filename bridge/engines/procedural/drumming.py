"""Grooves: the genre's patterns played on its kit."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .genres import LEVELS, STANDARD_KIT
from .instrument import Instrument
from .instruments import TABLE
from .plan import NoteEvent, Plan
from .theory import hertz
from .words import Reading

_LEVEL = {
    "kick": 0.9,
    "snare": 0.95,
    "clap": 0.8,
    "hat": 0.58,
    "open": 0.55,
    "ride": 0.45,
    "crash": 0.45,
    "shaker": 0.5,
    "rim": 0.5,
    "tamb": 0.32,
    "bell": 0.34,
    "agogo": 0.34,
    "surdo": 0.95,
    "low": 0.85,
    "brush": 0.6,
    "pedal": 0.3,
}
_PAN = {
    "hat": 0.22,
    "open": 0.22,
    "ride": -0.35,
    "crash": -0.3,
    "shaker": -0.45,
    "tamb": 0.4,
    "bell": -0.3,
    "agogo": 0.35,
    "conga": 0.3,
    "tamborim": -0.25,
    "perc": -0.35,
    "tom": 0.25,
    "rim": -0.12,
    "wood": 0.3,
}
_ALONE = {
    "kick": "X...x...X...x...",
    "snare": "....X.......X..g",
    "clap": "....X.......X...",
    "hat": "x.oox.oox.oox.oo",
    "open": "..x...x...x...x.",
    "ride": "x.o.x.oxx.o.x.ox",
    "shaker": "xgogxgogxgogxgog",
    "tom": "X..x..x.X..x..x.",
    "low": "X.......x..x....",
    "rim": "...x..x....x..x.",
    "conga": "x.xo..xxx.xo..xx",
    "bell": "x..x..x...x.x...",
    "tamb": "x.o.X.o.x.o.X.o.",
    "crash": "X...............",
}
_SLOTS = (
    ("kick", "kick"),
    ("snare", "snare"),
    ("clap", "clap"),
    ("hat_open", "open"),
    ("hat_pedal", "pedal"),
    ("hat", "hat"),
    ("ride", "ride"),
    ("crash", "crash"),
    ("rim", "rim"),
    ("tom_low", "low"),
    ("tom", "tom"),
    ("shaker", "shaker"),
    ("conga", "conga"),
    ("cowbell", "bell"),
    ("tambourine", "tamb"),
    ("surdo", "surdo"),
    ("tamborim", "tamborim"),
    ("agogo", "agogo"),
    ("woodblock", "wood"),
)
_BACKBONE = {"kick", "snare", "clap", "rim", "surdo", "low", "brush"}
_METERS = {
    "3/4": {
        "kick": "X...........",
        "snare": "....x...x..g",
        "clap": "....x...x...",
        "rim": "....x...x...",
        "hat": "x.o.x.o.x.o.",
        "open": "..........o.",
        "ride": "x...x.o.x.o.",
        "surdo": "X...o...o...",
        "low": "X...........",
        "brush": "....o...o..g",
        "pedal": "....x...x...",
        "shaker": "xgogxgogxgog",
        "tamb": "....o...o...",
    },
    "6/8": {
        "kick": "X.........o.",
        "snare": "......X.....",
        "clap": "......X.....",
        "rim": "......x.....",
        "hat": "x.o.o.x.o.o.",
        "open": "..........o.",
        "ride": "x.o.o.x.o.o.",
        "surdo": "X.....o.....",
        "low": "X.....x.....",
        "brush": "......o...g.",
        "pedal": "......x.....",
        "shaker": "x.ogo.x.ogo.",
        "tamb": "......o.....",
    },
    "7/8": {
        "kick": "X.......X.....",
        "snare": "....X.......x.",
        "clap": "....X.......x.",
        "rim": "....x.......x.",
        "hat": "x.o.x.o.x.o.o.",
        "open": "............o.",
        "ride": "x.o.x.o.x.o.o.",
        "surdo": "X...o...X...o.",
        "low": "X...x...X.....",
        "brush": "....o.......o.",
        "pedal": "....x.......x.",
        "shaker": "xgogxgogxgogog",
        "tamb": "....o.......o.",
    },
}
"""Figures of other meters, in sixteenths: one bar. 7/8 counts two, two, three."""


def drums(plan: Plan, reading: Reading, only: tuple[Instrument, ...] = ()) -> Iterator[NoteEvent]:
    """A groove of the genre; ``only`` these instruments when they are given."""
    rng = plan.rng("drums")
    groove = dict(plan.genre.grooves[int(rng.integers(len(plan.genre.grooves)))])
    kit = {**STANDARD_KIT, **plan.genre.kit}
    for entry in (*only, *reading.instruments):
        slot = next((slot for prefix, slot in _SLOTS if entry.name.startswith(prefix)), None)
        if slot and entry.role == "drum":
            kit[slot] = entry.name
            groove.setdefault(slot, _ALONE.get(slot, "x...x...x...x..."))
    if only:
        names = {entry.name for entry in only}
        groove = {slot: line for slot, line in groove.items() if kit[slot] in names}
        for entry in only:
            if entry.name not in {kit[slot] for slot in groove}:
                kit[entry.name] = entry.name
                groove[entry.name] = _ALONE["conga"]
    if reading.four and plan.bar == 16:
        groove["kick"] = "X...x...X...x..."
    if "808" in reading.text and not only:
        kit.update(kick="kick_808", snare="snare_808")
    if "909" in reading.text and not only:
        kit.update(kick="kick_909")
    yield from _hits(plan, groove, kit, rng, fill=not only)


def _line(line: str, slot: str, plan: Plan) -> str:
    """A pattern of the genre in this meter: a figure of its own in 3/4, 6/8 and 7/8, else the beginning of its bars."""
    if plan.bar == 16:
        return line
    figure = _METERS.get(plan.meter, {}).get(slot)
    return figure or "".join((line[i : i + 16] * 2)[: plan.bar] for i in range(0, len(line), 16))


def _marks(plan: Plan, slot: str, line: str) -> Iterator[tuple[float, str]]:
    """(step, mark) of one slot. In double time what would fall between the sixteenths stays only where it is loud."""
    pace = plan.pace(free=slot not in _BACKBONE)
    for step, place in plan.grid(pace):
        mark = line[place % len(line)]
        if mark == "g" and plan.speed <= -0.45:  # a calm hand leaves the ghost notes out
            continue
        if mark in LEVELS and (step == int(step) or mark in "Xx"):
            yield step, mark


def _hits(
    plan: Plan, groove: dict[str, str], kit: dict[str, str], rng: np.random.Generator, fill: bool
) -> Iterator[NoteEvent]:
    last = plan.total - 4 if fill and plan.total >= 4 * plan.bar else plan.total
    for slot, pattern in groove.items():
        entry = TABLE[kit[slot]]
        for step, mark in _marks(plan, slot, _line(pattern, slot, plan)):
            if step >= last and slot in {"snare", "clap", "hat"}:
                continue
            velocity = LEVELS[mark] * float(np.clip(rng.normal(1.0, 0.05), 0.8, 1.12))
            yield NoteEvent(
                plan.time(step, rng),
                entry,
                hertz(entry.root or 36),
                plan.step * 3,
                velocity,
                _LEVEL.get(slot, 0.5),
                _PAN.get(slot, 0.0),
                int(rng.integers(2)),
            )
    if last < plan.total:
        for i, slot in enumerate(rng.permutation(["snare", "tom", "tom", "low"])):
            entry = TABLE[kit[str(slot)]]
            yield NoteEvent(
                plan.time(last + i, rng), entry, hertz(36), plan.step, 0.75 + 0.07 * i, 0.7, 0.25 - 0.15 * i, i
            )

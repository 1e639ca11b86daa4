"""Grooves: the genre's patterns played on its kit."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .genres import LEVELS, STANDARD_KIT
from .instrument import Instrument
from .instruments import TABLE
from .plan import Event, Plan
from .theory import hertz
from .words import Wish

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


def drums(plan: Plan, wish: Wish, only: tuple[Instrument, ...] = ()) -> Iterator[Event]:
    """A groove of the genre; ``only`` these instruments when they are given."""
    rng = plan.rng("drums")
    groove = dict(plan.genre.grooves[int(rng.integers(len(plan.genre.grooves)))])
    kit = {**STANDARD_KIT, **plan.genre.kit}
    for entry in (*only, *wish.instruments):
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
    if wish.four:
        groove["kick"] = "X...x...X...x..."
    if "808" in wish.text and not only:
        kit.update(kick="kick_808", snare="snare_808")
    if "909" in wish.text and not only:
        kit.update(kick="kick_909")
    yield from _hits(plan, groove, kit, rng, fill=not only)


def _hits(
    plan: Plan, groove: dict[str, str], kit: dict[str, str], rng: np.random.Generator, fill: bool
) -> Iterator[Event]:
    last = plan.total - 4 if fill and plan.total >= 4 * plan.bar else plan.total
    for slot, line in groove.items():
        entry = TABLE[kit[slot]]
        for step in range(plan.total):
            # A metre other than four-four plays the beginning of each bar of the pattern.
            bars = max(1, len(line) // 16)
            mark = line[(step // plan.bar % bars) * 16 + step % plan.bar % 16]
            if mark not in LEVELS or (step >= last and slot in {"snare", "clap", "hat"}):
                continue
            velocity = LEVELS[mark] * float(np.clip(rng.normal(1.0, 0.05), 0.8, 1.12))
            yield Event(
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
            yield Event(plan.time(last + i, rng), entry, hertz(36), plan.step, 0.75 + 0.07 * i, 0.7, 0.25 - 0.15 * i, i)

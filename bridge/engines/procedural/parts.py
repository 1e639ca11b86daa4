"""Who plays what when: grooves, bass lines, chords, arpeggios and tunes as lists of events."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from .drumming import drums
from .genres import GENRES, LEVELS
from .instrument import Instrument
from .instruments import TABLE
from .plan import Event, Plan
from .theory import chords_in, hertz, near, tonality, voiced
from .words import Wish

_PLAIN = next(genre for genre in GENRES if genre.name == "electronic")
_BREAK = next(genre for genre in GENRES if genre.name == "funk")


def plan(wish: Wish, prompt: str, key: str | None, bpm: float, seconds: float, seed: int) -> Plan:
    """Settle what the parts have in common."""
    genre = wish.genre or (_BREAK if " break" in wish.text else _PLAIN)
    rng = np.random.default_rng([seed, 11])
    scale = wish.scale or genre.scale
    home = tonality(key, scale)
    chords = chords_in(prompt)
    if not chords:
        numbers = genre.progressions[int(rng.integers(len(genre.progressions)))]
        chords = tuple(home.chord(degree, 4 if genre.sevenths else 3) for degree in numbers)
    step = 15.0 / bpm
    total = max(1, round(seconds / step))
    bars = max(1, total // wish.steps)
    if bars < len(chords):  # a short loop plays what of the progression fits
        chords = chords[:bars]
    return Plan(genre, home, chords, step, wish.steps, total, seed)


def bass(plan: Plan, entry: Instrument) -> Iterator[Event]:
    """The genre's line on the roots of the chords."""
    rng = plan.rng("bass")
    line = plan.genre.basslines[int(rng.integers(len(plan.genre.basslines)))]
    wild = entry.name == "acid_bass"
    lowest = entry.root or 36.0
    for step in range(plan.total):
        mark = line[step % plan.bar % len(line)]
        if mark in ".-":
            if not (wild and mark == "." and rng.random() < 0.4):
                continue
            mark = "R"
        chord = plan.chord(step)
        interval = {"R": 0, "8": 12, "5": 7, "3": chord.notes[1] - chord.notes[0], "7": 10}[mark]
        if wild and rng.random() < 0.3:
            interval = int(rng.choice([12, 3, 7, 1, 10, 12]))
        held = 1
        while line[(step + held) % plan.bar % len(line)] == "-" and held < plan.bar:
            held += 1
        root = near(chord.root, lowest + 5)
        yield Event(
            plan.time(step, rng),
            entry,
            hertz(root + interval),
            plan.step * (held - 0.15),
            0.95 if rng.random() < 0.35 else 0.72,
            0.5,
            0.0,
        )


def chords(plan: Plan, entry: Instrument, sustained: bool = False) -> Iterator[Event]:
    """Chords in the genre's rhythm; sustained ones change with the bar."""
    rng = plan.rng("chords")
    line = "x" + "-" * 15 if sustained else plan.genre.chords[int(rng.integers(len(plan.genre.chords)))]
    whole = entry.name in {"stab", "strummed", "guitar_distorted"}
    centre = (entry.root or 60.0) + (0 if whole else 5)
    for step in range(plan.total):
        mark = line[step % plan.bar % len(line)]
        if mark not in LEVELS:
            continue
        held = 1
        while step % plan.bar + held < plan.bar and line[(step + held) % plan.bar % len(line)] == "-":
            held += 1
        chord = plan.chord(step)
        at = plan.time(step, rng)
        notes = [near(chord.root, centre)] if whole else voiced(chord, centre)
        for i, note in enumerate(notes):
            late = 0.0 if whole or entry.bed else i * 0.006 * (plan.genre.loose > 0)
            yield Event(
                at + late,
                entry,
                hertz(note),
                plan.step * (held if sustained else held - 0.1),
                LEVELS[mark] * 0.9,
                0.42 if whole else 0.23,
                0.0,
            )


def riff(plan: Plan, entry: Instrument) -> Iterator[Event]:
    """Two bars of low notes around the root, with accents: what guitars do."""
    rng = plan.rng("riff")
    rhythm = str(rng.choice(["X.xX..x.X.x.X.x.", "XxxX.xxX.xX.X.x.", "X..X..X.x.X.X.X.", "X.xxX.xxX.X.x.X."]))
    degrees = [0, *(int(d) for d in rng.choice([0, 0, 0, 2, 3, 4, 6, 1], 15))]
    for step in range(plan.total):
        mark = rhythm[step % plan.bar % 16]
        if mark not in LEVELS:
            continue
        note = near(plan.key.degree(degrees[step % 16]) % 12, (entry.root or 48) + 4)
        yield Event(
            plan.time(step, rng), entry, hertz(note), plan.step * (1.6 if mark == "X" else 0.8), LEVELS[mark], 0.5, 0.0
        )


def arp(plan: Plan, entry: Instrument) -> Iterator[Event]:
    """Notes of the chords one after the other, two octaves, sixteenths with a rest here and there."""
    rng = plan.rng("arp")
    shape = str(rng.choice(["up", "down", "updown", "skip"]))
    rests = set(rng.choice(16, int(rng.integers(0, 4)), replace=False).tolist()) - {0}
    for step in range(plan.total):
        if step % 16 in rests:
            continue
        notes = voiced(plan.chord(step), (entry.root or 60) + 5)
        notes = notes + [note + 12 for note in notes]
        order = {"up": notes, "down": notes[::-1], "updown": notes + notes[-2:0:-1], "skip": notes[::2] + notes[1::2]}[
            shape
        ]
        note = order[step % plan.bar % len(order)]
        yield Event(
            plan.time(step, rng, human=False),
            entry,
            hertz(note),
            plan.step * 0.8,
            0.95 if step % 4 == 0 else 0.68,
            0.34,
            0.3 if step % 2 else -0.3,
        )


def melody(plan: Plan, entry: Instrument) -> Iterator[Event]:
    """A tune: a two-bar motif on the pentatonic notes, answered with another ending."""
    rng = plan.rng("melody")
    five = (0, 1, 2, 4, 5) if plan.key.scale in {"major", "lydian", "mixolydian"} else (0, 2, 3, 4, 6)
    rhythm = str(
        rng.choice(["x---x-x---x-x---", "x-----x-x---x---", "x--x--x-x---....", "x-x-x---x-----x-", "x-------x---x-x-"])
    )
    walk = np.cumsum(rng.choice([-2, -1, -1, 0, 1, 1, 2], 8))
    ending = rng.choice([-1, 0, 1, 2], 8)
    number = 0
    for step in range(plan.total):
        if step % (2 * plan.bar) == 0:
            number = 0
        if rhythm[step % plan.bar % 16] != "x":
            continue
        held = 1
        while step % plan.bar + held < plan.bar and rhythm[(step + held) % plan.bar % 16] == "-":
            held += 1
        answered = (step // (2 * plan.bar)) % 2 == 1 and number >= 4
        place = int(walk[number % 8] + (ending[number % 8] if answered else 0))
        place = max(-4, min(6, place))
        degree = five[place % 5] + 7 * (place // 5)
        note = plan.key.degree(degree) + near(0, (entry.root or 60) + 3)
        number += 1
        yield Event(
            plan.time(step, rng),
            entry,
            hertz(note),
            plan.step * (held - 0.1),
            0.85 if step % 8 == 0 else 0.72,
            0.36,
            0.0,
        )


def line_of(entry: Instrument, wish: Wish) -> str:
    """The part an instrument takes: what a word says, else what its role is."""
    if wish.line and not (entry.role == "bass" and wish.line in {"chords", "melody"}):
        return wish.line
    if entry.bed is not None and entry.role != "fx":
        return "pad"
    return {"bass": "bass", "chord": "chords", "lead": "melody", "voice": "melody", "fx": "melody"}.get(
        entry.role, "drums"
    )


def part(line: str, plan: Plan, entry: Instrument) -> Iterator[Event]:
    """The events of one line for one instrument."""
    if line == "riff":
        return riff(plan, entry)
    if line == "bass":
        return bass(plan, entry)
    if line == "arp":
        return arp(plan, entry)
    if line == "melody":
        return melody(plan, entry)
    return chords(plan, entry, sustained=line == "pad")


def score(plan: Plan, wish: Wish, kind_words: bool) -> list[Event]:
    """All parts of a request. ``kind_words``: nothing is named but a style, so the genre's whole band plays."""
    struck = tuple(entry for entry in wish.instruments if entry.role == "drum")
    tonal = [entry for entry in wish.instruments if entry.role in {"bass", "chord", "lead", "voice"}][:3]
    events: list[Event] = []
    if wish.beat or (kind_words and not wish.instruments and not wish.line):
        events += drums(plan, wish)
    elif struck:
        events += drums(plan, wish, struck)
    lines = [
        (line_of(entry, wish) if i == 0 else line_of(entry, _lineless(wish)), entry) for i, entry in enumerate(tonal)
    ]
    if not lines and wish.line and not struck:
        lines = [(wish.line, TABLE[_DEFAULT[wish.line]])]
    elif not lines and kind_words and not wish.beat and not struck:
        lines = [(line, TABLE[name]) for line, name in plan.genre.parts]
    for line, entry in lines:
        events += part(line, plan, entry)
    return sorted(events, key=lambda event: event.at)


_DEFAULT = {
    "arp": "pluck",
    "bass": "fm_bass",
    "chords": "electric_piano",
    "riff": "guitar_distorted",
    "melody": "lead_saw",
}


def _lineless(wish: Wish) -> Wish:

    return replace(wish, line=None)

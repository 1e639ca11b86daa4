"""Who plays what when: grooves, bass lines, chords, arpeggios and tunes as lists of events."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from prompts import bar_beats

from .drumming import drums
from .genres import GENRES, LEVELS
from .instrument import Instrument
from .instruments import TABLE
from .plan import NoteEvent, Plan, held
from .theory import chords_in, chords_of, hertz, near, tonality, voiced
from .words import Reading

_PLAIN = next(genre for genre in GENRES if genre.name == "electronic")
_BREAK = next(genre for genre in GENRES if genre.name == "funk")


def plan(
    reading: Reading,
    prompt: str,
    key: str | None,
    bpm: float,
    seconds: float,
    seed: int,
    *,
    chords: tuple[str, ...] = (),
    meter: str | None = None,
    family: int | None = None,
) -> Plan:
    """Settle what the parts have in common.

    ``chords``: names, before those of the words and the genre's own. ``meter`` such as "7/8"; bpm counts quarter notes.
    ``family`` starts the chance that all stems of one request share (``family_of``); without it the seed does.
    """
    genre = reading.genre or (_BREAK if " break" in reading.text else _PLAIN)
    rng = np.random.default_rng([seed if family is None else family, 11])
    scale = reading.scale or genre.scale
    home = tonality(key, scale)
    progression = chords_of(chords) or chords_in(prompt)
    numbers = genre.progressions[int(rng.integers(len(genre.progressions)))]
    if not progression:
        progression = tuple(home.harmony(degree, sevenths=genre.sevenths) for degree in numbers)
    step = 15.0 / bpm
    meter = meter or "4/4"
    steps = round(4 * bar_beats(meter))
    total = max(1, round(seconds / step))
    bars = max(1, total // steps)
    if bars < len(progression):  # a short loop plays what of the progression fits
        progression = progression[:bars]
    return Plan(genre, home, progression, step, steps, total, seed, meter, reading.knobs.speed)


def family_of(reading: Reading, bpm: float, key: str | None, chords: tuple[str, ...], meter: str | None) -> int:
    """A number that all stems of one request share, whatever their instruments: of style, tempo, key and chords."""
    genre = reading.genre.name if reading.genre else ""
    return zlib.crc32(repr((genre, round(bpm, 3), key, chords, meter or "4/4")).encode())


def bass(plan: Plan, entry: Instrument) -> Iterator[NoteEvent]:
    """The genre's line on the roots of the chords."""
    rng = plan.rng("bass")
    line = plan.genre.basslines[int(rng.integers(len(plan.genre.basslines)))]
    wild = entry.name == "acid_bass"
    lowest = entry.root or 36.0
    pace = plan.pace()
    for step, place in plan.grid(pace):
        mark = line[place % plan.bar % len(line)]
        chord = plan.chord(step)
        if not chord.notes:
            continue
        if mark in ".-":
            if not (wild and mark == "." and rng.random() < 0.4):
                continue
            mark = "R"
        interval = {"R": 0, "8": 12, "5": chord.fifth, "3": chord.third, "7": 10}[mark]
        if wild and rng.random() < 0.3:
            interval = int(rng.choice([12, 3, 7, 1, 10, 12]))
        root = near(chord.root, lowest + 5)
        if interval not in ({0, 12} if chord.bass is not None else {0, 12, chord.third, chord.fifth}):
            interval = plan.key.nearest(root + interval) - round(root)
        yield NoteEvent(
            plan.time(step, rng),
            entry,
            hertz(root + interval),
            plan.step * (held(line, place, plan.bar) - 0.15) / pace,
            0.95 if rng.random() < 0.35 else 0.72,
            0.5,
            0.0,
        )


def chords(plan: Plan, entry: Instrument, sustained: bool = False) -> Iterator[NoteEvent]:
    """Chords in the genre's rhythm; sustained ones change with the bar."""
    rng = plan.rng("chords")
    line = "x" + "-" * 31 if sustained else plan.genre.chords[int(rng.integers(len(plan.genre.chords)))]
    whole = entry.name in {"stab", "strummed", "guitar_distorted"}
    centre = (entry.root or 60.0) + (0 if whole else 5)
    pace = 1.0 if sustained else plan.pace()
    for step, place in plan.grid(pace):
        mark = line[place % plan.bar % len(line)]
        chord = plan.chord(step)
        if mark not in LEVELS or not chord.notes:
            continue
        length = held(line, place, plan.bar)
        at = plan.time(step, rng)
        notes = [near(chord.root, centre)] if whole else voiced(chord, centre)
        for i, note in enumerate(notes):
            late = 0.0 if whole or entry.bed else i * 0.006 * (plan.genre.loose > 0)
            yield NoteEvent(
                at + late,
                entry,
                hertz(note),
                plan.step * (length if sustained else length - 0.1) / pace,
                LEVELS[mark] * 0.9,
                0.42 if whole else 0.23,
                0.0,
            )


def riff(plan: Plan, entry: Instrument) -> Iterator[NoteEvent]:
    """Two bars of low notes around the root, with accents: what guitars do."""
    rng = plan.rng("riff")
    rhythm = str(rng.choice(["X.xX..x.X.x.X.x.", "XxxX.xxX.xX.X.x.", "X..X..X.x.X.X.X.", "X.xxX.xxX.X.x.X."]))
    degrees = [0, *(int(d) for d in rng.choice([0, 0, 0, 2, 3, 4, 6, 1], 15))]
    pace = plan.pace()
    for step, place in plan.grid(pace):
        mark = rhythm[place % plan.bar % 16]
        if mark not in LEVELS or not plan.chord(step).notes:
            continue
        # The tonic's part of the riff follows the chord of the bar.
        degree = degrees[place % 16]
        note = near(plan.key.degree(degree) % 12 if degree else plan.chord(step).root, (entry.root or 48) + 4)
        length = plan.step * (1.6 if mark == "X" else 0.8) / pace
        yield NoteEvent(plan.time(step, rng), entry, hertz(note), length, LEVELS[mark], 0.5, 0.0)


def arp(plan: Plan, entry: Instrument) -> Iterator[NoteEvent]:
    """Notes of the chords one after the other, two octaves, sixteenths with a rest here and there."""
    rng = plan.rng("arp")
    shape = str(rng.choice(["up", "down", "updown", "skip"]))
    rests = set(rng.choice(16, int(rng.integers(0, 4)), replace=False).tolist()) - {0}
    pace = plan.pace()
    for step, place in plan.grid(pace):
        if place % 16 in rests or not plan.chord(step).notes:
            continue
        notes = voiced(plan.chord(step), (entry.root or 60) + 5)
        notes = notes + [note + 12 for note in notes]
        order = {"up": notes, "down": notes[::-1], "updown": notes + notes[-2:0:-1], "skip": notes[::2] + notes[1::2]}[
            shape
        ]
        yield NoteEvent(
            plan.time(step, rng, human=False),
            entry,
            hertz(order[place % plan.bar % len(order)]),
            plan.step * 0.8 / pace,
            0.95 if place % 4 == 0 else 0.68,
            0.34,
            0.3 if place % 2 else -0.3,
        )


def melody(plan: Plan, entry: Instrument) -> Iterator[NoteEvent]:
    """A tune: a two-bar motif on the pentatonic notes, answered with another ending; a bar begins on its chord."""
    rng = plan.rng("melody")
    five = (0, 1, 2, 4, 5) if plan.key.scale in {"major", "lydian", "mixolydian"} else (0, 2, 3, 4, 6)
    rhythm = str(
        rng.choice(["x---x-x---x-x---", "x-----x-x---x---", "x--x--x-x---....", "x-x-x---x-----x-", "x-------x---x-x-"])
    )
    walk = np.cumsum(rng.choice([-2, -1, -1, 0, 1, 1, 2], 8))
    ending = rng.choice([-1, 0, 1, 2], 8)
    number = 0
    pace = plan.pace()
    for step, place in plan.grid(pace):
        if place % (2 * plan.bar) == 0:
            number = 0
        chord = plan.chord(step)
        if rhythm[place % plan.bar % 16] != "x" or not chord.notes:
            continue
        answered = (place // (2 * plan.bar)) % 2 == 1 and number >= 4
        where = int(walk[number % 8] + (ending[number % 8] if answered else 0))
        where = max(-4, min(6, where))
        degree = five[where % 5] + 7 * (where // 5)
        note = plan.key.degree(degree) + near(0, (entry.root or 60) + 3)
        if step % plan.bar == 0:  # the nearest note of the chord
            note = min((near(tone, note) for tone in chord.notes[:3]), key=lambda tone: abs(tone - note))
        number += 1
        length = plan.step * (held(rhythm, place, plan.bar) - 0.1) / pace
        level = 0.85 if place % 8 == 0 else 0.72
        yield NoteEvent(plan.time(step, rng), entry, hertz(note), length, level, 0.36, 0.0)


def line_of(entry: Instrument, reading: Reading) -> str:
    """The part an instrument takes: what a word says, else what its role is."""
    if reading.line and not (entry.role == "bass" and reading.line in {"chords", "melody"}):
        return reading.line
    if entry.bed is not None and entry.role != "fx":
        return "pad"
    return {"bass": "bass", "chord": "chords", "lead": "melody", "voice": "melody", "fx": "melody"}.get(
        entry.role, "drums"
    )


def part(line: str, plan: Plan, entry: Instrument) -> Iterator[NoteEvent]:
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


def score(plan: Plan, reading: Reading, kind_words: bool) -> list[NoteEvent]:
    """All parts of a request. ``kind_words``: nothing is named but a style, so the genre's whole band plays."""
    struck = tuple(entry for entry in reading.instruments if entry.role == "drum")
    tonal = [entry for entry in reading.instruments if entry.role in {"bass", "chord", "lead", "voice"}][:3]
    events: list[NoteEvent] = []
    if reading.beat or (kind_words and not reading.instruments and not reading.line):
        events += drums(plan, reading)
    elif struck:
        events += drums(plan, reading, struck)
    lines = [
        (line_of(entry, reading) if i == 0 else line_of(entry, _lineless(reading)), entry)
        for i, entry in enumerate(tonal)
    ]
    if not lines and reading.line and not struck:
        lines = [(reading.line, TABLE[_DEFAULT[reading.line]])]
    elif not lines and kind_words and not reading.beat and not struck:
        lines = [(line, TABLE[name]) for line, name in plan.genre.parts]
    for line, entry in lines:
        events += part(line, plan, entry)
    wanted = [event for event in events if event.instrument.name not in reading.without]
    return sorted(wanted, key=lambda event: event.at)


_DEFAULT = {
    "arp": "pluck",
    "bass": "fm_bass",
    "chords": "electric_piano",
    "riff": "guitar_distorted",
    "melody": "lead_saw",
}


def _lineless(reading: Reading) -> Reading:
    return replace(reading, line=None)

"""From a spec to a signal: a note, a bed, or a score."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from .asking import guess, main_instrument, root_of, scored
from .dsp.envelopes import faded
from .dsp.shaping import saturated
from .dsp.signal import RATE, Signal, fitted, frames, peak_normalised, place, stereo
from .dsp.space import panned
from .instrument import Instrument, Knobs, Note
from .plan import NoteEvent
from .polish import PEAK, polished, trimmed
from .theory import hertz, tonality, voiced
from .words import Reading, read

if TYPE_CHECKING:
    from bridge.plugins.engine import Report
    from prompts import SampleSpec

_TILE = 24.0
"""Seconds; a longer bed repeats a shorter one."""


def render(spec: SampleSpec, seconds: float | None, report: Report) -> Signal:
    """Make what ``spec`` says; see ``ProceduralEngine.stream``."""
    reading = read(spec.prompt)
    seed = spec.seed or 0
    kind = str(spec.kind or "oneshot")
    if kind == "raw":
        kind = guess(spec, reading, seconds)
    if kind == "texture":
        return _texture(spec, reading, seed, seconds or 8.0, report)
    if kind == "loop":
        bpm = spec.bpm or (reading.genre.bpm if reading.genre else 120.0)
        return _loop(spec, reading, seed, bpm, seconds or (spec.bars or 2) * 240 / bpm, report)
    if kind == "stem":
        return _stem(spec, reading, seed, seconds or 8.0, report)
    return _single(spec, reading, seed, seconds, report)


def _played(entry: Instrument, note: Note) -> Signal:
    """One note; a tuned instrument takes its pitch from the note alone."""
    # A dark drum is a larger one; what follows a key takes no pitch from words.
    pitch = 0.0 if entry.root else note.knobs.pitch + (1.8 * note.knobs.bright if entry.role == "drum" else 0.0)
    return entry.play(replace(note, knobs=replace(note.knobs, pitch=pitch)))


def _single(spec: SampleSpec, reading: Reading, seed: int, seconds: float | None, report: Report) -> Signal:
    entry = main_instrument(reading, seed)
    rng = np.random.default_rng([seed, 1])
    held = entry.seconds
    if seconds is not None and entry.role != "drum":
        release = 0.0 if entry.role == "fx" and entry.bed is None else min(0.3, 0.3 * seconds)
        held = max(0.05, seconds - release) / 2.2**reading.knobs.length
    note = Note(hertz(root_of(entry, reading, spec.key)), held, 0.8, reading.knobs, rng)
    y = _played(entry, note)
    report(0.6)
    low = entry.role == "bass" or entry.name.startswith("kick")
    y = polished(y, reading.knobs, entry.room, seed, low=low)
    y = trimmed(y, 0.02 if entry.role == "drum" else 0.05)
    if seconds is not None:
        count = frames(seconds)
        if y.shape[-1] > count:
            y = faded(y[..., :count], 0.0, min(0.1, 0.2 * seconds))
        y = fitted(y, count)
    return peak_normalised(y, PEAK)


def _tiles(count: int) -> int:
    """How many equal tiles a bed of ``count`` frames is made of; 1 when it is short or cannot be divided."""
    if count <= _TILE * RATE:
        return 1
    least = math.ceil(count / (_TILE * RATE))
    return next((n for n in range(least, 3 * least) if count % n == 0), 1)


def _texture(spec: SampleSpec, reading: Reading, seed: int, seconds: float, report: Report) -> Signal:
    count = frames(seconds)
    tiles = _tiles(count)
    size = count // tiles
    entry = main_instrument(reading, seed)
    rng = np.random.default_rng([seed, 2])
    default = reading.scale or (reading.genre.scale if reading.genre else "minor")
    home = tonality(spec.key, default)
    root = root_of(entry, reading, spec.key)
    note = Note(hertz(root), seconds, 0.8, replace(reading.knobs, pitch=0.0), rng)
    if entry.bed is not None:
        chord = home.chord(0)
        pitches = [hertz(root + step - chord.notes[0]) for step in chord.notes] if entry.chord else [hertz(root)]
        y = entry.bed(note, pitches, size)
    else:
        y = _cloud(entry, note, [hertz(n) for n in voiced(home.chord(0, 4), root + 5)], size, report)
    report(0.7)
    knobs = reading.knobs
    if entry.role == "fx" and entry.bed is not None:  # "dusty vinyl" is dust already
        knobs = replace(knobs, lofi=0.3 * knobs.lofi, age=0.0)
    room = entry.room if entry.bed is not None else max(entry.room, 0.45)
    y = polished(y, knobs, room, seed, loop=True)
    report(0.9)
    return np.tile(stereo(y), tiles)


def _cloud(entry: Instrument, note: Note, pitches: list[float], count: int, report: Report) -> Signal:
    """Grains of an instrument at chance moments, in a loop."""
    bus = np.zeros((2, count))
    seconds = count / RATE
    total = max(3, round(seconds * 2.2 * 2**note.knobs.speed))
    grains: dict[float, Signal] = {}
    for i in range(total):
        pitch = float(note.rng.choice(pitches)) * float(note.rng.choice([1.0, 1.0, 2.0 if entry.root else 1.0]))
        if pitch not in grains:
            grains[pitch] = peak_normalised(_played(entry, replace(note.at(pitch), seconds=entry.seconds)))
        grain = grains[pitch]
        sound = panned(grain, note.rng.uniform(-0.8, 0.8)) if grain.ndim == 1 else grain
        place(bus, sound, int((i + note.rng.uniform(0, 1)) * count / total), float(note.rng.uniform(0.3, 1)))
        report(0.6 * i / total)
    return bus


def _mixed(events: list[NoteEvent], knobs: Knobs, seed: int, count: int, loop: bool, report: Report) -> Signal:
    """Play a score into a bus of ``count`` frames. Equal notes are rendered once."""
    bus = np.zeros((2, count))
    sounds: dict[tuple[str, float, float, int, int], Signal] = {}
    calm = replace(knobs, length=knobs.length * 0.5, wet=0.0)
    last = max((event.at for event in events), default=0.0) or 1.0
    for i, event in enumerate(events):
        start = round(event.at * RATE)
        if start >= count and not loop:
            continue
        level = 0 if event.velocity < 0.45 else 1 if event.velocity < 0.82 else 2
        key = (event.instrument.name, round(event.pitch, 3), round(event.seconds, 4), level, event.variant)
        if key not in sounds:
            touch = calm + (Knobs(bright=-0.3, hard=-0.5), Knobs(), Knobs(hard=0.15))[level]
            rng = np.random.default_rng([seed, 3, event.variant, level, *event.instrument.name.encode()])
            note = Note(event.pitch, event.seconds, (0.4, 0.7, 0.95)[level], touch, rng)
            sound = peak_normalised(_played(event.instrument, note))
            sounds[key] = panned(sound, event.pan) * 1.2 if sound.ndim == 1 and event.pan else stereo(sound)
        # A dramatic part grows, by up to 14 dB from its first note to its last.
        swell = 10 ** (-0.7 * max(knobs.drama, 0.0) * (1 - event.at / last))
        gain = event.gain * event.velocity * swell
        place(bus, sounds[key] if loop else sounds[key][:, : count - start], start, gain)
        report(0.02 + 0.78 * i / len(events))
    return bus


def _room(events: list[NoteEvent]) -> float:
    """How wet a mix is: what its instruments ask for on average; drums are nearly dry."""
    rooms = [event.instrument.room if event.instrument.role != "drum" else 0.05 for event in events]
    return float(np.mean(rooms)) * 0.8 if rooms else 0.0


def _glued(x: Signal, events: list[NoteEvent]) -> Signal:
    """The bus compressor's job, for drums: a little saturation holds the peaks."""
    struck = sum(event.instrument.role == "drum" for event in events) / max(1, len(events))
    return saturated(peak_normalised(x), 1.0 + 0.8 * struck)


def _loop(spec: SampleSpec, reading: Reading, seed: int, bpm: float, seconds: float, report: Report) -> Signal:
    count = frames(seconds)
    events = scored(spec, reading, seed, bpm, seconds)
    if seconds < spec.bar_beats * 60 / bpm:
        # Shorter than a bar: no note is longer than the loop. The beginning of a stream is wanted at once.
        events = [replace(event, seconds=max(0.05, min(event.seconds, seconds - event.at))) for event in events]
    y = _glued(_mixed(events, reading.knobs, seed, count, True, report), events)
    return polished(y, _for_a_mix(reading.knobs), _room(events), seed, loop=True)


def _stem(spec: SampleSpec, reading: Reading, seed: int, seconds: float, report: Report) -> Signal:
    count = frames(seconds)
    bpm = spec.bpm or (reading.genre.bpm if reading.genre else 120.0)
    events = scored(spec, reading, seed, bpm, seconds)
    y = _glued(_mixed(events, reading.knobs, seed, count, False, report), events)
    y = polished(y, _for_a_mix(reading.knobs), _room(events), seed)
    report(0.95)
    return faded(fitted(stereo(y), count), 0.0007, 0.04)


def _for_a_mix(knobs: Knobs) -> Knobs:
    """A word has turned each note already; the whole is turned half as far again."""
    half = knobs.scaled(0.5)
    return replace(half, lofi=knobs.lofi, wet=knobs.wet, width=knobs.width)

"""Noises that continue: weather, vinyl, machines. All of them are beds, so they loop."""

from __future__ import annotations

import numpy as np

from .dsp.envelopes import cycles, decay
from .dsp.filters import highpass
from .dsp.modes import modes
from .dsp.noise import circular, circular_each
from .dsp.signal import RATE, Signal, frames, peak_normalised, place, times
from .instrument import Instrument, Note
from .pads import sustained


def _ears(note: Note, count: int, low: float, high: float, slope: float = 1.0) -> Signal:
    """Two-sided band noise for both ears, loopable, (2, count)."""

    def shape(hertz: Signal) -> Signal:
        upper = np.square(hertz / high)
        return np.asarray(1 / np.sqrt((1 + np.square(np.square(low / hertz))) * (1 + upper**slope)))

    own = circular_each(note.rng, count, shape, 2)
    return own + 0.5 * own[::-1]


def _gusts(note: Note, count: int, hertz: float) -> Signal:
    """A slow loopable random curve within 0..1, (count,)."""
    y = circular(note.rng, count, lambda f: 1 / (1 + np.square(f / hertz) * np.square(np.square(f / hertz))))
    return np.asarray(np.clip(0.5 + 0.28 * y, 0, 1))


def _scatter(note: Note, count: int, rate: float, grain: Signal, spread: float) -> Signal:
    """Small copies of a grain at random moments, ``rate`` per second, levels spread by ``spread`` (log), (2, count)."""
    bus = np.zeros((2, count))
    total = max(1, note.rng.poisson(rate * count / RATE))
    for start in note.rng.integers(0, count, min(total, 4000)):
        side = note.rng.uniform(0.15, 0.85)
        level = float(np.exp(note.rng.normal(0, spread)))
        speed = note.rng.uniform(0.7, 1.5)
        shot = np.interp(np.arange(0, len(grain) - 1, speed), np.arange(len(grain)), grain)
        place(bus, np.stack([shot * (1 - side), shot * side]), int(start), level)
    return bus


def wind(note: Note, chord: list[float], count: int) -> Signal:
    """Gusts over a corner of the house: noise whose bands come and go."""
    del chord
    k = note.knobs
    y = 0.25 * _ears(note, count, 120.0, 420.0 * 2**k.bright)
    for centre in (340.0, 620.0, 1050.0):
        tone = _ears(note, count, centre * 0.8 * 2 ** (0.5 * k.bright), centre * 1.2 * 2 ** (0.5 * k.bright), 3.0)
        y += tone * _gusts(note, count, 0.35 * 2**k.speed) ** 2 * (400 / centre) ** 0.5
    return peak_normalised(y)


def rain(note: Note, chord: list[float], count: int) -> Signal:
    """A steady hiss and single drops in front of it."""
    del chord
    k = note.knobs
    hiss = peak_normalised(_ears(note, count, 1100.0, 7500.0 * 2 ** (0.5 * k.bright)))
    n = frames(0.02)
    drop = modes([2300.0, 3600.0, 5200.0], [0.004, 0.003, 0.002], [1, 0.7, 0.5], n)
    drops = _scatter(note, count, 90.0 * 2**k.speed, peak_normalised(drop), 0.7)
    return peak_normalised(0.5 * hiss + 0.6 * peak_normalised(drops))


def ocean(note: Note, chord: list[float], count: int) -> Signal:
    """Waves: noise that swells and brightens, every seven seconds or so."""
    del chord
    k = note.knobs
    turns = max(1, round(0.14 * 2**k.speed * count / RATE))
    start = note.rng.random()
    swell = (0.5 + 0.5 * cycles(count, turns, start)) ** 2
    foam = np.square(np.square(0.5 + 0.5 * cycles(count, turns, start - 0.09)))
    y = _ears(note, count, 60.0, 500.0) * (0.25 + swell) + 0.6 * _ears(note, count, 900.0, 5500.0 * 2**k.bright) * foam
    return peak_normalised(y)


def fire(note: Note, chord: list[float], count: int) -> Signal:
    """A low flutter and snapping wood."""
    del chord
    flutter = _ears(note, count, 50.0, 260.0) * (0.4 + _gusts(note, count, 7.0))
    n = frames(0.03)
    snap = note.rng.standard_normal(n) * decay(n, 0.0035)
    snaps = _scatter(note, count, 16.0 * 2**note.knobs.speed, peak_normalised(snap), 1.0)
    return peak_normalised(0.35 * peak_normalised(flutter) + peak_normalised(snaps))


def vinyl(note: Note, chord: list[float], count: int) -> Signal:
    """Surface noise of an old record: hiss, rumble, ticks, and a few big ones."""
    del chord
    k = note.knobs
    hiss = peak_normalised(_ears(note, count, 900.0, 9000.0 * 2 ** (0.5 * k.bright)))
    rumble = peak_normalised(_ears(note, count, 25.0, 70.0, 2.0))
    n = frames(0.004)
    tick = highpass(note.rng.standard_normal(n) * decay(n, 0.0006), 900.0, 1)
    ticks = _scatter(note, count, 34.0 * 2**k.speed, peak_normalised(tick), 0.9)
    return peak_normalised(0.16 * hiss + 0.05 * rumble + peak_normalised(ticks))


def noise(note: Note, chord: list[float], count: int) -> Signal:
    """White noise, or pink and brown when it is dark."""
    del chord
    slope = 0.25 - 0.5 * note.knobs.bright
    own = circular_each(note.rng, count, lambda f: (f / 1000) ** -slope / (1 + (f / 17_000) ** 8), 2)
    return peak_normalised(own)


def machine(note: Note, chord: list[float], count: int) -> Signal:
    """A hall of machines: mains hum, a motor's pulse, air."""
    k = note.knobs
    base = max(1, round(chord[0] * count / RATE)) * RATE / count
    number = np.arange(1, 24)
    hum = modes(
        number * base,
        1e6,
        number ** -(1.1 - 0.4 * k.bright) * note.rng.uniform(0.3, 1, (2, 23)),
        count,
        note.rng.uniform(0, 6, 23),
    )
    turns = max(1, round(3.0 * 2**k.speed * count / RATE))
    throb = 0.7 + 0.3 * cycles(count, turns)
    air = _ears(note, count, 250.0, 1800.0 * 2**k.bright) * (0.5 + 0.5 * np.maximum(cycles(count, turns, 0.3), 0))
    return peak_normalised(peak_normalised(hum) * throb + 0.5 * peak_normalised(air))


def insects(note: Note, chord: list[float], count: int) -> Signal:
    """A night field: crickets that chirp in pairs, far noise."""
    del chord
    k = note.knobs
    y = 0.05 * peak_normalised(_ears(note, count, 300.0, 3000.0))
    for _ in range(5):
        pitch = note.rng.uniform(3900, 5600) * 2 ** (0.3 * k.bright)
        n = frames(0.14)
        t = times(n)
        chirp = np.sin(2 * np.pi * pitch * t) * np.maximum(np.sin(2 * np.pi * 28 * t), 0) ** 2
        side, level = note.rng.uniform(0.1, 0.9), note.rng.uniform(0.2, 1)
        repeats = max(1, round(1.9 * 2**k.speed * note.rng.uniform(0.8, 1.2) * count / RATE))
        first = note.rng.random()
        for i in range(repeats):
            at = int((i + first) * count / repeats)
            place(y, np.stack([chirp * (1 - side), chirp * side]), at, level * 0.5)
    return peak_normalised(y)


def space(note: Note, chord: list[float], count: int) -> Signal:
    """Deep space: filtered wind around a low tone, distant partials."""
    k = note.knobs
    air = peak_normalised(_ears(note, count, 70.0, 300.0 * 2**k.bright, 2.0)) * (0.4 + 0.6 * _gusts(note, count, 0.2))
    y = 0.8 * air
    for _ in range(7):
        pitch = chord[0] * note.rng.choice([0.5, 1, 1.5, 2, 3, 4.5, 6])
        exact = max(1, round(pitch * count / RATE))
        tone = cycles(count, exact, note.rng.random())
        gusts = _gusts(note, count, 0.25 * 2**k.speed)
        tone *= gusts * gusts * gusts  # a power would be ten times slower
        side = note.rng.random()
        y += 0.3 * (chord[0] / pitch) ** 0.5 * np.stack([tone * (1 - side), tone * side])
    return peak_normalised(y)


C2 = 36.0

INSTRUMENTS = (
    Instrument(
        "wind",
        ("wind", "windy", "breeze", "gusts", "howling wind"),
        sustained(wind, 0.3, 0.8),
        "fx",
        seconds=4.5,
        bed=wind,
    ),
    Instrument(
        "rain",
        ("rain", "raindrops", "drizzle", "rainfall", "shower"),
        sustained(rain, 0.2, 0.6),
        "fx",
        seconds=4.5,
        bed=rain,
    ),
    Instrument(
        "ocean",
        ("ocean", "sea", "waves", "surf", "beach", "river", "water", "stream"),
        sustained(ocean, 0.3, 0.8),
        "fx",
        seconds=6.5,
        bed=ocean,
    ),
    Instrument(
        "fire",
        ("fire", "campfire", "fireplace", "flames", "crackle", "crackling"),
        sustained(fire, 0.1, 0.5),
        "fx",
        seconds=4.5,
        bed=fire,
    ),
    Instrument(
        "vinyl",
        (
            "vinyl",
            "vinyl noise",
            "vinyl crackle",
            "record noise",
            "dust",
            "vinyl texture",
            "record crackle",
            "surface noise",
        ),
        sustained(vinyl, 0.05, 0.3),
        "fx",
        seconds=4.5,
        bed=vinyl,
    ),
    Instrument(
        "noise",
        ("noise", "white noise", "pink noise", "brown noise", "hiss", "tape hiss", "noise bed"),
        sustained(noise, 0.02, 0.2),
        "fx",
        seconds=3,
        bed=noise,
    ),
    Instrument(
        "machine",
        (
            "machine",
            "machines",
            "engine",
            "factory",
            "motor",
            "industrial",
            "industrial texture",
            "ventilation",
            "server room",
        ),
        sustained(machine, 0.1, 0.5),
        "fx",
        C2,
        4.5,
        machine,
    ),
    Instrument(
        "insects",
        ("insects", "crickets", "night", "cicadas", "forest", "jungle ambience", "jungle at night", "nature", "birds"),
        sustained(insects, 0.3, 0.5),
        "fx",
        seconds=4.5,
        bed=insects,
    ),
    Instrument(
        "space",
        (
            "space",
            "deep space",
            "outer space",
            "cosmic",
            "void",
            "spaceship",
            "galaxy",
            "texture",
            "ambience",
            "ambient texture",
            "soundscape",
            "atmospheric texture",
        ),
        sustained(space, 0.6, 1.2),
        "fx",
        C2 + 12,
        4.0,
        space,
        room=0.4,
    ),
)

"""Pads, string sections and drones: sounds that stay."""

from __future__ import annotations

import numpy as np
from scipy.fft import next_fast_len

from .dsp.envelopes import cycles, faded, gated
from .dsp.noise import circular, circular_each
from .dsp.periodic import ensemble, rolled
from .dsp.shaping import saturated
from .dsp.signal import RATE, Signal, frames, peak_normalised
from .instrument import Bed, Instrument, Note, Play


def _turns(count: int, hertz: float) -> int:
    """Whole turns in ``count`` frames nearest to an LFO of ``hertz``."""
    return max(1, round(hertz * count / RATE))


def _breathing(note: Note, dark: Signal, light: Signal, hertz: float, depth: float = 1.0) -> Signal:
    """A dark and a light version of one sound, the light one coming and going, each ear at its own time."""
    count = dark.shape[-1]
    turns = _turns(count, hertz * 2**note.knobs.speed)
    start = note.rng.random()
    ears = np.stack([0.5 + 0.5 * depth * cycles(count, turns, start + lag) for lag in (0.0, 0.17)])
    return peak_normalised(dark + light * ears)


def warm_bed(note: Note, chord: list[float], count: int) -> Signal:
    """Analogue strings: detuned saws through a soft low-pass that breathes."""
    k = note.knobs
    edge = 620.0 * 2 ** (1.5 * k.bright)
    wide = min(max(0.55 + 0.4 * k.width, 0.0), 1.0)
    cents = 9.0 * 2 ** (0.8 * k.age)
    dark = ensemble(note.rng, chord, count, rolled(edge, 1.5), cents, wide)
    light = ensemble(note.rng, chord, count, rolled(edge * 2.6, 1.5), cents * 1.3, wide)
    return _breathing(note, dark, 0.55 * light, 0.12)


def glass_bed(note: Note, chord: list[float], count: int) -> Signal:
    """Bright and thin: odd partials far up, shimmering."""
    k = note.knobs

    def timbre(hertz: Signal, pitch: float) -> Signal:
        number = hertz / pitch
        picked = np.isin(np.round(number), (1, 2, 4, 5, 8, 12, 16))
        return np.asarray(picked * number ** (-0.75 + 0.5 * k.bright) / (1 + (hertz / 7500) ** 4) ** 0.5)

    wide = min(max(0.55 + 0.4 * k.width, 0.0), 1.0)
    body = ensemble(note.rng, chord, count, timbre, 5.0, wide)
    shimmer = ensemble(note.rng, [2 * p for p in chord], count, timbre, 9.0, wide)
    return _breathing(note, body, 0.6 * shimmer, 0.2)


def supersaw_bed(note: Note, chord: list[float], count: int) -> Signal:
    """Seven saws a note, open filter: trance."""
    k = note.knobs
    wide = min(max(0.6 + 0.4 * k.width, 0.0), 1.0)
    edge = 4200.0 * 2 ** (1.4 * k.bright)
    cents = 14.0 * 2 ** (0.6 * k.age)
    dark = ensemble(note.rng, chord, count, rolled(edge * 0.5), cents, wide)
    light = ensemble(note.rng, chord, count, rolled(edge), cents, wide)
    return _breathing(note, dark, 0.8 * light, 0.15, 0.7)


def strings_bed(note: Note, chord: list[float], count: int) -> Signal:
    """A section of bowed strings: saw, body resonances, rosin."""
    k = note.knobs

    def timbre(hertz: Signal, pitch: float) -> Signal:
        body = 1 + 1.2 * np.exp(-(((hertz - 290) / 90) ** 2)) + 0.9 * np.exp(-(((hertz - 520) / 150) ** 2))
        bridge = 1 + 1.3 * np.exp(-(((hertz - 2300) / 900) ** 2))
        return rolled(3000.0 * 2 ** (1.3 * k.bright), 1.2, 0.95)(hertz, pitch) * body * bridge

    wide = min(max(0.55 + 0.4 * k.width, 0.0), 1.0)
    y = ensemble(note.rng, chord, count, timbre, 13.0, wide)
    bow = circular(note.rng, count, lambda f: 1 / (1 + (3000 / f) ** 2) / (1 + (f / 6500) ** 4))
    swell = 1 + 0.16 * cycles(count, _turns(count, 0.2 * 2**k.speed), note.rng.random())
    return peak_normalised((y + 0.006 * bow * 2**k.air) * swell)


def drone_bed(note: Note, chord: list[float], count: int) -> Signal:
    """Low saws with fifths and octaves whose parts come and go, gently overdriven."""
    k = note.knobs
    wide = min(max(0.5 + 0.4 * k.width, 0.0), 1.0)
    edge = 520.0 * 2 ** (1.6 * k.bright)
    y = np.zeros((2, count))
    for ratio, level in ((1.0, 1.0), (1.5, 0.45), (2.0, 0.6), (3.0, 0.3), (4.0, 0.2)):
        part = ensemble(note.rng, [chord[0] * ratio], count, rolled(edge * ratio**0.5, 1.4), 6.0, wide)
        turns = _turns(count, note.rng.uniform(0.05, 0.3) * 2**k.speed)
        y += level * part * (0.62 + 0.38 * cycles(count, turns, note.rng.random()))
    return saturated(peak_normalised(y), 1.2 * 2 ** (0.9 * k.drive))


def dark_bed(note: Note, chord: list[float], count: int) -> Signal:
    """Cinematic darkness: a low ensemble, a cluster above it, rumbling air."""
    k = note.knobs
    wide = min(max(0.55 + 0.4 * k.width, 0.0), 1.0)
    low = ensemble(note.rng, [chord[0] / 2, chord[0]], count, rolled(260.0 * 2**k.bright, 1.5), 14.0, wide)
    cluster = [chord[0] * r for r in (2.0, 2.119, 2.997)]
    high = ensemble(note.rng, cluster, count, rolled(700.0 * 2**k.bright, 1.5), 22.0, wide)
    air = circular_each(note.rng, count, lambda f: 1 / (1 + (f / 220) ** 2), 2)
    return _breathing(note, low + 0.06 * air, 0.35 * high, 0.09)


def sustained(bed: Bed, rise: float, release: float) -> Play:
    """Make an instrument of a bed: one note of it with a rise and a release in seconds."""

    def play(note: Note) -> Signal:
        k = note.knobs
        held = note.seconds * note.stretch
        up = min(rise * 2 ** (-0.8 * k.hard - 0.5 * k.speed), 0.5 * held)
        down = release * 2 ** min(k.wet, 0.0)
        n = next_fast_len(frames(held + down), real=True)
        y = bed(note, [note.pitch], n)
        return faded(peak_normalised(y * gated(n, up, 30.0, 0.9, down, held)), head=0.004, tail=0.06)

    return play


C2, C3, C4 = 36.0, 48.0, 60.0

INSTRUMENTS = (
    Instrument(
        "pad_warm",
        ("pad", "analog pad", "synth pad", "ambient pad", "juno pad", "pads"),
        sustained(warm_bed, 0.5, 1.2),
        "chord",
        C3,
        3.0,
        warm_bed,
        room=0.3,
        chord=True,
    ),
    Instrument(
        "pad_glass",
        (
            "glass pad",
            "glassy pad",
            "bright pad",
            "crystal pad",
            "shimmer pad",
            "shimmer",
            "icy pad",
            "bell pad",
            "ethereal pad",
        ),
        sustained(glass_bed, 0.4, 1.4),
        "chord",
        C4,
        3.0,
        glass_bed,
        room=0.45,
        chord=True,
    ),
    Instrument(
        "supersaw",
        (
            "supersaw",
            "super saw",
            "supersaw pad",
            "trance pad",
            "trance chord",
            "trance lead",
            "jp8000",
            "edm chord",
            "supersaw chord",
        ),
        sustained(supersaw_bed, 0.03, 0.4),
        "chord",
        C4,
        1.6,
        supersaw_bed,
        room=0.2,
        chord=True,
    ),
    Instrument(
        "strings",
        (
            "strings",
            "string",
            "string section",
            "string quartet",
            "string trio",
            "string quintet",
            "string pad",
            "string ensemble",
            "orchestra strings",
            "orchestral strings",
            "violins",
            "violin",
            "cello",
            "viola",
            "orchestra",
            "string orchestra",
            "legato strings",
            "cinematic strings",
        ),
        sustained(strings_bed, 0.16, 0.5),
        "chord",
        C4,
        2.2,
        strings_bed,
        room=0.3,
        chord=True,
    ),
    Instrument(
        "drone",
        ("drone", "bass drone", "hum", "space drone"),
        sustained(drone_bed, 0.8, 1.5),
        "chord",
        C2,
        4.0,
        drone_bed,
        room=0.25,
    ),
    Instrument(
        "pad_dark",
        (
            "dark pad",
            "dark ambience",
            "cinematic pad",
            "horror pad",
            "dark atmosphere",
            "tension",
            "cinematic atmosphere",
            "eerie pad",
            "atmosphere",
            "atmospheric pad",
        ),
        sustained(dark_bed, 0.8, 1.5),
        "chord",
        C3,
        3.0,
        dark_bed,
        room=0.4,
    ),
)

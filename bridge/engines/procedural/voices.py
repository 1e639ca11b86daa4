"""Voices: a glottal pulse through the resonances of a mouth.

The vowels are the formant table for an alto of the Csound manual's appendix D (frequencies, levels, bandwidths).
"""

from __future__ import annotations

import numpy as np

from .dsp.envelopes import attack, cycles, decay, faded, gated, slowly
from .dsp.filters import bandpass, highpass, resonator
from .dsp.noise import circular, wander, white
from .dsp.oscillators import phase, pulse, read, sine, table
from .dsp.periodic import ensemble
from .dsp.shaping import saturated
from .dsp.signal import RATE, Signal, added, frames, peak_normalised, times
from .dsp.space import panned
from .instrument import Instrument, Note, Play
from .pads import sustained

# vowel: (Hz, dB, bandwidth Hz) of five formants
VOWELS: dict[str, tuple[tuple[float, float, float], ...]] = {
    "a": ((800, 0, 80), (1150, -4, 90), (2800, -20, 120), (3500, -36, 130), (4950, -60, 140)),
    "e": ((400, 0, 60), (1600, -24, 80), (2700, -30, 120), (3300, -35, 150), (4950, -60, 200)),
    "i": ((350, 0, 50), (1700, -20, 100), (2700, -30, 120), (3700, -36, 150), (4950, -60, 200)),
    "o": ((450, 0, 70), (800, -9, 80), (2830, -16, 100), (3500, -28, 130), (4950, -55, 135)),
    "u": ((325, 0, 50), (700, -12, 60), (2530, -30, 170), (3500, -40, 180), (4950, -64, 200)),
}


def mouth(hertz: Signal, vowel: str, open_: float = 0.0) -> Signal:
    """Amplitude of harmonics at ``hertz`` as this vowel lets them through; ``open_`` lifts the upper formants."""
    y = np.full(len(hertz), 0.004)
    for i, (centre, decibels, width) in enumerate(VOWELS[vowel]):
        level = 10 ** ((0.62 * decibels + (5.0 * open_ if i else 0.0)) / 20)
        y += level / np.sqrt(1 + ((hertz - centre) / (1.1 * width)) ** 2)
    return y


def sung(note: Note, vowels: str, vibrato: float = 0.17, onset: float = 0.25, breath: float = 0.02) -> Signal:
    """One singer, (frames,): tables of vowels, blended; vibrato (semitones) comes in after ``onset`` seconds."""
    k = note.knobs
    held = note.seconds * note.stretch
    n = frames(held + 0.25)
    rate, swing = note.rng.uniform(4.8, 5.7) * 2 ** (0.5 * k.speed), note.rng.uniform(0, 6)
    drift = wander(note.rng, n, 5.0)

    def sings(t: Signal) -> Signal:
        """Hz at these seconds."""
        depth = vibrato * np.clip((t - onset) / 0.5, 0, 1) * 2 ** (0.3 * k.age)
        scoop = -0.5 * np.exp(-t / 0.05)
        wavers = 0.07 * drift[np.minimum(np.rint(t * RATE).astype(np.intp), n - 1)]
        return np.asarray(note.pitch * np.exp2((depth * np.sin(2 * np.pi * rate * t + swing) + scoop + wavers) / 12))

    at = phase(slowly(n, sings), n, note.rng.random())
    number = np.arange(1, max(2, int(15_000 / note.pitch)), dtype=np.float64)
    # a glottal pulse falls by 12 dB an octave, the lips give 6 back
    source = number ** -(1.05 - 0.3 * k.hard)
    turns = note.rng.uniform(-0.6, 0.6, len(number))
    cycle = [table(source * mouth(number * note.pitch, v, k.bright), turns) for v in vowels]
    place = np.clip(times(n) / max(held, 0.1), 0, 1) * (len(cycle) - 1)
    y = read(cycle[0], at) if len(cycle) == 1 else np.zeros(n)
    for i, one in enumerate(cycle if len(cycle) > 1 else ()):
        weight = np.clip(1 - np.abs(place - i), 0, 1)
        inside = np.flatnonzero(weight > 0)
        if len(inside):
            piece = slice(inside[0], inside[-1] + 1)
            y[piece] += weight[piece] * read(one, at[piece])
    y = peak_normalised(y)
    if breath:
        g = white(note.rng, n)
        air = sum((resonator(g, f, 2.5 * w) for f, _, w in VOWELS[vowels[0]][:3]), np.zeros(n))
        air = peak_normalised(air) + 0.3 * peak_normalised(highpass(g, 4500.0))
        y += breath * 2 ** (1.5 * k.air) * air * (1 + 3 * decay(n, 0.06))
    return y * gated(n, 0.07 * 2 ** (-0.8 * k.hard), 0.5, 0.85, 0.22, held)


def vocal(note: Note) -> Signal:
    """A solo voice that goes from ah over oh to eh."""
    y = peak_normalised(sung(note, str(note.rng.choice(["ao", "aoe", "oa", "ae"]))))
    return faded(y, head=0.003, tail=0.05)


def vowel(letter: str) -> Play:
    """Make an instrument of one vowel: a, e, i, o or u, with vibrato."""

    def play(note: Note) -> Signal:
        return faded(peak_normalised(sung(note, letter, vibrato=0.2)), head=0.003, tail=0.05)

    return play


def vocal_chop(note: Note) -> Signal:
    """A short, bright syllable, as cut from a record."""
    vowel = str(note.rng.choice(["a", "e", "ea", "oa"]))
    y = sung(note, vowel, vibrato=0.05, onset=0.05, breath=0.04)
    n = y.shape[-1]
    consonant = bandpass(white(note.rng, n), 2500.0, 7000.0) * decay(n, 0.012)
    return faded(peak_normalised(highpass(saturated(peak_normalised(y), 1.5), 180.0) + 0.07 * consonant), tail=0.03)


def vocal_ooh(note: Note) -> Signal:
    """A soft solo oo."""
    return faded(peak_normalised(sung(note, "uo", vibrato=0.14, breath=0.035)), head=0.005, tail=0.06)


def choir(note: Note) -> Signal:
    """Five singers on ah, spread over the stage."""
    y: Signal = np.zeros((2, 1))
    for position in (-0.8, -0.35, 0.1, 0.45, 0.8):
        one = note.at(note.pitch * float(np.exp(note.rng.normal(0, 0.0022))))
        late = np.zeros(frames(note.rng.uniform(0.0, 0.035)))
        singer = sung(
            one, "a" if position < 0.5 else "o", vibrato=0.13, onset=0.1, breath=0.05 if abs(position) < 0.4 else 0.0
        )
        y = added(y, panned(np.concatenate([late, singer]), position))
    return faded(peak_normalised(y * attack(y.shape[-1], 0.16 * 2 ** (-note.knobs.hard))), head=0.01, tail=0.1)


def choir_bed(note: Note, chord: list[float], count: int) -> Signal:
    """A choir that never breathes, between ah and oo."""
    k = note.knobs

    def of(vowel: str) -> Signal:
        return ensemble(
            note.rng,
            chord,
            count,
            lambda hertz, pitch: (pitch / hertz) ** (1.0 - 0.35 * k.bright) * mouth(hertz, vowel, k.bright),
            11.0,
            min(max(0.5 + 0.4 * k.width, 0.0), 1.0),
        )

    turns = max(1, round(0.13 * 2**k.speed * count / RATE))
    move = 0.5 + 0.5 * cycles(count, turns, note.rng.random())
    air = circular(note.rng, count, lambda f: 1 / (1 + ((f - 1100) / 500) ** 2) + 0.25 / (1 + ((f - 6000) / 2500) ** 2))
    y = of("a") * move**0.5 + 0.9 * of("o") * (1 - move) ** 0.5
    return peak_normalised(y + 0.008 * 2 ** (1.5 * k.air) * air)


def robot(note: Note) -> Signal:
    """A talking machine: a level pulse, vowels in steps, ring modulation."""
    k = note.knobs
    held = note.seconds * note.stretch
    n = frames(held + 0.08)
    source = pulse(note.pitch, n, 0.22) + 0.4 * pulse(note.pitch * 1.005, n, 0.3)
    step = frames(0.14 * 2 ** (-0.6 * k.speed))
    vowels = note.rng.choice(list("aeiou"), n // step + 1)
    number = np.arange(1, max(2, int(14_000 / note.pitch)), dtype=np.float64)
    y = np.zeros(n)
    at = phase(note.pitch, n)
    for i, vowel in enumerate(vowels):
        piece = slice(i * step, min((i + 1) * step, n))
        if piece.start >= n:
            break
        size = piece.stop - piece.start
        body = read(table(number**-0.35 * mouth(number * note.pitch, str(vowel), 0.6 + k.bright)), at[piece])
        gate = np.minimum(np.minimum(np.arange(size), np.arange(size)[::-1]) / 180.0, 1.0)
        y[piece] = peak_normalised(body) * gate
    y += 0.1 * peak_normalised(source)
    ring = y * (0.65 + 0.35 * sine(note.pitch * 0.5 + 31.0, n))
    return faded(saturated(peak_normalised(ring), 1.8 * 2**k.drive) * gated(n, 0.004, 9, 1, 0.05, held), tail=0.02)


C3, C4 = 48.0, 60.0

INSTRUMENTS = (
    Instrument(
        "vocal",
        (
            "vocal",
            "voice",
            "singer",
            "vox",
            "singing",
            "female vocal",
            "male vocal",
            "vocals",
            "solo voice",
            "opera",
            "soprano",
            "vocal note",
            "human voice",
            "aah",
            "ah",
        ),
        vocal,
        "voice",
        C4,
        1.6,
        room=0.25,
    ),
    Instrument(
        "vocal_chop",
        ("vocal chop", "vocal chops", "vocal stab", "voice chop", "vocal shot", "hey", "shout", "chant"),
        vocal_chop,
        "voice",
        C4,
        0.22,
        room=0.15,
    ),
    Instrument(
        "vocal_ooh",
        ("ooh", "oohs", "humming", "vocal pad", "soft voice", "angel voice"),
        vocal_ooh,
        "voice",
        C4,
        1.8,
        choir_bed,
        room=0.35,
    ),
    *(
        Instrument(f"vowel_{letter}", (f"vowel {letter}", *words), vowel(letter), "voice", C4, 1.6, room=0.2)
        for letter, words in (
            ("a", ("vowel", "vowels", "vowel ah", "vowel aah")),
            ("e", ("vowel eh", "eh")),
            ("i", ("vowel ee", "ee", "eee")),
            ("o", ("vowel oh",)),
            ("u", ("vowel oo", "oo", "vowel ooh")),
        )
    ),
    Instrument(
        "choir",
        (
            "choir",
            "angelic choir",
            "choral",
            "a cappella",
            "acapella",
            "barbershop",
            "angels",
            "angel voices",
            "aahs",
            "choir pad",
            "gospel choir",
            "voices",
            "monks",
            "choir aahs",
            "gregorian",
        ),
        choir,
        "voice",
        C4,
        2.4,
        choir_bed,
        room=0.5,
        chord=True,
    ),
    Instrument(
        "choir_swell",
        ("choir swell", "voice swell", "ethereal choir", "heavenly choir"),
        sustained(choir_bed, 1.0, 1.2),
        "voice",
        C4,
        3.0,
        choir_bed,
        room=0.6,
        chord=True,
    ),
    Instrument(
        "robot",
        ("robot", "robot voice", "vocoder", "talkbox", "talk box", "robotic", "android", "cyborg"),
        robot,
        "voice",
        C3,
        1.2,
    ),
)

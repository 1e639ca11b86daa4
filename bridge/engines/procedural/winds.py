"""Brass and woodwinds: a column of air, the player's breath and lips."""

from __future__ import annotations

import numpy as np

from .dsp.envelopes import decay, faded, gated
from .dsp.filters import bandpass, highpass, lowpass, peak, sweep
from .dsp.noise import wander, white
from .dsp.oscillators import phase, read, saw, table
from .dsp.shaping import oversampled, saturated
from .dsp.signal import Signal, added, frames, peak_normalised, times
from .dsp.space import panned
from .instrument import Instrument, Note


def _blown(note: Note, count: int, vibrato: float, onset: float, scoop: float) -> Signal:
    """The player's pitch, Hz a frame: a scoop (semitones) into the note, then vibrato (semitones)."""
    k = note.knobs
    t = times(count)
    depth = vibrato * np.clip((t - onset) / 0.4, 0, 1)
    swing = depth * np.sin(2 * np.pi * 5.1 * 2 ** (0.5 * k.speed) * t + note.rng.uniform(0, 6))
    bend = swing - scoop * np.exp(-t / 0.035) + 0.04 * wander(note.rng, count, 4.0)
    return note.pitch * np.exp2(bend / 12)


def horn(note: Note, dark: float, open_: float, rise: float, scoop: float = 0.5) -> Signal:
    """One brass player, (count,): the louder, the brighter, so the filter follows the breath."""
    k = note.knobs
    held = note.seconds * note.stretch
    n = frames(held + 0.15)
    breath = gated(n, rise * 2 ** (-0.8 * k.hard), 0.2, 0.78, 0.13, held)
    force = min(max(0.45 + 0.55 * note.velocity + 0.2 * k.hard, 0.2), 1.3)
    edge = dark + open_ * 2 ** (1.2 * k.bright) * force * breath**1.6
    y = sweep(saw(_blown(note, n, 0.1, 0.3, scoop), n, note.rng.random()), edge, q=0.9)
    lips = bandpass(white(note.rng, n), 700.0, 3500.0, 1) * (decay(n, 0.025) + 0.04)
    return (peak_normalised(y) + 0.02 * 2**k.air * lips) * breath


def brass(note: Note) -> Signal:
    """A section: three players a few cents and milliseconds apart."""
    y: Signal = np.zeros((2, 1))
    for position in (-0.5, 0.05, 0.5):
        one = note.at(note.pitch * float(np.exp(note.rng.normal(0, 0.0018))))
        late = np.zeros(frames(note.rng.uniform(0.0, 0.014)))
        y = added(y, panned(np.concatenate([late, horn(one, 300.0, 9000.0, 0.05)]), position))
    # A bell sends its lowest note badly, and what lies around 650 Hz best: that is what makes it brass.
    y = peak(highpass(y, 200.0, 1), 650.0, 5.0, 0.7)
    return faded(oversampled(lambda v: saturated(v, 1.1 * 2**note.knobs.drive), peak_normalised(y), 2), tail=0.04)


def brass_stab(note: Note) -> Signal:
    """The section, short and loud, with a fall in brightness."""
    y: Signal = np.zeros((2, 1))
    for position, ratio in ((-0.5, 1.0), (0.5, 1.0), (0.1, 0.5)):
        one = note.at(note.pitch * ratio * float(np.exp(note.rng.normal(0, 0.002))))
        y = added(y, panned(horn(one, 320.0, 10_000.0, 0.018, 0.8), position))
    return faded(oversampled(lambda v: saturated(v, 1.4 * 2**note.knobs.drive), peak_normalised(y), 2), tail=0.03)


def trumpet(note: Note) -> Signal:
    """A solo trumpet."""
    y = peak(horn(note, 500.0, 9000.0, 0.03, 0.35), 1500.0, 5.0, 0.9)
    return faded(peak_normalised(y), tail=0.04)


def french_horn(note: Note) -> Signal:
    """Round and far away."""
    y = lowpass(horn(note, 200.0, 1500.0, 0.09, 0.3), 1900.0 * 2**note.knobs.bright, 1)
    return faded(peak_normalised(peak(y, 430.0, 3.0, 1.0)), head=0.003, tail=0.06)


def flute(note: Note) -> Signal:
    """A sine with two companions in a stream of breath; the vibrato is in its loudness."""
    k = note.knobs
    held = note.seconds * note.stretch
    n = frames(held + 0.15)
    t = times(n)
    gains = np.array([1.0, 0.36, 0.16, 0.05, 0.02]) * np.arange(1, 6) ** (0.9 * k.bright)
    y = read(table(gains), phase(_blown(note, n, 0.1, 0.2, 0.25), n))
    swell = 1 + 0.16 * np.clip((t - 0.25) / 0.4, 0, 1) * np.sin(2 * np.pi * 5.0 * 2 ** (0.5 * k.speed) * t)
    g = white(note.rng, n)
    stream = bandpass(g, note.pitch * 0.9, min(note.pitch * 3.2, 9000.0), 1)
    chiff = bandpass(g, 1800.0, 6500.0, 1) * decay(n, 0.035)
    y = y * swell + 2 ** (1.6 * k.air) * (0.055 * stream + 0.12 * 2**k.hard * chiff)
    return faded(
        peak_normalised(y * gated(n, 0.06 * 2 ** (-0.6 * k.hard), 0.4, 0.9, 0.12, held)), head=0.002, tail=0.04
    )


def pan_flute(note: Note) -> Signal:
    """Blown across a pipe: almost as much breath as tone."""
    k = note.knobs
    held = note.seconds * note.stretch
    n = frames(held + 0.15)
    y = read(table(np.array([1.0, 0.06, 0.2, 0.02, 0.05 * 2**k.bright])), phase(_blown(note, n, 0.12, 0.3, 0.6), n))
    g = white(note.rng, n)
    stream = bandpass(g, note.pitch * 0.8, min(note.pitch * 2.5, 8000.0), 1)
    puff = bandpass(g, 600.0, 5000.0, 1) * decay(n, 0.05)
    y = y + 2 ** (1.2 * k.air) * (0.22 * stream + 0.35 * puff)
    return faded(peak_normalised(y * gated(n, 0.035, 0.3, 0.7, 0.12, held)), head=0.002, tail=0.05)


def _reed(note: Note, gains: Signal, rise: float, growl: float, noise: float) -> Signal:
    k = note.knobs
    held = note.seconds * note.stretch
    n = frames(held + 0.12)
    pitch = _blown(note, n, 0.16, 0.25, 0.45)
    y = peak_normalised(read(table(gains), phase(pitch, n, note.rng.random())))
    y = y * (1 + growl * np.sin(2 * np.pi * 28.0 * times(n)))
    g = white(note.rng, n)
    breath = bandpass(g, 1200.0, 6500.0, 1) * (1 + 2.0 * decay(n, 0.04))
    y = (
        oversampled(lambda v: saturated(v, 1.2 * 2 ** (k.drive + 0.4 * k.hard)), y, 2)
        + noise * 2 ** (1.5 * k.air) * breath
    )
    return y * gated(n, rise * 2 ** (-0.7 * k.hard), 0.3, 0.85, 0.1, held)


def saxophone(note: Note) -> Signal:
    """Tenor saxophone: a full, nasal spectrum with three broad resonances, breath and a little growl."""
    k = note.knobs
    number = np.arange(1, max(3, int(12_000 / note.pitch)))
    hertz = number * note.pitch
    shape = sum(
        (
            level * np.exp(-(((hertz - c) / w) ** 2))
            for c, w, level in ((520.0, 300.0, 1.0), (1250.0, 450.0, 0.75), (2700.0, 900.0, 0.35 * 2**k.bright))
        ),
        np.zeros(len(number)),
    )
    y = _reed(note, number ** -(0.7 - 0.25 * k.bright) * (0.12 + shape), 0.035, 0.10 * 2 ** (0.5 * k.hard), 0.022)
    return faded(peak_normalised(highpass(y, 90.0)), head=0.001, tail=0.04)


def clarinet(note: Note) -> Signal:
    """Odd harmonics of a closed pipe."""
    k = note.knobs
    number = np.arange(1, max(3, min(26, int(11_000 / note.pitch))))
    gains = np.where(number % 2 == 1, 1.0, 0.06) * number ** -(1.0 - 0.4 * k.bright)
    return faded(peak_normalised(_reed(note, gains, 0.045, 0.0, 0.008)), head=0.002, tail=0.04)


def oboe(note: Note) -> Signal:
    """A double reed: thin fundamental, strong upper harmonics around 1.1 and 3 kHz."""
    k = note.knobs
    number = np.arange(1, max(3, int(11_000 / note.pitch)))
    hertz = number * note.pitch
    shape = np.exp(-(((hertz - 1150) / 420) ** 2)) + 0.5 * np.exp(-(((hertz - 3000) / 800) ** 2))
    gains = number**-0.8 * (0.2 + shape) * number ** (0.3 * k.bright)
    return faded(peak_normalised(_reed(note, gains, 0.04, 0.0, 0.008)), head=0.002, tail=0.04)


def didgeridoo(note: Note) -> Signal:
    """A low drone whose vowels turn with the player's mouth."""
    k = note.knobs
    held = note.seconds * note.stretch
    n = frames(held + 0.2)
    t = times(n)
    y = saw(_blown(note, n, 0.05, 0.1, 0.6), n)
    mouth = 650 + 330 * np.sin(2 * np.pi * 1.4 * 2**k.speed * t + note.rng.uniform(0, 6)) ** 3
    throat = sweep(y, (mouth + 900) * 2 ** (0.7 * k.bright), q=6.0, mode="band")
    lips = sweep(y, mouth * 2 ** (0.7 * k.bright), q=4.0, mode="band")
    y = 0.4 * lowpass(y, 320.0 * 2**k.bright) + 2.2 * lips + 1.4 * throat
    return faded(peak_normalised(saturated(peak_normalised(y), 1.5) * gated(n, 0.08, 2, 0.9, 0.18, held)), tail=0.06)


C2, C3, C4, C5 = 36.0, 48.0, 60.0, 72.0

INSTRUMENTS = (
    Instrument(
        "brass",
        (
            "brass",
            "brass section",
            "horns",
            "horn section",
            "trombone",
            "brass ensemble",
            "brass pad",
            "epic brass",
            "tuba",
        ),
        brass,
        "lead",
        C3,
        1.1,
        room=0.18,
        chord=True,
    ),
    Instrument(
        "brass_stab",
        ("brass stab", "brass hit", "horn stab", "brass stabs", "brass shot"),
        brass_stab,
        "chord",
        C4,
        0.25,
        room=0.18,
        chord=True,
    ),
    Instrument("trumpet", ("trumpet", "cornet", "muted trumpet", "jazz trumpet"), trumpet, "lead", C4, 0.9, room=0.15),
    Instrument("french_horn", ("french horn", "horn", "flugelhorn"), french_horn, "lead", C3, 1.4, room=0.3),
    Instrument(
        "flute",
        (
            "flute",
            "concert flute",
            "piccolo",
            "recorder",
            "whistle",
            "ocarina",
            "tin whistle",
            "woodwind",
            "woodwinds",
            "wind quintet",
            "wind ensemble",
        ),
        flute,
        "lead",
        C5,
        1.1,
        room=0.2,
    ),
    Instrument(
        "pan_flute",
        ("pan flute", "panflute", "shakuhachi", "bansuri", "bottle", "wooden flute"),
        pan_flute,
        "lead",
        C5,
        1.1,
        room=0.25,
    ),
    Instrument(
        "saxophone",
        ("saxophone", "sax", "tenor sax", "alto sax", "saxofone", "saxophon"),
        saxophone,
        "lead",
        C3 + 12,
        1.1,
        room=0.15,
    ),
    Instrument("clarinet", ("clarinet", "bass clarinet"), clarinet, "lead", C4, 1.1, room=0.15),
    Instrument("oboe", ("oboe", "english horn", "bassoon", "duduk"), oboe, "lead", C4, 1.1, room=0.18),
    Instrument("didgeridoo", ("didgeridoo", "didge", "didjeridu"), didgeridoo, "bass", C2, 2.5),
)

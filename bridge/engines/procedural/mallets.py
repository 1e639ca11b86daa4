"""Bars and bells: each is its list of modes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .dsp.envelopes import attack, faded
from .dsp.modes import modes
from .dsp.noise import burst
from .dsp.signal import Signal, frames, peak_normalised, times
from .instrument import Instrument, Note


def _struck(
    note: Note,
    ratios: npt.ArrayLike,
    taus: npt.ArrayLike,
    gains: npt.ArrayLike,
    length: float,
    mallet: tuple[float, float, float] = (1500.0, 6000.0, 0.05),
    wide: float = 0.25,
) -> Signal:
    """Modes at ``ratios`` of the pitch with decays ``taus`` (s); a mallet: noise between two Hz, its level."""
    k = note.knobs
    n = frames(min(length * note.stretch, 7.0))
    ratio = np.asarray(ratios, dtype=np.float64)
    tilt = ratio ** (0.55 * (k.bright + 0.5 * k.hard))
    gain = np.asarray(gains, dtype=np.float64) * tilt
    ears = gain * (1 + wide * note.rng.uniform(-1, 1, (2, len(ratio))))
    y = modes(ratio * note.pitch, np.asarray(taus) * note.stretch, ears, n, note.rng.uniform(0, 2 * np.pi, len(ratio)))
    low, high, level = mallet
    knock = burst(note.rng, n, low, high, 0.004)
    y = peak_normalised(y) + level * 2 ** (k.hard + 0.5 * k.bright) * knock
    return faded(peak_normalised(y * attack(n, 0.0015)), tail=0.12 * min(note.stretch, 2))


def bell(note: Note) -> Signal:
    """Church bell: hum, prime, minor tierce, quint, nominal and above; close pairs beat."""
    ratios = np.array([0.5, 1.0, 1.2, 1.5, 2.0, 2.5, 2.66, 3.01, 4.1, 5.4, 6.8])
    ratios = np.concatenate([ratios, ratios * 1.0023])
    taus = np.tile([2.4, 1.7, 1.4, 1.0, 1.1, 0.6, 0.55, 0.5, 0.32, 0.2, 0.13], 2)
    gains = np.tile([0.5, 0.8, 0.7, 0.35, 1.0, 0.4, 0.35, 0.45, 0.3, 0.22, 0.14], 2)
    return _struck(note, ratios, taus, gains, 4.5, (1800.0, 7000.0, 0.06))


def bell_fm(note: Note) -> Signal:
    """Glassy digital bell: FM at 1:3.5."""
    k = note.knobs
    n = frames(min(2.8 * note.stretch, 10.0))
    t = times(n)
    w = 2 * np.pi * note.pitch * t
    index = 2.6 * 2**k.bright * np.exp(-t / (0.55 * note.stretch))
    ears = [np.sin(w + index * np.sin(3.5 * w + p)) + 0.3 * np.sin(2.002 * w + p) for p in (0.0, 0.5)]
    return faded(peak_normalised(np.stack(ears) * np.exp(-t / (0.75 * note.stretch))), head=0.001, tail=0.15)


def tubular(note: Note) -> Signal:
    """Tubular bells: the ear hears a pitch from modes 4, 5 and 6."""
    return _struck(
        note,
        [0.25, 0.69, 1.0, 1.5, 2.0, 2.62, 3.3],
        [2.2, 2.0, 1.9, 1.5, 1.3, 0.8, 0.4],
        [0.15, 0.35, 1, 0.75, 0.7, 0.35, 0.2],
        4.0,
        (1200.0, 6000.0, 0.06),
    )


def glockenspiel(note: Note) -> Signal:
    """Steel bars and a brass mallet."""
    return _struck(
        note, [1, 2.76, 5.4, 8.93], [0.75, 0.4, 0.18, 0.08], [1, 0.6, 0.5, 0.3], 2.2, (3000.0, 10_000.0, 0.12)
    )


def celesta(note: Note) -> Signal:
    """Steel plates over wooden boxes: softer than a glockenspiel."""
    return _struck(
        note, [1, 2.0, 3.0, 4.05], [0.6, 0.25, 0.15, 0.08], [1, 0.16, 0.12, 0.05], 1.9, (900.0, 3500.0, 0.03)
    )


def music_box(note: Note) -> Signal:
    """A steel comb plucked by a pin."""
    return _struck(
        note,
        [1, 2.003, 6.27, 9.1, 17.5],
        [0.7, 0.5, 0.16, 0.08, 0.03],
        [1, 0.12, 0.4, 0.16, 0.08],
        2.0,
        (2500.0, 8000.0, 0.06),
    )


def marimba(note: Note) -> Signal:
    """Rosewood tuned to 1 : 3.93 : 9.7 over resonators."""
    return _struck(note, [1, 3.93, 9.7], [0.32, 0.09, 0.03], [1, 0.3, 0.12], 1.2, (300.0, 1800.0, 0.09))


def xylophone(note: Note) -> Signal:
    """Hard wood tuned to 1 : 3 : 6, hard mallets."""
    return _struck(
        note, [1, 3.0, 6.1, 10.0], [0.14, 0.07, 0.035, 0.02], [1, 0.6, 0.35, 0.2], 0.7, (1500.0, 7000.0, 0.14)
    )


def vibraphone(note: Note) -> Signal:
    """Aluminium bars, motor on: the sound swells five times per second."""
    y = _struck(note, [1, 3.98, 10.1], [1.5, 0.4, 0.1], [1, 0.2, 0.06], 3.2, (500.0, 2500.0, 0.03))
    motor = 1 - 0.25 * (1 - np.cos(2 * np.pi * 5.0 * 2**note.knobs.speed * times(y.shape[-1])))
    return peak_normalised(y * motor)


def kalimba(note: Note) -> Signal:
    """Thumb piano: a tine with far overtones and a buzz of its box."""
    return _struck(
        note,
        [1, 2.0, 5.4, 6.3, 11.0],
        [0.42, 0.2, 0.06, 0.05, 0.02],
        [1, 0.1, 0.22, 0.16, 0.08],
        1.5,
        (200.0, 1200.0, 0.1),
    )


def steel_drum(note: Note) -> Signal:
    """Steel pan: the octave blooms after the strike."""
    n = frames(min(1.6 * note.stretch, 8.0))
    late = attack(n, 0.035)
    tau = note.stretch * np.array([0.4, 0.5, 0.3, 0.22, 0.15])
    first = modes([note.pitch], [tau[0]], [1.0], n)
    rest = modes(
        note.pitch * np.array([2.0, 3.0, 4.02, 5.1]),
        tau[1:],
        np.array([0.9, 0.45, 0.35, 0.2]) * 2**note.knobs.bright,
        n,
        note.rng.uniform(0, 6, 4),
    )
    knock = burst(note.rng, n, 400.0, 3000.0, 0.006)
    return faded(peak_normalised(first + rest * late + 0.07 * knock), head=0.001, tail=0.1)


C4, C5 = 60.0, 72.0

INSTRUMENTS = (
    Instrument("bell", ("bell", "church bell", "bells", "tower bell"), bell, "lead", C4, 3.0, room=0.2),
    Instrument(
        "bell_fm",
        (
            "fm bell",
            "digital bell",
            "glass bell",
            "glassy bell",
            "dx bell",
            "crystal bell",
            "synth bell",
            "chime",
            "chimes",
            "bell lead",
        ),
        bell_fm,
        "lead",
        C5,
        2.0,
        room=0.2,
    ),
    Instrument(
        "tubular",
        ("tubular bell", "tubular bells", "orchestral bell", "orchestral chimes"),
        tubular,
        "lead",
        C5,
        3.0,
        room=0.25,
    ),
    Instrument("glockenspiel", ("glockenspiel", "glock"), glockenspiel, "lead", C5 + 12, 1.5, room=0.12),
    Instrument("celesta", ("celesta", "celeste"), celesta, "lead", C5, 1.5, room=0.15),
    Instrument("music_box", ("music box", "musicbox", "toy piano"), music_box, "lead", C5, 1.5, room=0.15),
    Instrument("marimba", ("marimba", "mallet", "mallets", "balafon"), marimba, "lead", C4, 0.8, room=0.1),
    Instrument("xylophone", ("xylophone",), xylophone, "lead", C5, 0.5),
    Instrument("vibraphone", ("vibraphone", "vibes"), vibraphone, "lead", C4, 2.0, room=0.12),
    Instrument("kalimba", ("kalimba", "thumb piano", "mbira"), kalimba, "lead", C4, 1.0, room=0.1),
    Instrument("steel_drum", ("steel drum", "steel pan", "steelpan"), steel_drum, "lead", C4, 1.0, room=0.1),
)

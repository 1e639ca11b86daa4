"""Hand percussion: shakers, skins, wood and bells."""

from __future__ import annotations

import numpy as np

from .drums import MEMBRANE
from .dsp.envelopes import decay, faded
from .dsp.filters import bandpass, highpass
from .dsp.modes import modes
from .dsp.noise import burst, white
from .dsp.oscillators import pulse, sine
from .dsp.shaping import saturated
from .dsp.signal import Signal, frames, peak_normalised, times
from .instrument import Instrument, Note


def shaker(note: Note) -> Signal:
    """Beads thrown to the far side: a ramp of noise, then a short fall."""
    k = note.knobs
    n = frames(0.03 + 0.13 * note.stretch)
    rise = 0.022 * 2 ** (-0.6 * k.hard)
    t = times(n)
    envelope = np.minimum(t / rise, 1) ** 1.6 * np.exp(-np.maximum(t - rise, 0) / (0.026 * note.stretch))
    grains = white(note.rng, n) * (0.4 + 0.6 * (note.rng.random(n) > 0.55))
    return faded(peak_normalised(bandpass(grains, 4300.0, 9800.0 * 2 ** (0.3 * k.bright), 1) * envelope), tail=0.015)


def tambourine(note: Note) -> Signal:
    """Jingles: many small plates that rattle for a moment."""
    rng = note.rng
    n = frames(0.12 + 0.28 * note.stretch)
    y = np.zeros(n)
    for _ in range(5):
        start = int(rng.uniform(0, 0.03) * 44_100)
        pitch = rng.uniform(5200, 13_500, 9)
        taus = rng.uniform(0.03, 0.09, 9) * note.stretch
        y[start:] += modes(pitch, taus, rng.uniform(0.3, 1, 9), n - start, rng.uniform(0, 6, 9))
    y += 0.7 * highpass(white(rng, n), 6500.0) * decay(n, 0.03 * note.stretch)
    return faded(peak_normalised(y), tail=0.04)


def _skin(note: Note, pitch: float, tau: float, slap: float) -> Signal:
    k = note.knobs
    n = frames(0.1 + 3.2 * tau * note.stretch)
    base = pitch * 2 ** (k.pitch / 12) * note.jitter(0.012)
    fall = base * (1 + 0.06 * np.exp(-times(n) / 0.03))
    body = sine(fall, n) * decay(n, tau * note.stretch)
    over = modes(
        np.array([1.51, 1.99, 2.44, 2.89, 3.4]) * base,
        tau * note.stretch * np.array([0.5, 0.4, 0.3, 0.24, 0.2]),
        np.array([0.5, 0.32, 0.2, 0.12, 0.08]) * (1 + slap),
        n,
    )
    hand = burst(note.rng, n, 900.0, 4800.0, 0.004)
    return faded(peak_normalised(body + over + (0.12 + 0.5 * slap) * 2 ** (k.hard + k.bright) * hand), tail=0.03)


def conga(note: Note) -> Signal:
    """Open tone of a conga."""
    return _skin(note, 206.0, 0.13, 0.1)


def bongo(note: Note) -> Signal:
    """Small bongo."""
    return _skin(note, 395.0, 0.075, 0.3)


def djembe(note: Note) -> Signal:
    """Bass tone of a djembe with a slap on top."""
    return _skin(note, 92.0, 0.17, 0.5)


def tabla(note: Note) -> Signal:
    """Tuned right-hand drum: harmonic modes, since its skin is loaded in the middle."""
    k = note.knobs
    n = frames(0.9 * note.stretch)
    base = 262.0 * 2 ** (k.pitch / 12) * note.jitter(0.01)
    tone = modes(
        np.arange(1, 6) * base, np.array([0.16, 0.3, 0.2, 0.12, 0.08]) * note.stretch, [0.6, 1, 0.6, 0.3, 0.2], n
    )
    hand = burst(note.rng, n, 1200.0, 6000.0, 0.003)
    return faded(peak_normalised(tone + 0.4 * 2**k.hard * hand), tail=0.04)


def surdo(note: Note) -> Signal:
    """The large samba drum: a deep soft boom with a mallet's thud."""
    k = note.knobs
    n = frames(0.3 + 1.0 * note.stretch)
    base = 66.0 * 2 ** (k.pitch / 12) * note.jitter(0.01)
    fall = base * (1 + 0.12 * np.exp(-times(n) / 0.06))
    body = sine(fall, n) * decay(n, 0.3 * note.stretch)
    skin = modes(MEMBRANE[1:5] * base, np.array([0.16, 0.12, 0.1, 0.08]) * note.stretch, [0.4, 0.25, 0.18, 0.1], n)
    thud = burst(note.rng, n, 120.0, 900.0, 0.012)
    return faded(peak_normalised(saturated(peak_normalised(body + skin + 0.4 * 2**k.hard * thud), 1.2)), tail=0.06)


def tamborim(note: Note) -> Signal:
    """The small samba frame drum played with a plastic stick: high, dry and loud."""
    n = frames(0.04 + 0.12 * note.stretch)
    base = 640.0 * 2 ** (note.knobs.pitch / 12) * note.jitter(0.015)
    skin = modes(
        MEMBRANE * base,
        0.018 * note.stretch * np.array([1.6, 1, 0.9, 0.8, 0.7, 0.6, 0.5]),
        [1, 0.9, 0.8, 0.5, 0.6, 0.4, 0.4],
        n,
    )
    stick = burst(note.rng, n, 2500.0, 9000.0, 0.003)
    return faded(peak_normalised(skin + 0.5 * 2**note.knobs.hard * stick), tail=0.02)


def cowbell(note: Note) -> Signal:
    """Two squares through a band, as the 808 has it."""
    k = note.knobs
    n = frames(0.08 + 0.42 * note.stretch)
    base = 2 ** (k.pitch / 12) * note.jitter(0.008)
    y = bandpass(pulse(540 * base, n) + pulse(800 * base, n), 520.0, 2900.0 * 2 ** (0.6 * k.bright), 1)
    return faded(peak_normalised(y * (decay(n, 0.014) + 0.4 * decay(n, 0.12 * note.stretch))), tail=0.03)


def agogo(note: Note) -> Signal:
    """Bell of sheet iron."""
    n = frames(0.7 * note.stretch)
    base = 905.0 * 2 ** (note.knobs.pitch / 12) * note.jitter(0.01)
    pitches = base * np.array([1, 1.52, 2.63, 3.4, 4.7])
    return faded(
        peak_normalised(
            modes(pitches, 0.16 * note.stretch * np.array([1, 0.7, 0.6, 0.4, 0.3]), [1, 0.5, 0.7, 0.4, 0.3], n)
        ),
        tail=0.05,
    )


def woodblock(note: Note) -> Signal:
    """A hollow block of wood."""
    n = frames(0.05 + 0.12 * note.stretch)
    base = 830.0 * 2 ** (note.knobs.pitch / 12) * note.jitter(0.01)
    y = modes(
        base * np.array([1, 1.48, 2.6, 3.9]),
        0.022 * note.stretch * np.array([1, 0.6, 0.4, 0.25]),
        [1, 0.55, 0.35, 0.2],
        n,
    )
    return faded(
        peak_normalised(y + 0.12 * 2**note.knobs.hard * highpass(white(note.rng, n), 2500) * decay(n, 0.0016)),
        tail=0.02,
    )


def clave(note: Note) -> Signal:
    """Two sticks of hard wood: one high mode."""
    n = frames(0.05 + 0.12 * note.stretch)
    base = 2480.0 * 2 ** (note.knobs.pitch / 12) * note.jitter(0.006)
    return faded(
        peak_normalised(modes(base * np.array([1, 2.7]), [0.026 * note.stretch, 0.006], [1, 0.25], n)), tail=0.02
    )


def triangle(note: Note) -> Signal:
    """A steel triangle, open."""
    n = frames(0.3 + 1.7 * note.stretch)
    pitch = np.array([1270, 3050, 4930, 5260, 7410, 9100, 10_800, 13_200]) * 2 ** (note.knobs.pitch / 12)
    y = modes(
        pitch,
        np.array([0.3, 0.5, 0.9, 0.8, 0.7, 0.5, 0.4, 0.3]) * note.stretch * 0.8,
        [0.1, 0.3, 1, 0.8, 0.7, 0.5, 0.4, 0.25],
        n,
        note.rng.uniform(0, 6, 8),
    )
    return faded(peak_normalised(y), tail=0.2)


INSTRUMENTS = (
    Instrument("shaker", ("shaker", "sh", "maraca", "maracas", "cabasa", "egg shaker", "shakers"), shaker),
    Instrument("tambourine", ("tambourine", "tamb", "jingles", "pandeiro"), tambourine),
    Instrument("conga", ("conga", "cg", "congas", "perc", "percussion", "hand drum"), conga),
    Instrument("bongo", ("bongo", "bongos"), bongo),
    Instrument("djembe", ("djembe", "ethnic drum", "tribal drum", "african drum"), djembe),
    Instrument("tabla", ("tabla", "indian drum"), tabla),
    Instrument("surdo", ("surdo", "samba drum", "samba bass drum"), surdo),
    Instrument("tamborim", ("tamborim", "samba snare"), tamborim),
    Instrument("cowbell", ("cowbell", "cb", "cow bell", "808 cowbell", "more cowbell"), cowbell),
    Instrument("agogo", ("agogo", "agogo bell"), agogo),
    Instrument("woodblock", ("woodblock", "wood block", "temple block", "wood"), woodblock),
    Instrument("clave", ("clave", "claves", "sticks"), clave),
    Instrument("triangle", ("triangle", "open triangle"), triangle),
)

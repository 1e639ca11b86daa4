"""Hats, cymbals and other metal."""

from __future__ import annotations

import numpy as np

from .dsp.envelopes import attack, decay, faded
from .dsp.filters import bandpass, highpass, lowpass
from .dsp.modes import modes
from .dsp.noise import white
from .dsp.oscillators import pulse
from .dsp.signal import Signal, frames, peak_normalised
from .instrument import Instrument, Note

# Six square oscillators of an 808's hat, Hz; an octave higher they sit where a hat is heard.
_SIX = 2.11 * np.array([263.0, 400.0, 421.0, 474.0, 587.0, 845.0])


def _metal(note: Note, count: int) -> Signal:
    tone = 2 ** (note.knobs.pitch / 12) * note.jitter(0.02)
    return sum((pulse(p * tone, count, start=note.rng.random()) for p in _SIX), np.zeros(count)) / 3


def _hat(note: Note, length: float, tail: float) -> Signal:
    k = note.knobs
    n = frames(tail)
    edge = 6800.0 * 2 ** (0.55 * k.bright)
    y = 1.1 * highpass(_metal(note, n), min(edge, 12_000.0), 4) + 0.5 * highpass(white(note.rng, n), edge * 1.1)
    y *= decay(n, length) + 0.5 * 2 ** (k.hard + k.punch) * decay(n, 0.004)
    return faded(peak_normalised(lowpass(y, 16_500.0)), tail=min(0.03, tail / 4))


def hat(note: Note) -> Signal:
    """Closed hi-hat."""
    length = 0.024 * note.stretch * note.jitter(0.1)
    return _hat(note, length, 0.035 + 5 * length)


def hat_open(note: Note) -> Signal:
    """Open hi-hat, ringing for half a second."""
    length = 0.19 * note.stretch * note.jitter(0.06)
    return _hat(note, length, 0.05 + 4 * length)


def hat_pedal(note: Note) -> Signal:
    """Hi-hat closed by the foot: softer and lower."""
    length = 0.04 * note.stretch
    n = frames(0.06 + 5 * length)
    y = bandpass(_metal(note, n), 4200.0, 9500.0) + 0.35 * bandpass(white(note.rng, n), 3500.0, 9000.0)
    return faded(peak_normalised(y * decay(n, length) * attack(n, 0.004)), tail=0.02)


def _plate(note: Note, count: int, low: float, tau: float, tilt: float) -> Signal:
    """A large bronze plate: 240 modes from ``low`` Hz, ``tau`` seconds at 1 kHz, each ear its own mixture."""
    rng = note.rng
    pitch = np.sort(np.exp(rng.uniform(np.log(low), np.log(16_500.0), 240))) * 2 ** (note.knobs.pitch / 12)
    taus = tau * note.stretch * (pitch / 1000) ** -0.42 * rng.uniform(0.55, 1.3, 240)
    gain = rng.uniform(0.3, 1, 240) * (pitch / 4000) ** tilt
    ears = gain * (1 + 0.35 * rng.uniform(-1, 1, (2, 240)))
    return modes(pitch, taus, ears, count, rng.uniform(0, 2 * np.pi, 240))


def crash(note: Note) -> Signal:
    """Crash cymbal: the plate blooms within 20 ms, noise over it."""
    k = note.knobs
    n = frames(0.3 + 2.2 * note.stretch)
    plate = peak_normalised(_plate(note, n, 300.0, 0.95, 0.2 + 0.4 * k.bright)) * (1 - 0.6 * decay(n, 0.02))
    wash = np.stack([highpass(white(note.rng, n), 5200.0) * decay(n, 0.34 * note.stretch) for _ in range(2)])
    return faded(peak_normalised(highpass(plate + 0.14 * wash, 260.0)), tail=0.3)


def ride(note: Note) -> Signal:
    """Ride cymbal: a defined stick and a bell over a quiet plate."""
    k = note.knobs
    n = frames(0.3 + 1.8 * note.stretch)
    plate = peak_normalised(_plate(note, n, 420.0, 0.6, 0.3 + 0.4 * k.bright))
    stick = highpass(white(note.rng, n), 4500.0) * decay(n, 0.018) * 2 ** (0.6 * k.hard)
    bell = modes([1725, 2890, 4120, 5380], np.array([0.8, 0.6, 0.5, 0.4]) * note.stretch, [1, 0.6, 0.4, 0.3], n)
    return faded(peak_normalised(highpass(0.95 * plate + 0.2 * stick + 0.1 * bell, 260.0)), tail=0.3)


def splash(note: Note) -> Signal:
    """A small, quick cymbal."""
    n = frames(0.2 + 0.8 * note.stretch)
    plate = peak_normalised(_plate(note, n, 700.0, 0.32, 0.35)) * (1 - 0.5 * decay(n, 0.006))
    return faded(peak_normalised(highpass(plate, 500.0)), tail=0.15)


def gong(note: Note) -> Signal:
    """Tam-tam: low modes first, the shimmer comes half a second later."""
    n = frames(0.5 + 3.7 * note.stretch)
    low = peak_normalised(_plate(note, n, 60.0, 1.6, -0.55))
    shimmer = peak_normalised(_plate(note, n, 900.0, 2.2, 0.0)) * attack(n, 0.7)
    return faded(peak_normalised(highpass(low + 0.4 * shimmer, 40.0)), head=0.002, tail=0.8)


def cymbal_reverse(note: Note) -> Signal:
    """A crash that comes towards you and stops."""
    y = crash(note)[..., ::-1]
    return faded(y[..., frames(0.3) :], head=0.05, tail=0.012)


INSTRUMENTS = (
    Instrument(
        "hat",
        (
            "hat",
            "hi hat",
            "hihat",
            "closed hat",
            "closed hi hat",
            "hh",
            "closed hihat",
            "hats",
            "808 hat",
            "909 hat",
            "tick",
        ),
        hat,
    ),
    Instrument("hat_open", ("open hat", "open hi hat", "open hihat", "oh", "909 open hat", "808 open hat"), hat_open),
    Instrument("hat_pedal", ("pedal hat", "foot hat", "pedal hi hat", "foot hi hat"), hat_pedal),
    Instrument("crash", ("crash", "crash cymbal", "cymbal", "cr", "cymbal crash", "cymbals"), crash),
    Instrument("ride", ("ride", "ride cymbal", "rd", "jazz ride", "ride bell", "909 ride"), ride),
    Instrument("splash", ("splash", "splash cymbal", "china cymbal"), splash),
    Instrument("gong", ("gong", "tam tam", "temple gong"), gong, seconds=4.0),
    Instrument(
        "cymbal_reverse",
        ("reverse cymbal", "reversed cymbal", "reverse crash", "cymbal swell"),
        cymbal_reverse,
        role="fx",
    ),
)

"""Basses."""

from __future__ import annotations

import numpy as np

from .dsp.envelopes import decay, faded, gated
from .dsp.filters import highpass, lowpass, sweep
from .dsp.noise import band
from .dsp.oscillators import pulse, saw, sine
from .dsp.shaping import oversampled, saturated
from .dsp.signal import Signal, frames, peak_normalised, times
from .instrument import Instrument, Note
from .plucked import string


def _driven(x: Signal, drive: float) -> Signal:
    return oversampled(lambda v: saturated(v, drive), peak_normalised(x))


def sub(note: Note) -> Signal:
    """A sine with a little saturation, so that small speakers show it too."""
    k = note.knobs
    n = frames(note.seconds * note.stretch + 0.12)
    # A sine has nothing to be softened but its beginning.
    e = gated(n, 0.006 * 2 ** (-2.2 * k.hard), 0.5 * note.stretch, 0.75, 0.1, note.seconds * note.stretch)
    y = _driven(sine(note.pitch, n) * e, 2.0 * 2 ** (k.drive + 1.2 * k.bright))
    return faded(lowpass(y, min(note.pitch * 6 * 2 ** (1.5 * k.bright), 9000.0), 1), head=0.003, tail=0.03)


def acid(note: Note) -> Signal:
    """Saw or square through a screaming low-pass whose edge falls with each note, then overdrive."""
    k = note.knobs
    n = frames(note.seconds * note.stretch + 0.1)
    e = gated(n, 0.003, 0.3 * note.stretch, 0.55, 0.06, note.seconds * note.stretch)
    accent = 0.5 + note.velocity
    edge = note.pitch * 2.2 + accent * 1900 * 2 ** (1.3 * k.bright + 0.5 * k.hard) * decay(n, 0.13 * note.stretch)
    y = sweep(sweep(saw(note.pitch, n, note.rng.random()), edge, q=5.0), edge * 1.15, q=0.9)
    return faded(_driven(y * e, 2.0 * 2 ** (0.9 * k.drive)), tail=0.02)


def reese(note: Note) -> Signal:
    """Detuned saws that beat against each other over a steady sub."""
    k = note.knobs
    n = frames(note.seconds * note.stretch + 0.15)
    t = times(n)
    spread = 2 ** (0.8 * k.width + 0.6 * k.age)
    ears = [
        sum((saw(note.pitch * 2 ** (c * spread / 1200), n, note.rng.random()) for c in cents), np.zeros(n))
        for cents in ((-15.0, -4.0, 6.0, 13.0), (-13.0, -6.0, 4.0, 15.0))
    ]
    edge = 620 * 2 ** (1.2 * k.bright) * (1 + 0.45 * np.sin(2 * np.pi * 0.7 * 2**k.speed * t))
    saws = sweep(np.stack(ears) / 4, edge, q=1.1)
    low = sine(note.pitch, n)
    e = gated(n, 0.008, 1.0, 0.85, 0.12, note.seconds * note.stretch)
    y = (1.6 * highpass(saws, note.pitch * 1.4, 1) + 0.4 * low) * e
    return faded(_driven(y, 1.3 * 2**k.drive), tail=0.04)


def wobble(note: Note) -> Signal:
    """Dubstep: a thick pulse whose filter opens and closes in time, six times per second unless told otherwise."""
    k = note.knobs
    n = frames(note.seconds * note.stretch + 0.1)
    t = times(n)
    y = saw(note.pitch, n) + pulse(note.pitch * 1.006, n, 0.4) + 0.5 * saw(note.pitch * 2.008, n)
    mouth = 0.5 - 0.5 * np.cos(2 * np.pi * 6.0 * 2**k.speed * t)
    edge = 110 + 2300 * 2 ** (1.2 * k.bright) * mouth**1.7
    y = sweep(sweep(y, edge, q=2.6), edge * 1.2, q=0.8)
    e = gated(n, 0.005, 1.0, 0.9, 0.08, note.seconds * note.stretch)
    mixed = peak_normalised(y) + 0.45 * sine(note.pitch, n)
    return faded(_driven(mixed * e, 2.2 * 2 ** (0.8 * k.drive)), tail=0.03)


def fm(note: Note) -> Signal:
    """Two-operator FM: a metallic strike over a round tone."""
    k = note.knobs
    n = frames(note.seconds * note.stretch + 0.1)
    t = times(n)
    w = 2 * np.pi * note.pitch * t
    index = 4.0 * 2 ** (k.bright + 0.5 * k.hard) * np.exp(-t / (0.2 * note.stretch)) + 0.6
    strike = 1.2 * 2**k.hard * np.exp(-t / 0.05)
    y = np.sin(w + index * np.sin(2 * w) + strike * np.sin(7 * w))
    e = gated(n, 0.003, 0.3 * note.stretch, 0.45, 0.08, note.seconds * note.stretch)
    return faded(_driven(y * e, 1.2 * 2**k.drive), tail=0.02)


def _grounded(note: Note, y: Signal, share: float, ring: float) -> Signal:
    """Give a plucked string its fundamental, ``share`` of its own peak, ``ring`` seconds to -60 dB.

    A string starts as noise, so chance decides how loud its fundamental is; a bass must not be thin by chance.
    """
    upper = highpass(y, 1.5 * note.pitch)
    return peak_normalised(upper) + share * sine(note.pitch, len(y)) * decay(len(y), ring / 6.9)


def electric(note: Note) -> Signal:
    """Fingers on an electric bass: a long damped string, pickup and amplifier."""
    k = note.knobs
    length = note.seconds * note.stretch
    y = string(
        note,
        frames(length + 0.25),
        ring=4.0 * note.stretch,
        damp=0.62 - 0.25 * k.bright,
        pick=0.24,
        tone=900 * 2 ** (1.2 * k.bright + 0.6 * k.hard),
    )
    y = _grounded(note, y, 1.0, 3.0 * note.stretch)
    y *= gated(len(y), 0.001, 9.0, 1.0, 0.12, length)
    return faded(_driven(lowpass(y, 1300 * 2 ** (1.2 * k.bright), 1), 1.3 * 2 ** (1.2 * k.drive)), tail=0.04)


def slap(note: Note) -> Signal:
    """Thumb on the string: it hits the fret, bright and hard, then the note."""
    k = note.knobs
    length = note.seconds * note.stretch
    y = string(note, frames(length + 0.2), ring=2.6 * note.stretch, damp=0.25, pick=0.1, tone=7000 * 2**k.bright)
    fret = band(note.rng, len(y), 1800, 6500) * decay(len(y), 0.006)
    y = _grounded(note, y, 0.8, 2.2 * note.stretch)
    y = peak_normalised(y) * gated(len(y), 0.001, 9.0, 1.0, 0.08, length) + 0.13 * 2**k.hard * fret
    return faded(_driven(y, 1.7 * 2**k.drive), tail=0.03)


def upright(note: Note) -> Signal:
    """Double bass, plucked: a soft finger, wooden body, dies away in a second."""
    k = note.knobs
    length = note.seconds * note.stretch
    y = string(
        note,
        frames(length + 0.5),
        ring=1.9 * note.stretch,
        damp=0.8 - 0.2 * k.bright,
        pick=0.3,
        tone=700 * 2 ** (1.2 * k.bright + 0.5 * k.hard),
    )
    y = _grounded(note, y, 1.0, 1.7 * note.stretch)
    body = band(note.rng, len(y), 90, 420) * decay(len(y), 0.02)
    y = peak_normalised(y) * gated(len(y), 0.004, 9.0, 1.0, 0.3, length) + 0.07 * body
    return faded(peak_normalised(lowpass(y, 700 * 2**k.bright, 1)), tail=0.08)


C1, C2 = 24.0, 36.0

INSTRUMENTS = (
    Instrument("sub_bass", ("sub bass", "sub", "sine bass", "subbass"), sub, "bass", C1 + 9, 0.7),
    Instrument(
        "acid_bass", ("acid bass", "acid", "303", "tb 303", "acid line", "303 bass", "squelch"), acid, "bass", C2, 0.45
    ),
    Instrument(
        "reese_bass",
        ("reese bass", "reese", "neuro bass", "dnb bass", "drum and bass bass", "growl bass"),
        reese,
        "bass",
        C1 + 9,
        1.6,
    ),
    Instrument(
        "wobble_bass", ("wobble bass", "wobble", "dubstep bass", "wub", "wub wub", "growl"), wobble, "bass", C1 + 9, 1.4
    ),
    Instrument("fm_bass", ("fm bass", "dx bass", "lately bass", "metallic bass", "synth bass"), fm, "bass", C2, 0.5),
    Instrument(
        "electric_bass",
        (
            "bass",
            "bass guitar",
            "electric bass",
            "finger bass",
            "fingered bass",
            "picked bass",
        ),
        electric,
        "bass",
        C2,
        0.8,
    ),
    Instrument("slap_bass", ("slap bass", "slapped bass", "funk bass", "funky bass"), slap, "bass", C2, 0.6),
    Instrument(
        "upright_bass",
        ("upright bass", "double bass", "acoustic bass", "contrabass", "jazz bass", "walking bass"),
        upright,
        "bass",
        C2,
        0.8,
    ),
)

"""Synthesiser leads, plucks and stabs."""

from __future__ import annotations

import numpy as np

from .dsp.envelopes import decay, faded, gated
from .dsp.filters import highpass, lowpass, sweep
from .dsp.oscillators import phase, pulse, saw, sine
from .dsp.shaping import crushed, oversampled, saturated
from .dsp.signal import Signal, frames, peak_normalised, times
from .dsp.space import panned
from .instrument import Instrument, Note


def _driven(x: Signal, drive: float) -> Signal:
    return oversampled(lambda v: saturated(v, drive), peak_normalised(x), 2)


def lead_saw(note: Note) -> Signal:
    """Two saws and a square an octave below, a filter with some bite, vibrato after a moment."""
    k = note.knobs
    held = note.seconds * note.stretch
    n = frames(held + 0.15)
    t = times(n)
    vibrato = 0.12 * np.clip((t - 0.3) / 0.4, 0, 1) * np.sin(2 * np.pi * 5.5 * 2**k.speed * t)
    pitch = note.pitch * np.exp2(vibrato / 12)
    spread = 2 ** (6.0 * (1 + k.age + 0.5 * k.width) / 1200)
    y = (
        saw(pitch * spread, n, note.rng.random())
        + saw(pitch / spread, n, note.rng.random())
        + 0.5 * pulse(pitch / 2, n)
    )
    edge = 900 * 2 ** (1.4 * k.bright) + 4200 * 2**k.bright * decay(n, 0.25 * note.stretch)
    y = sweep(y, edge, q=1.3) * gated(n, 0.004, 0.4, 0.75, 0.12, held)
    return faded(_driven(y, 1.4 * 2**k.drive), tail=0.03)


def lead_square(note: Note) -> Signal:
    """A hollow square: 8-bit without the noise."""
    k = note.knobs
    held = note.seconds * note.stretch
    n = frames(held + 0.06)
    vibrato = 0.1 * np.clip((times(n) - 0.2) / 0.3, 0, 1) * np.sin(2 * np.pi * 6.0 * 2**k.speed * times(n))
    y = pulse(note.pitch * np.exp2(vibrato / 12), n, 0.5 - 0.2 * min(max(k.bright, 0.0), 1.0))
    y = lowpass(y, 5200.0 * 2 ** (1.2 * k.bright)) * gated(n, 0.002, 0.3, 0.7, 0.05, held)
    return faded(_driven(y, 1.1 * 2**k.drive), tail=0.02)


def chip(note: Note) -> Signal:
    """A games console: a 25 % pulse on four bits that jumps an octave."""
    k = note.knobs
    held = note.seconds * note.stretch
    n = frames(held + 0.03)
    jump = np.where(times(n) < 0.045, 0.5, 1.0)
    y = pulse(note.pitch * jump, n, 0.25) * gated(n, 0.001, 0.18, 0.4, 0.03, held)
    return faded(
        peak_normalised(lowpass(crushed(peak_normalised(y), 5.0, 16_000.0), 11_000.0 * 2 ** (0.6 * k.bright))),
        tail=0.008,
    )


def pluck(note: Note) -> Signal:
    """Synth pluck: a saw whose filter snaps shut."""
    k = note.knobs
    n = frames(0.25 + 0.6 * note.stretch)
    ears = []
    for cents in (-6.0, 6.0):
        spread = 2 ** (cents * (1 + k.age + k.width) / 1200)
        ears.append(0.4 * saw(note.pitch * spread, n, note.rng.random()))
    middle = saw(note.pitch, n, note.rng.random()) + 0.4 * pulse(note.pitch * 2, n, 0.35)
    tau = 0.09 * note.stretch
    edge = note.pitch * 1.2 + 5200 * 2 ** (1.2 * k.bright + 0.4 * k.hard) * decay(n, tau)
    y = sweep(np.stack(ears) + middle, edge, q=1.6) * decay(n, 0.2 * note.stretch)
    return faded(_driven(y, 1.2 * 2**k.drive), tail=0.05)


def stab(note: Note) -> Signal:
    """Rave stab: one note of it is a minor chord of saws, sampled long ago."""
    k = note.knobs
    n = frames(0.2 + 0.4 * note.stretch)
    y: Signal = np.zeros((2, n))
    for semitones, position in ((0, -0.4), (3, 0.4), (7, -0.2), (10, 0.3), (12, 0.0)):
        y += panned(saw(note.pitch * 2 ** (semitones / 12), n, note.rng.random()), position)
    y = sweep(y, 700 + 4600 * 2**k.bright * decay(n, 0.12 * note.stretch), q=1.2) * decay(n, 0.22 * note.stretch)
    return faded(_driven(y, 1.8 * 2**k.drive), tail=0.04)


def hoover(note: Note) -> Signal:
    """A swarm of pulse-width saws that slides down into the note."""
    k = note.knobs
    held = note.seconds * note.stretch
    n = frames(held + 0.2)
    t = times(n)
    slide = note.pitch * 2 ** (5.0 * np.exp(-t / 0.07) / 12)
    y: Signal = np.zeros((2, n))
    for ratio, cents, position in ((0.5, -8, -0.6), (0.5, 9, 0.6), (1.0, -14, -0.3), (1.0, 13, 0.3), (2.0, 4, 0.0)):
        one = saw(slide * ratio * 2 ** (cents / 1200), n, note.rng.random())
        y += panned(one * (1 + 0.3 * np.sin(2 * np.pi * 6.0 * 2**k.speed * t + cents)), position)
    y = lowpass(highpass(y, 110.0), 5200.0 * 2**k.bright) * gated(n, 0.01, 1.0, 0.85, 0.18, held)
    return faded(_driven(y, 2.0 * 2**k.drive), tail=0.04)


def sync(note: Note) -> Signal:
    """Hard sync: a saw forced to restart at the note's pitch while its own pitch falls, and screams on its way."""
    k = note.knobs
    held = note.seconds * note.stretch
    n = frames(held + 0.1)
    # The saw is the sum of its partials, as many as there is room for; each is faded to nothing at the restart.
    cycle = phase(note.pitch, n) % 1.0
    ratio = 2.0 + 4.0 * 2**k.bright * decay(n, 0.35 * note.stretch)
    partials = min(5, max(1, int(14_000.0 / (float(ratio.max()) * note.pitch))))
    turn = 2 * np.pi * ratio * cycle
    y = np.sum([np.sin(number * turn) / number for number in range(1, partials + 1)], axis=0)
    y *= (1 - cycle) ** 0.7 * np.minimum(cycle * 24, 1)
    y = (y + 0.3 * sine(note.pitch, n)) * gated(n, 0.003, 0.5, 0.8, 0.08, held)
    return faded(_driven(highpass(y, 60.0), 1.6 * 2**k.drive), tail=0.02)


def theremin(note: Note) -> Signal:
    """A hand in the air: a nearly pure tone that glides and trembles."""
    k = note.knobs
    held = note.seconds * note.stretch
    n = frames(held + 0.25)
    t = times(n)
    bend = -4.0 * np.exp(-t / 0.12) + 0.35 * np.clip((t - 0.2) / 0.3, 0, 1) * np.sin(2 * np.pi * 5.8 * 2**k.speed * t)
    w = 2 * np.pi * phase(note.pitch * np.exp2(bend / 12), n)
    y = np.sin(w) + 0.2 * 2 ** (2 * k.bright) * np.sin(2 * w) + 0.08 * 2 ** (2 * k.bright) * np.sin(3 * w)
    return faded(peak_normalised(y * gated(n, 0.09, 1.0, 0.9, 0.2, held)), head=0.003, tail=0.05)


C3, C4 = 48.0, 60.0

INSTRUMENTS = (
    Instrument(
        "lead_saw",
        (
            "lead",
            "synth lead",
            "saw lead",
            "lead synth",
            "synth",
            "synthesizer",
            "synthesiser",
            "analog lead",
            "moog lead",
            "moog",
            "synthwave lead",
        ),
        lead_saw,
        "lead",
        C4,
        0.8,
        room=0.12,
    ),
    Instrument("lead_square", ("square lead", "square", "hollow lead", "pulse lead"), lead_square, "lead", C4, 0.6),
    Instrument(
        "chip",
        ("chip", "chiptune", "8 bit", "8bit", "game boy", "gameboy", "nes", "video game", "arcade", "blip"),
        chip,
        "lead",
        C4,
        0.2,
    ),
    Instrument(
        "pluck",
        (
            "pluck",
            "synth pluck",
            "plucky",
            "trance pluck",
            "arp",
            "arpeggio",
            "synth arp",
            "sequence",
            "plucks",
            "arpeggiator",
            "arp loop",
            "arpeggiated synth",
        ),
        pluck,
        "lead",
        C4,
        0.3,
        room=0.15,
    ),
    Instrument(
        "stab",
        (
            "stab",
            "rave stab",
            "chord stab",
            "synth stab",
            "house stab",
            "techno stab",
            "dub chord",
            "dub techno chord",
            "minor stab",
            "chord",
        ),
        stab,
        "chord",
        C4,
        0.3,
        room=0.15,
    ),
    Instrument("hoover", ("hoover", "rave hoover", "mentasm"), hoover, "lead", C4, 1.0, room=0.12),
    Instrument("sync", ("sync lead", "hard sync", "sync", "screaming lead"), sync, "lead", C3, 0.8),
    Instrument("theremin", ("theremin", "sci fi", "scifi", "ufo", "spooky lead"), theremin, "lead", C4, 1.6, room=0.2),
)

"""Keys: piano, electric pianos, organs, harpsichord."""

from __future__ import annotations

import numpy as np

from .dsp.envelopes import attack, faded, gated
from .dsp.filters import lowpass, peak, shelf
from .dsp.modes import modes
from .dsp.noise import burst
from .dsp.oscillators import phase, read, sine, table
from .dsp.shaping import oversampled, saturated
from .dsp.signal import Signal, frames, peak_normalised, times
from .instrument import Instrument, Note
from .plucked import string


def piano(note: Note) -> Signal:
    """A grand: stiff strings in threes whose partials die in two stages, a felt hammer, the damper at the end.

    Partial k of a stiff string lies at k f0 sqrt(1 + B k^2) (H. Fletcher, "Normal vibration frequencies of a stiff
    piano string", JASA 36, 1964).
    """
    k = note.knobs
    pitch = note.pitch
    held = note.seconds * note.stretch
    n = frames(min(held + 0.35, 9.0))
    touch = min(max(0.35 + 0.45 * note.velocity + 0.22 * k.hard + 0.25 * k.bright, 0.05), 1.3)
    stiffness = 3.8e-4 * (pitch / 261.6) ** 1.2
    number = np.arange(1, min(42, max(3, int(15_000 / pitch))) + 1)
    gain = (
        np.abs(np.sin(np.pi * number * 0.122))
        * number ** -(1.8 - 0.75 * touch)
        * np.exp(-number * (0.10 - 0.06 * touch))
    )
    ring = 2.9 * (261.6 / pitch) ** 0.5 / (1 + 0.1 * number) * min(note.stretch, 1.6)
    pitches, taus, ears = [], [], []
    for cents, side in ((-0.7, -0.5), (0.05, 0.1), (0.8, 0.5)):
        detuned = number * pitch * 2 ** (cents * (1 + 3 * max(k.age, 0)) / 1200) * np.sqrt(1 + stiffness * number**2)
        for tau, level in ((0.27, 1.0), (1.05, 0.35)):
            pitches.append(detuned)
            taus.append(ring * tau)
            ears.append(np.stack([gain * level * (1 - 0.4 * side), gain * level * (1 + 0.4 * side)]))
    y = modes(np.concatenate(pitches), np.concatenate(taus), np.concatenate(ears, axis=1), n, np.pi / 2)
    hammer = burst(note.rng, n, 110.0, 1700.0, 0.011)
    y = peak_normalised(y * attack(n, 0.0022)) + 0.05 * touch * peak_normalised(hammer)
    damper = np.exp(-np.maximum(times(n) - held, 0) / 0.06)
    return faded(peak_normalised(y * damper), head=0.001, tail=0.08)


def piano_felt(note: Note) -> Signal:
    """An upright with felt before the strings: close, dark and noisy."""
    y = lowpass(piano(note), 900.0 * 2 ** (1.4 * note.knobs.bright), 1)
    n = y.shape[-1]
    thump = burst(note.rng, n, 60.0, 600.0, 0.03) + 0.2 * burst(note.rng, n, 900.0, 5000.0, 0.05)
    return faded(peak_normalised(peak_normalised(y) + 0.06 * thump), head=0.003, tail=0.1)


def electric_piano(note: Note) -> Signal:
    """Tine piano: FM at 1:1 for the bar, a quiet 1:14 for the tine, an amplifier that barks when hit."""
    k = note.knobs
    held = note.seconds * note.stretch
    n = frames(min(held + 0.4, 9.0))
    t = times(n)
    touch = min(max(0.3 + 0.55 * note.velocity + 0.25 * k.hard, 0.05), 1.4) * 2 ** (0.8 * k.bright)
    w = 2 * np.pi * note.pitch * t
    index = 1.35 * touch * np.exp(-t / 0.35)
    tine = np.sin(14 * w) * np.exp(-t / 0.055) if note.pitch * 14 < 19_000 else np.zeros(n)
    bar = np.sin(w + index * np.sin(w)) * np.exp(-t / (0.95 * note.stretch))
    y = bar + 0.35 * np.sin(w + 0.6 * touch * tine) * np.exp(-t / 0.5) + 0.05 * touch * tine
    y = oversampled(lambda v: saturated(v + 0.12 * v * v, 1 + 0.8 * touch * 2**k.drive), peak_normalised(y), 2)
    y *= gated(n, 0.0015, 9.0, 1.0, 0.25, held)
    tremolo = 0.22 * np.sin(2 * np.pi * 4.8 * 2**k.speed * t)
    return faded(peak_normalised(np.stack([y * (1 - tremolo), y * (1 + tremolo)])), head=0.001, tail=0.1)


def electric_piano_reed(note: Note) -> Signal:
    """Reed piano: odd harmonics first, a growl, faster decay."""
    k = note.knobs
    held = note.seconds * note.stretch
    n = frames(min(held + 0.3, 9.0))
    number = np.arange(1, 14)
    touch = min(max(0.3 + 0.55 * note.velocity + 0.25 * k.hard, 0.05), 1.4)
    gain = np.where(number % 2 == 1, 1.0, 0.6) * number ** -(1.35 - 0.4 * k.bright - 0.25 * touch)
    tau = 0.75 * note.stretch / (1 + 0.2 * (number - 1))
    y = peak_normalised(modes(number * note.pitch, tau, gain, n, np.pi / 2))
    y = oversampled(lambda v: saturated(v + 0.35 * v * v, 1.5 * 2 ** (k.drive + 0.4 * k.hard)), y, 2)
    y = peak(y, 850.0, 6.0, 0.8) * gated(n, 0.002, 9.0, 1.0, 0.15, held)
    tremolo = 0.2 * np.sin(2 * np.pi * 5.6 * 2**k.speed * times(n))
    return faded(peak_normalised(y * (1 - tremolo)), head=0.001, tail=0.08)


# Footages 16', 5 1/3', 8', 4', 2 2/3', 2', 1 3/5', 1 1/3', 1' as multiples of the played key.
_DRAWBARS = np.array([0.5, 1.5, 1, 2, 3, 4, 5, 6, 8])


def organ(note: Note) -> Signal:
    """Tone-wheel organ with key click and a turning speaker."""
    k = note.knobs
    held = note.seconds * note.stretch
    n = frames(held + 0.1)
    t = times(n)
    bars = np.array([0.8, 0.75, 1.0, 0.35, 0.1, 0.25, 0.05, 0.05, 0.2])
    bars = bars * _DRAWBARS ** (0.7 * k.bright)
    y = modes(_DRAWBARS * note.pitch, 1e3, bars, n, note.rng.uniform(0, 6, 9))
    click = burst(note.rng, n, 1500.0, 6000.0, 0.003)
    y = oversampled(lambda v: saturated(v, 1.1 * 2**k.drive), peak_normalised(y), 2) + 0.08 * 2**k.hard * click
    turn = 2 * np.pi * 6.4 * 2 ** (0.8 * k.speed) * t
    ears = [y * (1 + 0.28 * np.sin(turn + p)) for p in (0.0, 1.9)]
    return faded(peak_normalised(np.stack(ears) * gated(n, 0.004, 9, 1, 0.04, held)), tail=0.02)


def organ_church(note: Note) -> Signal:
    """Principal pipes at 8', 4', 2 2/3', 2' with chiff; it needs a large room."""
    k = note.knobs
    held = note.seconds * note.stretch
    n = frames(held + 0.3)
    number = np.arange(1, 9)
    pitches, gains = [], []
    for foot, level in ((0.5, 0.5), (1, 1.0), (2, 0.7), (3, 0.35), (4, 0.45 * 2**k.bright)):
        pitches.append(number * foot * note.pitch * note.jitter(0.0006))
        gains.append(level * number**-1.7)
    flat = np.concatenate(pitches)
    y = modes(
        flat,
        1e3,
        np.concatenate(gains) * (1 + 0.4 * note.rng.uniform(-1, 1, (2, len(flat)))),
        n,
        note.rng.uniform(0, 6, len(flat)),
    )
    chiff = burst(note.rng, n, note.pitch * 2, note.pitch * 6, 0.05)
    y = peak_normalised(y) + 0.08 * chiff
    return faded(peak_normalised(y * gated(n, 0.05, 9, 1, 0.25, held)), head=0.005, tail=0.05)


def harpsichord(note: Note) -> Signal:
    """A quill at the end of two brass strings, and the jack falling back."""
    k = note.knobs
    held = note.seconds * note.stretch
    n = frames(held + 0.2)
    y = np.zeros(n)
    for ratio, level in ((1.0, 1.0), (2.0, 0.5)):
        y += level * string(
            note.at(note.pitch * ratio * note.jitter(0.0005)), n, 3.2, 0.12, 0.07, 9000 * 2 ** (0.8 * k.bright)
        )
    quill = burst(note.rng, n, 3000.0, 9000.0, 0.0018)
    y = shelf(peak_normalised(y), 1200.0, 5.0, "high") + 0.15 * quill
    return faded(peak_normalised(y * gated(n, 0.001, 9, 1, 0.06, held)), tail=0.05)


def clavinet(note: Note) -> Signal:
    """A struck, muted string under magnetic pickups: funk."""
    k = note.knobs
    held = 0.7 * note.seconds * note.stretch
    n = frames(held + 0.12)
    y = string(note, n, 1.6 * note.stretch, 0.2 - 0.1 * k.bright, 0.11, 7000.0 * 2**k.bright)
    y = peak(peak_normalised(y), 1400.0 * 2 ** (0.5 * k.bright), 8.0, 1.2) * gated(n, 0.001, 9, 1, 0.05, held)
    return faded(oversampled(lambda v: saturated(v, 1.6 * 2**k.drive), peak_normalised(y)), tail=0.03)


def accordion(note: Note) -> Signal:
    """Two reeds a little apart, bellows that breathe."""
    k = note.knobs
    held = note.seconds * note.stretch
    n = frames(held + 0.15)
    number = np.arange(1, 40)
    cycle = table(number**-0.95 * (1 + 0.8 * np.exp(-(((number * note.pitch - 1100) / 600) ** 2))))
    y = np.zeros(n)
    for cents in (-7.0, 6.0):
        y += read(cycle, phase(note.pitch * 2 ** (cents * (1 + k.age) / 1200), n, note.rng.random()))
    bellows = 1 + 0.12 * sine(4.6 * 2**k.speed, n)
    y = lowpass(y, 4200 * 2**k.bright, 1) * bellows * gated(n, 0.05, 9, 1, 0.1, held)
    return faded(peak_normalised(y), head=0.002, tail=0.04)


C3, C4 = 48.0, 60.0

INSTRUMENTS = (
    Instrument(
        "piano",
        ("piano", "grand piano", "acoustic piano", "piano note", "concert piano", "upright piano"),
        piano,
        "chord",
        C4,
        2.2,
        room=0.1,
    ),
    Instrument(
        "piano_felt",
        ("felt piano", "soft piano", "muted piano", "lo fi piano", "lofi piano", "intimate piano"),
        piano_felt,
        "chord",
        C4,
        2.2,
        room=0.15,
    ),
    Instrument(
        "electric_piano",
        ("electric piano", "rhodes", "e piano", "epiano", "keys", "keyboard", "ep", "tine piano", "rhodes piano"),
        electric_piano,
        "chord",
        C4,
        1.8,
        room=0.1,
    ),
    Instrument("electric_piano_reed", ("wurlitzer", "wurli", "reed piano"), electric_piano_reed, "chord", C4, 1.5),
    Instrument(
        "organ",
        ("organ", "hammond", "hammond organ", "rock organ", "drawbar organ", "tonewheel"),
        organ,
        "chord",
        C4,
        1.4,
    ),
    Instrument(
        "organ_church", ("church organ", "pipe organ", "cathedral organ"), organ_church, "chord", C4, 2.5, room=0.6
    ),
    Instrument("harpsichord", ("harpsichord", "cembalo", "spinet"), harpsichord, "chord", C4, 1.4, room=0.1),
    Instrument("clavinet", ("clavinet", "clav", "funk keys"), clavinet, "chord", C3, 0.5),
    Instrument("accordion", ("accordion", "harmonica", "melodica", "concertina"), accordion, "lead", C4, 1.2),
)

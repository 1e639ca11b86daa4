"""Kicks, snares, claps and toms: skins with a pitch that falls, and bursts of noise."""

from __future__ import annotations

import numpy as np

from .dsp.envelopes import decay, faded
from .dsp.filters import bandpass, highpass, lowpass
from .dsp.modes import modes
from .dsp.noise import band, burst, white
from .dsp.oscillators import sine
from .dsp.shaping import oversampled, saturated
from .dsp.signal import Signal, frames, peak_normalised, times
from .instrument import Instrument, Note

# Modes of an ideal circular membrane with air load, relative to the fundamental.
MEMBRANE = np.array([1.0, 1.59, 2.14, 2.30, 2.65, 2.92, 3.16])


def _driven(x: Signal, drive: float) -> Signal:
    return oversampled(lambda v: saturated(v, drive), peak_normalised(x))


def _falling(pitch: float, drop: float, fast: float, slow: float, count: int) -> Signal:
    """A pitch that falls by ``drop`` octaves' worth in two stages (seconds), ending at ``pitch`` Hz."""
    t = times(count)
    return pitch * (1 + drop * np.exp(-t / fast) + 0.09 * drop * np.exp(-t / slow))


def kick(note: Note) -> Signal:
    """Electronic kick: a sine falling from a few hundred Hz, a click of noise, soft clipping."""
    k = note.knobs
    punch = 2.0 ** (k.punch + 0.5 * k.hard)
    length = 0.155 * note.stretch**0.7 * note.jitter(0.05)
    n = frames(0.12 + 4.2 * length)
    base = 51.0 * 2 ** (k.pitch / 12) * note.jitter(0.03)
    body = sine(_falling(base, 4.2 * punch**0.5, 0.026 / punch**0.4, 0.09, n), n) * decay(n, length)
    click = burst(note.rng, n, 1500.0 * 2 ** (0.5 * k.bright), 7500.0, 0.0032)
    level = 0.16 * punch * note.velocity * 2 ** (1.2 * k.bright)
    return faded(_driven(body + level * click / 2, 1.9 * 2 ** (0.8 * k.drive)), tail=0.03)


def kick_909(note: Note) -> Signal:
    """Harder and drier than the plain kick, with a longer pitch drop and a tick."""
    k = note.knobs
    n = frames(0.1 + 0.75 * note.stretch)
    base = 49.0 * 2 ** (k.pitch / 12) * note.jitter(0.02)
    body = sine(_falling(base, 3.6 * 2 ** (0.4 * k.punch), 0.034, 0.12, n), n) * decay(n, 0.17 * note.stretch)
    tick = highpass(white(note.rng, n), 3000.0) * decay(n, 0.0018) + 0.3 * band(note.rng, n, 400, 2500) * decay(
        n, 0.009
    )
    mixed = body + 0.14 * tick * 2 ** (k.punch + k.bright)
    return faded(_driven(mixed, 3.0 * 2 ** (0.7 * k.drive)), tail=0.03)


def kick_acoustic(note: Note) -> Signal:
    """A drum of wood and skin: membrane modes, beater noise, a little shell."""
    k = note.knobs
    n = frames(0.55 * note.stretch)
    base = 62.0 * 2 ** (k.pitch / 12) * note.jitter(0.02)
    skin = modes(
        MEMBRANE * base,
        np.array([0.11, 0.07, 0.05, 0.045, 0.04, 0.03, 0.03]) * note.stretch,
        [1, 0.45, 0.25, 0.2, 0.15, 0.1, 0.08],
        n,
    )
    body = sine(_falling(base, 0.9, 0.02, 0.05, n), n) * decay(n, 0.12 * note.stretch)
    beater = burst(note.rng, n, 700, 4200, 0.006)
    shell = burst(note.rng, n, 90, 380, 0.05)
    mixed = body + 0.5 * skin + 0.16 * 2 ** (k.hard + k.bright) * beater + 0.12 * shell
    return faded(_driven(mixed, 1.3 * 2**k.drive), tail=0.04)


def kick_808(note: Note) -> Signal:
    """The long sine of a bridged-T kick, tuned: a bass and a drum at once."""
    k = note.knobs
    n = frames(0.25 + 1.35 * note.stretch**0.5)
    length = 0.46 * note.stretch**0.5
    base = note.pitch * 2 ** (k.pitch / 12)
    body = sine(_falling(base, 2.0 * 2**k.punch, 0.012, 0.045, n), n) * decay(n, length)
    click = lowpass(band(note.rng, n, 900, 5000), 4500.0) * decay(n, 0.0025)
    return faded(_driven(body + 0.07 * 2 ** (k.hard + k.bright) * click, 1.35 * 2 ** (1.1 * k.drive)), tail=0.08)


def snare(note: Note) -> Signal:
    """Skin modes with a pitch drop under two bands of wire noise."""
    k = note.knobs
    n = frames(0.1 + 0.5 * note.stretch)
    base = 188.0 * 2 ** (k.pitch / 12) * note.jitter(0.03)
    wires = 0.13 * note.stretch * note.jitter(0.06)
    skin = modes(
        MEMBRANE * base,
        np.array([0.085, 0.06, 0.05, 0.045, 0.04, 0.03, 0.03]) * note.stretch**0.6,
        [0.8, 0.6, 0.3, 0.2, 0.2, 0.12, 0.1],
        n,
    )
    skin += 0.9 * sine(_falling(base, 0.4, 0.018, 0.05, n), n) * decay(n, 0.075 * note.stretch**0.6)
    g = lowpass(white(note.rng, n), 6500.0 * 2 ** (0.6 * k.bright), 1)  # wires, not steam
    noise = highpass(g, 1300.0) * decay(n, wires) + 0.5 * bandpass(g, 3200.0, 8500.0) * decay(n, wires * 0.6)
    snap = highpass(g, 3500.0) * decay(n, 0.005) * 2 ** (0.8 * (k.punch + k.hard))
    noise = 0.6 * noise * 2 ** (0.3 * k.bright + 0.5 * max(k.drive, 0)) + 0.22 * snap
    return faded(_driven(0.75 * skin + noise, 1.5 * 2 ** (0.9 * k.drive)), tail=0.03)


def snare_808(note: Note) -> Signal:
    """Two decaying sines an octave apart, thin noise above."""
    k = note.knobs
    n = frames(0.08 + 0.4 * note.stretch)
    base = 2 ** (k.pitch / 12) * note.jitter(0.02)
    skin = modes([184 * base, 331 * base], np.array([0.07, 0.045]) * note.stretch, [0.8, 0.65], n)
    noise = highpass(white(note.rng, n), 1800.0) * decay(n, 0.085 * note.stretch) * 2 ** (0.7 * k.bright)
    return faded(_driven(skin + 0.28 * noise, 1.2 * 2**k.drive), tail=0.03)


def snare_brush(note: Note) -> Signal:
    """A brush on a coated skin: a stroke of soft noise, little tone."""
    k = note.knobs
    n = frames(0.42 * note.stretch)
    stroke = np.sin(np.pi * np.clip(times(n) / (0.16 * note.stretch), 0, 1)) ** 2
    g = white(note.rng, n)
    noise = bandpass(g, 900.0, 6500.0, 1) * (0.35 * stroke + decay(n, 0.045 * note.stretch))
    skin = modes(MEMBRANE[:3] * 205, [0.05, 0.03, 0.03], [0.5, 0.3, 0.2], n)
    return faded(peak_normalised(noise * 2 ** (0.5 * k.hard) + skin), head=0.002, tail=0.05)


def clap(note: Note) -> Signal:
    """Several hands within 35 ms, then the room."""
    k = note.knobs
    n = frames(0.12 + 0.42 * note.stretch)
    envelope = np.zeros(n)
    for i, at in enumerate((0.0, 0.0105, 0.0205, 0.032)):
        start = frames(max(0.0, at * 2 ** (-0.4 * k.punch) + note.rng.normal(0, 0.0009))) - 1
        tau = 0.0055 if i < 3 else 0.062 * note.stretch
        envelope[start:] += (0.85 if i < 3 else 0.75) * decay(n - start, tau)
    g = white(note.rng, n)
    hands = bandpass(g, 780.0, 2400.0, 1) + 0.09 * 2 ** (0.4 * k.bright) * highpass(g, 4500.0)
    return faded(_driven(highpass(hands * envelope, 480.0), 1.4 * 2 ** (0.8 * k.drive)), tail=0.03)


def snap(note: Note) -> Signal:
    """Fingers: two clicks and a short resonance."""
    n = frames(0.2 * note.stretch)
    g = white(note.rng, n)
    click = np.zeros(n)
    for at, level in ((0.0, 0.5), (0.011, 1.0)):
        start = frames(at) - 1
        click[start:] += level * decay(n - start, 0.004)
    tone = bandpass(g * click, 1500.0, 3400.0, 1) + 0.4 * bandpass(g * decay(n, 0.03 * note.stretch), 1900.0, 2600.0)
    return faded(peak_normalised(tone), tail=0.03)


def rim(note: Note) -> Signal:
    """Stick across the rim: a knock of a few short modes."""
    k = note.knobs
    n = frames(0.05 + 0.1 * note.stretch)
    base = 2 ** (k.pitch / 12) * note.jitter(0.02)
    knock = modes(
        np.array([488, 1010, 1690, 2380, 3650]) * base,
        np.array([0.011, 0.012, 0.016, 0.011, 0.006]) * note.stretch,
        [0.5, 0.35, 1, 0.6, 0.35],
        n,
    )
    stick = burst(note.rng, n, 2500.0, 9000.0, 0.0013)
    return faded(_driven(knock + 0.25 * 2 ** (k.hard + k.bright) * stick, 1.3 * 2**k.drive), tail=0.02)


def _tom(pitch: float, note: Note) -> Signal:
    k = note.knobs
    n = frames(0.15 + 0.75 * note.stretch)
    base = pitch * 2 ** (k.pitch / 12)
    long = 0.19 * note.stretch * (110 / pitch) ** 0.3
    body = sine(_falling(base, 0.5 * 2 ** (0.6 * k.punch), 0.045, 0.12, n), n) * decay(n, long)
    skin = modes(
        MEMBRANE[1:] * base, long * np.array([0.5, 0.42, 0.4, 0.33, 0.3, 0.28]), [0.5, 0.3, 0.2, 0.2, 0.12, 0.1], n
    )
    stick = burst(note.rng, n, 350.0, 4500.0, 0.007)
    mixed = body + 0.35 * skin + 0.09 * 2 ** (k.hard + k.bright) * stick
    return faded(_driven(mixed, 1.3 * 2 ** (0.8 * k.drive)), tail=0.05)


def tom_low(note: Note) -> Signal:
    """Floor tom."""
    return _tom(84.0, note)


def tom_mid(note: Note) -> Signal:
    """Rack tom."""
    return _tom(124.0, note)


def tom_high(note: Note) -> Signal:
    """Small rack tom."""
    return _tom(178.0, note)


INSTRUMENTS = (
    Instrument("kick", ("kick", "kick drum", "bass drum", "bassdrum", "bd", "boom"), kick),
    Instrument(
        "kick_909",
        ("909 kick", "909 bass drum", "techno kick", "gabber kick", "909", "house kick"),
        kick_909,
    ),
    Instrument(
        "kick_acoustic",
        (
            "acoustic kick",
            "acoustic kick drum",
            "acoustic bass drum",
            "jazz kick",
            "rock kick",
            "lofi kick",
            "live kick",
            "real kick",
            "dusty kick",
        ),
        kick_acoustic,
    ),
    Instrument(
        "kick_808",
        ("808 kick", "808", "808 bass", "808 boom", "sub kick", "trap kick", "tr 808 kick"),
        kick_808,
        root=24 + 9.0,
        seconds=1.0,
    ),
    Instrument("snare", ("snare", "snare drum", "sd", "acoustic snare", "909 snare", "backbeat"), snare),
    Instrument("snare_808", ("808 snare", "electro snare", "analog snare"), snare_808),
    Instrument(
        "snare_brush", ("brush snare", "brushed snare", "brush", "brushes", "jazz snare", "snare brush"), snare_brush
    ),
    Instrument("clap", ("clap", "handclap", "hand clap", "cp", "claps", "909 clap", "808 clap"), clap),
    Instrument("snap", ("snap", "finger snap", "fingersnap", "click"), snap),
    Instrument("rim", ("rim", "rimshot", "rim shot", "side stick", "sidestick", "cross stick"), rim),
    Instrument("tom_low", ("low tom", "floor tom", "lt", "808 tom"), tom_low),
    Instrument("tom_mid", ("tom", "mid tom", "tom tom", "rack tom", "mt", "toms"), tom_mid),
    Instrument("tom_high", ("high tom", "hi tom", "ht", "small tom", "high rack tom"), tom_high),
)

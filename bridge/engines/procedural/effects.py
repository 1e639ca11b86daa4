"""Effects: what rises, falls, hits, and the noises of weather and machines."""

from __future__ import annotations

import numpy as np

from .dsp.envelopes import attack, decay, faded, slowly
from .dsp.filters import bandpass, highpass, lowpass, sweep
from .dsp.modes import modes
from .dsp.noise import band, burst, wander, white
from .dsp.oscillators import phase, saw, sine
from .dsp.shaping import crushed, saturated
from .dsp.signal import Signal, frames, peak_normalised, times
from .dsp.space import reverb
from .instrument import Instrument, Note


def _length(note: Note) -> float:
    return min(max(note.seconds * note.stretch, 0.08), 30.0)


def riser(note: Note) -> Signal:
    """Noise and detuned saws climb two octaves and stop on the bar."""
    k = note.knobs
    d = _length(note)
    n = frames(d)
    u = times(n) / d
    both = white(note.rng, n)
    g = np.stack([both + 0.7 * white(note.rng, n), both + 0.7 * white(note.rng, n)])
    edge = slowly(n, lambda t: 220 * 2 ** (0.5 * k.bright) * np.exp(np.log(48.0) * t / d))
    y = peak_normalised(sweep(g, edge, q=1.8, mode="band"))
    climb = slowly(n, lambda t: note.pitch * np.exp2(2 * t / d))
    saws = sum((saw(climb * 2 ** (c / 1200), n, note.rng.random()) for c in (-14, 13)), np.zeros(n))
    turned = 4 * 2**k.speed * d / (2 * np.log(2))  # the integral of 4 turns per second that become 16
    trill = slowly(n, lambda t: 1 - 0.35 * (0.5 + 0.5 * np.sin(2 * np.pi * turned * (np.exp2(2 * t / d) - 1))))
    y = (y + 0.1 * lowpass(saws, 5000.0 * 2**k.bright) * u) * trill * (0.03 + u**2)
    return faded(peak_normalised(reverb(y, 0.25)[:, :n]), head=0.02, tail=0.012)


def downlifter(note: Note) -> Signal:
    """The opposite: everything falls away after a drop."""
    y = riser(note)[:, ::-1]
    return faded(y, head=0.006, tail=0.3)


def impact(note: Note) -> Signal:
    """A cinematic hit: a sub that drops, a burst, a dark hall."""
    k = note.knobs
    n = frames(2.2)
    t = times(n)
    body = np.sin(2 * np.pi * phase(37 * (1 + 2.6 * 2**k.punch * np.exp(-t / 0.06)), n)) * decay(n, 0.75 * note.stretch)
    burst = lowpass(white(note.rng, n), 2600.0 * 2 ** (1.2 * k.bright)) * decay(n, 0.13 * note.stretch)
    metal = modes(note.rng.uniform(90, 900, 14), 0.5 * note.stretch, note.rng.uniform(0.2, 1, 14), n)
    y = saturated(peak_normalised(body + 1.6 * burst + 0.35 * peak_normalised(metal)), 1.9 * 2 ** (0.7 * k.drive))
    hall = reverb(faded(y, 0.0, 0.4), 0.45, min(3.2 * note.stretch, 6.0), 0.3)
    hall = hall[:, : frames(1.5 + 2.3 * note.stretch)]
    return faded(peak_normalised(hall), head=0.001, tail=0.7)


def whoosh(note: Note) -> Signal:
    """Something flies past from left to right."""
    k = note.knobs
    d = _length(note)
    n = frames(d)
    u = times(n) / d
    hump = np.exp(-(((u - 0.55) / 0.2) ** 2))
    y = sweep(white(note.rng, n), (350 + 3600 * 2**k.bright * hump), q=1.1, mode="band") * hump
    angle = np.pi / 2 * u
    return faded(peak_normalised(np.stack([y * np.cos(angle), y * np.sin(angle)])), head=0.02, tail=0.05)


def laser(note: Note) -> Signal:
    """A falling chirp."""
    k = note.knobs
    n = frames(0.12 + 0.3 * note.stretch)
    t = times(n)
    pitch = note.pitch * (1 + 14 * 2 ** (0.5 * k.bright) * np.exp(-t / (0.07 * note.stretch * 2 ** (-0.5 * k.speed))))
    w = 2 * np.pi * phase(pitch, n)
    y = np.sin(w + 0.8 * np.sin(2 * w)) * decay(n, 0.13 * note.stretch)
    return faded(saturated(peak_normalised(y), 1.6 * 2**k.drive), tail=0.03)


def zap(note: Note) -> Signal:
    """A very short electric chirp with a crackle."""
    n = frames(0.05 + 0.11 * note.stretch)
    t = times(n)
    y = np.sin(2 * np.pi * phase(260 + 7800 * np.exp(-t / 0.014), n)) * decay(n, 0.045 * note.stretch)
    return faded(peak_normalised(y + 0.25 * highpass(white(note.rng, n), 3000.0) * decay(n, 0.008)), tail=0.015)


def glitch(note: Note) -> Signal:
    """A stuttering scrap of data."""
    k = note.knobs
    d = max(_length(note), 0.2)
    n = frames(d)
    y = np.zeros(n)
    at = 0
    while at < n:
        size = int(note.rng.choice([330, 660, 1100, 2200, 3300]) * 2 ** (-0.5 * k.speed))
        pitch = float(note.rng.choice([90, 220, 870, 1760, 3500, 5200])) * 2 ** (0.6 * k.bright)
        kind = note.rng.integers(4)
        piece = sine(pitch, size) if kind == 0 else saw(pitch, size) if kind == 1 else 0.4 * white(note.rng, size)
        if kind < 3:
            stop = min(at + size, n)
            y[at:stop] += faded(piece, 0.0008, 0.001)[: stop - at] * note.rng.uniform(0.4, 1)
        at += size
    return faded(peak_normalised(crushed(y, 7.0, 14_000.0)), tail=0.01)


def siren(note: Note) -> Signal:
    """Dub siren through an echo-like room."""
    k = note.knobs
    d = _length(note)
    n = frames(d)
    lfo = np.sin(2 * np.pi * 1.6 * 2**k.speed * times(n))
    y = saturated(sine(note.pitch * 2 ** (0.55 * lfo), n), 3.0)
    return faded(peak_normalised(reverb(lowpass(y, 3600.0 * 2**k.bright) * attack(n, 0.02), 0.25)[:, :n]), tail=0.1)


def thunder(note: Note) -> Signal:
    """A crack and a long uneven rumble."""
    k = note.knobs
    n = frames(min(1.0 + 3.2 * note.stretch, 12.0))
    rumble = np.maximum(0.35 + 0.65 * wander(note.rng, n, 5.0), 0) * decay(n, 1.5 * note.stretch)
    ears = [lowpass(white(note.rng, n), 190.0 * 2**k.bright) * rumble for _ in range(2)]
    crack = band(note.rng, n, 300.0, 3200.0) * decay(n, 0.16) * (0.4 + 0.6 * np.abs(wander(note.rng, n, 60.0)))
    y = highpass(np.stack(ears) + 0.35 * crack, 28.0)
    return faded(peak_normalised(reverb(y, 0.35, 3.0, 0.3)[:, :n]), head=0.002, tail=0.8)


def heartbeat(note: Note) -> Signal:
    """Two soft thumps."""
    n = frames(0.75)
    y = np.zeros(n)
    for at, level in ((0.0, 1.0), (0.26, 0.7)):
        start = frames(at) - 1
        m = n - start
        thump = sine(46 * (1 + 0.5 * np.exp(-times(m) / 0.03)), m) * decay(m, 0.07 * note.stretch)
        y[start:] += level * thump * attack(m, 0.006)
    return faded(peak_normalised(y + 0.02 * lowpass(white(note.rng, n), 200.0) * np.abs(y)), head=0.004, tail=0.05)


def sonar(note: Note) -> Signal:
    """A ping in deep water."""
    n = frames(1.6)
    y = sine(note.pitch, n) * decay(n, 0.16 * note.stretch) * attack(n, 0.006)
    hall = reverb(y, 0.55, min(3.5 * note.stretch, 6.0), 0.3, 0.05)
    return faded(peak_normalised(hall[:, : frames(1.5 + 1.8 * note.stretch)]), tail=0.6)


def water_drop(note: Note) -> Signal:
    """A bubble: a sine that rises as the bubble shrinks."""
    n = frames(0.08 + 0.14 * note.stretch)
    t = times(n)
    pitch = 620 * 2 ** (note.knobs.pitch / 12) * note.jitter(0.1) * (1 + 9.0 * t)
    return faded(peak_normalised(np.sin(2 * np.pi * phase(pitch, n)) * decay(n, 0.035 * note.stretch)), tail=0.02)


def metal_hit(note: Note) -> Signal:
    """An anvil, a pipe, a shipping container: industrial."""
    k = note.knobs
    n = frames(0.3 + 1.2 * note.stretch)
    pitch = np.sort(note.rng.uniform(180, 7500, 40)) * 2 ** (k.pitch / 12)
    y = modes(
        pitch,
        note.stretch * 0.5 * (pitch / 500) ** -0.6,
        note.rng.uniform(0.2, 1, (2, 40)),
        n,
        note.rng.uniform(0, 6, 40),
    )
    bang = bandpass(white(note.rng, n), 150.0, 5000.0, 1) * decay(n, 0.012)
    return faded(saturated(peak_normalised(peak_normalised(y) + 0.25 * bang), 1.6 * 2**k.drive), tail=0.15)


def orchestra_hit(note: Note) -> Signal:
    """Everyone at once, as sampled in 1982."""
    k = note.knobs
    n = frames(0.35 + 0.4 * note.stretch)
    y = np.zeros(n)
    for ratio in (0.5, 1.0, 1.5, 2.0, 2.52, 3.0, 4.0):
        for cents in (-9, 8):
            y += saw(note.pitch * ratio * 2 ** (cents / 1200), n, note.rng.random()) / ratio**0.5
    edge = 900 + 6000 * 2**k.bright * decay(n, 0.1 * note.stretch)
    strike = burst(note.rng, n, 60.0, 3000.0, 0.04)
    y = sweep(peak_normalised(y), edge, q=0.8) * decay(n, 0.24 * note.stretch) + 0.25 * strike
    return faded(
        peak_normalised(reverb(faded(saturated(peak_normalised(y), 1.5), 0.001, 0.1), 0.22)[:, : n + frames(0.4)]),
        tail=0.2,
    )


C2, C3, C4 = 36.0, 48.0, 60.0

INSTRUMENTS = (
    Instrument(
        "riser",
        (
            "riser",
            "uplifter",
            "build up",
            "buildup",
            "white noise riser",
            "rise",
            "tension riser",
            "noise sweep up",
            "build",
        ),
        riser,
        "fx",
        C3,
        4.0,
    ),
    Instrument(
        "downlifter",
        ("downlifter", "down lifter", "fall", "noise sweep down", "faller", "drop fx"),
        downlifter,
        "fx",
        C3,
        4.0,
    ),
    Instrument(
        "impact",
        (
            "impact",
            "cinematic impact",
            "hit",
            "cinematic hit",
            "boom hit",
            "braam",
            "sub drop",
            "explosion",
            "trailer hit",
            "thud",
        ),
        impact,
        "fx",
        seconds=2.0,
    ),
    Instrument(
        "whoosh",
        ("whoosh", "swoosh", "sweep", "swish", "transition", "fly by", "sound effect", "sound effects", "sfx", "fx"),
        whoosh,
        "fx",
        seconds=1.4,
    ),
    Instrument("laser", ("laser", "lazer", "pew", "blaster", "ray gun"), laser, "fx", C3),
    Instrument("zap", ("zap", "spark", "electric zap", "static"), zap, "fx"),
    Instrument("glitch", ("glitch", "stutter", "data", "digital glitch", "error", "bleep"), glitch, "fx", seconds=0.5),
    Instrument("siren", ("siren", "dub siren", "alarm", "alert"), siren, "fx", C4 + 7, 2.0),
    Instrument("thunder", ("thunder", "thunderclap", "storm", "thunderstorm"), thunder, "fx", seconds=4.0),
    Instrument("heartbeat", ("heartbeat", "heart beat", "heart"), heartbeat, "fx", seconds=0.8),
    Instrument("sonar", ("sonar", "ping", "submarine"), sonar, "fx", 84.0, 2.0),
    Instrument("water_drop", ("water drop", "drop", "bubble", "droplet", "drip", "bubbles"), water_drop, "fx"),
    Instrument(
        "metal_hit",
        ("metal hit", "anvil", "industrial hit", "metal", "metallic hit", "clank", "pipe hit"),
        metal_hit,
        "fx",
        seconds=1.0,
    ),
    Instrument(
        "orchestra_hit",
        ("orchestra hit", "orchestral hit", "orch hit", "orchestra stab"),
        orchestra_hit,
        "fx",
        C4,
        0.6,
        room=0.1,
    ),
)

"""Plucked strings: Karplus-Strong, a period at a time.

K. Karplus and A. Strong, "Digital synthesis of plucked-string and drum timbres", Computer Music Journal 7(2), 1983;
with the tuning by linear interpolation and the pick position as a comb of D. Jaffe and J. Smith, same issue.
"""

from __future__ import annotations

import numpy as np

from .dsp.envelopes import attack, faded, gated
from .dsp.filters import bandpass, highpass, lowpass, peak
from .dsp.noise import burst
from .dsp.shaping import oversampled, saturated
from .dsp.signal import RATE, Signal, added, frames, peak_normalised
from .dsp.space import panned
from .instrument import Instrument, Note


def string(note: Note, count: int, ring: float, damp: float, pick: float, tone: float) -> Signal:
    """One plucked string, (count,).

    ``ring``: seconds to -60 dB of the fundamental; ``damp`` 0..1: how much sooner the highs die; ``pick`` 0..0.5: where
    it is plucked, as a part of its length; ``tone``: Hz, the edge of the pluck's low-pass.
    """
    damp = min(max(damp, 0.02), 0.98)
    # The two-point average  (1-s) + s z^-1  delays low frequencies by s samples; the rest of the period is a delay
    # of a whole number of samples and a linear interpolation between two.
    s = 0.5 * (0.1 + 0.85 * damp)
    period = RATE / note.pitch - s
    whole = int(period)
    part = period - whole
    gain = 10 ** (-3 / (ring * note.pitch))
    loop = gain * np.convolve([1 - s, s], [1 - part, part])
    burst = note.rng.uniform(-1, 1, whole)
    burst -= burst.mean()
    shift = max(1, int(pick * whole))
    x = np.zeros(count)
    width = min(whole, count)
    x[:width] += burst[:width]
    end = min(shift + whole, count)
    x[shift:end] -= burst[: end - shift]
    # A plucked string's harmonics fall off with 1/k; noise alone would be far too bright.
    heard = min(end + 6 * whole, count)  # the filters ring for a fraction of a period, and the rest is silence
    x[:heard] = lowpass(lowpass(x[:heard], min(tone, 18_000.0), 1), min(3.0 * note.pitch + 0.12 * tone, 18_000.0), 1)
    # The recursion y = x + L y reaches back a whole period, so a period can be computed at once. Put into itself it is
    # y = (x + L x) + L² y, which reaches back two periods; once more, and four are computed at once.
    reach = whole
    for _ in range(2):
        x[reach:] += np.convolve(x, loop)[: max(0, count - reach)]
        loop, reach = np.convolve(loop, loop), 2 * reach
    ahead = reach + len(loop) - 1
    y = np.concatenate([np.zeros(ahead), x])
    for start in range(ahead, len(y), reach):
        here = y[start : start + reach]
        here += np.convolve(y[start - ahead : start - reach + len(here)], loop, "valid")
    y = y[ahead:]
    return highpass(y, min(note.pitch * 0.5, 60.0), 1)


def guitar_nylon(note: Note) -> Signal:
    """Classical guitar: soft flesh, two resonances of the body."""
    k = note.knobs
    n = frames(min(0.6 + 1.7 * note.stretch, 8))
    y = string(note, n, 3.0 * note.stretch, 0.5 - 0.25 * k.bright, 0.23, 2400 * 2 ** (1.2 * k.bright + 0.6 * k.hard))
    y = peak(peak(y, 105.0, 4.0, 2.0), 210.0, 3.5, 2.5)
    return faded(peak_normalised(y), head=0.001, tail=0.2)


def guitar_steel(note: Note) -> Signal:
    """Steel-string guitar with a pick."""
    k = note.knobs
    n = frames(min(0.6 + 2.0 * note.stretch, 8))
    y = string(note, n, 4.5 * note.stretch, 0.22 - 0.15 * k.bright, 0.14, 6500 * 2 ** (k.bright + 0.4 * k.hard))
    y = peak(peak(y, 110.0, 3.0, 2.0), 3800.0, 3.0, 1.0)
    scrape = burst(note.rng, n, 2500, 7000, 0.003)
    return faded(peak_normalised(peak_normalised(y) + 0.06 * 2**k.hard * scrape), head=0.0008, tail=0.2)


def guitar_electric(note: Note) -> Signal:
    """Electric guitar, clean: magnetic pickup and a warm amplifier."""
    k = note.knobs
    n = frames(min(0.6 + 1.9 * note.stretch, 8))
    y = string(note, n, 4.0 * note.stretch, 0.35 - 0.2 * k.bright, 0.2, 4200 * 2 ** (1.1 * k.bright + 0.4 * k.hard))
    y = lowpass(peak(y, 2400.0 * 2 ** (0.4 * k.bright), 5.0, 1.2), 5200 * 2**k.bright)
    return faded(oversampled(lambda v: saturated(v, 1.4 * 2**k.drive), peak_normalised(y)), tail=0.2)


def guitar_muted(note: Note) -> Signal:
    """Palm-muted electric guitar: short and dark."""
    k = note.knobs
    n = frames(0.15 + 0.4 * note.stretch)
    y = string(note, n, 0.75 * note.stretch, 0.6 - 0.2 * k.bright, 0.16, 3200 * 2 ** (1.2 * k.bright))
    return faded(oversampled(lambda v: saturated(v, 1.8 * 2**k.drive), peak_normalised(y)), tail=0.05)


def guitar_distorted(note: Note) -> Signal:
    """A power chord through a high-gain amplifier and a cabinet."""
    k = note.knobs
    length = note.seconds * note.stretch
    n = frames(length + 0.2)
    strings = np.zeros(n)
    for ratio, level in ((1.0, 1.0), (1.4983, 0.8), (2.0, 0.6)):
        strings += level * string(note.at(note.pitch * ratio), n, 5.0, 0.22, 0.15, 7500.0)
    gain = 13.0 * 2 ** (1.2 * k.drive)
    y = oversampled(lambda v: np.tanh(gain * v + 0.15) - np.tanh(0.15), peak_normalised(highpass(strings, 95.0)), 4)
    y = peak(highpass(lowpass(y, 4600.0 * 2 ** (0.6 * k.bright), 4), 75.0), 2500.0, 4.0 + 4 * k.bright, 1.0)
    return faded(peak_normalised(y * gated(n, 0.001, 9.0, 1.0, 0.15, length)), tail=0.06)


def strummed(note: Note) -> Signal:
    """Six steel strings, one after the other: a major chord, open voicing."""
    y: Signal = np.zeros((2, 1))
    for i, semitones in enumerate((0, 7, 12, 16, 19, 24)):
        one = guitar_steel(note.at(note.pitch * 2 ** (semitones / 12)))
        delay = np.zeros(frames(0.014 * i * 2 ** (-0.5 * note.knobs.speed)))
        y = added(y, panned(np.concatenate([delay, 0.5 * one]), (i - 2.5) / 6))
    return peak_normalised(y)


def harp(note: Note) -> Signal:
    """Concert harp: plucked in the middle, rings long, few highs."""
    k = note.knobs
    n = frames(min(0.8 + 2.0 * note.stretch, 8))
    y = string(note, n, 5.0 * note.stretch, 0.55 - 0.25 * k.bright, 0.42, 1900 * 2 ** (1.2 * k.bright + 0.5 * k.hard))
    return faded(peak_normalised(peak(y, 190.0, 3.0, 1.5)), head=0.0015, tail=0.3)


def pizzicato(note: Note) -> Signal:
    """A section of strings, plucked: three players within 15 ms, dry and short."""
    k = note.knobs
    n = frames(0.2 + 0.5 * note.stretch)
    y: Signal = np.zeros((2, n))
    for position in (-0.5, 0.1, 0.5):
        one = note.at(note.pitch * note.jitter(0.0012))
        sound = string(one, n, 0.55 * note.stretch, 0.62 - 0.2 * k.bright, 0.21, 2600 * 2 ** (k.bright + 0.5 * k.hard))
        late = int(note.rng.uniform(0, 0.015) * RATE)
        y += panned(np.concatenate([np.zeros(late), sound[: n - late]]), position)
    return faded(peak_normalised(peak(y, 450.0, 4.0, 1.0)), head=0.0015, tail=0.08)


def koto(note: Note) -> Signal:
    """Silk over a movable bridge: a bright pluck whose pitch settles."""
    k = note.knobs
    n = frames(min(0.5 + 1.3 * note.stretch, 8))
    y = string(note, n, 2.4 * note.stretch, 0.28, 0.08, 6000 * 2**k.bright)
    nail = burst(note.rng, n, 3000, 8000, 0.002)
    return faded(peak_normalised(peak_normalised(peak(y, 850.0, 5.0, 1.2)) + 0.12 * nail), tail=0.15)


def sitar(note: Note) -> Signal:
    """A buzzing bridge: the string is folded as it moves, and a second one answers."""
    k = note.knobs
    n = frames(min(0.6 + 2.2 * note.stretch, 8))
    y = peak_normalised(string(note, n, 4.0 * note.stretch, 0.15, 0.06, 9000.0))
    buzz = highpass(oversampled(lambda v: np.sin(3.2 * v * 2 ** (0.4 * k.drive)), y), 400.0, 1)
    answer = string(note.at(note.pitch * 1.5), n, 5.0, 0.2, 0.3, 5000.0) * attack(n, 0.5)
    return faded(
        peak_normalised(0.6 * y + 0.6 * buzz * 2 ** (0.7 * k.bright) + 0.1 * peak_normalised(answer)), tail=0.25
    )


def banjo(note: Note) -> Signal:
    """A string over a skin: loud, nasal and soon gone."""
    n = frames(0.3 + 0.8 * note.stretch)
    y = string(note, n, 1.2 * note.stretch, 0.12, 0.12, 8000 * 2**note.knobs.bright)
    body = bandpass(y, 350.0, 3600.0, 1)
    return faded(peak_normalised(0.35 * y + peak(body, 700.0, 6.0, 2.0)), tail=0.08)


C2, C3, C4 = 36.0, 48.0, 60.0

INSTRUMENTS = (
    Instrument(
        "guitar_nylon",
        ("nylon guitar", "classical guitar", "spanish guitar", "gut string guitar", "flamenco guitar", "guitar"),
        guitar_nylon,
        "chord",
        C3,
        1.2,
        room=0.12,
    ),
    Instrument(
        "guitar_steel",
        ("acoustic guitar", "steel guitar", "folk guitar", "steel string guitar", "12 string"),
        guitar_steel,
        "chord",
        C3,
        1.5,
        room=0.1,
    ),
    Instrument(
        "guitar_electric",
        ("electric guitar", "clean guitar", "jazz guitar", "surf guitar"),
        guitar_electric,
        "chord",
        C3,
        1.5,
        room=0.12,
    ),
    Instrument(
        "guitar_muted",
        ("muted guitar", "palm mute", "palm muted guitar", "funk guitar"),
        guitar_muted,
        "chord",
        C3,
        0.3,
    ),
    Instrument(
        "guitar_distorted",
        (
            "distorted guitar",
            "power chord",
            "metal guitar",
            "rock guitar",
            "heavy guitar",
            "overdriven guitar",
            "fuzz guitar",
            "guitar power chord",
            "guitar riff",
            "distortion guitar",
        ),
        guitar_distorted,
        "chord",
        C2 + 4,
        1.4,
    ),
    Instrument(
        "strummed",
        ("strum", "guitar strum", "strummed guitar", "guitar chord", "strummed chord"),
        strummed,
        "chord",
        C3,
        2.0,
        chord=True,
        room=0.1,
    ),
    Instrument("harp", ("harp", "concert harp", "celtic harp", "lyre"), harp, "lead", C4, 1.5, room=0.25),
    Instrument(
        "pizzicato", ("pizzicato", "pizz", "pizzicato strings", "plucked strings"), pizzicato, "lead", C4, 0.4, room=0.2
    ),
    Instrument("koto", ("koto", "shamisen", "guzheng"), koto, "lead", C4, 1.0, room=0.12),
    Instrument("sitar", ("sitar", "tanpura"), sitar, "lead", C3, 1.8, room=0.1),
    Instrument("banjo", ("banjo", "ukulele", "mandolin"), banjo, "lead", C4, 0.8),
)

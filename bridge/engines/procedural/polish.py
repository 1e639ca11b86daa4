"""What words do to a finished sound whatever plays it: tilt, drive, dust, width, room; and its clean edges."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.fft import rfft

from .dsp.envelopes import attack, decay, faded
from .dsp.filters import highpass, lowpass, shelf
from .dsp.noise import white
from .dsp.shaping import crushed, oversampled, saturated
from .dsp.signal import RATE, Signal, frames, mono, peak_normalised, stereo
from .dsp.space import decorrelated, reverb, widened
from .instrument import Knobs

PEAK = 0.89
"""-1 dBFS."""


def centroid(x: Signal) -> float:
    """Centre of gravity of the power spectrum of the first second and a half, Hz."""
    m = mono(x)[: 1 << 16]
    power = np.abs(rfft(m)) ** 2
    total = float(power.sum())
    return float((np.fft.rfftfreq(len(m), 1 / RATE) * power).sum() / total) if total > 0 else 1000.0


def _around(x: Signal, change: Callable[[Signal], Signal], loop: bool) -> Signal:
    """Apply a filter; in a loop it has heard the end before the beginning, and the beginning after the end."""
    if not loop:
        return change(x)
    count = x.shape[-1]
    before, after = min(count, RATE // 2), min(count, 2048)
    longer = np.concatenate([x[..., count - before :], x, x[..., :after]], axis=-1)
    return change(longer)[..., before : before + count]


def _pushed(x: Signal, push: float, loop: bool) -> Signal:
    return _around(peak_normalised(x), lambda v: oversampled(lambda u: saturated(u, push), v, 2), loop)


def _struck(x: Signal, hard: float) -> Signal:
    """A harder touch: its first 30 ms have more of what lies above the sound's centre."""
    over = highpass(x, min(max(1.5 * centroid(x), 250.0), 6000.0), 1)
    return x + 1.6 * min(hard, 1.5) * over * decay(x.shape[-1], 0.03)


def _tilted(x: Signal, bright: float) -> Signal:
    """Up to 9 dB more or less above the sound's own centre, and a little of the opposite below."""
    middle = min(max(centroid(x), 120.0), 7000.0)
    if bright > 0:
        return shelf(shelf(x, middle * 1.3, 5.5 * bright, "high"), middle * 0.6, -2.0 * bright, "low")
    y = shelf(x, middle * 0.9, 7.0 * bright, "high")
    return lowpass(y, min(max(middle * 5.0 * 2**bright, 300.0), 16_000.0), 1)


def _dusty(x: Signal, amount: float, rng: np.random.Generator) -> Signal:
    """An old sampler: fewer bits, a lower rate, and hiss that follows the sound."""
    bits = 13.0 - 3.5 * amount
    rate = RATE / round(1.6 + 1.6 * amount)
    y = crushed(x, bits, rate)
    y = lowpass(y, 13_000.0 * 2 ** (-0.75 * amount), 2)
    level = np.abs(mono(x))
    follow = lowpass(level, 5.0, 1)
    hiss = lowpass(white(rng, x.shape[-1]), 6000.0) * np.maximum(follow, 0)
    return y + 0.07 * amount * hiss


def _aged(x: Signal, amount: float, loop: bool) -> Signal:
    """Tape: highs go, and the speed wavers (in whole turns when it is a loop)."""
    count = x.shape[-1]
    turns = count / RATE * 0.9
    turns = max(1.0, round(turns)) if loop else turns
    swing = amount * 0.0012 * RATE / (2 * np.pi * 0.9)
    at = np.arange(count) + swing * (np.sin(2 * np.pi * turns * np.arange(count) / count))
    at = np.clip(at, 0, count - 1)
    y = np.stack([np.interp(at, np.arange(count), channel) for channel in np.atleast_2d(x)])
    y = y if x.ndim == 2 else y[0]
    return _around(y, lambda v: lowpass(v, 13_000.0 * 2 ** (-1.1 * amount), 1), loop)


def polished(x: Signal, knobs: Knobs, room: float, seed: int, loop: bool = False, low: bool = False) -> Signal:
    """Do what the words say, remove DC and normalise to -1 dBFS.

    ``room``: how wet the instrument is by nature, 0..1. ``loop``: nothing may break at the seam, and the length stays.
    ``low``: a kick or a bass, which stays dry and in the middle unless words say otherwise.
    """
    rng = np.random.default_rng([seed, 77])
    y = peak_normalised(x)
    if knobs.hard < 0 and not loop:
        y = y * attack(y.shape[-1], 0.004 * -knobs.hard)
    elif knobs.hard > 0 and not loop:
        y = _struck(y, knobs.hard * (0.4 if low else 1.0))
    if knobs.bright:
        y = _around(y, lambda v: _tilted(v, max(-1.2, min(1.2, knobs.bright))), loop)
    if knobs.drive > 0.2:
        y = _pushed(y, 1.0 + 3.2 * knobs.drive**1.4, loop)
    if knobs.lofi > 0:
        y = _around(peak_normalised(y), lambda v: _dusty(v, min(knobs.lofi, 1.6), rng), loop)
    if knobs.age > 0:
        y = _aged(y, min(knobs.age, 1.5), loop)
    y = _spread(y, knobs.width, loop, low)
    wet = min(max(room + 0.44 * knobs.wet, 0.0), 0.7) if knobs.wet >= 0 else max(0.0, room * (1 + knobs.wet))
    if wet > 0.02 and not (low and knobs.wet <= 0):
        seconds = 1.1 + 2.2 * wet + 0.5 * max(knobs.length, 0)
        y = reverb(y, wet, seconds, min(max(0.45 + 0.25 * knobs.bright, 0.05), 1.0), loop=loop)
        if knobs.drive > 0.6 and wet > 0.1:  # the room rounds off what the drive has squared
            y = _pushed(y, 1.0 + 2.4 * knobs.drive, loop)
    y = _around(y, lambda v: highpass(v, 18.0, 1), loop)
    if loop:
        y = y - y.mean(axis=-1, keepdims=True)
    return peak_normalised(y, PEAK)


def _spread(x: Signal, width: float, loop: bool, low: bool) -> Signal:
    """Narrower down to mono, or wider; what is low widens only when that was clearly said."""
    if width < 0 and x.ndim == 2:
        return mono(x) if width <= -1 else widened(x, 1 + width)
    if width > 0 and not (low and width < 0.5):
        return _around(x, lambda v: _wide(v, min(width, 1.5)), loop)
    return x


def _wide(x: Signal, amount: float) -> Signal:
    if x.ndim == 2:
        middle = mono(x)
        return widened(x, 1 + 0.6 * amount) + decorrelated(middle, 0.2 * amount) - middle
    return decorrelated(x, 0.42 * amount)


def trimmed(x: Signal, tail: float = 0.02) -> Signal:
    """Cut a one-shot 66 dB under its peak, and fade both ends."""
    loud = np.abs(stereo(x)).max(axis=0)
    above = np.flatnonzero(loud > 5e-4 * float(loud.max(initial=1e-12)))
    end = min(x.shape[-1], (int(above[-1]) if len(above) else 0) + frames(tail))
    return faded(x[..., : max(end, 64)], 0.0007, tail)

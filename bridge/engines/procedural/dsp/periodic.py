"""Sustained sounds made in the frequency domain: every partial turns a whole number of times, so they loop exactly.

The widened harmonics are the idea of P. O. Nasca's PADsynth: each harmonic is a narrow band of partials with random
phases, whose width grows with its number, which the ear takes for an ensemble.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from scipy.fft import irfft

from .signal import RATE, Signal, peak_normalised

_AT_ONCE = 8192  # bins


def ensemble(
    rng: np.random.Generator,
    pitches: Sequence[float],
    count: int,
    timbre: Callable[[Signal, float], Signal],
    cents: float = 18.0,
    width: float = 0.6,
    growth: float = 1.0,
) -> Signal:
    """A chord that loops, (2, count), peak 1.

    ``timbre(hertz, pitch)``: amplitude of harmonics at these Hz of a note of that pitch. ``cents``: half width of the
    band of one harmonic. ``width`` 0..1: how different the ears are. ``growth``: 1 widens harmonics in proportion to
    their Hz, 0 keeps them alike.
    """
    size = count // 2 + 1
    unit = RATE / count  # Hz a bin
    centres, spreads, gains = [], [], []
    for pitch in pitches:
        numbers = np.arange(1, max(2, int(17_500 / pitch)) + 1, dtype=np.float64)
        gain = timbre(numbers * pitch, pitch)
        heard = gain >= 6e-4 * gain.max()
        centres.append(numbers[heard] * pitch / unit)
        spreads.append(np.maximum(numbers[heard] ** growth * pitch * (2 ** (cents / 1200) - 1) / unit, 0.35))
        gains.append(gain[heard])
    centre, sigma, gain = (np.concatenate(each) for each in (centres, spreads, gains))
    low = np.maximum(1, (centre - 3 * sigma - 1).astype(np.int64))
    wide = np.maximum(0, np.minimum(size, (centre + 3 * sigma + 2).astype(np.int64)) - low)
    centre, sigma, gain, low, wide = (each[wide > 0] for each in (centre, sigma, gain, low, wide))
    spectrum = np.zeros((2, size), dtype=np.complex64)  # -120 dB is exact enough, in half the time
    # bands behind each other, as many at a time as stay in the cache: a pass for each alone would take longer
    groups = (np.cumsum(wide) - wide) // _AT_ONCE
    for group in np.split(np.arange(len(wide)), np.flatnonzero(np.diff(groups)) + 1):
        ends = np.cumsum(wide[group])
        begins = ends - wide[group]
        profile = np.arange(ends[-1], dtype=np.float32)
        profile -= np.repeat((begins + (centre - low)[group]).astype(np.float32), wide[group])
        profile *= np.repeat((1 / sigma[group]).astype(np.float32), wide[group])
        profile = np.exp(np.float32(-0.5) * np.square(profile))
        power = np.add.reduceat(np.square(profile), begins)
        profile *= np.repeat((gain[group] / np.sqrt(power)).astype(np.float32), wide[group])
        both = rng.random((2, len(profile)), dtype=np.float32)  # turns: the left ear's, and from there to the right
        both[1] = both[0] + width * (both[1] - np.float32(0.5))
        both *= np.float32(2 * np.pi)
        real, imaginary = profile * np.cos(both), profile * np.sin(both)
        for first, begin, end in zip(low[group], begins, ends, strict=True):
            spectrum.real[:, first : first + end - begin] += real[:, begin:end]
            spectrum.imag[:, first : first + end - begin] += imaginary[:, begin:end]
    return peak_normalised(np.asarray(irfft(spectrum, count, axis=-1, overwrite_x=True), dtype=np.float64))


def rolled(edge: float, order: float = 2.0, slope: float = 1.0) -> Callable[[Signal, float], Signal]:
    """The timbre of a saw (``slope`` 1) through a low-pass at ``edge`` Hz of ``order`` poles."""

    def timbre(hertz: Signal, pitch: float) -> Signal:
        return np.asarray((pitch / hertz) ** slope / (1 + (hertz / edge) ** (2 * order)) ** 0.5)

    return timbre

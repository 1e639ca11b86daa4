"""Sustained sounds made in the frequency domain: every partial turns a whole number of times, so they loop exactly.

The widened harmonics are the idea of P. O. Nasca's PADsynth: each harmonic is a narrow band of partials with random
phases, whose width grows with its number, which the ear takes for an ensemble.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from scipy.fft import irfft

from .signal import RATE, Signal, peak_normalised


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
    spectrum = np.zeros((2, size), dtype=np.complex64)  # -120 dB is exact enough, in half the time
    for pitch in pitches:
        numbers = np.arange(1, max(2, int(17_500 / pitch)) + 1, dtype=np.float64)
        gains = timbre(numbers * pitch, pitch)
        loudest = float(gains.max())
        for number, gain in zip(numbers, gains, strict=True):
            if gain < 6e-4 * loudest:
                continue
            centre = number * pitch / unit
            sigma = max(number**growth * pitch * (2 ** (cents / 1200) - 1) / unit, 0.35)
            low, high = max(1, int(centre - 3 * sigma - 1)), min(size, int(centre + 3 * sigma + 2))
            if high <= low:
                continue
            profile = np.exp(
                -0.5 * np.square((np.arange(low, high, dtype=np.float32) - np.float32(centre)) / np.float32(sigma))
            )
            profile *= gain / np.sqrt(np.dot(profile, profile))
            both = rng.random((2, high - low), dtype=np.float32)  # turns: the left ear's, and from there to the right
            both[1] = both[0] + width * (both[1] - np.float32(0.5))
            both *= np.float32(2 * np.pi)
            spectrum.real[:, low:high] += profile * np.cos(both)
            spectrum.imag[:, low:high] += profile * np.sin(both)
    return peak_normalised(np.asarray(irfft(spectrum, count, axis=-1, overwrite_x=True), dtype=np.float64))


def rolled(edge: float, order: float = 2.0, slope: float = 1.0) -> Callable[[Signal, float], Signal]:
    """The timbre of a saw (``slope`` 1) through a low-pass at ``edge`` Hz of ``order`` poles."""

    def timbre(hertz: Signal, pitch: float) -> Signal:
        return np.asarray((pitch / hertz) ** slope / (1 + (hertz / edge) ** (2 * order)) ** 0.5)

    return timbre

"""Noise."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.fft import irfft, next_fast_len

from .filters import bandpass
from .signal import RATE, Signal


def white(rng: np.random.Generator, count: int) -> Signal:
    """White noise of unit variance, (count,)."""
    return rng.standard_normal(count)


def band(rng: np.random.Generator, count: int, low: float, high: float, order: int = 2) -> Signal:
    """Noise between ``low`` and ``high`` Hz, (count,)."""
    return bandpass(white(rng, count), low, high, order)


def circular(rng: np.random.Generator, count: int, shape: Callable[[Signal], Signal]) -> Signal:
    """Noise that loops without a seam: random phases under the magnitude ``shape(hertz)``, unit variance, (count,)."""
    hertz = np.fft.rfftfreq(count, 1 / RATE)
    size = shape(np.maximum(hertz, 1.0))
    size[0] = 0
    heard = np.flatnonzero(size > 1e-5 * size.max(initial=0.0))  # most of a narrow band's spectrum is not
    spectrum = np.zeros(len(hertz), dtype=np.complex128)
    spectrum[heard] = size[heard] * (rng.standard_normal(len(heard)) + 1j * rng.standard_normal(len(heard)))
    y = np.asarray(irfft(spectrum, count))
    return y / max(float(y.std()), 1e-12)


def wander(rng: np.random.Generator, count: int, speed: float) -> Signal:
    """A slow random walk within about -1..1 with changes up to ``speed`` Hz, (count,)."""
    long = next_fast_len(count + RATE)
    hertz = np.fft.rfftfreq(long, 1 / RATE)
    inside = hertz <= speed
    spectrum = np.zeros(len(hertz), dtype=np.complex128)
    spectrum[inside] = rng.standard_normal(inside.sum()) + 1j * rng.standard_normal(inside.sum())
    y = np.asarray(irfft(spectrum, long))[:count]
    return y / max(float(np.abs(y).max()), 1e-12)

"""Noise."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy.fft import irfft, next_fast_len

from .envelopes import decay
from .filters import bandpass
from .signal import RATE, Signal, peak_normalised

_ANGLES = 4096
_FEW = 40
"""Partials up to which their sum is quicker than a transform."""


def white(rng: np.random.Generator, count: int) -> Signal:
    """White noise of unit variance, (count,)."""
    return rng.standard_normal(count, dtype=np.float32).astype(np.float64)  # quicker than doubles, and as white


def band(rng: np.random.Generator, count: int, low: float, high: float, order: int = 2) -> Signal:
    """Noise between ``low`` and ``high`` Hz, (count,)."""
    return bandpass(white(rng, count), low, high, order)


def burst(rng: np.random.Generator, count: int, low: float, high: float, tau: float) -> Signal:
    """``band`` that dies away by a factor of e every ``tau`` seconds, (count,): filtered as long as it is heard."""
    noise = white(rng, count)
    heard = min(count, int(24 * tau * RATE))  # then 200 dB are gone
    noise[:heard] = bandpass(noise[:heard], low, high) * decay(heard, tau)
    noise[heard:] = 0.0
    return noise


def circular(rng: np.random.Generator, count: int, shape: Callable[[Signal], Signal]) -> Signal:
    """Noise that loops without a seam: random phases under the magnitude ``shape(hertz)``, unit variance, (count,)."""
    return np.asarray(circular_each(rng, count, shape, 1)[0])


def circular_each(rng: np.random.Generator, count: int, shape: Callable[[Signal], Signal], channels: int) -> Signal:
    """``circular`` for channels that have nothing in common, (channels, count)."""
    size = shape(np.maximum(np.fft.rfftfreq(count, 1 / RATE), 1.0))
    size[0] = 0
    loud = np.flatnonzero(size > 1e-4 * size.max(initial=0.0))  # most of a narrow band's spectrum is not
    heard = slice(int(loud[0]), int(loud[-1]) + 1) if len(loud) else slice(0, 0)
    size = size[heard]
    if len(size) <= _FEW:
        draws = rng.standard_normal((channels, 2, len(size))) * size
        draws *= 2.0 / np.maximum(np.sqrt(2.0 * np.square(draws).sum(axis=(1, 2), keepdims=True)), 1e-12)
        return _summed(np.arange(heard.start, heard.stop), draws, count, count)
    size *= count / math.sqrt(2.0 * float(np.dot(size, size)))
    spectrum = np.zeros((channels, count // 2 + 1), dtype=np.complex64)
    turns = np.take(_around(), rng.integers(0, _ANGLES, (channels, len(size)), dtype=np.uint16))
    np.multiply(turns, size.astype(np.float32), out=spectrum[:, heard])
    return np.asarray(irfft(spectrum, count, axis=-1, overwrite_x=True), dtype=np.float64)


@lru_cache(maxsize=1)
def _around() -> npt.NDArray[np.complex64]:
    """Points of a circle: to look up a phase is several times quicker than to draw it."""
    return np.asarray(np.exp(2j * np.pi / _ANGLES * np.arange(_ANGLES)), dtype=np.complex64)


def _summed(turns: npt.NDArray[np.intp], parts: Signal, period: int, count: int) -> Signal:
    """Sum few partials that make whole ``turns`` in ``period`` frames, (channels, count).

    ``parts``: (channels, real and imaginary, partials). As one product of matrices, see ``modes``.
    """
    size = math.isqrt(max(count - 1, 0)) + 1
    unit = 2j * np.pi / period * turns
    columns = np.exp(unit[:, np.newaxis] * np.arange(size))
    rows = (parts[:, 0] + 1j * parts[:, 1])[:, np.newaxis] * np.exp(
        np.arange(-(-count // size))[:, np.newaxis] * (unit * size)
    )
    y = np.concatenate([rows.real, -rows.imag], axis=-1) @ np.concatenate([columns.real, columns.imag])
    return np.asarray(y.reshape(len(parts), -1)[:, :count])


def wander(rng: np.random.Generator, count: int, speed: float) -> Signal:
    """A slow random walk within about -1..1 with changes up to ``speed`` Hz, (count,)."""
    long = next_fast_len(count + RATE)
    inside = int(speed * long / RATE) + 1
    draws = rng.standard_normal((1, 2, inside))
    if inside <= _FEW:
        draws[:, :, 0] *= 0.5  # the mean has no other half
        y = _summed(np.arange(inside), 2.0 * draws, long, count)[0]
    else:
        spectrum = np.zeros(long // 2 + 1, dtype=np.complex64)
        spectrum.real[:inside], spectrum.imag[:inside] = draws[0]
        y = np.asarray(irfft(spectrum, long, overwrite_x=True)[:count], dtype=np.float64)
    return peak_normalised(y)

"""Distortion, on purpose."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .filters import lowpass
from .resampling import lowered, raised
from .signal import RATE, Signal


def saturated(x: Signal, drive: float) -> Signal:
    """tanh soft clipping; ``drive`` 1 is gentle, 5 strong; a peak of 1 stays 1."""
    return np.asarray(np.tanh(x * drive) / np.tanh(drive))


def oversampled(shape: Callable[[Signal], Signal], x: Signal, times: int = 4) -> Signal:
    """Apply a waveshaper at ``times`` the rate, so that what it adds above Nyquist does not fold back."""
    return lowered(shape(raised(x, times)), times)


def crushed(x: Signal, bits: float, rate: float) -> Signal:
    """An old sampler: ``bits`` of depth and a rate of ``rate`` Hz, held between samples."""
    hold = max(1, round(RATE / rate))
    steps = 2 ** (bits - 1)
    held = np.round(lowpass(x, 0.45 * rate)[..., ::hold] * steps) / steps
    return np.repeat(held, hold, axis=-1)[..., : x.shape[-1]]

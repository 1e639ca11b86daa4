"""To a whole multiple of the rate, and back: products with banded matrices, several times quicker than a filter that
goes from sample to sample.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from scipy.signal import firwin

from .signal import Signal

_BLOCK = 64
"""Frames of the low rate that one row of a product reads or writes."""
_SIDE = 10
"""Frames of the low rate on either side that the filter reaches."""


def raised(x: Signal, times: int) -> Signal:
    """Bring a signal to ``times`` its rate, (..., times x frames)."""
    blocks, count = _windows(x, _BLOCK, _SIDE)
    y = (blocks @ _up(times)).reshape(*x.shape[:-1], -1)
    return np.asarray(y[..., : times * count])


def lowered(y: Signal, times: int) -> Signal:
    """Bring a signal back to the rate it had before ``raised``, (..., frames / times)."""
    blocks, count = _windows(y, _BLOCK * times, _SIDE * times)
    x = (blocks @ _down(times)).reshape(*y.shape[:-1], -1)
    return np.asarray(x[..., : -(-count // times)], dtype=np.float64)


def _windows(x: Signal, block: int, side: int) -> tuple[Any, int]:
    """Cut into blocks with what is around them, (..., blocks, side + block + side), single precision."""
    count = x.shape[-1]
    many = -(-count // block)
    padded = np.zeros((*x.shape[:-1], many * block + 2 * side), dtype=np.float32)
    padded[..., side : side + count] = x
    return np.lib.stride_tricks.sliding_window_view(padded, block + 2 * side, axis=-1)[..., ::block, :], count


@lru_cache(maxsize=4)
def _taps(times: int) -> Any:
    return firwin(2 * _SIDE * times + 1, 1.0 / times, window=("kaiser", 5.0))


@lru_cache(maxsize=4)
def _up(times: int) -> Any:
    taps, matrix = _taps(times) * times, np.zeros((_BLOCK + 2 * _SIDE, _BLOCK * times), dtype=np.float32)
    for read in range(len(matrix)):
        # an impulse at this frame, which is so far from the block's first one
        first = (read - _SIDE) * times - _SIDE * times
        for tap in range(max(0, -first), min(len(taps), _BLOCK * times - first)):
            matrix[read, first + tap] = taps[tap]
    return matrix


@lru_cache(maxsize=4)
def _down(times: int) -> Any:
    taps, matrix = _taps(times), np.zeros(((_BLOCK + 2 * _SIDE) * times, _BLOCK), dtype=np.float32)
    for written in range(_BLOCK):
        matrix[written * times : written * times + len(taps), written] = taps
    return matrix

"""Shapes over time."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from .signal import RATE, Signal, frames

_SLOW = 32
"""Frames between two readings of a slow curve."""


def decay(count: int, tau: float) -> Signal:
    """exp(-t / tau), (count,); ``tau`` in seconds."""
    return _falling(count, -1.0 / (tau * RATE))


def attack(count: int, seconds: float) -> Signal:
    """Rises from 0 to 1 like a raised cosine within ``seconds``, then stays 1, (count,)."""
    n = min(count, frames(seconds))
    y = np.ones(count)
    y[:n] = 0.5 - 0.5 * np.cos(np.pi * np.arange(n) / n)
    return y


def gated(count: int, rise: float, fall: float, level: float, release: float, gate: float) -> Signal:
    """A key held for ``gate`` seconds: raised-cosine rise, exponential fall to ``level``, exponential release.

    All times in seconds; ``release`` is the time to -26 dB. (count,)
    """
    y = np.ones(count)
    fallen, released = (min(count, math.ceil(max(0.0, at) * RATE)) for at in (rise, gate))
    start = math.exp((rise - fallen / RATE) / fall)
    y[fallen:] = level + (1 - level) * start * _falling(count - fallen, -1.0 / (fall * RATE))
    start = math.exp(3 * (gate - released / RATE) / release)
    y[released:] *= start * _falling(count - released, -3.0 / (release * RATE))
    n = min(count, frames(rise))
    y[:n] *= attack(n, rise)
    return y


def faded(x: Signal, head: float = 0.0008, tail: float = 0.01) -> Signal:
    """Raised-cosine fades at both ends, in seconds: no click, and the last frame is 0."""
    y = x.copy()
    count = y.shape[-1]
    n, m = min(count // 2, round(head * RATE)), min(count // 2, round(tail * RATE))
    if n:
        y[..., :n] *= 0.5 - 0.5 * np.cos(np.pi * np.arange(n) / n)
    if m:
        y[..., count - m :] *= 0.5 + 0.5 * np.cos(np.pi * np.arange(1, m + 1) / m)
    return y


def cycles(count: int, turns: int, start: float = 0.0) -> Signal:
    """A sine LFO that makes ``turns`` whole turns in ``count`` frames, so that it loops, (count,)."""
    # sin(a + b) for the rows a and the columns b of a table that is read line by line: few sines for many frames
    size = math.isqrt(max(count - 1, 0)) + 1
    unit = 2 * np.pi * turns / max(count, 1)
    rows = unit * size * np.arange(-(-count // size)) + 2 * np.pi * start
    columns = unit * np.arange(size)
    y = np.stack([np.sin(rows), np.cos(rows)], axis=1) @ np.stack([np.cos(columns), np.sin(columns)])
    return np.asarray(y.reshape(-1)[:count])


def slowly(count: int, curve: Callable[[Signal], Signal]) -> Signal:
    """A curve over the seconds that changes little within 0.7 ms, read there and joined by lines, (count,)."""
    at = np.arange(0, count + _SLOW, _SLOW)
    values = curve(at / RATE)
    steps = np.arange(_SLOW) / _SLOW
    return np.asarray((values[:-1, np.newaxis] + np.multiply.outer(np.diff(values), steps)).reshape(-1)[:count])


def _falling(count: int, rate: float) -> Signal:
    """exp(rate * n), (count,), ``rate`` under 0 a frame: a table of products, read line by line."""
    size = math.isqrt(max(count - 1, 0)) + 1
    rows = np.exp(rate * size * np.arange(-(-count // size)))
    return np.asarray(np.multiply.outer(rows, np.exp(rate * np.arange(size))).reshape(-1)[:count])

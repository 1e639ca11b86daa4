"""Shapes over time."""

from __future__ import annotations

import numpy as np

from .signal import RATE, Signal, frames, times


def decay(count: int, tau: float) -> Signal:
    """exp(-t / tau), (count,); ``tau`` in seconds."""
    return np.exp(times(count) / -tau)


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
    t = times(count)
    body = level + (1 - level) * np.exp(-np.maximum(t - rise, 0) / fall)
    return attack(count, rise) * body * np.exp(-3 * np.maximum(t - gate, 0) / release)


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
    return np.sin(2 * np.pi * (turns * np.arange(count) / count + start))

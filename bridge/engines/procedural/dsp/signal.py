"""What a signal is here, and how time is counted."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

RATE = 44_100
"""Hz of everything the procedural engine makes."""

Signal: TypeAlias = npt.NDArray[np.float64]
"""(frames,) mono or (2, frames) stereo, nominal range -1..1."""

Curve: TypeAlias = float | Signal
"""A parameter: one number, or one number a frame."""


def frames(seconds: float) -> int:
    """Nearest count of frames, at least one."""
    return max(1, round(seconds * RATE))


def times(count: int) -> Signal:
    """Seconds of each frame, (count,)."""
    return np.arange(count, dtype=np.float64) / RATE


def peak_normalised(x: Signal, peak: float = 1.0) -> Signal:
    """Scale so that the largest magnitude is ``peak``; silence stays silence."""
    top = float(max(np.max(x, initial=0.0), -np.min(x, initial=0.0)))
    return x * (peak / top) if top > 1e-12 else x


def fitted(x: Signal, count: int) -> Signal:
    """Cut or pad with silence to ``count`` frames."""
    have = x.shape[-1]
    if have >= count:
        return x[..., :count]
    return np.concatenate([x, np.zeros((*x.shape[:-1], count - have))], axis=-1)


def stereo(x: Signal) -> Signal:
    """(2, frames), a mono signal in both channels."""
    return x if x.ndim == 2 else np.stack([x, x])


def mono(x: Signal) -> Signal:
    """(frames,), the mean of the channels."""
    return x if x.ndim == 1 else np.asarray(x.mean(axis=0))


def added(x: Signal, y: Signal) -> Signal:
    """The sum of two signals of any length and channels; as long and as wide as the larger."""
    if x.ndim != y.ndim:
        x, y = stereo(x), stereo(y)
    count = max(x.shape[-1], y.shape[-1])
    return fitted(x, count) + fitted(y, count)


def place(bus: Signal, sound: Signal, start: int, gain: float = 1.0) -> None:
    """Add ``sound`` to the stereo ``bus`` (2, frames) from frame ``start`` on; what goes past the end comes in again at
    the beginning, so the bus is a loop without a seam.
    """
    length = bus.shape[-1]
    sound = stereo(sound)
    at, done = start % length, 0
    while done < sound.shape[-1]:
        step = min(length - at, sound.shape[-1] - done)
        bus[:, at : at + step] += gain * sound[:, done : done + step]
        done += step
        at = 0

"""Rooms and width."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from scipy.fft import irfft, next_fast_len, rfft

from .filters import highpass, lowpass
from .signal import RATE, Signal, stereo


@lru_cache(maxsize=24)
def impulse_response(seconds: float, brightness: float, delay: float, seed: int = 7) -> Signal:
    """A diffuse room of decay time ``seconds`` (to -60 dB): noise whose highs die sooner, unit energy, (2, frames)."""
    count = int(seconds * 1.05 * RATE)
    t = np.arange(count) / RATE
    noise = np.random.default_rng(seed).standard_normal((2, count))
    noise += 0.45 * noise[::-1]  # a room is not quite another one for the other ear
    low = lowpass(noise, 900.0)
    high = lowpass(noise - low, 3000.0 + 9000.0 * brightness)
    tail = low * np.exp(-6.9 * t / seconds) + high * np.exp(-6.9 * t / (seconds * (0.35 + 0.4 * brightness)))
    tail = highpass(tail, 160.0, 1)
    tail = np.concatenate([np.zeros((2, round(delay * RATE))), tail], axis=-1)
    tail /= np.sqrt(np.sum(tail**2, axis=-1, keepdims=True))
    tail.setflags(write=False)
    return tail


def reverb(
    x: Signal,
    wet: float,
    seconds: float = 1.6,
    brightness: float = 0.5,
    delay: float = 0.012,
    loop: bool = False,
) -> Signal:
    """Put a signal in a room; ``wet`` 0..1. The answer is stereo.

    As a loop the tail comes in again at the beginning and the length stays; otherwise the tail is added at the end.
    """
    room = impulse_response(round(seconds, 2), round(brightness, 2), round(delay, 3))
    dry = stereo(x)
    count = dry.shape[-1]
    if loop:
        folded = np.zeros((2, count))
        for start in range(0, room.shape[-1], count):
            piece = room[:, start : start + count]
            folded[:, : piece.shape[-1]] += piece
        tail = irfft(rfft(dry, axis=-1) * rfft(folded, axis=-1), count, axis=-1)
    else:
        longer = count + room.shape[-1] - 1
        size = next_fast_len(-(-longer // 16_384) * 16_384, real=True)  # few sizes, whose rooms are remembered
        # one channel is heard in two ears: transformed once
        heard = rfft(np.atleast_2d(x).astype(np.float32), size, axis=-1)
        heard = heard * _response(round(seconds, 2), round(brightness, 2), round(delay, 3), size)
        tail = irfft(heard, size, axis=-1, overwrite_x=True)[:, :longer]
    y: Signal = np.multiply(tail, wet, dtype=np.float64)
    y[:, :count] += dry * (1 - 0.5 * wet)
    return y


@lru_cache(maxsize=24)
def _response(seconds: float, brightness: float, delay: float, size: int) -> Any:
    """Spectrum of a room for a transform of ``size``, single precision."""
    return rfft(impulse_response(seconds, brightness, delay).astype(np.float32), size, axis=-1)


def panned(x: Signal, position: float) -> Signal:
    """A mono signal at ``position`` -1 (left) .. 1 (right), constant power, (2, frames)."""
    angle = (position + 1) * np.pi / 4
    return np.stack([x * np.cos(angle), x * np.sin(angle)])


def widened(x: Signal, width: float, base: float = 150.0) -> Signal:
    """Scale the side signal by ``width`` (0 = mono, 1 = as it is); what lies under ``base`` Hz stays in the middle."""
    left, right = stereo(x)
    middle, side = (left + right) / 2, (left - right) / 2
    side = highpass(side, base, 1) * width
    return np.stack([middle + side, middle - side])


def decorrelated(x: Signal, amount: float, seed: int = 3) -> Signal:
    """Make a mono signal wide without moving its middle: an all-pass-like smear of 12 ms is the side signal."""
    count = round(0.012 * RATE)
    kernel = np.random.default_rng(seed).standard_normal(count) * np.exp(-np.arange(count) / (count / 4))
    kernel /= np.sqrt(np.sum(kernel**2))
    size = next_fast_len(x.shape[-1] + count, real=True)
    side = np.asarray(irfft(rfft(x, size) * rfft(kernel, size), size))[: x.shape[-1]]
    side = highpass(side, 200.0, 1) * amount
    return np.stack([x + side, x - side])

"""Filters, fixed and moving.

Shelves, peak and the moving filter: R. Bristow-Johnson, "Cookbook formulae for audio EQ biquad filter coefficients".
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any, Literal

import numpy as np
from scipy.signal import butter, lfilter, sosfilt

from .signal import RATE, Curve, Signal


@lru_cache(maxsize=512)
def _butter(order: int, kind: str, low: float, high: float | None) -> Any:
    edges = [low] if high is None else [low, high]
    wn = [min(max(2 * edge / RATE, 1e-4), 0.995) for edge in edges]
    return butter(order, wn if high is not None else wn[0], kind, output="sos")


def _filtered(x: Signal, sections: Any) -> Signal:
    if len(sections) == 1 and sections[0, 2] == sections[0, 5] == 0:  # one pole: several times quicker this way
        return np.asarray(lfilter(sections[0, :2], sections[0, 3:5], x, axis=-1))
    return np.asarray(sosfilt(sections, x, axis=-1))


def lowpass(x: Signal, pitch: float, order: int = 2) -> Signal:
    """Butterworth low-pass at ``pitch`` Hz."""
    return _filtered(x, _butter(order, "lowpass", round(pitch, 2), None))


def highpass(x: Signal, pitch: float, order: int = 2) -> Signal:
    """Butterworth high-pass at ``pitch`` Hz."""
    return _filtered(x, _butter(order, "highpass", round(pitch, 2), None))


def bandpass(x: Signal, low: float, high: float, order: int = 2) -> Signal:
    """Butterworth band-pass from ``low`` to ``high`` Hz."""
    return _filtered(x, _butter(order, "bandpass", round(low, 2), round(high, 2)))


def _biquad(x: Signal, b: tuple[float, float, float], a: tuple[float, float, float]) -> Signal:
    return np.asarray(lfilter(np.array(b) / a[0], np.array(a) / a[0], x, axis=-1))


def shelf(x: Signal, pitch: float, decibels: float, side: Literal["low", "high"], slope: float = 0.7) -> Signal:
    """Low or high shelf of ``decibels`` around ``pitch`` Hz."""
    amp = 10 ** (decibels / 40)
    w = 2 * math.pi * min(max(pitch, 20.0), 0.45 * RATE) / RATE
    sign = 1.0 if side == "low" else -1.0
    cos = sign * math.cos(w)
    alpha = math.sin(w) / 2 * math.sqrt((amp + 1 / amp) * (1 / slope - 1) + 2)
    beta = 2 * math.sqrt(amp) * alpha
    b = (
        amp * (amp + 1 - (amp - 1) * cos + beta),
        sign * 2 * amp * (amp - 1 - (amp + 1) * cos),
        amp * (amp + 1 - (amp - 1) * cos - beta),
    )
    a = (amp + 1 + (amp - 1) * cos + beta, -sign * 2 * (amp - 1 + (amp + 1) * cos), amp + 1 + (amp - 1) * cos - beta)
    return _biquad(x, b, a)


def peak(x: Signal, pitch: float, decibels: float, q: float = 1.0) -> Signal:
    """Bell of ``decibels`` around ``pitch`` Hz."""
    amp = 10 ** (decibels / 40)
    w = 2 * math.pi * min(max(pitch, 20.0), 0.45 * RATE) / RATE
    alpha, cos = math.sin(w) / (2 * q), math.cos(w)
    return _biquad(x, (1 + alpha * amp, -2 * cos, 1 - alpha * amp), (1 + alpha / amp, -2 * cos, 1 - alpha / amp))


def resonator(x: Signal, pitch: float, width: float) -> Signal:
    """Two-pole resonance at ``pitch`` Hz, ``width`` Hz wide, gain 1 at its top (a formant)."""
    r = math.exp(-math.pi * width / RATE)
    w = 2 * math.pi * pitch / RATE
    gain = (1 - r) * math.sqrt(1 - 2 * r * math.cos(2 * w) + r * r)
    return np.asarray(lfilter([gain], [1, -2 * r * math.cos(w), r * r], x, axis=-1))


def sweep(
    x: Signal,
    pitch: Curve,
    q: float = 0.707,
    mode: Literal["low", "high", "band"] = "low",
    block: int = 64,
) -> Signal:
    """A 12 dB/octave filter whose edge ``pitch`` (Hz, one a frame) moves; its coefficients change every ``block``
    frames.
    """
    count = x.shape[-1]
    edges = np.broadcast_to(np.asarray(pitch, dtype=np.float64), (count,))[::block]
    w = 2 * np.pi * np.clip(edges, 20.0, 0.42 * RATE) / RATE
    alpha, cos = np.sin(w) / (2 * q), np.cos(w)
    zero = np.zeros_like(cos)
    top = {
        "low": ((1 - cos) / 2, 1 - cos, (1 - cos) / 2),
        "high": ((1 + cos) / 2, -(1 + cos), (1 + cos) / 2),
        "band": (alpha, zero, -alpha),
    }[mode]
    norm = 1 + alpha
    b = np.stack(top, axis=1) / norm[:, np.newaxis]
    a = np.stack([np.ones_like(cos), -2 * cos / norm, (1 - alpha) / norm], axis=1)
    return _blockwise(x, b, a, block)


def _blockwise(x: Signal, b: Signal, a: Signal, block: int) -> Signal:
    """Filter each ``block`` frames by its own biquad, whose state continues; ``b`` and ``a``: (blocks, 3).

    All blocks at once, frame by frame, each from silence; then each gets what the state at its beginning adds.
    """
    count, many = x.shape[-1], len(b)
    rows = np.atleast_2d(x)
    padded = np.zeros((len(rows) + 2, many * block))
    padded[:-2, :count] = rows
    # (frames of a block, channels and the two unit states, blocks)
    wave = np.ascontiguousarray(padded.reshape(-1, many, block).transpose(2, 0, 1))
    first, second = np.zeros(wave.shape[1:]), np.zeros(wave.shape[1:])
    first[-2], second[-1] = 1.0, 1.0
    b0, b1, b2 = b.T
    _, a1, a2 = a.T
    for frame in wave:
        out = b0 * frame + first
        first = b1 * frame - a1 * out + second
        second = b2 * frame - a2 * out
        frame[:] = out
    keep = np.stack([first[-2], first[-1], second[-2], second[-1]], axis=1).tolist()
    for channel in range(len(rows)):
        one = two = 0.0
        states = []
        for (p, q, r, s), here, there in zip(keep, first[channel].tolist(), second[channel].tolist(), strict=True):
            states.append((one, two))
            one, two = p * one + q * two + here, r * one + s * two + there
        before = np.array(states).T
        wave[:, channel] += wave[:, -2] * before[0] + wave[:, -1] * before[1]
    y = wave[:, :-2].transpose(1, 2, 0).reshape(len(rows), -1)[:, :count]
    return np.ascontiguousarray(y.reshape(x.shape))

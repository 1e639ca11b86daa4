"""Seams: how to join the end of a sound to its beginning, and whether the join is heard."""

from __future__ import annotations

import numpy as np
from scipy.linalg import LinAlgError, solve_toeplitz

from bridge.audio.analysis.spectrum import Numbers
from bridge.plugins.clip import Clip, Samples

_ORDER = 32
_SIDE_SECONDS = 0.06


def crossfade(leaving: Samples, coming: Samples) -> tuple[Samples, float]:
    """Fade from ``leaving`` to ``coming``, both (channels, frames), without a dip or a bump in the level.

    Gives the joined frames and the correlation rho of the two. The gains are sine and cosine, both divided by
    sqrt(1 + 2 rho sin cos): equal power for what has nothing in common, equal gain for what is the same.
    """
    count = leaving.shape[1]
    turn = (np.arange(count) + 0.5) / max(1, count) * np.pi / 2
    rise, fall = np.sin(turn), np.cos(turn)
    rho = correlation(leaving, coming)
    both = np.sqrt(1.0 + 2.0 * max(rho, -0.5) * rise * fall)
    joined = leaving * (fall / both) + coming * (rise / both)
    return joined.astype(np.float32), rho


def correlation(one: Samples, other: Samples) -> float:
    """Correlate two pieces over all channels, -1..1; 0 where one is silent."""
    energy = float(np.square(one, dtype=np.float64).sum() * np.square(other, dtype=np.float64).sum())
    if not energy > 0.0:
        return 0.0
    return float(np.clip(np.multiply(one, other, dtype=np.float64).sum() / np.sqrt(energy), -1.0, 1.0))


def seam_z(clip: Clip) -> float:
    """How far the join from the last frame to the first stands out, in units of what is usual near it.

    The residual of linear prediction (order 32) is what the waves so far did not announce. z is its highest value
    within two frames of the join over its 99th percentile in the 60 ms on either side; the worst channel counts. Up
    to 1.6 nothing is heard, over 3 a click is. 0 for silence and for clips under 128 frames.
    """
    side = min(round(_SIDE_SECONDS * clip.rate), clip.frames // 2)
    if side < 64:
        return 0.0
    samples = np.nan_to_num(clip.samples, nan=0.0, posinf=0.0, neginf=0.0).astype(np.float64)
    return max((_z(np.concatenate((each[-side:], each[:side])), side) for each in samples), default=0.0)


def _z(wave: Numbers, join: int) -> float:
    windowed = wave * np.hanning(len(wave))
    lags = np.correlate(windowed, windowed, "full")[len(wave) - 1 : len(wave) + _ORDER]
    if not lags[0] > 1e-12:
        return 0.0
    lags[0] *= 1 + 1e-6
    try:
        predictor = solve_toeplitz(lags[:-1], lags[1:])
    except LinAlgError:
        return 0.0
    residual = np.abs(np.convolve(wave, np.concatenate(([1.0], -predictor)))[: len(wave)])
    at_join = float(residual[join - 2 : join + 3].max())
    usual = np.concatenate((residual[_ORDER + 8 : join - 8], residual[join + 8 :]))
    floor = 1e-6 * float(np.abs(wave).max())  # the last bit of a float is not a click
    return at_join / (float(np.percentile(usual, 99)) + floor + 1e-12)

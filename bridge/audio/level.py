"""Level: offset and peak."""

from __future__ import annotations

import numpy as np

from bridge.audio.clip import Clip

PEAK_DBFS = -1.0
"""Where finished samples peak: room for a player's own gain and for resampling overshoot."""


def remove_dc(clip: Clip) -> Clip:
    """Subtract each channel's mean, which moves no wave and clicks at both ends when left in."""
    mean = clip.samples.mean(axis=1, keepdims=True, dtype=np.float64)
    with np.errstate(over="ignore"):  # what is out of range becomes infinite, and is refused as such
        return Clip((clip.samples - mean).astype(np.float32), clip.rate)


def peak_to(clip: Clip, dbfs: float = PEAK_DBFS) -> Clip:
    """Scale all channels alike so that the highest sample stands at ``dbfs``; silence stays silence."""
    peak = float(np.abs(clip.samples).max(initial=0.0))
    if peak == 0.0:
        return clip
    return Clip((clip.samples * (10.0 ** (dbfs / 20.0) / peak)).astype(np.float32), clip.rate)

"""Change of rate."""

from __future__ import annotations

import numpy as np
import soxr

from bridge.plugins.clip import Clip

_AROUND_SECONDS = 0.05
"""Of what comes before and after a ring, for the filter to hear."""


def resample(clip: Clip, rate: int) -> Clip:
    """Convert to ``rate`` Hz with soxr at very high quality; a clip at that rate comes back as it is."""
    if clip.rate == rate:
        return clip
    converted = soxr.resample(clip.samples.T, clip.rate, rate, quality="VHQ")
    return Clip(np.ascontiguousarray(converted.T, dtype=np.float32), rate)


def resample_ring(clip: Clip, rate: int) -> Clip:
    """Convert a clip whose end goes on into its beginning: it still does, ``round(frames * rate / clip.rate)`` long."""
    if clip.rate == rate or clip.frames == 0:
        return clip
    # So many frames around it that they are a whole number at both rates: nothing moves.
    unit = clip.rate // int(np.gcd(clip.rate, rate))
    around = -(-round(_AROUND_SECONDS * clip.rate) // unit) * unit
    longer = resample(Clip(np.pad(clip.samples, ((0, 0), (around, around)), mode="wrap"), clip.rate), rate)
    start, frames = around * rate // clip.rate, max(1, round(clip.frames * rate / clip.rate))
    return Clip(np.ascontiguousarray(longer.samples[:, start : start + frames]), rate)

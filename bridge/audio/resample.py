"""Change of rate."""

from __future__ import annotations

import numpy as np
import soxr

from bridge.audio.clip import Clip


def resample(clip: Clip, rate: int) -> Clip:
    """Convert to ``rate`` Hz with soxr at very high quality; a clip at that rate comes back as it is."""
    if clip.rate == rate:
        return clip
    converted = soxr.resample(clip.samples.T, clip.rate, rate, quality="VHQ")
    return Clip(np.ascontiguousarray(converted.T, dtype=np.float32), rate)

"""The number of channels of audio, changed."""

from __future__ import annotations

import numpy as np

from bridge.plugins.clip import Samples


def with_channels(samples: Samples, channels: int) -> Samples:
    """Give (channels, frames); where there are others, each is the mean of all of them."""
    if samples.shape[0] == channels:
        return samples
    return np.repeat(samples.mean(axis=0, keepdims=True, dtype=np.float32), channels, axis=0)

"""Offset and what lies under hearing: both eat headroom, click at the ends and say nothing."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import scipy.fft
from scipy.signal import butter, sosfilt, sosfilt_zi

from bridge.plugins.clip import Clip

SUBSONIC_HZ = 20.0
"""Corner of the high-pass: -3 dB there, -0.2 dB at 40 Hz."""

_NEEDED_RATIO = 8.0
"""Frames a clip needs in a period of the corner before a filter makes sense of it."""


def remove_mean(clip: Clip) -> Clip:
    """Subtract each channel's mean and nothing else."""
    mean = clip.samples.mean(axis=1, keepdims=True, dtype=np.float64) if clip.frames else 0.0
    with np.errstate(over="ignore"):  # what is out of range becomes infinite, and is refused as such
        return Clip((clip.samples - mean).astype(np.float32), clip.rate)


def clean_low_end(clip: Clip, *, loop: bool = False) -> Clip:
    """Remove offset and everything under 20 Hz: a Butterworth high-pass of second order.

    An ordinary clip is filtered forwards alone (minimum phase), as if its first frame had been there for ever: nothing
    rings before an attack, and nothing jumps at the start. A ``loop`` is filtered as if it had gone round for ever, in
    the frequency domain with the magnitude of the same filter and no phase: its end meets its beginning as before, no
    attack moves.
    """
    if clip.frames == 0:
        return clip
    samples = clip.samples.astype(np.float64)
    if loop:
        spectrum = scipy.fft.rfft(samples, axis=1)
        hertz = np.fft.rfftfreq(clip.frames, 1 / clip.rate)
        ratio = (hertz / SUBSONIC_HZ) ** 4
        cleaned = scipy.fft.irfft(spectrum * np.sqrt(ratio / (1.0 + ratio)), n=clip.frames, axis=1)
    else:
        filters, state = _high_pass(clip.rate)
        cleaned, _ = sosfilt(filters, samples, axis=1, zi=state[:, np.newaxis, :] * samples[np.newaxis, :, :1])
    return Clip(cleaned.astype(np.float32), clip.rate)


@lru_cache(maxsize=8)
def _high_pass(rate: int) -> tuple[Any, Any]:
    """Second-order sections and the state of a filter that has heard its first sample for ever."""
    filters = butter(2, min(SUBSONIC_HZ, rate / _NEEDED_RATIO), "highpass", fs=rate, output="sos")
    return filters, sosfilt_zi(filters)

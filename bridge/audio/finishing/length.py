"""Exact lengths and clean ends."""

from __future__ import annotations

import numpy as np

from bridge.plugins.clip import Clip

FADE_SECONDS = 0.005


def cut(clip: Clip, frames: int) -> Clip:
    """Leave at most the first ``frames``."""
    return clip if clip.frames <= frames else Clip(np.ascontiguousarray(clip.samples[:, :frames]), clip.rate)


def exact(clip: Clip, frames: int) -> Clip:
    """Cut or extend with silence to exactly ``frames``."""
    if clip.frames >= frames:
        return cut(clip, frames)
    return Clip(np.pad(clip.samples, ((0, 0), (0, frames - clip.frames))), clip.rate)


def fade_out(clip: Clip) -> Clip:
    """Fade the last 5 ms out (raised cosine) to exactly 0, unless they are silent already."""
    frames = min(round(FADE_SECONDS * clip.rate), clip.frames // 2)
    if frames == 0 or not clip.samples[:, -1].any():
        return clip
    samples = clip.samples.copy()
    samples[:, clip.frames - frames :] *= (0.5 + 0.5 * np.cos(np.linspace(0.0, np.pi, frames))).astype(np.float32)
    samples[:, -1] = 0.0
    return Clip(samples, clip.rate)

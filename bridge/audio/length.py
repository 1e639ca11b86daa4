"""Exact lengths and clean ends."""

from __future__ import annotations

import numpy as np

from bridge.audio.clip import Clip

FADE_SECONDS = 0.005
_STARTS_CLEAN = 10.0 ** (-40.0 / 20.0)
"""Share of the peak under which the first sample needs no fade: taking the mean out lifts a drum's start that far."""


def cut(clip: Clip, frames: int) -> Clip:
    """Leave at most the first ``frames``."""
    return clip if clip.frames <= frames else Clip(np.ascontiguousarray(clip.samples[:, :frames]), clip.rate)


def exact(clip: Clip, frames: int) -> Clip:
    """Cut or extend with silence to exactly ``frames``."""
    if clip.frames >= frames:
        return cut(clip, frames)
    return Clip(np.pad(clip.samples, ((0, 0), (0, frames - clip.frames))), clip.rate)


def fade_ends(clip: Clip) -> Clip:
    """Fade 5 ms (raised cosine) out, and 5 ms in unless the clip starts from silence.

    An attack that begins at zero is left alone: a fade over it would dull the drum.
    """
    frames = min(round(FADE_SECONDS * clip.rate), clip.frames // 2)
    if frames == 0:
        return clip
    ramp = (0.5 - 0.5 * np.cos(np.pi * np.arange(frames) / frames)).astype(np.float32)
    samples = clip.samples.copy()
    peak = float(np.abs(samples).max(initial=0.0))
    if float(np.abs(samples[:, 0]).max()) > _STARTS_CLEAN * peak:
        samples[:, :frames] *= ramp
    samples[:, clip.frames - frames :] *= ramp[::-1]
    return Clip(samples, clip.rate)

"""Time-stretch in plain numpy, for machines without the stretch library."""

from __future__ import annotations

import numpy as np
from scipy.signal import fftconvolve

from bridge.audio.analysis.spectrum import mono
from bridge.plugins.clip import Clip

_WINDOW_SECONDS = 0.046
_SEARCH_SECONDS = 0.009


def wsola(clip: Clip, frames: int) -> Clip:
    """Make ``clip`` exactly ``frames`` long at the same pitch.

    Waveform-similarity overlap-add (Verhelst and Roelands 1993): half-overlapping windows are taken from near the place
    that the ratio says, each where it resembles most what would have followed the one before.
    """
    half = max(8, round(_WINDOW_SECONDS * clip.rate / 2))
    size, reach = 2 * half, max(4, round(_SEARCH_SECONDS * clip.rate))
    window = np.hanning(size + 1)[:-1].astype(np.float32)
    margin = size + reach
    padded = np.pad(clip.samples, ((0, 0), (margin, 2 * margin + size)))
    guide = np.pad(mono(clip), (margin, 2 * margin + size))
    out = np.zeros((clip.channels, frames + 2 * size), dtype=np.float32)
    weight = np.zeros(frames + 2 * size, dtype=np.float32)
    ratio = clip.frames / frames
    previous = -1
    for start in range(0, frames + half, half):
        # Windows stand half a window early, so that the first frame lies in the middle of one.
        place = min(round((start - half) * ratio), clip.frames + half) + margin
        place = max(place, reach)
        if previous >= 0:
            place = _most_alike(guide, previous + half, place, size, reach)
        out[:, start : start + size] += padded[:, place : place + size] * window
        weight[start : start + size] += window
        previous = place
    stretched = out[:, half : half + frames] / np.maximum(weight[half : half + frames], 1e-3)
    return Clip(np.ascontiguousarray(stretched, dtype=np.float32), clip.rate)


def _most_alike(guide: np.ndarray, natural: int, place: int, size: int, reach: int) -> int:
    """Find the window within ``reach`` of ``place`` that resembles the one at ``natural`` most."""
    target = guide[natural : natural + size]
    if len(target) < size:
        return place
    field = guide[place - reach : place + reach + size]
    likeness = fftconvolve(field, target[::-1], mode="valid")
    energy = np.concatenate(([0.0], np.cumsum(np.square(field, dtype=np.float64))))
    norms = np.sqrt(np.maximum(energy[size:] - energy[:-size], 1e-9))
    return place - reach + int(np.argmax(likeness / norms))

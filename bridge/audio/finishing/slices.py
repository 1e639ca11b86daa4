"""Slices: drums change their tempo by moving whole hits, as on a sampler, so that no attack is smeared.

Each slice from one attack to the next keeps its beginning and its end; the time is added or taken out in one splice,
at the place where the wave before and after it differ least. Without a splice in them the attacks stay as they were,
to the sample.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from bridge.audio.analysis.onset import PRE_ROLL_SECONDS, onsets
from bridge.audio.analysis.spectrum import Numbers, mono
from bridge.plugins.clip import Clip, Samples

_CROSSFADE_SECONDS = 0.012
_ATTACK_SECONDS = 0.025
"""Left alone after an attack."""
_SHORTEST_SECONDS = 0.06


def cuts(clip: Clip) -> list[int]:
    """List the frames at which slices begin: 1 ms before each attack, rising, the first above 0."""
    ahead = round(PRE_ROLL_SECONDS * clip.rate)
    smallest = round(_SHORTEST_SECONDS * clip.rate)
    found = [max(0, round(time * clip.rate) - ahead) for time in onsets(clip)]
    kept: list[int] = []
    for frame in found:
        if 0 < frame < clip.frames and (not kept or frame - kept[-1] >= smallest):
            kept.append(frame)
    return kept


def retime(clip: Clip, frames: int, at: Sequence[int]) -> Clip:
    """Make ``clip`` exactly ``frames`` long by re-timing its slices, which begin ``at`` these frames."""
    edges = [0, *at, clip.frames]
    ratio = frames / max(1, clip.frames)
    signal = mono(clip).astype(np.float64)
    pieces = [
        _piece(clip, signal, first, last, round(last * ratio) - round(first * ratio)) for first, last in pairwise(edges)
    ]
    return Clip(np.ascontiguousarray(np.concatenate(pieces, axis=1)), clip.rate)


def longest_slice(clip: Clip, at: Sequence[int]) -> float:
    """Seconds of the longest slice: beyond about one, too much would hang on one splice."""
    edges = [0, *at, clip.frames]
    return max(last - first for first, last in pairwise(edges)) / clip.rate


def _piece(clip: Clip, signal: Numbers, first: int, last: int, wanted: int) -> Samples:
    """Make one slice ``wanted`` frames long."""
    longer = wanted - (last - first)
    source = clip.samples[:, first:last]
    if longer == 0 or wanted <= 0:
        return source[:, : max(0, wanted)]
    fade = round(_CROSSFADE_SECONDS * clip.rate)
    earliest = first + round(_ATTACK_SECONDS * clip.rate) + max(0, longer)
    latest = last - fade + min(0, longer)
    if latest <= earliest or fade == 0:
        return _bent(source, wanted)
    difference = np.square(signal[earliest : latest + fade] - signal[earliest - longer : latest + fade - longer])
    running = np.concatenate(([0.0], np.cumsum(difference)))
    splice = earliest + int(np.argmin(running[fade:] - running[:-fade]))
    ramp = (0.5 - 0.5 * np.cos(np.pi * (np.arange(fade) + 0.5) / fade)).astype(np.float32)
    before = clip.samples[:, splice : splice + fade]
    after = clip.samples[:, splice - longer : splice - longer + fade]
    joined = before * (1 - ramp) + after * ramp
    whole = (clip.samples[:, first:splice], joined, clip.samples[:, splice - longer + fade : last])
    return np.concatenate(whole, axis=1)


def _bent(source: Samples, wanted: int) -> Samples:
    """Give a slice too short for a splice its length by linear interpolation."""
    count = source.shape[1]
    if count == 0:
        return np.zeros((source.shape[0], wanted), dtype=np.float32)
    places = np.linspace(0, count - 1, wanted)
    bent = np.zeros((source.shape[0], wanted), dtype=np.float32)
    for channel, wave in zip(bent, source, strict=True):
        channel[:] = np.interp(places, np.arange(count), wave)
    return bent

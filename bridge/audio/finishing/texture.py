"""Textures: a sound without a beat goes round and round without a bump."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import soxr
from scipy.signal import fftconvolve

from bridge.audio.analysis.spectrum import Numbers, magnitudes, mono, power_of_two
from bridge.audio.finishing.seam import crossfade, seam_z
from bridge.plugins.clip import Clip, Samples

_FADE_SECONDS = 0.5
_NOISE_FADE_SECONDS = 1.5
"""Noise has no phase to match; a longer fade hides that it changes."""
_NOISY = 0.2
"""Spectral flatness from which a texture is noise."""
_LEAST_FADE_SECONDS = 0.05
_BENT, _REACH_SECONDS = 0.003, 0.02
"""How far the length may be bent for periods to fit: 0.3 % is five cents, 20 ms a period of 50 Hz."""


@dataclass(frozen=True, slots=True)
class TextureFacts:
    """How a texture was closed to a ring."""

    start_s: float
    """Where the ring begins in what the clip was."""
    fade_s: float
    """Length of each join."""
    correlation: float
    """How alike the two sides of the join are, -1..1."""
    repeats: int
    """1, or how often the material goes round, because there was less of it than asked for."""
    seam_z: float
    """See ``bridge.audio.finishing.seam``."""


def seamless(clip: Clip, seconds: float) -> tuple[Clip, TextureFacts]:
    """Make of ``clip`` a ring of exactly ``round(seconds * rate)`` frames: its end goes on into its beginning."""
    return ring(clip, max(1, round(seconds * clip.rate)))


def ring(clip: Clip, frames: int) -> tuple[Clip, TextureFacts]:
    """Make of ``clip`` a ring of exactly ``frames``.

    The start is where the material is most like itself ``frames`` later; what follows the end is faded into the head
    with gains that know the correlation. Give it half a second more than ``frames`` (1.5 s for noise): with less the
    join is shorter, and with too little the material goes round several times.
    """
    samples = np.nan_to_num(clip.samples, nan=0.0, posinf=0.0, neginf=0.0)
    clip = Clip(np.ascontiguousarray(samples), clip.rate)
    if clip.frames < 8 or clip.channels == 0:
        shape = (clip.channels, frames)
        held = np.zeros(shape, dtype=np.float32) if clip.frames == 0 else np.resize(samples, shape)
        return Clip(held.astype(np.float32), clip.rate), TextureFacts(0.0, 0.0, 0.0, 1, 0.0)
    wanted = round(_fade_seconds(clip) * clip.rate)
    fade, repeats = _plan(clip.frames, frames, wanted, round(_LEAST_FADE_SECONDS * clip.rate))
    start, length = _most_alike(clip, round(frames / repeats), fade)
    after = samples[:, start + length : start + length + fade]
    head, alike = crossfade(after, samples[:, start : start + fade])
    once = np.concatenate((head, samples[:, start + fade : start + length]), axis=1)
    made = Clip(_turned(np.tile(once, (1, repeats)), frames), clip.rate)
    facts = TextureFacts(start / clip.rate, fade / clip.rate, round(alike, 3), repeats, round(seam_z(made), 2))
    return made, facts


def _plan(available: int, frames: int, wanted: int, least: int) -> tuple[int, int]:
    """Choose the length of the joins and how often the material goes round."""
    longest = max(1, frames // 2)
    if available - frames >= min(least, longest):
        return min(wanted, available - frames, longest), 1
    repeats = 1
    while True:
        once = -(-frames // repeats)
        fade = min(wanted, available - once, once // 2)
        if fade >= max(1, min(wanted // 2, available // 4, once // 2)):
            return fade, repeats
        repeats += 1


def _most_alike(clip: Clip, length: int, fade: int) -> tuple[int, int]:
    """Find the start and the length of a ring whose two sides of the join are most alike, in frames.

    The length may be a little off what is wanted, since a steady tone is like itself only after whole periods.
    """
    signal = mono(clip).astype(np.float64)
    if clip.frames < length + fade:
        return 0, max(fade, clip.frames - fade)
    product, one, other = (
        _sums(each, fade) for each in (signal[:-length] * signal[length:], signal[:-length] ** 2, signal[length:] ** 2)
    )
    # A silent stretch is like another, and is not what was asked for.
    least = 0.1 * fade * float(np.mean(np.square(signal))) + 1e-20
    alike = product / np.sqrt((one + least) * (other + least))
    start = int(np.argmax(alike))
    slack = min(round(_BENT * length), round(_REACH_SECONDS * clip.rate))
    lengths = np.arange(max(length - slack, fade), min(length + slack, clip.frames - start - fade) + 1)
    if len(lengths) < 2:
        return start, length
    field = signal[start + lengths[0] : start + lengths[-1] + fade]
    likeness = fftconvolve(field, signal[start : start + fade][::-1], mode="valid")
    likeness /= np.sqrt((_sums(field**2, fade) + least) * (one[start] + least))
    best = int(np.argmax(likeness))
    return (start, int(lengths[best])) if likeness[best] > alike[start] + 0.05 else (start, length)


def _sums(values: Numbers, count: int) -> Numbers:
    """Sum ``count`` neighbours, for every place where there are this many."""
    running = np.concatenate(([0.0], np.cumsum(values)))
    return running[count:] - running[:-count]


def _turned(once: Samples, frames: int) -> Samples:
    """Make a ring ``frames`` long by playing it faster or slower (at most 0.3 %, five cents), going on over its end."""
    length = once.shape[1]
    if length == frames:
        return np.ascontiguousarray(once)
    around = min(length, 512)
    extended = np.concatenate((once[:, -around:], once, once[:, :around]), axis=1)
    turned = soxr.resample(extended.T, float(length), float(frames), quality="VHQ").T
    first = round(around * frames / length)
    ring_of_it = np.asarray(turned[:, first : first + frames], dtype=np.float32)
    return np.ascontiguousarray(np.pad(ring_of_it, ((0, 0), (0, frames - ring_of_it.shape[1])), mode="edge"))


def _fade_seconds(clip: Clip) -> float:
    size = power_of_two(0.046 * clip.rate)
    table = np.concatenate(list(magnitudes(mono(clip), size, 4 * size)))[:, 1:] + 1e-9
    power = np.square(table, dtype=np.float64).mean(axis=0)
    flatness = float(np.exp(np.mean(np.log(power))) / power.mean())
    return _NOISE_FADE_SECONDS if flatness > _NOISY else _FADE_SECONDS

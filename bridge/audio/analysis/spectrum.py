"""Short-time spectra, shared by the steps that look for time and pitch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import scipy.fft

from bridge.plugins.clip import Clip

Signal: TypeAlias = npt.NDArray[np.float32]
"""(frames,), one channel."""
Numbers: TypeAlias = npt.NDArray[np.float64]

_CHUNK = 1 << 20
"""Numbers that are transformed at once: two minutes of audio must not become a gigabyte of overlapping windows."""


def mono(clip: Clip) -> Signal:
    """Mix all channels to (frames,), finite; out-of-phase channels are not mixed, the strongest speaks for all.

    NaN and infinity are read as silence, so that what is measured stays a number.
    """
    samples = clip.samples
    if not bool(np.isfinite(samples).all()):
        samples = np.nan_to_num(samples, nan=0.0, posinf=0.0, neginf=0.0)
    if clip.channels == 1:
        return np.ascontiguousarray(samples[0])
    if clip.channels == 0:
        return np.zeros(clip.frames, dtype=np.float32)
    mixed: Signal = np.add.reduce(samples, axis=0) * np.float32(1.0 / clip.channels)
    energies = np.array([np.dot(each, each) for each in samples])
    if float(np.dot(mixed, mixed)) < 0.1 * float(energies.mean()):
        return np.ascontiguousarray(samples[int(np.argmax(energies))])
    return mixed


def magnitudes(signal: Signal, size: int, hop: int) -> Iterator[Signal]:
    """Yield magnitude spectra in pieces of shape (some frames, size // 2 + 1).

    Frame ``i`` of all is centred on sample ``i * hop`` (Hann window, the ends padded with zeros), so there are
    ``1 + len(signal) // hop`` frames.
    """
    padded = np.pad(signal, (size // 2, size))
    count = 1 + len(signal) // hop
    window = np.hanning(size + 1)[:-1].astype(np.float32)
    views = np.lib.stride_tricks.sliding_window_view(padded, size)[::hop][:count]
    at_once = max(1, _CHUNK // size)
    for start in range(0, count, at_once):
        yield np.abs(scipy.fft.rfft(views[start : start + at_once] * window, axis=1))


def band_energies(signal: Signal, size: int, hop: int, edges: npt.NDArray[np.intp]) -> Numbers:
    """Sum magnitudes between ``edges`` (bin numbers, rising): (frames, len(edges) - 1)."""
    pieces = [np.add.reduceat(piece[:, : edges[-1]], edges[:-1], axis=1) for piece in magnitudes(signal, size, hop)]
    return np.concatenate(pieces).astype(np.float64)


def power_of_two(number: float) -> int:
    """Round to the nearest power of two, at least 16."""
    return int(2 ** max(4, round(float(np.log2(max(number, 1.0))))))


def sustain(signal: Signal, rate: int) -> float:
    """Share of the energy from 150 Hz to 5 kHz that is still there 60 ms later and was 60 ms before, 0..1.

    Drums have under 0.03, notes over 0.1, held chords over 0.5; a magnitude counts as its least over the three times.
    """
    size, hop = power_of_two(0.046 * rate), max(1, round(0.02 * rate))
    low = max(1, round(150 * size / rate))
    high = max(low + 1, min(size // 2, round(5000 * size / rate)))
    table = np.concatenate([piece[:, low:high] for piece in magnitudes(signal, size, hop)])
    if len(table) < 7:
        return 0.0
    lasting = np.minimum(np.minimum(table[:-6], table[3:-3]), table[6:])
    energy = float(np.square(table[3:-3], dtype=np.float64).sum())
    return float(np.square(lasting, dtype=np.float64).sum()) / energy if energy > 0 else 0.0

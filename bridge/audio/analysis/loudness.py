"""Loudness and true peak after ITU-R BS.1770-5, at any rate and for clips of any length."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.signal import firwin, sosfilt

from bridge.plugins.clip import Clip

Numbers = npt.NDArray[np.float64]

SILENT_LUFS = -70.0
"""The absolute gate; what is quieter is told as this."""
DUAL_MONO_DB = 10.0 * float(np.log10(2.0))
"""One channel that two loudspeakers play is this much louder than BS.1770 says of one (EBU Tech 3343, dual mono)."""

_BLOCK_SECONDS, _STEP_SECONDS = 0.4, 0.1
_RELATIVE_GATE = -10.0
_OVERSAMPLED = 4
_TAPS = 12
"""Of the interpolation filter, a phase; BS.1770's own has 12 as well."""
_PHASES = (-2, -1, 1)
"""Quarters of a frame after each frame at which the wave is read; 0 is the sample itself."""
_BLOCK = 32
"""Frames that are searched for peaks together."""
_AT_ONCE = 1 << 13
"""Blocks that are oversampled at once: two minutes must not become a gigabyte."""
_SAFE = 10.0 ** (-6.0 / 20.0)
"""Between samples a wave stands at most about 6 dB above those around it: quieter blocks cannot hold the peak."""


def integrated_loudness(clip: Clip) -> float:
    """Gated loudness in LUFS: blocks of 400 ms, gates at -70 LUFS and 10 LU under the mean. A mono clip is one channel.

    A clip shorter than one block is followed by silence up to 400 ms, so a hat counts as loud as it is short. Silence
    is -70.
    """
    return gated_loudness(block_powers(clip))


def gated_loudness(blocks: Numbers) -> float:
    """Gate and average ``block_powers``, LUFS; those of a clip raised by ``g`` are its own times g²."""
    loud = blocks[_lufs(blocks) > SILENT_LUFS]
    if not len(loud):
        return SILENT_LUFS
    loud = loud[_lufs(loud) > _lufs(loud.mean()) + _RELATIVE_GATE]
    return float(_lufs(loud.mean()))


def heard_loudness(clip: Clip) -> float:
    """Give the integrated loudness in LUFS as two loudspeakers play the clip: a mono clip comes out of both."""
    return integrated_loudness(clip) + (DUAL_MONO_DB if clip.channels == 1 else 0.0)


def true_peak(clip: Clip, *, loop: bool = False) -> float:
    """Give the highest value of the wave between the samples, 1 = full scale: four times oversampled.

    ``loop``: the wave continues at its beginning after its end.
    """
    if clip.samples.size == 0:
        return 0.0
    highest = float(max(clip.samples.max(), -clip.samples.min()))
    if highest == 0.0:
        return 0.0
    return max(highest, *(float(max(wave.max(), -wave.min())) for _, wave in _between(clip, _SAFE * highest, loop)))


def peak_envelope(clip: Clip, above: float, *, loop: bool = False) -> npt.NDArray[np.float32]:
    """Give for each frame the highest value in and around it, over all channels: (frames,).

    Where no sample is higher than ``above`` / 2 the samples themselves are taken.
    """
    envelope: npt.NDArray[np.float32] = np.abs(clip.samples).max(axis=0)
    frames = clip.frames
    whole = np.pad(envelope, (0, -frames % _BLOCK)).reshape(-1, _BLOCK)
    for blocks, wave in _between(clip, _SAFE * above, loop):
        whole[blocks] = np.maximum(whole[blocks], np.abs(wave).max(axis=(0, 2)))
    return whole.reshape(-1)[:frames]


def decibels(value: float) -> float:
    """Turn an amplitude into dB of full scale; silence is -200."""
    return 20.0 * float(np.log10(max(value, 1e-10)))


def _between(clip: Clip, above: float, loop: bool) -> Iterator[tuple[npt.NDArray[np.intp], npt.NDArray[np.float32]]]:
    """Yield the wave between the samples of blocks that hold one over ``above``.

    Numbers of the blocks, and the wave in the shape (channels, blocks, 3 phases, 32 frames). A product with a banded
    matrix: several times quicker than a filter that goes from sample to sample.
    """
    frames, side = clip.frames, _TAPS // 2
    count = -(-frames // _BLOCK)
    highest = np.zeros(count * _BLOCK, dtype=np.float32)
    np.abs(clip.samples).max(axis=0, out=highest[:frames])
    busy = np.nonzero(highest.reshape(count, _BLOCK).max(axis=1) >= above)[0]
    if not len(busy):
        return
    mode = "wrap" if loop else "constant"
    padded = np.pad(clip.samples, ((0, 0), (side, side + count * _BLOCK - frames)), mode=mode)  # type: ignore[call-overload]
    pieces = np.lib.stride_tricks.sliding_window_view(padded, _BLOCK + 2 * side, axis=1)[:, ::_BLOCK]
    for start in range(0, len(busy), _AT_ONCE):
        blocks = busy[start : start + _AT_ONCE]
        yield blocks, (pieces[:, blocks] @ _interpolator()).reshape(clip.channels, len(blocks), len(_PHASES), _BLOCK)


@lru_cache(maxsize=1)
def _interpolator() -> npt.NDArray[np.float32]:
    """Make the matrix that reads a block between its samples: (block and 6 frames on either side, 3 x block).

    Its filter is a low-pass at a quarter of the new rate's Nyquist frequency, 4 x 12 taps and one, gain 4.
    """
    taps = firwin(_OVERSAMPLED * _TAPS + 1, 1.0 / _OVERSAMPLED, window=("kaiser", 6.0)) * _OVERSAMPLED
    side, middle = _TAPS // 2, len(taps) // 2
    matrix = np.zeros((_BLOCK + 2 * side, len(_PHASES), _BLOCK), dtype=np.float32)
    for column, quarter in enumerate(_PHASES):
        for away in range(-side, side + 1):
            tap = middle + quarter - _OVERSAMPLED * away
            if 0 <= tap < len(taps):
                matrix[np.arange(_BLOCK) + side + away, column, np.arange(_BLOCK)] = taps[tap]
    return matrix.reshape(len(matrix), -1)


def block_powers(clip: Clip) -> Numbers:
    """Give the mean square of every 400 ms, 75 % overlapping, K-weighted, summed over the channels."""
    block, step = max(1, round(_BLOCK_SECONDS * clip.rate)), max(1, round(_STEP_SECONDS * clip.rate))
    samples = np.pad(clip.samples, ((0, 0), (0, max(0, block - clip.frames))))
    weighted = sosfilt(_k_weighting(clip.rate), samples, axis=1)
    power = np.square(weighted, out=weighted).sum(axis=0)
    total = np.concatenate(([0.0], np.cumsum(power, dtype=np.float64)))
    starts = np.arange(0, len(power) - block + 1, step)
    means: Numbers = (total[starts + block] - total[starts]) / block
    return np.maximum(means, 0.0)


def _lufs(mean_square: Any) -> Any:
    return -0.691 + 10.0 * np.log10(np.maximum(mean_square, 1e-20))


@lru_cache(maxsize=8)
def _k_weighting(rate: int) -> Any:
    """Give the two biquads of BS.1770 for a rate: its 48 kHz coefficients belong to these analogue filters.

    Parameters after B. De Man, "Evaluation of implementations of the EBU R128 loudness measurement", AES 145 (2018).
    """
    gain, corner, quality = 10.0 ** (3.999843853973347 / 20.0), 1681.974450955533, 0.7071752369554196
    k = np.tan(np.pi * min(corner, 0.45 * rate) / rate)
    middle, scale = gain**0.4996667741545416, 1.0 + k / quality + k * k
    shelf = [
        (gain + middle * k / quality + k * k) / scale,
        2.0 * (k * k - gain) / scale,
        (gain - middle * k / quality + k * k) / scale,
        1.0,
        2.0 * (k * k - 1.0) / scale,
        (1.0 - k / quality + k * k) / scale,
    ]
    corner, quality = 38.13547087602444, 0.5003270373238773
    k = np.tan(np.pi * corner / rate)
    scale = 1.0 + k / quality + k * k
    high_pass = [1.0, -2.0, 1.0, 1.0, 2.0 * (k * k - 1.0) / scale, (1.0 - k / quality + k * k) / scale]
    return np.array([shelf, high_pass])

"""Dither: 24 bits become 16 without distortion.

Rounding alone adds tones that follow the sound; noise of a triangular distribution (TPDF), one step to each side,
makes the error independent of it (Lipshitz, Wannamaker, Vanderkooy: "Quantization and Dither", JAES 40, 1992).
"""

from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt

_STEP = 1 << 16
"""One step of 16 bits, in those of 32."""
_PIECE = 1 << 18
"""Samples worked on at a time."""


def to_16_bits(pcm: npt.NDArray[np.int32], seed: str) -> npt.NDArray[np.int16]:
    """Quantise (frames, channels) of 32 bits to 16, with noise that is the same for the same seed, for ever.

    What fits 16 bits as it is stays as it is.
    """
    if not (pcm & (_STEP - 1)).any():
        return (pcm >> 16).astype(np.int16)
    # Raw words, not Generator's numbers: NumPy promises that those stay the same in its every version.
    words = np.random.PCG64(int.from_bytes(hashlib.sha256(seed.encode()).digest()[:16], "little"))
    flat = np.ascontiguousarray(pcm).reshape(-1)
    quantised = np.empty(flat.shape, np.int16)
    for start in range(0, len(flat), _PIECE):
        piece = flat[start : start + _PIECE].astype(np.int64)
        raw = np.asarray(words.random_raw((len(piece) + 1) // 2), "<u8").view("<u4")[: len(piece)].astype(np.int64)
        noise = (raw & (_STEP - 1)) - (raw >> 16)
        rounded = (piece + noise + _STEP // 2) >> 16
        quantised[start : start + _PIECE] = np.clip(rounded, -(2**15), 2**15 - 1)
    return quantised.reshape(pcm.shape)

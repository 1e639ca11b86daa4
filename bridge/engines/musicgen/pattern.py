"""The delay pattern: codebook k of a frame comes k steps after the first (Copet et al. 2023, section 2.2, figure 1).

A frame is what the codec calls one: K codes that sound together. A column is what the decoder reads in one step: the
codes of up to K frames, and ``nothing`` (the code after the last of the vocabulary) where a codebook has not started or
has ended. Column 0 holds nothing; the scores that come of column c are those of column c + 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bridge.engines.musicgen.decoder import Codes


@dataclass(frozen=True, slots=True)
class DelayPattern:
    """When which code of a frame is drawn."""

    codebooks: int
    channels: int
    """1, or 2: then the codebooks are left and right in turn, and the two of a pair are drawn together."""
    nothing: int
    """The code that stands for none."""

    @property
    def delay(self) -> int:
        """Steps by which the last code of a frame comes after its first."""
        return (self.codebooks - 1) // self.channels

    @property
    def delays(self) -> Codes:
        """Steps by which each codebook comes late, (K,)."""
        return np.arange(self.codebooks, dtype=np.int32) // np.int32(self.channels)

    def columns(self, frames: Codes, first: int, end: int) -> Codes:
        """Return the columns ``first`` <= c < ``end`` of ``frames`` (T, K) as (end - first, K).

        Frames beyond T are read as nothing, and so are negative codes: those not drawn yet.
        """
        wanted = np.arange(first, end, dtype=np.int32)[:, None] - 1 - self.delays  # (n, K): the frame of each code
        there = (wanted >= 0) & (wanted < len(frames))
        codes = np.full(wanted.shape, self.nothing, dtype=np.int32)
        row, codebook = np.nonzero(there)
        codes[row, codebook] = frames[wanted[row, codebook], codebook]
        codes[codes < 0] = self.nothing
        return codes

    def frames(self, columns: Codes, first: int, end: int) -> Codes:
        """Return the frames ``first`` <= f < ``end`` out of all ``columns`` from 0, as (end - first, K)."""
        wanted = np.arange(first, end, dtype=np.int32)[:, None] + 1 + self.delays
        frames: Codes = columns[wanted, np.arange(self.codebooks)]
        return frames

    def steps(self, frames: int) -> int:
        """How many steps draw ``frames`` frames."""
        return frames + self.delay

    def whole(self, column: int) -> int:
        """How many frames are complete when everything up to ``column`` is drawn."""
        return max(0, column - self.delay)

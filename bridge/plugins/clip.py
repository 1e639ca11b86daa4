# SPDX-License-Identifier: Apache-2.0
"""Audio in memory."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Samples: TypeAlias = npt.NDArray[np.float32]
"""(channels, frames), nominal range -1..1."""


@dataclass(frozen=True, slots=True)
class Clip:
    """Audio in memory: float32 of shape (channels, frames), with its rate in Hz."""

    samples: Samples
    rate: int

    def __post_init__(self) -> None:
        if self.samples.ndim != 2:
            raise ValueError(f"a clip has the shape (channels, frames), this array has {self.samples.shape}")
        if self.samples.dtype != np.float32:
            raise ValueError(f"a clip is float32, this array is {self.samples.dtype}")

    @property
    def channels(self) -> int:
        """How many channels."""
        return int(self.samples.shape[0])

    @property
    def frames(self) -> int:
        """Length in frames."""
        return int(self.samples.shape[1])

    @property
    def seconds(self) -> float:
        """Length in seconds."""
        return self.frames / self.rate

    @classmethod
    def of(cls, array: npt.ArrayLike, rate: int) -> Clip:
        """Make a clip from (frames,) or (channels, frames) numbers of any float type."""
        samples = np.asarray(array, dtype=np.float32)
        return cls(samples[np.newaxis, :] if samples.ndim == 1 else samples, rate)

    @classmethod
    def join(cls, clips: Iterable[Clip]) -> Clip:
        """Put pieces of one stream together; they must agree in rate and channels."""
        pieces = list(clips)
        if not pieces:
            raise ValueError("no pieces to join")
        shapes = {(piece.rate, piece.channels) for piece in pieces}
        if len(shapes) > 1:
            raise ValueError(f"pieces of one stream differ in (rate, channels): {sorted(shapes)}")
        if len(pieces) == 1:
            return pieces[0]
        return cls(np.concatenate([piece.samples for piece in pieces], axis=1), pieces[0].rate)

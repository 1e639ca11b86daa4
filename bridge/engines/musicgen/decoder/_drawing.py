"""Decoders that also draw: out of scores, more quickly than numpy does; or on the device, where nobody waits for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias, runtime_checkable

import numpy as np
import numpy.typing as npt

from bridge.engines.musicgen.decoder._base import Codes, Decoder, Floats

if TYPE_CHECKING:
    from bridge.engines.musicgen.sampling import Draws, Sampling, Used

Drawn: TypeAlias = Callable[[], Codes]
"""Waits for what was drawn, (turns, K); -1 where the scores were no numbers. To be called once, in order."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One request in a step."""

    rows: Sequence[int]
    """The row that hears the prompt, and with guidance the one that does not."""
    given: Codes
    """(K,): the column to read; -1 where it is what the step before drew for this request."""
    uniform: npt.NDArray[np.float64]
    """(K,): the random numbers."""
    temperature: float
    top_k: int
    """How many of the likeliest, at least 1."""
    top_p: float
    """More than 1 = off."""
    guidance: float


@runtime_checkable
class PickingDecoder(Decoder, Protocol):
    """A decoder with a ``pick`` of its own."""

    def pick(self, scores: Floats, sampling: Sampling, uniform: Draws, used: Used | None = None) -> Codes:
        """Do what ``sampling.pick`` does."""
        ...


@runtime_checkable
class DrawingDecoder(Decoder, Protocol):
    """A decoder with ``draw``: the codes of a step stay on the device for the next one."""

    def draw(self, turns: Sequence[Turn]) -> Drawn:
        """Add a position to the rows of each turn, draw what comes next, and return before that is done.

        At most two steps may be waited for at a time.
        """
        ...

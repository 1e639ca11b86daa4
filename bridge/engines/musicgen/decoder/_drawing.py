"""Decoders that also draw: several steps in one call; or on the device, where nobody waits for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias, runtime_checkable

import numpy as np
import numpy.typing as npt

from bridge.engines.musicgen.decoder._base import Codes, Decoder

if TYPE_CHECKING:
    from bridge.engines.musicgen.sampling import Draws, Sampling, Used

Flag: TypeAlias = npt.NDArray[np.int32]
"""(1,): a word of memory that a decoder looks at while it computes; not 0 = come back."""
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


@dataclass(slots=True)
class Columns:
    """What one request reads and draws: columns, each with a code of every codebook. A step reads one, draws the next.

    Arrays are contiguous, and stay where they are.
    """

    codes: Codes
    """(steps + 1, K)."""
    open: Used
    """(steps + 1, K): which codes are to be drawn."""
    uniform: Draws
    """(steps, K): the random numbers."""
    used: Used | None
    """(K, V): which codes the repetition penalty is for; None = there is none."""
    sampling: Sampling
    rows: Sequence[int] = ()
    """The row that hears the prompt, and with guidance the one that does not."""
    read: int = 0
    """How many columns have been read; the next step reads column ``read``."""
    drawn: int = 0
    """The last column that has been drawn: up to it they are only read again."""
    failed: bool = False
    """Whether the scores were no numbers."""


@runtime_checkable
class PlayingDecoder(Decoder, Protocol):
    """A decoder with ``play``: steps follow each other without anybody in between."""

    def play(self, requests: Sequence[Columns], steps: int, stops: Sequence[Flag]) -> None:
        """Take up to ``steps`` steps, at least one, and note in ``requests`` how far they are.

        Ends after the first step with which a request ends or fails, or after which one of ``stops`` is set. The codes
        are those that ``step`` and ``sampling.pick`` make.
        """
        ...


@runtime_checkable
class DrawingDecoder(Decoder, Protocol):
    """A decoder with ``draw``: the codes of a step stay on the device for the next one."""

    def draw(self, turns: Sequence[Turn]) -> Drawn:
        """Add a position to the rows of each turn, draw what comes next, and return before that is done.

        At most two steps may be waited for at a time.
        """
        ...

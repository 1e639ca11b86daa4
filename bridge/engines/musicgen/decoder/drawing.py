"""Decoders that also draw codes: either several steps in one call, or asynchronously on the device."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias, runtime_checkable

import numpy as np
import numpy.typing as npt

from bridge.engines.musicgen.decoder.interface import Codes, Decoder

if TYPE_CHECKING:
    from bridge.engines.musicgen.sampling import Draws, Sampling, Used

Flag: TypeAlias = npt.NDArray[np.int32]
"""(1,): a word of memory that a decoder checks after each step; not 0 = return."""
PendingCodes: TypeAlias = Callable[[], Codes]
"""Waits for the drawn codes, (inputs, K); -1 where the scores were not finite. Each is called once, in order."""


@dataclass(frozen=True, slots=True)
class StepInput:
    """What a step needs of one request."""

    rows: Sequence[int]
    """The conditional row, and with guidance the unconditional one."""
    given: Codes
    """(K,): the column to read; -1 stands for the code that the step before drew for this request."""
    uniform: npt.NDArray[np.float64]
    """(K,): the random numbers."""
    temperature: float
    top_k: int
    """Number of the likeliest codes to draw from, at least 1."""
    top_p: float
    """Above 1 = off."""
    guidance: float


@dataclass(slots=True)
class Columns:
    """The columns of one request, each with a code of every codebook. A step reads one column and draws the next.

    Arrays are contiguous, and are never replaced.
    """

    codes: Codes
    """(steps + 1, K)."""
    open: Used
    """(steps + 1, K): the codes that are drawn, not given."""
    uniform: Draws
    """(steps, K): the random numbers."""
    used: Used | None
    """(K, V): the codes that the repetition penalty applies to; None without a penalty."""
    sampling: Sampling
    rows: Sequence[int] = ()
    """The conditional row, and with guidance the unconditional one."""
    read: int = 0
    """How many columns have been read; the next step reads column ``read``."""
    drawn: int = 0
    """The last column that has been drawn: columns up to it are only read again."""
    failed: bool = False
    """Whether its scores were not finite."""


@runtime_checkable
class StepsDecoder(Decoder, Protocol):
    """A decoder with ``run_steps``: it runs several steps without returning to Python in between."""

    def run_steps(self, requests: Sequence[Columns], steps: int, stops: Sequence[Flag]) -> None:
        """Run up to ``steps`` steps, at least one, and update ``requests``.

        Returns after the first step that completes a request or makes it fail, or after which one of ``stops`` is set.
        The codes are the same as those of ``step`` and ``sampling.pick``.
        """
        ...


@runtime_checkable
class DrawingDecoder(Decoder, Protocol):
    """A decoder with ``draw``: the codes of a step stay on the device for the next one."""

    def draw(self, inputs: Sequence[StepInput]) -> PendingCodes:
        """Append a position to the rows of each of ``inputs`` and draw the next codes; return before that is done.

        At most two steps may be in flight at a time.
        """
        ...

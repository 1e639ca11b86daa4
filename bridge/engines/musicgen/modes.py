"""draft, balanced, high: what a quality mode means to MusicGen.

| mode | weights on a CPU | guidance | on a CPU costs, against balanced |
|---|---|---|---|
| draft | as balanced | off: one row a sound instead of two | as much alone, less of several at once |
| balanced | int8 | as asked | 1 |
| high | bfloat16, or better where that is set | as asked | 1.9, and its weights are loaded next to the others' |

On a GPU every mode runs in its 16-bit type, since anything else is not quicker there at small batches; draft is
unguided there, too. Measured costs and distances from float32 stand in docs/engines-musicgen.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from prompts import QualityMode

Precision: TypeAlias = Literal["int4", "int8", "float16", "bfloat16", "float32"]
"""What weights are kept in."""

MODES: Final[tuple[QualityMode, ...]] = ("draft", "balanced", "high")
_FINER: Final[tuple[Precision, ...]] = ("int4", "int8", "float16", "bfloat16", "float32")
"""The coarsest first; bfloat16 after float16 since nothing leaves its range."""


@dataclass(frozen=True, slots=True)
class Mode:
    """How one sound is made."""

    precision: Precision
    guided: bool
    """False: the unconditional half is left out, whatever guidance is asked for."""


def mode_of(quality: QualityMode, usual: Precision, device: str) -> Mode:
    """Say what ``quality`` means where ``usual`` is the precision of balanced and ``device`` "cpu" or "cuda"."""
    if quality == "high" and device == "cpu":
        return Mode(max(usual, "bfloat16", key=_FINER.index), guided=True)
    return Mode(usual, guided=quality != "draft")

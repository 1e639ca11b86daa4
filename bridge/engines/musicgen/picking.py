"""Which decoder computes the codes here, and why."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bridge.engines.musicgen.decoder import Decoder, DecoderWeights
from bridge.engines.musicgen.memory import fitting_rows, free_bytes, what_fits
from bridge.engines.musicgen.modes import Precision
from bridge.errors import EngineUnavailable

log = logging.getLogger(__name__)

ROWS: Final = {"cpu": 16, "cuda": 32}
"""Rows of a decoder where the memory allows: with guidance half as many sounds at a time."""

Load = Callable[[int], Decoder]
"""Loads a decoder with so many rows; raises MemoryError, or torch's OutOfMemoryError, when they do not fit."""


@dataclass(frozen=True, slots=True)
class Picked:
    """A decoder, ready to step."""

    decoder: Decoder
    why: str
    """A sentence: what computes here, and what is missing for something quicker."""


def usual_precision(wanted: str, device: str) -> Precision:
    """Turn the setting ``precision`` into what balanced sounds are made in. Raises EngineUnavailable."""
    if device == "cuda":
        import torch

        if wanted in {"int4", "int8"}:
            raise EngineUnavailable(
                f"{wanted} weights are for the CPU: set BRIDGE_PRECISION=auto, or BRIDGE_DEVICE=cpu"
            )
        if wanted == "auto":
            # bfloat16 has float32's range, float16 has not; but before Ampere it is only emulated
            return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float16"
    elif wanted == "auto":
        return "int8"
    if wanted == "float16" and device == "cpu":
        raise EngineUnavailable("float16 weights are for a GPU: set BRIDGE_PRECISION=auto")
    return wanted  # type: ignore[return-value]  # the settings know no other words


def pick(weights: DecoderWeights, precision: Precision, device: str, steps: int, keep: Path | None) -> Picked:
    """Load the quickest decoder that there is, with as many rows as fit.

    On a CPU the C++ kernel, else torch; on CUDA captured graphs. ``steps``: positions of a row; ``keep``: folder for
    quantised weights. Raises EngineUnavailable when nothing fits, with the model and the number of sounds that would.
    """
    from bridge.engines.musicgen.decoder.torch_step import TorchDecoder

    del keep
    found = "no kernel is built."
    if precision == "int4":
        raise EngineUnavailable(f"int4 weights need the kernel: {found} Or set BRIDGE_PRECISION=auto.")

    def plain(rows: int) -> Decoder:
        return TorchDecoder.load(weights, rows=rows, max_steps=steps, device=device, precision=precision)

    free, cell = free_bytes(), 2 if precision in {"float16", "bfloat16"} else 4
    decoder = load_fitting(plain, weights, precision, device, steps, free, cell=cell)
    return Picked(decoder, f"torch computes in {decoder.description['precision']}, several times slower: {found}")


def load_fitting(
    load: Load, weights: DecoderWeights, precision: Precision, device: str, steps: int, free: int | None, *, cell: int
) -> Decoder:
    """Load a decoder with as many rows as fit by reckoning, and with half as many whenever they do not after all.

    ``free``: bytes there, None when nobody knows. ``cell``: bytes of a number in the past of a row.
    """
    wanted = ROWS[device]
    rows = fitting_rows(weights.shape, precision, steps, wanted, free, cell)
    while rows >= 2:
        try:
            decoder = load(rows)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            rows //= 2
        else:
            if rows < wanted:
                log.warning("the memory is enough for %d sounds at a time instead of %d", rows // 2, wanted // 2)
            return decoder
    room = "" if free is None else f" ({free / 2**30:.1f} GB are free)"
    where = "the GPU's memory" if device == "cuda" else "memory"
    raise EngineUnavailable(
        f"There is not enough {where} for this model in {precision}{room}: {what_fits(precision, steps, free, cell)}.",
        code="engine_too_large",
    )


def is_out_of_memory(error: BaseException) -> bool:
    """Is this, or what caused it, a lack of memory? torch's own error is known by its name."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, MemoryError) or type(seen).__name__ == "OutOfMemoryError":
            return True
        seen = seen.__cause__ or seen.__context__
    return False

"""Which decoder computes the codes here, and why."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bridge.engines.musicgen.decoder import Decoder, DecoderWeights
from bridge.engines.musicgen.decoder.kernel import KernelDecoder, kernel_library
from bridge.engines.musicgen.memory import fitting_rows, free_bytes, what_fits
from bridge.engines.musicgen.modes import Precision
from bridge.errors import EngineUnavailable

log = logging.getLogger(__name__)

ROWS: Final = {"cpu": 16, "cuda": 32}
"""Rows of a decoder where the memory allows: with guidance half as many sounds at a time."""

TOO_LARGE: Final = "engine_too_large"
"""Code of a model that does not fit into the memory."""
Load = Callable[[int], Decoder]
"""Loads a decoder with this many rows; raises MemoryError, or torch's OutOfMemoryError, when they do not fit."""


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
    quantised weights, and for the kernel where the package came without. Raises EngineUnavailable when nothing fits,
    with the model and the number of sounds that would.
    """
    if device == "cuda":
        return _on_cuda(weights, precision, steps)
    found = kernel_library(keep)
    if isinstance(found, str) or precision == "float16":
        return _in_torch(weights, precision, steps, f"there is no kernel ({found})")

    def kernel(rows: int) -> Decoder:
        return KernelDecoder.load(
            weights, precision=precision, rows=rows, max_steps=steps, keep=keep, library_folder=keep
        )  # fmt: skip

    try:
        decoder = load_fitting(kernel, weights, precision, device, steps, free_bytes(), cell=2)
    except EngineUnavailable as error:
        if error.code == TOO_LARGE:
            raise
        return _in_torch(weights, precision, steps, f"the kernel does not take this model ({error.message})")
    return Picked(decoder, f"The kernel {decoder.description['kernel']} computes in {precision}.")


def loads_beside(precision: Precision, device: str, keep: Path | None) -> bool:
    """May the decoder be loaded in another thread while transformers is imported? Only the kernel's: two threads that
    import parts of torch find them half made.
    """
    return device == "cpu" and precision != "float16" and not isinstance(kernel_library(keep), str)


def _in_torch(weights: DecoderWeights, precision: Precision, steps: int, why: str) -> Picked:
    from bridge.engines.musicgen.decoder.torch_step import TorchDecoder

    if precision == "int4":
        raise EngineUnavailable(f"int4 weights need the kernel, and {why}. Set BRIDGE_PRECISION=auto.")

    def plain(rows: int) -> Decoder:
        return TorchDecoder.load(weights, rows=rows, max_steps=steps, precision=precision)

    cell = 2 if precision == "bfloat16" else 4
    decoder = load_fitting(plain, weights, precision, "cpu", steps, free_bytes(), cell=cell)
    return Picked(decoder, f"torch computes in {decoder.description['precision']}, at half the speed or less: {why}.")


def _on_cuda(weights: DecoderWeights, precision: Precision, steps: int) -> Picked:
    import torch

    from bridge.engines.musicgen.decoder.cuda_graph import GraphDecoder

    def graphs(rows: int) -> Decoder:
        return GraphDecoder.load(weights, rows=rows, max_steps=steps, precision=precision)

    free, _ = torch.cuda.mem_get_info()
    decoder = load_fitting(graphs, weights, precision, "cuda", steps, free, cell=4 if precision == "float32" else 2)
    return Picked(decoder, f"CUDA graphs compute in {precision} on {torch.cuda.get_device_name()}.")


def load_fitting(
    load: Load, weights: DecoderWeights, precision: Precision, device: str, steps: int, free: int | None, *, cell: int
) -> Decoder:
    """Load a decoder with as many rows as fit by reckoning, and with half as many whenever they do not after all.

    ``free``: bytes there, None when that is unknown. ``cell``: bytes per number in the KV cache of a row.
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
        code=TOO_LARGE,
    )


def is_out_of_memory(error: BaseException) -> bool:
    """Is this, or what caused it, a lack of memory? torch's own error is known by its name."""
    seen: BaseException | None = error
    while seen is not None:
        known = isinstance(seen, MemoryError) or type(seen).__name__ == "OutOfMemoryError"
        if known or getattr(seen, "code", None) == "engine_out_of_memory":
            return True
        seen = seen.__cause__ or seen.__context__
    return False

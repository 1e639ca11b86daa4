"""The compiled library as Python sees it: ``source/api.h`` in ctypes and numpy."""

from __future__ import annotations

import ctypes
import os
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np

from bridge.engines.musicgen.kernel import kernel_library
from bridge.errors import EngineUnavailable

ISA_VARIABLE: Final = "MUSICGEN_KERNEL_ISA"
"""Environment variable that forces an instruction set, for tests: avx512bf16, avx512vnni, avx2, portable."""
PRECISIONS: Final = ("float32", "bfloat16", "int8", "int4")
"""In the order of ``enum Precision``."""
TENSORS: Final = (
    "embed",
    "norm.weight",
    "norm.bias",
    "heads",
    "self_norm.weight",
    "self_norm.bias",
    "cross_norm.weight",
    "cross_norm.bias",
    "ffn_norm.weight",
    "ffn_norm.bias",
    "qkv",
    "self_out",
    "cross_q",
    "cross_k",
    "cross_v",
    "cross_out",
    "fc1",
    "fc2",
)
"""In the order of ``enum Tensor``; the first four are outside the layers."""
WHOLE: Final = 4
"""How many of ``TENSORS`` are outside the layers."""
LAYOUT: Final = 1
"""Version of the layout that ``source/packing.cpp`` writes. Change it with that file: files of other versions are then
made again."""

DONE, NO_MEMORY, BAD_ROW, BAD_POSITION, BAD_CODE, BAD_TENSOR, NO_NUMBERS, BUSY, BAD_CALL, FAILED = range(10)
"""Codes that the functions return."""

ROW: Final = np.dtype(
    [
        ("row", np.int32),
        ("position", np.int32),
        ("cross", np.int32),
        ("scores", np.int32),
        ("codes", np.uintp),
        ("embedding", np.uintp),
    ],
    align=True,
)
"""``musicgen_row``."""


class Shape(ctypes.Structure):
    """``musicgen_shape``."""

    _fields_ = tuple(
        (name, ctypes.c_int32) for name in ("layers", "hidden", "heads", "ffn", "vocabulary", "codebooks", "cross")
    )


SAMPLING: Final = np.dtype(
    [*((name, np.float32) for name in ("guidance", "temperature", "penalty", "top_p")), ("top_k", np.int32)]
)
"""``musicgen_sampling``."""

REQUEST: Final = np.dtype(
    [
        ("rows", np.int32, 2),
        ("positions", np.int32, 2),
        ("cross", np.int32, 2),
        ("column", np.int32),
        ("drawn", np.int32),
        ("last", np.int32),
        ("failed", np.int32),
        ("sampling", SAMPLING),
        *((name, np.uintp) for name in ("columns", "open", "uniform", "used")),
    ],
    align=True,
)
"""``musicgen_request``."""


@cache
def _load(path: Path) -> ctypes.CDLL:
    try:
        library = ctypes.CDLL(str(path))
    except OSError as error:
        raise EngineUnavailable(
            f"the kernel {path} cannot be loaded ({error}): delete it, it is then built again"
        ) from error
    _check_abi(library, path)
    pointer, integer = ctypes.c_void_p, ctypes.c_int32
    library.musicgen_open.restype = pointer
    library.musicgen_open.argtypes = [ctypes.POINTER(Shape), *[integer] * 4, ctypes.c_char_p, pointer, ctypes.c_size_t]
    library.musicgen_close.restype = None
    library.musicgen_close.argtypes = [pointer]
    library.musicgen_isa.restype = ctypes.c_char_p
    library.musicgen_isa.argtypes = [pointer]
    library.musicgen_weights.restype = pointer
    library.musicgen_weights.argtypes = [pointer, ctypes.POINTER(ctypes.c_size_t)]
    library.musicgen_embeddings.restype = pointer
    library.musicgen_embeddings.argtypes = [pointer]
    library.musicgen_pack.restype = integer
    library.musicgen_pack.argtypes = [pointer, integer, integer, pointer]
    library.musicgen_prefill_cross.restype = integer
    library.musicgen_prefill_cross.argtypes = [pointer, integer, pointer, integer]
    library.musicgen_step.restype = integer
    library.musicgen_step.argtypes = [pointer, integer, pointer, pointer]
    library.musicgen_draw.restype = integer
    library.musicgen_draw.argtypes = [pointer, pointer, pointer, pointer, ctypes.c_double, integer, pointer]
    library.musicgen_run_steps.restype = integer
    library.musicgen_run_steps.argtypes = [pointer, integer, pointer, integer, pointer, integer, pointer]
    return library


def _check_abi(library: ctypes.CDLL, path: Path) -> None:
    """Compare the library's structures with ours: with a wrong size it would write outside them."""
    ours = [ctypes.sizeof(Shape), ROW.itemsize, SAMPLING.itemsize, REQUEST.itemsize, len(TENSORS)]
    theirs = (ctypes.c_int32 * len(ours))()
    library.musicgen_abi.restype = None
    library.musicgen_abi.argtypes = [ctypes.POINTER(ctypes.c_int32)]
    library.musicgen_abi(theirs)
    if list(theirs) != ours:
        raise EngineUnavailable(
            f"the kernel {path} has other structures ({list(theirs)} bytes, expected {ours}): delete it, "
            "it is then built again"
        )


def load_library(folder: Path | None) -> ctypes.CDLL:
    """Load the library, building it first if need be, see ``kernel_library``. Raises EngineUnavailable."""
    found = kernel_library(folder)
    if isinstance(found, str):
        raise EngineUnavailable(f"the quick decoder for CPUs is missing: {found}")
    return _load(found)


def open_decoder(
    library: ctypes.CDLL, shape: Shape, precision: str, rows: int, max_steps: int, threads: int, isa: str | None
) -> int:
    """Return a decoder without weights. Raises EngineUnavailable."""
    error = ctypes.create_string_buffer(300)
    name = (isa or os.environ.get(ISA_VARIABLE, "")).encode()
    handle: int | None = library.musicgen_open(
        shape, PRECISIONS.index(precision), rows, max_steps, threads, name, error, len(error)
    )
    if handle is None:
        raise EngineUnavailable(f"the quick decoder cannot take this model: {error.value.decode()}")
    return handle

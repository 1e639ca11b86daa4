"""The decoder on CPUs: the step in C++, called with ctypes. It needs numpy and a compiled library, but not torch."""

from __future__ import annotations

import ctypes
import dataclasses
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal, TypeAlias

import numpy as np

from bridge.engines.musicgen.decoder._packed import PackedFile
from bridge.engines.musicgen.decoder.drawing import Columns, Flag
from bridge.engines.musicgen.decoder.interface import Codes, DecoderShape, DecoderWeights, Floats
from bridge.engines.musicgen.kernel import kernel_library, library
from bridge.engines.musicgen.kernel.cores import default_threads
from bridge.engines.musicgen.sampling import COLD, Sampling
from bridge.errors import EngineError, EngineUnavailable

__all__ = ["KernelDecoder", "Precision", "kernel_library"]

log = logging.getLogger(__name__)

Precision: TypeAlias = Literal["float32", "bfloat16", "int8", "int4"]
_AT_ONCE: Final = 16
"""Positions of one row that ``prefill`` passes to one step."""


class KernelDecoder:
    """A step is one library call, with packed weights and threads of its own.

    On one machine a row's numbers are the same to the last bit whatever other rows are in a step, however many threads
    there are, and whether its positions come one by one or in ``prefill``.

    A row whose KV cache has become NaN gets NaN scores; the other rows are not affected.
    """

    def __init__(
        self, opened: ctypes.CDLL, handle: int, shape: DecoderShape, rows: int, max_steps: int, precision: Precision
    ) -> None:
        """Use ``load``."""
        self._library = opened
        self._handle: int | None = handle
        self._shape = shape
        self._max_steps = max_steps
        self._precision = precision
        self._isa: str = opened.musicgen_isa(handle).decode()
        self._filled = np.zeros(rows, dtype=np.int32)
        self._cross = np.zeros(rows, dtype=np.int32)
        self._embed_table = np.zeros((0, shape.hidden), dtype=np.float32)
        # The codes and scores of a step keep their addresses, so that the table's pointers are set once.
        most = max(rows, _AT_ONCE)
        self._codes = np.zeros((most, shape.codebooks), dtype=np.int32)
        self._scores = np.zeros((rows, shape.codebooks, shape.vocabulary), dtype=np.float32)
        self._table = np.zeros(most, dtype=library.ROW)
        self._table["codes"] = self._codes.ctypes.data + np.arange(most, dtype=np.uintp) * self._codes.strides[0]
        self._table["scores"] = np.arange(most)
        self._table_at = self._table.ctypes.data
        self._scores_at = self._scores.ctypes.data
        self._prefill_table = np.zeros(_AT_ONCE, dtype=library.ROW)
        self._prefill_table["scores"] = -1
        self._requests = np.zeros(rows, dtype=library.REQUEST)

    @classmethod
    def load(
        cls,
        weights: DecoderWeights,
        *,
        precision: Precision = "int8",
        rows: int,
        max_steps: int,
        threads: int | None = None,
        keep: Path | None = None,
        isa: str | None = None,
        library_folder: Path | None = None,
    ) -> KernelDecoder:
        """Read the packed weights from ``keep`` if it has them; else pack the weights, and write them there.

        ``threads``: None = one per core, less one for the player. ``isa`` forces an instruction set.
        ``library_folder``: where the library may be built when the package came without one.

        Raises EngineUnavailable without a library, for a model that it cannot take, and for missing or damaged weights.
        """
        shape = weights.shape
        opened = library.load_library(library_folder)
        handle = library.open_decoder(
            opened, library.Shape(**_sizes(shape)), precision, rows, max_steps, threads or default_threads(), isa
        )
        decoder = cls(opened, handle, shape, rows, max_steps, precision)
        try:
            decoder._fill(weights, keep)
        except BaseException:
            decoder.close()
            raise
        return decoder

    @property
    def shape(self) -> DecoderShape:
        """Sizes."""
        return self._shape

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return len(self._filled)

    @property
    def max_steps(self) -> int:
        """Positions a row can hold."""
        return self._max_steps

    @property
    def description(self) -> dict[str, str]:
        """What it runs on."""
        return {"device": "cpu", "precision": self._precision, "kernel": f"own {self._isa}"}

    def begin(self, row: int, encoder_states: Floats | None) -> None:
        """Clear the row's KV cache, and let it cross-attend to ``encoder_states`` (S, H).

        Raises EngineError when they are not finite.
        """
        self._check_rows([row])
        self._filled[row] = 0
        self._cross[row] = 0
        if encoder_states is None:
            return
        if not self._shape.cross:
            raise ValueError("this model has no cross-attention: give it its conditioning as a prefix")
        states = self._inputs(encoder_states)
        fault = self._library.musicgen_prefill_cross(self._open(), row, states.ctypes.data, len(states))
        if fault == library.NO_MEMORY:
            raise EngineError(f"there is no memory for a text of {len(states)} tokens", code="engine_out_of_memory")
        self._done(fault)
        self._cross[row] = 1

    def embed(self, codes: Codes) -> Floats:
        """Codes (T, K) -> inputs (T, H)."""
        self._check_codes(codes)
        self._open()
        places = np.asarray(codes, dtype=np.int64) + np.arange(self._shape.codebooks) * (self._shape.vocabulary + 1)
        # one codebook after another, as the library adds them, so that a row's numbers are the same to the last bit
        inputs = np.zeros((len(places), self._shape.hidden), dtype=np.float32)
        for book in range(self._shape.codebooks):
            inputs += self._embed_table[places[:, book]]
        return inputs

    def prefill(self, row: int, inputs: Floats) -> None:
        """Append T positions at once. Raises EngineError when they are not finite."""
        self._check_rows([row])
        wanted = self._inputs(inputs)
        self._check_room([row], len(wanted))
        table, stride = self._prefill_table, wanted.strides[0]
        for first in range(0, len(wanted), _AT_ONCE):
            count = min(_AT_ONCE, len(wanted) - first)
            table["row"] = row
            table["cross"] = self._cross[row]
            table["position"][:count] = self._filled[row] + np.arange(count)
            table["embedding"][:count] = wanted[first:].ctypes.data + np.arange(count, dtype=np.uintp) * stride
            self._run(count, table.ctypes.data)
            self._filled[row] += count

    def step(self, rows: Sequence[int], codes: Codes) -> Floats:
        """Append a position to each of ``rows``; ``codes`` (n, K) -> scores (n, K, V), valid until the next call."""
        count = len(rows)
        chosen = self._check_rows(rows)
        self._check_room(chosen, 1)
        if len(codes) != count:
            raise ValueError(f"{len(codes)} rows of codes for {count} rows")
        self._check_codes(codes)
        self._codes[:count] = codes
        self._table["row"][:count] = chosen
        self._table["position"][:count] = self._filled[chosen]
        self._table["cross"][:count] = self._cross[chosen]
        self._run(count, self._table_at)
        self._filled[chosen] += 1
        return self._scores[:count]

    def run_steps(self, requests: Sequence[Columns], steps: int, stops: Sequence[Flag]) -> None:
        """Run up to ``steps`` steps and draw their codes, see ``StepsDecoder``."""
        chosen = self._check_rows([row for request in requests for row in request.rows])
        self._check_room(chosen, min(steps, *(len(request.uniform) - request.read for request in requests)))
        table = self._requests[: len(requests)]
        for request, entry in zip(requests, table, strict=True):
            self._fill_entry(request, entry)
        flags = np.array([flag.ctypes.data for flag in stops], dtype=np.uintp)
        self._done(
            self._library.musicgen_run_steps(
                self._open(),
                len(requests),
                table.ctypes.data,
                steps,
                flags.ctypes.data,
                len(stops),
                self._scores_at,
            )
        )
        for request, entry in zip(requests, table, strict=True):
            self._filled[list(request.rows)] += int(entry["column"]) - request.read
            request.read, request.drawn = int(entry["column"]), int(entry["drawn"])
            request.failed = bool(entry["failed"])

    def _fill_entry(self, request: Columns, entry: np.void) -> None:
        rows = list(request.rows)
        width = len(rows)
        entry["rows"] = (*rows, -1)[:2]
        entry["positions"][:width] = self._filled[rows]
        entry["cross"][:width] = self._cross[rows]
        entry["column"], entry["drawn"], entry["last"] = request.read, request.drawn, len(request.uniform)
        entry["failed"] = 0
        entry["sampling"] = as_entry(request.sampling)
        entry["columns"], entry["open"] = request.codes.ctypes.data, request.open.ctypes.data
        entry["uniform"] = request.uniform.ctypes.data
        entry["used"] = 0 if request.used is None else request.used.ctypes.data

    def close(self) -> None:
        """Free the memory."""
        if self._handle is not None:
            self._embed_table = np.zeros((0, self._shape.hidden), dtype=np.float32)  # it was the library's memory
            self._library.musicgen_close(self._handle)
            self._handle = None

    def __del__(self) -> None:
        self.close()

    def _run(self, count: int, table: int) -> None:
        self._done(self._library.musicgen_step(self._open(), count, table, self._scores_at))

    @staticmethod
    def _done(fault: int) -> None:
        if fault != library.DONE:
            raise EngineError(f"the kernel refused a call (fault {fault}): this is an error in Sample Bridge")

    def _open(self) -> int:
        if self._handle is None:
            raise ValueError("the decoder is closed")
        return self._handle

    def _check_rows(self, rows: Sequence[int]) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
        chosen = np.asarray(rows, dtype=np.intp)
        if not 0 < len(chosen) <= self.rows or chosen.min() < 0 or chosen.max() >= self.rows:
            raise ValueError(f"rows {list(rows)} of a decoder that has rows 0 to {self.rows - 1}")
        if len(set(rows)) != len(chosen):
            raise ValueError(f"rows {list(rows)} are not distinct")
        return chosen

    def _check_room(self, rows: Sequence[int] | np.ndarray[tuple[int], np.dtype[np.intp]], count: int) -> None:
        wanted = int(self._filled[rows].max()) + count
        if wanted > self._max_steps:
            raise ValueError(f"a row holds {self._max_steps} positions and {wanted} are asked for")

    def _check_codes(self, codes: Codes) -> None:
        if codes.ndim != 2 or codes.shape[1] != self._shape.codebooks:
            raise ValueError(f"codes of shape {codes.shape}, and not of {self._shape.codebooks} codebooks")
        if codes.size and (codes.min() < 0 or codes.max() > self._shape.vocabulary):
            raise ValueError(f"codes go from 0 to {self._shape.vocabulary}, and not to {codes.min()} and {codes.max()}")

    def _inputs(self, values: Floats) -> Floats:
        inputs: Floats = np.ascontiguousarray(values, dtype=np.float32)
        if inputs.ndim != 2 or inputs.shape[1] != self._shape.hidden:
            raise ValueError(f"inputs of shape {inputs.shape}, and not (T, {self._shape.hidden})")
        if not np.isfinite(inputs).all():
            raise EngineError("the decoder's inputs are not finite: is the text encoder damaged?")
        return inputs

    # ---------------------------------------------------------------- weights

    def _fill(self, weights: DecoderWeights, keep: Path | None) -> None:
        size = ctypes.c_size_t()
        start = self._library.musicgen_weights(self._open(), ctypes.byref(size))
        packed = (ctypes.c_uint8 * size.value).from_address(start)
        view = memoryview(packed).cast("B")
        facts = {**_sizes(self._shape), "bytes": size.value}
        file = None if keep is None else PackedFile(keep, weights.digest, self._precision, library.LAYOUT, facts)
        if file is None or not file.read(view):
            for name in library.TENSORS[: library.WHOLE]:
                self._pack(weights, name, name, 0)
            for layer in range(self._shape.layers):
                for name in library.TENSORS[library.WHOLE :]:
                    if self._shape.cross or not name.startswith("cross"):
                        self._pack(weights, f"{layer}.{name}", name, layer)
            if file is not None:
                file.write(view)
        rows = self._shape.codebooks * (self._shape.vocabulary + 1)
        table = (ctypes.c_float * (rows * self._shape.hidden)).from_address(
            self._library.musicgen_embeddings(self._open())
        )
        self._embed_table = np.ctypeslib.as_array(table).reshape(rows, self._shape.hidden)

    def _pack(self, weights: DecoderWeights, name: str, kind: str, layer: int) -> None:
        tensor: Floats = np.ascontiguousarray(weights.read(name), dtype=np.float32)
        wanted = _tensor_shape(self._shape, kind)
        if tensor.shape != wanted:
            raise EngineUnavailable(f"{name} of the model is of shape {tensor.shape}, and not {wanted}")
        if not np.isfinite(tensor).all():
            raise EngineUnavailable(f"{name} of the model is damaged: it has numbers that are not finite")
        self._done(self._library.musicgen_pack(self._open(), library.TENSORS.index(kind), layer, tensor.ctypes.data))


def as_entry(sampling: Sampling) -> tuple[float, float, float, float, int]:
    """Convert ``sampling`` to an entry of ``library.SAMPLING``."""
    temperature = sampling.temperature if sampling.temperature >= COLD else 0.0
    return (sampling.guidance, temperature, sampling.repetition_penalty, sampling.top_p, sampling.top_k)


def _sizes(shape: DecoderShape) -> dict[str, int]:
    sizes = dataclasses.asdict(shape)
    del sizes["positions"]  # sinusoids, computed for max_steps positions
    return {name: int(size) for name, size in sizes.items()}


def _tensor_shape(shape: DecoderShape, kind: str) -> tuple[int, ...]:
    h, f = shape.hidden, shape.ffn
    sizes: dict[str, tuple[int, ...]] = {
        "embed": (shape.codebooks * (shape.vocabulary + 1), h),
        "heads": (shape.codebooks * shape.vocabulary, h),
        "qkv": (3 * h, h),
        "fc1": (f, h),
        "fc2": (h, f),
    }
    return sizes.get(kind) or ((h,) if "norm" in kind else (h, h))

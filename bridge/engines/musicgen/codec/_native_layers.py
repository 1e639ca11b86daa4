"""EnCodec's decoder in C++, called with ctypes; kernel/codec/README.md describes it."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch

from bridge.engines.musicgen.codec._layers import Convolution, DecoderLayers, Layers, LstmPart
from bridge.engines.musicgen.decoder.interface import Floats
from bridge.engines.musicgen.kernel.codec_library import codec_library
from bridge.engines.musicgen.kernel.cores import default_threads


class _Part(ctypes.Structure):
    """``struct codec_part`` of decode.cpp."""

    _fields_: ClassVar = [
        ("inputs", ctypes.c_void_p),
        ("rows", ctypes.c_int32),
        ("skip", ctypes.c_int32),
        ("take", ctypes.c_int32),
        ("state", ctypes.c_void_p),
        ("outputs", ctypes.c_void_p),
    ]


_BAD_SHAPE, _NO_MEMORY = 1, 2


def _check(fault: int) -> None:
    """Raise MemoryError, or RuntimeError for a call that the kernel refuses: that is an error in this code."""
    if fault == _NO_MEMORY:
        raise MemoryError
    if fault:
        raise RuntimeError(f"the codec's kernel refused a call (fault {fault}): this is an error in Sample Bridge")


class NativeLayers(Layers):
    """The layers in C++, with threads of their own."""

    def __init__(self, library: Path, layers: DecoderLayers, precision: str, threads: int) -> None:
        """Pack the weights. Raises OSError when it is not a library, MemoryError, ValueError for unsupported widths."""
        self._library = _open(library)
        sizes = layers.sizes()
        self._hidden, self._hop = sizes.hidden, sizes.hop
        self._name = library.stem.split("-")[1]
        self._precision = precision
        strides = (ctypes.c_int32 * len(layers.levels))(*(level.stride for level in layers.levels))
        lstm = int(layers.lstm.num_layers)
        self._codec = self._library.codec_open(precision == "bfloat16", threads, lstm, len(layers.levels), strides)
        if not self._codec:
            raise MemoryError
        try:
            for which, layer in enumerate(_in_order(layers)):
                self._set(which, layer)
        except BaseException:
            self.close()
            raise

    def _set(self, which: int, layer: Convolution) -> None:
        weights, bias = layer.weights.contiguous(), layer.bias.contiguous()
        columns, taps, channels = weights.shape
        refused = self._library.codec_set(
            self._codec, which, columns, taps, channels, weights.data_ptr(), bias.data_ptr()
        )
        if refused == _BAD_SHAPE:
            raise ValueError(f"the kernel has no matrix {which} of shape {tuple(weights.shape)}")
        _check(refused)

    @property
    def description(self) -> str:
        """What computes, and its precision."""
        return f"{self._name} kernel, {self._precision}"

    def lstm(self, parts: list[LstmPart]) -> list[Floats]:
        """First convolution and LSTM."""
        inputs = [np.ascontiguousarray(part.inputs) for part in parts]
        outputs = [np.empty((part.take, self._hidden), np.float32) for part in parts]
        rows = (_Part * len(parts))(
            *(
                _Part(given.ctypes.data, len(given), part.skip, part.take, part.state.ctypes.data, made.ctypes.data)
                for part, given, made in zip(parts, inputs, outputs, strict=True)
            )
        )
        _check(self._library.codec_lstm(self._codec, rows, len(parts)))
        return outputs

    def decode(self, parts: list[Floats]) -> list[Floats]:
        """Levels and last convolution."""
        inputs = [np.ascontiguousarray(part) for part in parts]
        outputs = [np.empty(len(part) * self._hop, np.float32) for part in parts]
        rows = (_Part * len(parts))(
            *(
                _Part(given.ctypes.data, len(given), 0, len(given), None, made.ctypes.data)
                for given, made in zip(inputs, outputs, strict=True)
            )
        )
        _check(self._library.codec_decode(self._codec, rows, len(parts)))
        return outputs

    def close(self) -> None:
        """Free the memory and end the threads."""
        codec, self._codec = self._codec, None
        if codec:
            self._library.codec_close(codec)

    def __del__(self) -> None:
        if getattr(self, "_codec", None):
            self.close()


def native_layers(
    layers: DecoderLayers,
    precision: str,
    *,
    threads: int | None = None,
    keep: Path | None = None,
    isa: str | None = None,
) -> NativeLayers | str:
    """Return the kernel with these layers, or a sentence that says why this machine or model cannot use it.

    A processor without bfloat16 products gets float32. ``isa``: see ``codec_library``.
    """
    library = codec_library(keep, isa)
    if isinstance(library, str):
        return library
    try:
        has_bfloat16 = bool(_open(library).codec_has_bfloat16())
        possible = precision if has_bfloat16 else "float32"
        return NativeLayers(library, layers, possible, threads or default_threads())
    except (OSError, ValueError) as error:
        return str(error)


def _in_order(layers: DecoderLayers) -> list[Convolution]:
    """Return the matrices in the order in which codec_set() numbers them."""
    lstm, found = layers.lstm, [layers.first]
    for i in range(int(lstm.num_layers)):
        weights = [
            getattr(lstm, f"{name}_l{i}").detach().float() for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        ]
        found.append(Convolution(weights[0][:, None], weights[2] + weights[3]))
        found.append(Convolution(weights[1][:, None], torch.zeros_like(weights[3])))
    for level in layers.levels:
        found += [level.up, level.narrow, level.widen]
    return [*found, layers.last]


def _open(path: Path) -> ctypes.CDLL:
    library = ctypes.CDLL(str(path))
    if library.codec_abi() != ctypes.sizeof(_Part):
        raise OSError(f"the kernel {path} has other structures: delete it, and it is built again")
    number, pointer = ctypes.c_int32, ctypes.c_void_p
    library.codec_open.argtypes = [number, number, number, number, ctypes.POINTER(number)]
    library.codec_open.restype = pointer
    library.codec_close.argtypes = [pointer]
    library.codec_close.restype = None
    library.codec_set.argtypes = [pointer, number, number, number, number, pointer, pointer]
    library.codec_lstm.argtypes = [pointer, ctypes.POINTER(_Part), number]
    library.codec_decode.argtypes = [pointer, ctypes.POINTER(_Part), number]
    return library

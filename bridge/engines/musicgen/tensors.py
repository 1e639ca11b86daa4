"""Tensors out of safetensors files, one at a time, without mapping the files into memory.

A file starts with the length of its header (8 bytes, little endian) and the header, JSON that says of each tensor its
type, its shape and where it lies: https://huggingface.co/docs/safetensors/index#format. A mapped file's pages would
count as memory of ours for as long as they are cached; what is read here is only what is returned.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from bridge.engines.musicgen.decoder import Floats
from bridge.errors import EngineUnavailable

_PROBES: Final = 64
_PROBE_BYTES: Final = 4096
_TYPES: Final = {"F64": np.float64, "F32": np.float32, "F16": np.float16, "BF16": np.uint16}
_MOST_HEADER_BYTES: Final = 100_000_000  # the format's own limit


class _Place(NamedTuple):
    path: Path
    kind: str
    shape: tuple[int, ...]
    begin: int
    end: int


class Tensors:
    """All tensors of some files, by name."""

    def __init__(self, paths: Iterable[Path]) -> None:
        """Read the headers. Raises EngineUnavailable when a file is missing, cut off or not a safetensors file."""
        self._paths = list(paths)
        self._places: dict[str, _Place] = {}
        for path in self._paths:
            self._places.update(_header(path))

    def __contains__(self, name: str) -> bool:
        return name in self._places

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def shape(self, name: str) -> tuple[int, ...]:
        """Its sizes."""
        return self._place(name).shape

    def is_float(self, name: str) -> bool:
        """Is it one of those that ``read`` returns?"""
        return self._place(name).kind in _TYPES

    def read(self, name: str) -> Floats:
        """Return one tensor as float32, C-contiguous, its own. Raises EngineUnavailable."""
        place = self._place(name)
        if place.kind not in _TYPES:
            raise EngineUnavailable(
                f"{name} in {place.path} is of the type {place.kind}, which is not read here: save the model in "
                "float32, float16 or bfloat16"
            )
        values = np.empty(place.shape, dtype=_TYPES[place.kind])
        try:
            with place.path.open("rb") as file:
                file.seek(place.begin)
                there = file.readinto(values.reshape(-1).view(np.uint8).data)
        except OSError as error:
            raise EngineUnavailable(f"{place.path} cannot be read ({error.strerror or error})") from error
        if there != place.end - place.begin:
            raise EngineUnavailable(f"{place.path} is cut off: download or copy it again")
        if place.kind == "BF16":  # the upper half of a float32
            return (values.astype(np.uint32) << 16).view(np.float32)
        return values.astype(np.float32, copy=False)

    def digest(self) -> str:
        """Name the files by their content, 32 hexadecimal digits.

        Read are the headers (names, types, shapes), the lengths, and 64 blocks of 4 KiB spread over each file: another
        training changes all of them. A file of which only bytes between the blocks were changed keeps its name.
        """
        digest = hashlib.sha256()
        for path in self._paths:
            size = path.stat().st_size
            digest.update(f"{size}:".encode())
            with path.open("rb") as file:
                digest.update(file.read(8 + _header_length(file.read(8))))
                for probe in range(_PROBES):
                    file.seek(size * probe // _PROBES)
                    digest.update(file.read(_PROBE_BYTES))
        return digest.hexdigest()[:32]

    def _place(self, name: str) -> _Place:
        place = self._places.get(name)
        if place is None:
            raise EngineUnavailable(
                f"the weights in {self._paths[0].parent} lack {name}: download or copy the model again"
            )
        return place


def _header(path: Path) -> dict[str, _Place]:
    """Read what is in a file, and check that all of it is."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            length = _header_length(file.read(8))
            if length > min(size - 8, _MOST_HEADER_BYTES):
                raise ValueError("it ends within its header")
            header: dict[str, Any] = json.loads(file.read(length))
        header.pop("__metadata__", None)
        places = {name: _located(path, 8 + length, tensor) for name, tensor in header.items()}
        if not places or size < max(place.end for place in places.values()):
            raise ValueError("it ends before its last tensor")
    except FileNotFoundError as error:
        raise EngineUnavailable(f"{path} is missing: download or copy the model again") from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise EngineUnavailable(
            f"{path} is cut off, or not a safetensors file ({str(error)[:120]}): download or copy it again"
        ) from error
    return places


def _header_length(first: bytes) -> int:
    return int.from_bytes(first, "little")


def _located(path: Path, start: int, tensor: dict[str, Any]) -> _Place:
    begin, end = (start + int(offset) for offset in tensor["data_offsets"])
    shape = tuple(int(size) for size in tensor["shape"])
    kind = str(tensor["dtype"])
    if begin < start or end < begin or any(size < 0 for size in shape):
        raise ValueError("a tensor lies outside")
    if kind in _TYPES and end - begin != int(np.prod(shape, dtype=np.int64)) * np.dtype(_TYPES[kind]).itemsize:
        raise ValueError("a tensor's size is not that of its shape")
    return _Place(path, kind, shape, begin, end)

"""What a decoder takes of the memory, and how many rows of it fit."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from bridge.engines.musicgen.decoder import DecoderShape
from bridge.engines.musicgen.modes import Precision

BYTES: Final[dict[Precision, float]] = {"int4": 0.5625, "int8": 1.0, "float16": 2.0, "bfloat16": 2.0, "float32": 4.0}
"""Of one weight; int4 with a scale for each group of 64."""
_SHAPES: Final = {
    "small": DecoderShape(24, 1024, 16, 4096, 2048, 4, 2048, cross=True),
    "medium": DecoderShape(48, 1536, 24, 6144, 2048, 4, 2048, cross=True),
    "large": DecoderShape(48, 2048, 32, 8192, 2048, 4, 2048, cross=True),
}
_LEFT: Final = 300 * 2**20
"""Bytes left to everybody else."""
_ASK_SECONDS: Final = 0.1
_CGROUP: Final = Path("/sys/fs/cgroup")


def weight_bytes(shape: DecoderShape, precision: Precision) -> int:
    """Bytes of the weights; the embeddings, which no step multiplies with, are kept in 16 bits or more."""
    square = shape.hidden * shape.hidden
    layer = (8 if shape.cross else 4) * square + 2 * shape.hidden * shape.ffn
    multiplied = shape.layers * layer + shape.codebooks * shape.vocabulary * shape.hidden
    embedded = shape.codebooks * (shape.vocabulary + 1) * shape.hidden
    return int(multiplied * BYTES[precision] + embedded * max(2.0, BYTES[precision]))


def row_bytes(shape: DecoderShape, steps: int, cell: int = 2) -> int:
    """Bytes of one row's keys and values over ``steps`` positions, ``cell`` bytes a number."""
    return 2 * shape.layers * shape.hidden * steps * cell


def free_bytes() -> int | None:
    """Bytes of memory that may still be taken by this process; None where that is unknown."""
    found = []
    with contextlib.suppress(OSError, ValueError, StopIteration):
        lines = Path("/proc/meminfo").read_text("ascii").splitlines()
        found.append(next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable")))
    with contextlib.suppress(OSError, ValueError):  # "max" is not a number: no limit
        limit = int((_CGROUP / "memory.max").read_text("ascii"))
        found.append(limit - int((_CGROUP / "memory.current").read_text("ascii")))
    return min(found) if found else None


def fitting_rows(
    shape: DecoderShape, precision: Precision, steps: int, wanted: int, free: int | None, cell: int
) -> int:
    """How many rows fit, at most ``wanted``, halved until they do; 0 when not even two do, which guidance needs."""
    if free is None:
        return wanted
    room, rows = free - _LEFT - weight_bytes(shape, precision), wanted
    while rows >= 2 and rows * row_bytes(shape, steps, cell) > room:
        rows //= 2
    return rows if rows >= 2 else 0


def what_fits(precision: Precision, steps: int, free: int | None, cell: int) -> str:
    """Say in half a sentence which model would fit, and how many sounds at a time."""
    for name in ("large", "medium", "small"):
        for each in dict.fromkeys((precision, "int8")):
            rows = fitting_rows(_SHAPES[name], each, steps, 16, free, cell)
            if rows:
                return f"BRIDGE_MODEL={name} in {each} would fit, {rows // 2} sound{'s' * (rows > 2)} at a time"
    return "not even the small model in int8 would fit: close other programs, or set BRIDGE_ENGINE=procedural"


class Places:
    """How many requests are worked on at a time; when the memory turns out to be full, half as many from then on."""

    def __init__(self, most: int) -> None:
        self._most = max(1, most)
        self._taken = 0
        self._changed = threading.Condition()

    @contextlib.contextmanager
    def taken(self, waiting: Callable[[], None]) -> Iterator[None]:
        """Wait for a place and hold it; ``waiting`` is called all the while, and may raise to give up."""
        with self._changed:
            while self._taken >= self._most:
                self._changed.wait(_ASK_SECONDS)
                waiting()
            self._taken += 1
        try:
            yield
        finally:
            with self._changed:
                self._taken -= 1
                self._changed.notify_all()

    def halve(self) -> int:
        """Have half as many places from now on; 0 when there was one left, which stays."""
        with self._changed:
            if self._most == 1:
                return 0
            self._most //= 2
            return self._most

"""The library is compiled once; where that cannot be, nothing here can be tested."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from bridge.engines.musicgen.decoder.kernel import KernelDecoder
from bridge.engines.musicgen.kernel import kernel_library
from bridge.errors import EngineUnavailable

OpenDecoder = Callable[..., KernelDecoder]


@pytest.fixture(scope="session", autouse=True)
def built() -> None:
    found = kernel_library()
    if isinstance(found, str):
        pytest.skip(found)


@pytest.fixture
def load() -> Iterator[OpenDecoder]:
    """``KernelDecoder.load`` with small defaults; closed at the end."""
    opened: list[KernelDecoder] = []

    def open_one(weights: Any, **options: Any) -> KernelDecoder:
        try:
            decoder = KernelDecoder.load(weights, **{"rows": 5, "max_steps": 40, "threads": 1, **options})
        except EngineUnavailable as error:
            if "this processor has no" in error.message:
                pytest.skip(error.message)
            raise
        opened.append(decoder)
        return decoder

    yield open_one
    for decoder in opened:
        decoder.close()

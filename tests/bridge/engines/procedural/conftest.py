"""A procedural engine, asked in words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from bridge.engines.procedural import ProceduralEngine
from prompts import SampleSpec

Samples = npt.NDArray[np.float32]
Say = Callable[..., Samples]


@pytest.fixture(scope="session")
def engine() -> ProceduralEngine:
    return ProceduralEngine()


@pytest.fixture(scope="session")
def say(engine: ProceduralEngine) -> Say:
    """Return the samples, (channels, frames), for a prompt and fields of a spec."""

    def ask(prompt: str, seconds: float | None = None, **fields: Any) -> Samples:
        spec = SampleSpec(prompt=prompt, **{"seed": 1, **fields}).complete().resolved("procedural", None)
        wanted = spec.seconds if seconds is None else seconds
        (clip,) = engine.stream(spec, wanted, lambda _: None)
        return clip.samples

    return ask

"""Effects of somebody else's: whatever registers in the entry point group ``bridge.processors``.

A spec names them in ``effects``; they are applied in that order, after a sound has been cut and before it is levelled.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any

from bridge.errors import EngineError, EngineUnavailable, InvalidRequest
from bridge.plugins.processor import AudioProcessor

if TYPE_CHECKING:  # the server asks for names alone, and gets by without numpy
    from bridge.plugins.clip import Clip

GROUP = "bridge.processors"


def names() -> list[str]:
    """Names of all registered processors, sorted. Nothing of them is imported."""
    return sorted(_entries())


def check_names(wanted: Sequence[str]) -> None:
    """Raise InvalidRequest, which lists what there is, when a processor is not registered."""
    for name in wanted:
        if name not in _entries():
            there = f"Choose from {', '.join(names())}." if names() else "None is installed; see docs/processors.md."
            raise InvalidRequest(
                f"effects: there is no effect '{name}'. {there}",
                code="unknown_effect",
                field="effects",
                effects=names(),
            )


def process(name: str, clip: Clip) -> Clip:
    """Send ``clip`` through one processor.

    Raises EngineUnavailable when it cannot be built, and EngineError (``effect_failed``), which names it, when it
    fails or answers anything but finite numbers in the shape it was given.
    """
    import numpy as np

    from bridge.plugins.clip import Clip

    processor = _build(name)
    try:
        changed = np.asarray(processor.process(clip.samples.copy(), clip.rate), dtype=np.float32)
    except Exception as error:
        message = f"Effect '{name}' failed: {type(error).__name__}: {str(error)[:300]}. Leave it out, or repair it."
        raise EngineError(message, code="effect_failed") from error
    if changed.shape != clip.samples.shape:
        raise EngineError(
            f"Effect '{name}' returned the shape {changed.shape} for {clip.samples.shape}. Leave it out, or repair it.",
            code="effect_failed",
        )
    if not bool(np.isfinite(changed).all()):
        raise EngineError(
            f"Effect '{name}' returned numbers that are not audio (NaN or infinity). Leave it out, or repair it.",
            code="effect_failed",
        )
    return Clip(np.ascontiguousarray(changed), clip.rate)


@cache
def _build(name: str) -> AudioProcessor:
    entry = _entries().get(name)
    if entry is None:
        raise EngineUnavailable(f"There is no effect '{name}'. Install it, or leave it out.", code="unknown_effect")
    try:
        built: Any = entry.load()()
    except Exception as error:
        raise EngineUnavailable(f"Effect '{name}' cannot be loaded ({error}). Repair it, or leave it out.") from error
    if not isinstance(built, AudioProcessor):
        raise EngineUnavailable(f"Effect '{name}' is not an effect: it has no method `process` (docs/processors.md).")
    return built


@cache
def _entries() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=GROUP)}

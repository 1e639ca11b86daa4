"""Which engine ``auto`` means on this machine, and the sentence that says why."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path

from bridge.settings import Settings

PROCEDURAL = "procedural"
MUSICGEN = "musicgen"
DIFFUSION = ("ace_step", "audioldm2", "stable_audio")
"""Engines that take the set model where they are set themselves."""


@dataclass(frozen=True, slots=True)
class Choice:
    """The engine that answers when a request names none."""

    name: str
    why: str
    """A sentence for /health and the page."""


def choose(settings: Settings) -> Choice:
    """Take the engine that is set; for ``auto`` MusicGen on a GPU with weights on disk, otherwise the procedural one.

    Looks at files only: nothing heavy is imported and nothing is started.
    """
    if settings.mock_generation:
        return Choice(PROCEDURAL, "Sounds are synthesised because MOCK_GENERATION is true.")
    if settings.engine != "auto":
        return Choice(settings.engine, f"The settings name the engine {settings.engine}.")
    if importlib.util.find_spec("torch") is None or importlib.util.find_spec("transformers") is None:
        return Choice(PROCEDURAL, "Sounds are synthesised: MusicGen is not installed (make run ENGINE=musicgen).")
    if not any(Path("/dev").glob("nvidia[0-9]*")):
        return Choice(PROCEDURAL, "Sounds are synthesised: without a GPU MusicGen is slower than it plays.")
    if not weights_on_disk(settings.model):
        return Choice(PROCEDURAL, "Sounds are synthesised: no MusicGen weights are on disk (sample-bridge doctor).")
    return Choice(MUSICGEN, "MusicGen makes the sounds: there is a GPU, and its weights are on disk.")


def weights_on_disk(model: str | None) -> bool:
    """Look whether MusicGen's weights for ``model`` are there; nothing is loaded or asked of the network."""
    from bridge.engines.musicgen.models import resolve_model
    from bridge.engines.musicgen.weights import weights_present
    from bridge.errors import EngineUnavailable

    try:
        return weights_present(resolve_model(model))
    except EngineUnavailable:
        return False

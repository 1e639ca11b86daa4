"""Which engine ``auto`` means on this machine, and the sentence that says why."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bridge.settings import Settings

if TYPE_CHECKING:
    from bridge.engines.musicgen.speed import Speed

PROCEDURAL = "procedural"
MUSICGEN = "musicgen"
QUICK_ENOUGH: Final = 1.0
"""Seconds of audio per second from which ``auto`` takes a model on a CPU."""
DIFFUSION = ("ace_step", "audioldm2", "stable_audio")
"""Engines that take the set model where they are set themselves."""


@dataclass(frozen=True, slots=True)
class Choice:
    """The engine that answers when a request names none."""

    name: str
    why: str
    """A sentence for /health and the page."""


def choose(settings: Settings) -> Choice:
    """Take the engine that is set; for ``auto`` MusicGen with weights on disk where it is quick enough, otherwise the
    procedural one. Where ``mock_generation`` is false ``auto`` is MusicGen: what it lacks makes jobs fail and say so.

    It is on a GPU, and on a CPU once it was measured to make sound faster than it plays. Looks at files only: nothing
    heavy is imported and nothing is started.
    """
    if settings.mock_generation:
        return Choice(PROCEDURAL, "Sounds are synthesised because MOCK_GENERATION is true.")
    if settings.engine != "auto":
        return Choice(settings.engine, f"The settings name the engine {settings.engine}.")
    if settings.mock_generation is False:
        return Choice(MUSICGEN, "MusicGen is to make the sounds: MOCK_GENERATION is false, so nothing is synthesised.")
    if importlib.util.find_spec("torch") is None or importlib.util.find_spec("transformers") is None:
        return Choice(PROCEDURAL, "Sounds are synthesised: MusicGen is not installed (make run ENGINE=musicgen).")
    if not weights_on_disk(settings.model):
        return Choice(PROCEDURAL, "Sounds are synthesised: no MusicGen weights are on disk (sample-bridge doctor).")
    if settings.device != "cpu" and _gpu():
        return Choice(MUSICGEN, "MusicGen makes the sounds: there is a GPU, and its weights are on disk.")
    speed = measured_speed(settings)
    if speed is None:
        return Choice(
            PROCEDURAL,
            "Sounds are synthesised: how fast MusicGen is on this CPU is not known yet (sample-bridge doctor --measure "
            "finds out).",
        )
    if speed.factor < QUICK_ENOUGH:
        return Choice(PROCEDURAL, f"Sounds are synthesised, since a model is too slow here: {speed.sentence}.")
    return Choice(MUSICGEN, "MusicGen makes the sounds: it was measured to be faster than real time.")


def measured_speed(settings: Settings) -> Speed | None:
    """How fast the weights of the set model were on this machine, None when nothing was measured."""
    from bridge.engines.musicgen.models import resolve_model
    from bridge.engines.musicgen.speed import kept
    from bridge.engines.musicgen.weights import find, revision
    from bridge.errors import EngineUnavailable

    try:
        folder = find(resolve_model(settings.model))
    except EngineUnavailable:
        return None
    return kept(settings.data_dir, revision(folder)) if folder else None


def weights_on_disk(model: str | None) -> bool:
    """Look whether MusicGen's weights for ``model`` are there; nothing is loaded or asked of the network."""
    from bridge.engines.musicgen.models import resolve_model
    from bridge.engines.musicgen.weights import weights_present
    from bridge.errors import EngineUnavailable

    try:
        return weights_present(resolve_model(model))
    except EngineUnavailable:
        return False


def _gpu() -> bool:
    return any(Path("/dev").glob("nvidia[0-9]*"))

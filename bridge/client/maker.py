"""What makes sounds for a command or a program, and what it answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeAlias

from bridge.audio.facts import SampleFacts
from bridge.client.wishes import Wish

OnProgress: TypeAlias = Callable[[float, float | None], None]
"""Told how far the work is (0..1) and how many seconds it may still take (None: unknown)."""


_SHOWN = ("seconds", "kind", "bpm", "bars", "key", "seed", "engine", "model", "licence", "commercial")
"""Facts that ``--json`` shows."""


@dataclass(frozen=True, slots=True)
class MadeSound:
    """A sound and where it has gone."""

    name: str
    n: int
    cached: bool
    """True when it was kept already."""
    strudel: str
    sample_id: str
    facts: SampleFacts

    def as_json(self) -> dict[str, Any]:
        """Build the form of ``--json``."""
        place = {"name": self.name, "n": self.n, **self.facts.some(_SHOWN), "cached": self.cached}
        return {**place, "strudel": self.strudel, "prompt": self.facts.prompt, "sample_id": self.sample_id}


@dataclass(frozen=True, slots=True)
class MadeSimilar:
    """New audio like a file's, and what was measured of the file."""

    audio_id: str
    features: Mapping[str, Any]
    sound: MadeSound
    wav: bytes
    """32 kHz, whichever engine made it."""


class Maker(Protocol):
    """Makes sounds, keeps them in the library of the data folder, and hands out their files."""

    async def make(self, wish: Wish, on_progress: OnProgress = ..., *, batch: bool = False) -> list[MadeSound]:
        """Make a wish, a sound for each variation. ``batch``: players go first.

        Raises the BridgeError that the job failed with.
        """
        ...

    async def audio(self, sound: MadeSound, extension: str) -> bytes:
        """Answer the sound's file in a format."""
        ...

    async def similar(self, file: Path, wish: Mapping[str, Any]) -> MadeSimilar:
        """Measure a file and make audio like it; ``wish`` is the body of ``POST /api/generate/{audio_id}``."""
        ...

    async def forget(self, wish: Mapping[str, Any]) -> dict[str, Any]:
        """Wipe words: ``POST /forget``'s body and answer."""
        ...

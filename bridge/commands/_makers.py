"""Two ways to a sound, one door: through the server that has the data folder open, or with a service of our own.

The lock of the data folder decides, so two openers never see two libraries.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol, TypeAlias

from bridge.commands._wishes import Wish
from bridge.errors import StartupError
from bridge.settings import Settings

OnProgress: TypeAlias = Callable[[float, float | None], None]
"""Told how far the work is (0..1) and how many seconds it may still take (None: unknown)."""

_LOCK_SECONDS = 5.0
"""So long the holder of the folder may take to say where it listens, or to let go."""
_ASK_AGAIN_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class MadeSound:
    """A sound and where it has gone."""

    name: str
    n: int
    seconds: float
    kind: str
    bpm: float | None
    bars: int | None
    key: str | None
    seed: int
    engine: str
    model: str | None
    licence: str
    commercial: bool
    cached: bool
    """True when it was kept already."""
    strudel: str
    prompt: str
    sample_id: str

    @classmethod
    def of(
        cls, *, name: str, n: int, strudel: str, cached: bool, sample_id: str, facts: Mapping[str, Any]
    ) -> MadeSound:
        """Build it from a sample's facts."""
        names = ("seconds", "kind", "bpm", "bars", "key", "seed", "engine", "model", "licence", "commercial", "prompt")
        told = {field: facts[field] for field in names}
        return cls(name=name, n=n, strudel=strudel, cached=cached, sample_id=sample_id, **told)

    def as_json(self) -> dict[str, Any]:
        """Build the form of ``--json``."""
        return asdict(self)


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


@asynccontextmanager
async def open_maker(settings: Settings) -> AsyncIterator[Maker]:
    """Open the data folder, or find who has it open.

    Raises StartupError when the folder cannot be used, or its holder is no server that answers.
    """
    async with AsyncExitStack() as stack:
        yield await _open(settings, stack)


async def _open(settings: Settings, stack: AsyncExitStack) -> Maker:
    from bridge.commands._local import open_local
    from bridge.server_file import run_key, running_server

    deadline = time.monotonic() + _LOCK_SECONDS
    while True:
        try:
            return await stack.enter_async_context(open_local(settings))
        except StartupError as error:
            if error.code != "store_locked":
                raise
            url = running_server(settings.data_dir)
            if url is None and time.monotonic() > deadline:
                raise
        if url is not None:
            from bridge.commands._client import open_server

            key = run_key(settings.data_dir) or settings.key_for_server
            return await stack.enter_async_context(open_server(url, key))
        await asyncio.sleep(_ASK_AGAIN_SECONDS)

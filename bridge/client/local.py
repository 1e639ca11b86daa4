"""Making sounds without a server: the service in this process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from bridge.client.maker import MadeSimilar, MadeSound, OnProgress
from bridge.client.wishes import Wish
from bridge.jobs import Priority, Progress
from bridge.jobs.happenings import Happening, Progressed
from bridge.settings import Settings
from bridge.sounds.opening import open_service
from bridge.sounds.placing import Placed
from bridge.sounds.service import SampleService
from bridge.stage.stage import Stage

_STEP = 1 << 20


class LocalMaker:
    """Makes sounds with a service of its own."""

    def __init__(self, service: SampleService) -> None:
        self._service = service
        self._stage = Stage(service)
        self._listeners: dict[str, Callable[[str, Progress], None]] = {}
        service.happenings.subscribe(self._on_happening)

    async def make(
        self, wish: Wish, on_progress: OnProgress = lambda *_: None, *, batch: bool = False
    ) -> list[MadeSound]:
        """See Maker."""
        tickets = await self._stage.ask(wish.order, priority=Priority.BATCH if batch else Priority.PLAYER)
        fractions = dict.fromkeys((ticket.id for ticket in tickets), 0.0)

        def listen(ticket_id: str, progress: Progress) -> None:
            fractions[ticket_id] = progress.fraction
            on_progress(sum(fractions.values()) / len(fractions), progress.eta_s)

        self._listeners |= dict.fromkeys(fractions, listen)
        try:
            ended = [await self._service.queue.wait(ticket.id) for ticket in tickets]
        finally:
            for ticket_id in fractions:
                del self._listeners[ticket_id]
        return [_made(self._service.placed(ticket)) for ticket in ended]

    async def audio(self, sound: MadeSound, extension: str) -> bytes:
        """See Maker."""
        path = await self._service.library.audio(sound.sample_id, extension)
        return await asyncio.to_thread(path.read_bytes)

    async def similar(self, file: Path, wish: Mapping[str, Any]) -> MadeSimilar:
        """See Maker. The file comes in by the way of every upload."""
        from bridge.exchange.likeness import similar_order, wav_of
        from bridge.exchange.uploads import Uploads

        uploads = Uploads(self._service.settings)
        async with uploads.receive() as receiver:
            with file.open("rb") as pieces:
                while piece := await asyncio.to_thread(pieces.read, _STEP):
                    await receiver.write(piece)
            upload = await uploads.keep(receiver)
        placed = await self._service.make(similar_order(wish, upload, await self._service.resolver.conditions()))
        path = await wav_of(self._service, uploads, placed)
        return MadeSimilar(upload.audio_id, upload.features, _made(placed), await asyncio.to_thread(path.read_bytes))

    async def forget(self, wish: Mapping[str, Any]) -> dict[str, Any]:
        """See Maker."""
        from bridge.forgetting import forget

        done = await forget(self._service, wish.get("name"), names_too=wish.get("what") == "all")
        return {"sounds": list(done.names), "samples": done.samples}

    def _on_happening(self, happening: Happening) -> None:
        if isinstance(happening, Progressed):
            for ticket in happening.tickets:
                if (listener := self._listeners.get(ticket.id)) is not None:
                    listener(ticket.id, happening.job.progress)


@asynccontextmanager
async def open_local(settings: Settings) -> AsyncIterator[LocalMaker]:
    """Open the service of the data folder. Raises StartupError, with code ``store_locked`` when it is in use."""
    async with open_service(settings) as service:
        yield LocalMaker(service)


def _made(placed: Placed) -> MadeSound:
    return MadeSound(placed.name, placed.n, placed.cached, placed.strudel, placed.sample.sample_id, placed.facts)

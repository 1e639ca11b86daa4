"""The stem that the others of its request listen to."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator

from bridge.exchange.stems.plan import PlannedStem
from bridge.sounds.orders import Order


class Leader:
    """A stem whose tune the other stems of its request follow, once it is there."""

    def __init__(self, stem: PlannedStem) -> None:
        self.stem = stem
        self.sample_id: str | None = None
        """None while it is made, and when it could not be."""
        self._ended = asyncio.Event()

    @contextlib.contextmanager
    def told(self) -> Iterator[None]:
        """Let the others continue after the block, however it ends."""
        try:
            yield
        finally:
            self._ended.set()

    async def followed_by(self, stem: PlannedStem) -> Order:
        """What is to be asked for ``stem``; drums and effects have no tune to follow and never wait."""
        if not stem.pitched:
            return stem.order
        await self._ended.wait()
        if self.sample_id is None:
            return stem.order
        heard = {"source": self.sample_id, "source_as": "melody"}
        return stem.order.model_copy(update={"spec": stem.order.spec.model_copy(update=heard)})

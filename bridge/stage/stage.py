"""The one door for players: the session's tempo and key, something to play at once, then the service."""

from __future__ import annotations

from bridge.jobs import Priority, Ticket
from bridge.sounds.orders import Order
from bridge.sounds.service import SampleService
from bridge.stage.repeats import Repeats, RequestKey
from bridge.stage.sessions import Sessions
from bridge.stage.standins import stand_in


class Stage:
    """What the players of one server share, and how they ask for sounds."""

    def __init__(self, service: SampleService) -> None:
        self.sessions = Sessions()
        self._service = service
        self._repeats = Repeats(service.queue)

    async def ask(
        self,
        order: Order,
        *,
        priority: Priority = Priority.PLAYER,
        standin: bool = False,
        key: RequestKey | None = None,
        playing: float | None = None,
    ) -> list[Ticket]:
        """Take a ticket for each variation, in the tempo and key of the order's session; see SampleService.take.

        ``standin``: a name whose sound takes long gets something to play at once. ``playing``: the bpm that is heard
        where the order comes from; it counts when the session has none. ``key``: the same request with the same key
        gets the tickets that it got before, so that sending it twice is harmless.

        Raises InvalidRequest, also when the key came with another request; NotFound, EngineUnavailable, Busy,
        StorageFull, DiskFailed.
        """
        order = self.sessions.fill(order, playing)
        if key is None:
            return await self._ask(order, priority, standin)
        async with self._repeats.of(key) as tickets:
            if not tickets:
                tickets += await self._ask(order, priority, standin)
        return tickets

    async def _ask(self, order: Order, priority: Priority, standin: bool) -> list[Ticket]:
        wanted = await self._service.look_up(order)
        playing = await stand_in(self._service, wanted) if standin else None
        return await self._service.take(wanted, priority=priority, standin=playing)

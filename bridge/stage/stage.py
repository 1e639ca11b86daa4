"""The one door for players: what the session says is filled in, then the service is asked."""

from __future__ import annotations

from bridge.jobs import Priority, Ticket
from bridge.sounds.orders import Order
from bridge.sounds.service import RequestKey, SampleService
from bridge.stage.sessions import Sessions


class Stage:
    """What the players of one server share, and how they ask for sounds."""

    def __init__(self, service: SampleService) -> None:
        self.sessions = Sessions()
        self._service = service

    async def ask(
        self,
        order: Order,
        *,
        priority: Priority = Priority.PLAYER,
        standin: bool = False,
        key: RequestKey | None = None,
        playing: float | None = None,
    ) -> list[Ticket]:
        """Take a ticket for each variation, in the tempo and key of the order's session; see SampleService.ask.

        ``playing``: the bpm that is heard where the order comes from; it counts when the session has none.

        Raises InvalidRequest, EngineUnavailable, Busy.
        """
        order = self.sessions.fill(order, playing)
        return await self._service.ask(order, priority=priority, standin=standin, key=key)

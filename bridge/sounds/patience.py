"""Asking for sounds that no player waits for: as often as it takes, until there is a place in the queue."""

from __future__ import annotations

import asyncio
from typing import Final

from bridge.errors import Busy
from bridge.jobs import Priority, Ticket
from bridge.sounds.orders import Order
from bridge.sounds.service import SampleService

BUSY_SECONDS: Final = 1.0
"""Pause before the next try when players have filled the queue."""


async def ask_patiently(service: SampleService, order: Order, priority: Priority) -> list[Ticket]:
    """Take a ticket for each variation, as soon as the queue takes them; otherwise raises as SampleService.ask."""
    while True:
        try:
            return await service.ask(order, priority=priority)
        except Busy:
            await asyncio.sleep(BUSY_SECONDS)

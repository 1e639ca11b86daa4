"""A request that is sent twice: the second is answered with the tickets of the first."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple
from weakref import WeakValueDictionary

from bridge.errors import InvalidRequest, NotFound
from bridge.jobs import JobQueue, Ticket


class RequestKey(NamedTuple):
    """How a repeated request is known: the name that its client gave it, and a digest of what was asked for."""

    name: str
    fingerprint: str


class Repeats:
    """One request of a name at a time."""

    def __init__(self, queue: JobQueue) -> None:
        self._queue = queue
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def of(self, key: RequestKey) -> AsyncIterator[list[Ticket]]:
        """Give the tickets of an earlier request, or an empty list for the caller to fill with those of this one.

        Raises InvalidRequest when the key came with another request.
        """
        async with self._locks.setdefault(key.name, asyncio.Lock()):
            known = await self._queue.repeated(key.name)
            if known and known[0] != key.fingerprint:
                raise InvalidRequest(
                    "This Idempotency-Key came with another request before. Use a new key for a new request.",
                    code="idempotency_mismatch",
                )
            tickets: list[Ticket] = []
            with contextlib.suppress(NotFound):
                tickets = [await self._queue.ticket(ticket_id) for ticket_id in (known[1] if known else ())]
            is_new = not tickets
            yield tickets
            if is_new:
                await self._queue.remember(key.name, key.fingerprint, [ticket.id for ticket in tickets])

"""One large answer at a time for each client: the next begins when the last is sent, or its asker has gone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager
from weakref import WeakValueDictionary


def client_of(key_name: str | None, address: str | None, origin: str | None) -> Hashable:
    """Who counts as one client: its key, without one its address and the page's Origin."""
    return ("key", key_name) if key_name is not None else ("address", address, origin)


class Turns:
    """A request waits while an answer to the same client is under way, in the order of asking."""

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[Hashable, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def of(self, client: Hashable) -> AsyncIterator[None]:
        """Wait for the client's turn, and have it."""
        lock = self._locks.get(client)
        if lock is None:
            lock = self._locks[client] = asyncio.Lock()
        async with lock:
            yield

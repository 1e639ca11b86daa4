"""Clients that stop reading are dropped: what waits for them would grow without an end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import NamedTuple

import socketio

from bridge.realtime.fanout import Outbox

logger = logging.getLogger(__name__)

MAX_QUEUED = 500
"""Packets of 1 to 2 KB: a client further behind than that is dropped even if it reads."""
STUCK_SECONDS = 4
"""A client for which something waits, and which has taken nothing for this long, has stopped reading."""


class _Look(NamedTuple):
    """What was seen of a client."""

    taken: int
    """Bytes that the kernel has taken: as long as they grow, somebody reads."""
    stuck: int
    """So many looks in a row nothing has moved."""


async def drop_slow_clients(sio: socketio.AsyncServer, on_drop: Callable[[], None] = lambda: None) -> None:
    """Look every second and cut the connection of a client that does not read; it will say hello again.

    A client on a slow line that is still busy with its first, big answer reads, and is left alone.
    """
    looks: dict[str, _Look] = {}
    while True:
        await asyncio.sleep(1.0)
        seen: dict[str, _Look] = {}
        for eio_sid, connection in list(sio.eio.sockets.items()):
            outbox: Outbox = connection.queue
            look = seen[eio_sid] = _look(outbox, looks.get(eio_sid))
            if look.stuck >= STUCK_SECONDS or outbox.unsent > MAX_QUEUED:
                logger.info("a page stopped reading (%d messages waited): dropped", outbox.unsent)
                cut(sio, eio_sid)
                on_drop()
        looks = seen


def _look(outbox: Outbox, last: _Look | None) -> _Look:
    buffered = outbox.transport.get_write_buffer_size() if outbox.transport else 0
    waits = bool(buffered or outbox.unsent)
    taken = outbox.sent - buffered
    return _Look(taken, last.stuck + 1 if last and waits and taken <= last.taken else 0)


def cut(sio: socketio.AsyncServer, eio_sid: str) -> None:
    """Break the connection of one page, without waiting for it; it comes back by itself."""
    request = (sio.environ.get(eio_sid) or {}).get("aiohttp.request")
    if request is not None and request.transport is not None:
        request.transport.abort()

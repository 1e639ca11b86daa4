"""Clients that stop reading are dropped: their queue would grow without an end."""

from __future__ import annotations

import asyncio
import logging

import socketio

logger = logging.getLogger(__name__)

MAX_QUEUED = 64
"""Packets: a client further behind than that has stopped reading."""
STUCK_SECONDS = 4
"""A client whose queue has not been empty for so long has stopped reading, however short it is."""


async def drop_slow_clients(sio: socketio.AsyncServer) -> None:
    """Look every second and cut the connection of whoever does not read; it will say hello again."""
    stuck: dict[str, int] = {}
    while True:
        await asyncio.sleep(1.0)
        for eio_sid, connection in list(sio.eio.sockets.items()):
            queued = connection.queue.qsize()
            stuck[eio_sid] = stuck.get(eio_sid, 0) + 1 if queued else 0
            if queued > MAX_QUEUED or stuck[eio_sid] >= STUCK_SECONDS:
                logger.info("a page stopped reading (%d messages waited): dropped", queued)
                cut(sio, eio_sid)
        for eio_sid in stuck.keys() - sio.eio.sockets.keys():
            del stuck[eio_sid]


def cut(sio: socketio.AsyncServer, eio_sid: str) -> None:
    """Break the connection of one page, without waiting for it; it comes back by itself."""
    request = (sio.environ.get(eio_sid) or {}).get("aiohttp.request")
    if request is not None and request.transport is not None:
        request.transport.abort()

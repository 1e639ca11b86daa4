"""Connections that only take up room are ended: half-sent requests, bodies that stop, answers that are never read.

aiohttp ends a connection that is idle, and has no limit for one that started a body and stopped, or that does not read
its answer. The wiring looks at private parts of aiohttp: a test holds the pinned version to it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import resource
from collections.abc import Iterable
from typing import NamedTuple

from aiohttp import web

logger = logging.getLogger(__name__)

HEADER_SECONDS = 25.0
"""From a connection's begin, or its last answer, to the end of the next request's header."""
BODY_SECONDS = 15.0
"""A body of which nothing comes for this long is given up; a slow one that goes on is not."""
ANSWER_SECONDS = 60.0
"""A client that takes nothing of what is sent to it for this long has gone."""
LOOK_SECONDS = 1.0
_SPARE_FILES = 256
"""Open files that are left to databases, engines and sounds."""


class _Look(NamedTuple):
    """What was seen of a connection."""

    body: int | None
    """Bytes of a body that has started and is not whole; None: there is none, or we are not reading."""
    unsent: int
    """Bytes that wait for the client."""
    since: float
    """When it was first seen so."""


class Reaper:
    """Looks after the connections of one server."""

    def __init__(self, server: web.Server) -> None:
        self._server = server
        self._looks: dict[web.RequestHandler, _Look] = {}

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                self.look(loop.time())
            except Exception:
                logger.exception("the connections could not be checked")

    def look(self, now: float) -> None:
        """End what has not moved for too long."""
        looks: dict[web.RequestHandler, _Look] = {}
        for connection in self._server.connections:
            body, unsent = _coming(connection), _unsent(connection)
            if body is None and not unsent:
                continue
            before = self._looks.get(connection)
            if before is None or before.body != body or before.unsent != unsent:
                looks[connection] = _Look(body, unsent, now)
                continue
            looks[connection] = before
            limit = BODY_SECONDS if body is not None else ANSWER_SECONDS
            if now - before.since >= limit:
                logger.info("a %s stopped for %.0f s: closed", "body" if body is not None else "reader", limit)
                _end(connection)
        self._looks = looks


def most_connections() -> int:
    """How many connections there may be, so that files can still be opened."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 2**20 if soft == resource.RLIM_INFINITY else max(soft - _SPARE_FILES, soft // 2)


def drop_idle(connections: Iterable[web.RequestHandler]) -> None:
    """End the oldest connection that waits for a request, whole or half-sent."""
    for connection in connections:
        waiter = connection._waiter  # noqa: SLF001
        if waiter is not None and not waiter.done():
            _end(connection)
            return


def _coming(connection: web.RequestHandler) -> int | None:
    request = connection._current_request  # noqa: SLF001
    if request is None or connection._reading_paused or connection._upgraded:  # noqa: SLF001
        return None
    content = request.content
    return None if content.is_eof() else content.total_bytes


def _unsent(connection: web.RequestHandler) -> int:
    transport = connection.transport
    return 0 if transport is None else transport.get_write_buffer_size()


def _end(connection: web.RequestHandler) -> None:
    with contextlib.suppress(RuntimeError):
        if connection.transport is not None:
            connection.transport.abort()

"""The part of an answer that aiohttp gives before our application sees a request: errors in HTTP itself.

A request that cannot be read reaches no middleware; aiohttp answers it in plain text and writes a traceback into the
log for each (5.5 MB for 10,000 of them). Here it gets our error shape, and the log a line for debugging. The wiring
uses private parts of aiohttp: a test holds the pinned version to it.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from aiohttp import hdrs, web

from bridge.api.errors import ErrorResponse
from bridge.api.security.reaper import HEADER_SECONDS, Reaper, drop_idle, most_connections
from bridge.errors import BridgeError, InvalidRequest, MalformedBody, Misdirected

logger = logging.getLogger(__name__)

_HOST = "'Host' header"
_CONTINUE = "100-continue"
_EXPECT = "Expect: this server knows only 100-continue. Leave the header out."
_SERVER = "sample-bridge"
"""What answers call the server: no version, neither ours nor that of a library."""


class Connection(web.RequestHandler):
    """One connection of a client."""

    __slots__ = ()

    async def _handle_request(
        self, request: web.BaseRequest, start_time: float | None, request_handler: Any
    ) -> tuple[web.StreamResponse, bool]:
        async def handle(request: web.BaseRequest) -> web.StreamResponse:
            # Before aiohttp finds the route: what it answers itself for a path that we do not have cannot be encoded.
            if request.headers.get(hdrs.EXPECT, _CONTINUE).lower() != _CONTINUE:
                return _answer(InvalidRequest(_EXPECT, code="unknown_expect"), 417)
            answer: web.StreamResponse = await request_handler(request)
            return answer

        return await super()._handle_request(request, start_time, handle)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what could not be read, and close the connection."""
        if status >= 500 and not isinstance(exc, ConnectionError):  # else the client has gone
            logger.error("a request failed outside the application", exc_info=exc)
        else:
            logger.debug("a request could not be read: %s", message)
        if request.writer.output_size > 0:
            raise ConnectionError("An answer was already started; an error cannot follow it.")
        response = _answer(_named(status, message or ""), status)
        response.force_close()
        return response


async def name_server(_: web.Request, response: web.StreamResponse) -> None:
    """Name the server in an answer that is about to be sent, in a WebSocket's handshake too."""
    response.headers[hdrs.SERVER] = _SERVER


class Runner(web.AppRunner):
    """Runs an application whose connections are ours, and ends those that only take up room."""

    def __init__(self, app: web.Application, **options: Any) -> None:
        # aiohttp's own idle time counts from the last answer, or the connection's begin, to the end of a header.
        super().__init__(app, **{"keepalive_timeout": HEADER_SECONDS, **options})
        self._reaping: asyncio.Task[None] | None = None

    async def _make_server(self) -> web.Server:
        server = await super()._make_server()
        server.__class__ = _Server
        self._reaping = asyncio.create_task(Reaper(server).run())
        return server

    async def cleanup(self) -> None:
        """Stop, as aiohttp does."""
        if self._reaping is not None:
            self._reaping.cancel()
        await super().cleanup()


class _Server(web.Server):
    def __call__(self) -> web.RequestHandler:
        if len(self._connections) >= most_connections():
            drop_idle(self._connections)
        connection = super().__call__()
        connection.__class__ = Connection
        return connection


async def continued(request: web.Request) -> web.StreamResponse | None:
    """Tell a client that asks whether to send its body to do so; the connection has refused other wishes."""
    await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    request.writer.output_size = 0  # the answer itself has not started
    return None


def with_continue(routes: Any) -> list[web.RouteDef]:
    """Routes whose requests may carry ``Expect``."""
    return [
        web.RouteDef(each.method, each.path, each.handler, {**each.kwargs, "expect_handler": continued})
        for each in routes
    ]


def _answer(error: BridgeError, status: int) -> ErrorResponse:
    """An answer that no middleware sees."""
    return ErrorResponse(error, status, {"X-Content-Type-Options": "nosniff", hdrs.SERVER: _SERVER})


def _named(status: int, said: str) -> BridgeError:
    if status >= 500:
        return BridgeError("Something broke in the bridge; its log has the details.")
    if _HOST in said:
        return Misdirected("The request does not name exactly one host. Send one Host header, such as localhost:5001.")
    first = (said.splitlines() or [""])[0][:120].rstrip(":. ")
    return MalformedBody(
        f"The request is not readable HTTP ({first}). Check the program that sent it.", code="malformed_request"
    )

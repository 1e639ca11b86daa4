"""engineio's WebSocket for aiohttp, without permessage-deflate and with our own queue.

Browsers offer compression and engineio's own driver accepts it: measured with 1,000 clients, 204 MB instead of 86 MB
and nearly twice the latency for messages of 1 KB. engineio has no switch for it.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import socketio
from aiohttp import hdrs, web
from engineio import packet as engine_packet
from engineio.async_drivers import aiohttp as stock

from bridge.realtime.fanout import Outbox
from bridge.realtime.large import LargePacket, fragments

logger = logging.getLogger(__name__)

_READ_HEADERS = {
    "CONTENT_LENGTH": hdrs.CONTENT_LENGTH,
    "HTTP_ACCEPT_ENCODING": hdrs.ACCEPT_ENCODING,
    "HTTP_ACCESS_CONTROL_REQUEST_HEADERS": hdrs.ACCESS_CONTROL_REQUEST_HEADERS,
    "HTTP_CONNECTION": hdrs.CONNECTION,
    "HTTP_HOST": hdrs.HOST,
    "HTTP_ORIGIN": hdrs.ORIGIN,
    "HTTP_UPGRADE": hdrs.UPGRADE,
}


_BINARY_PACKETS = frozenset(
    f"{engine_packet.MESSAGE}{kind}" for kind in (socketio.packet.BINARY_EVENT, socketio.packet.BINARY_ACK)
)


class UncompressedWebSocket(stock.WebSocket):  # type: ignore[misc]
    """The stock driver with ``compress=False``; it tells the client's outbox what was sent, and over what."""

    async def __call__(self, environ: dict[str, Any]) -> web.WebSocketResponse:
        """Take over the connection, as the stock driver does."""
        request = environ["aiohttp.request"]
        self._sock = web.WebSocketResponse(max_msg_size=self.server.max_http_buffer_size, compress=False)
        await self._sock.prepare(request)
        self.environ = environ
        # The handler is a method of engineio's socket, whose queue we made.
        connection = self.handler.__self__
        self._outbox: Outbox = connection.queue
        self._outbox.transport = request.transport
        try:
            await self.handler(self)
        except Exception as error:
            # engineio takes care of every broken packet but the one whose first character is not a number: there its
            # handler ends, and would leave the client connected for ever.
            logger.debug("a client sent something that is not a packet: %r", error)
            self._outbox.put_nowait(None)
            await connection.close(wait=False, abort=True, reason=self.server.reason.TRANSPORT_ERROR)
        finally:
            self._outbox.transport = None
        return self._sock

    async def wait(self) -> str:
        """Receive the next message; who sends one that we have no use for is cut off at once.

        Binary frames, base64 in their place, and Socket.IO's packets that announce them: nothing of ours is binary, and
        python-socketio gathers attachments without a limit.
        """
        message = await super().wait()
        if isinstance(message, bytes) or message[:1] == "b" or message[:2] in _BINARY_PACKETS:
            logger.info("a page sent binary data, which this protocol does not use: dropped")
            if self._outbox.transport is not None:
                self._outbox.transport.abort()
            raise OSError("binary data")
        return str(message)

    async def send(self, message: str | bytes | LargePacket) -> None:
        """Send what engineio has taken out of the outbox."""
        if isinstance(message, LargePacket):
            await self._send_fragments(message)
        else:
            await super().send(message)
            self._outbox.sent += len(message)
        self._outbox.unsent -= 1

    async def _send_fragments(self, packet: LargePacket) -> None:
        """Hand the parts to the connection as fast as the client takes them."""
        protocol = self.environ["aiohttp.request"].protocol
        try:
            for frame in fragments(packet.parts):
                transport = self._outbox.transport
                if transport is None or transport.is_closing():
                    raise ConnectionResetError("The client has gone.")
                transport.write(frame)
                self._outbox.sent += len(frame)
                await protocol._drain_helper()  # noqa: SLF001 - aiohttp's own writer waits there, too
                await asyncio.sleep(0)
        finally:
            packet.done.set()


def slim_environ(request: web.Request) -> dict[str, Any]:
    """Translate a request into what engineio reads of it, instead of all that WSGI knows.

    It is kept for as long as a client is connected: 1,000 of them are 2 MB smaller.
    """
    environ: dict[str, Any] = {
        "REQUEST_METHOD": request.method,
        "QUERY_STRING": request.query_string,
        "PATH_INFO": request.path,
        "wsgi.input": request.content,
        "wsgi.url_scheme": request.scheme,
        "aiohttp.request": request,
    }
    for key, name in _READ_HEADERS.items():
        value = request.headers.get(name)
        if value is not None:
            environ[key] = value
    return environ


def use_our_driver(server: socketio.AsyncServer) -> None:
    """Make ``server`` use it. Touches a private attribute of engineio: a test holds the pinned version to it."""
    ours = {"websocket": UncompressedWebSocket, "translate_request": slim_environ}
    server.eio._async = {**server.eio._async, **ours}  # noqa: SLF001
    server.eio.create_queue = Outbox

"""engineio's WebSocket for aiohttp, without permessage-deflate.

Browsers offer compression and engineio's own driver accepts it: measured with 1,000 clients, 204 MB instead of 86 MB
and nearly twice the latency for messages of 1 KB. engineio has no switch for it.
"""

from __future__ import annotations

from typing import Any

import socketio
from aiohttp import web
from engineio.async_drivers import aiohttp as stock


class UncompressedWebSocket(stock.WebSocket):  # type: ignore[misc]
    """The stock driver with ``compress=False``."""

    async def __call__(self, environ: dict[str, Any]) -> web.WebSocketResponse:
        """Take over the connection, as the stock driver does."""
        request = environ["aiohttp.request"]
        self._sock = web.WebSocketResponse(max_msg_size=self.server.max_http_buffer_size, compress=False)
        await self._sock.prepare(request)
        self.environ = environ
        await self.handler(self)
        return self._sock


def without_compression(server: socketio.AsyncServer) -> None:
    """Make ``server`` use it. Touches a private attribute of engineio: a test holds the pinned version to it."""
    server.eio._async = {**server.eio._async, "websocket": UncompressedWebSocket}  # noqa: SLF001

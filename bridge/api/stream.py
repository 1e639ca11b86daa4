"""Contract B: which streams play."""

from __future__ import annotations

from aiohttp import web

from bridge.api.body import json_response
from bridge.api.keys import STREAMS


async def get_sessions(request: web.Request) -> web.StreamResponse:
    """The streams that play."""
    return json_response({"sessions": request.app[STREAMS].sessions()})

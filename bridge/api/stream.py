"""Contract B: which streams play."""

from __future__ import annotations

from aiohttp import web

from bridge.api.body import json_response
from bridge.api.keys import STREAMS
from bridge.rights import current_caller


async def get_sessions(request: web.Request) -> web.StreamResponse:
    """The streams that play, as far as the caller may know of them."""
    return json_response({"sessions": request.app[STREAMS].sessions(current_caller())})

"""The description as this server gives it away."""

from __future__ import annotations

import functools
import json

from aiohttp import web

from bridge.api.body import NO_STORE
from bridge.api.description.openapi import JSON, build
from bridge.api.keys import ROUTE_TABLE, SERVICE


async def get_openapi(request: web.Request) -> web.StreamResponse:
    """This description."""
    service = request.app[SERVICE]
    text = _text(request.app[ROUTE_TABLE], service.settings.max_duration, tuple(service.engines.names))
    return web.Response(text=text, content_type=JSON, headers=NO_STORE)


@functools.lru_cache(maxsize=4)
def _text(routes: tuple[web.RouteDef, ...], max_seconds: float, engines: tuple[str, ...]) -> str:
    # Its models take a moment, and a server that nobody asks for its description needs none of them.
    from bridge.api.description.operations import OPERATIONS

    return json.dumps(build(routes, OPERATIONS, max_seconds=max_seconds, engines=engines), ensure_ascii=False)

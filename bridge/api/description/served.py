"""The description as this server gives it away."""

from __future__ import annotations

import json
from weakref import WeakKeyDictionary

from aiohttp import web

from bridge.api.body import NO_STORE
from bridge.api.description.openapi import JSON, build
from bridge.api.keys import ROUTE_TABLE, SERVICE
from bridge.sounds.service import SampleService

_TEXTS: WeakKeyDictionary[SampleService, str] = WeakKeyDictionary()
"""Made once for each server, when somebody asks for it first."""


async def get_openapi(request: web.Request) -> web.StreamResponse:
    """This description."""
    service, routes = request.app[SERVICE], request.app[ROUTE_TABLE]
    if service not in _TEXTS:
        # Its models take a moment, and a server that is never asked for its description needs none of them.
        from bridge.api.description.operations import OPERATIONS

        seconds, engines = service.settings.max_duration, tuple(service.engines.names)
        document = build(routes, OPERATIONS, max_seconds=seconds, engines=engines)
        _TEXTS[service] = json.dumps(document, ensure_ascii=False)
    return web.Response(text=_TEXTS[service], content_type=JSON, headers=NO_STORE)

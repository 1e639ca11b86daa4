"""``GET /metrics``, and the outermost middleware: every request gets an id and is measured."""

from __future__ import annotations

import logging
import time
from http import HTTPStatus

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware
from prometheus_client import CONTENT_TYPE_LATEST

from bridge.api.errors import ErrorResponse
from bridge.api.keys import METRICS, SETTINGS
from bridge.errors import Forbidden
from bridge.logs import request_id_from, working_for
from bridge.monitoring.metrics import Metrics
from bridge.rights import current_caller
from bridge.rights.keys import is_exposed

logger = logging.getLogger(__name__)

REQUEST_ID = "X-Request-Id"
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_ELSEWHERE = "(none)"
"""The route of a request that met none: what strangers make up is not a label."""


async def get_metrics(request: web.Request) -> web.StreamResponse:
    """Figures for Prometheus; over a network they need the key."""
    settings = request.app[SETTINGS]
    if is_exposed(settings) and current_caller().credential == "none":
        raise Forbidden("The figures need the server's key: send it as Authorization: Bearer.", code="key_required")
    return web.Response(
        body=await request.app[METRICS].text(),
        headers={hdrs.CONTENT_TYPE: CONTENT_TYPE_LATEST, hdrs.CACHE_CONTROL: "no-store"},
    )


def observed(metrics: Metrics) -> Middleware:
    """Build the middleware: ``X-Request-Id`` in and out, one line and one measurement a request."""

    @web.middleware
    async def observe(request: web.Request, handler: Handler) -> web.StreamResponse:
        request_id = request_id_from(request.headers.get(REQUEST_ID))
        started = time.perf_counter()
        status = 499  # the client hung up
        with working_for(request_id):
            try:
                response = await handler(request)
            except web.HTTPException as answer:
                status = answer.status
                answer.headers[REQUEST_ID] = request_id
                raise
            else:
                status = response.status
                if isinstance(response, ErrorResponse):
                    metrics.refused("http", response.error)
                if not response.prepared:
                    response.headers[REQUEST_ID] = request_id
                return response
            finally:
                _note(metrics, request, status, time.perf_counter() - started)

    return observe


def _note(metrics: Metrics, request: web.Request, status: int, seconds: float) -> None:
    resource = request.match_info.route.resource
    route = resource.canonical if resource is not None else _ELSEWHERE
    method = request.method if request.method in _METHODS else "other"
    if status != HTTPStatus.SWITCHING_PROTOCOLS:  # a WebSocket lasts as long as its client wants
        metrics.answered(route, method, status, seconds)
    # The route and not the path: in a path there are people's words.
    level = logging.DEBUG if method in ("GET", "HEAD", "OPTIONS") else logging.INFO
    if logger.isEnabledFor(level):
        logger.log(level, "%s %s: %d in %.0f ms", method, route, status, seconds * 1000)

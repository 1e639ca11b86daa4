"""The aiohttp application."""

from __future__ import annotations

from collections.abc import AsyncIterator

from aiohttp import web

from bridge.api.errors import answer_errors
from bridge.api.guard import guard
from bridge.api.keys import SERVICE, SETTINGS
from bridge.api.routes import ROUTES
from bridge.realtime.hub import Hub
from bridge.service import SampleService


def create_app(service: SampleService) -> web.Application:
    """Put HTTP and push in front of a service; nothing runs before the application starts.

    The guard is the first middleware, also in front of Socket.IO and every WebSocket.
    """
    settings = service.settings
    app = web.Application(middlewares=[guard(settings), answer_errors], client_max_size=settings.max_body_kb * 1024)
    app[SETTINGS] = settings
    app[SERVICE] = service
    app.add_routes(ROUTES)
    Hub(service).attach(app)
    app.cleanup_ctx.append(_background)
    return app


async def _background(app: web.Application) -> AsyncIterator[None]:
    app[SERVICE].begin()
    yield

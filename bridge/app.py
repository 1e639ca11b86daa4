"""The aiohttp application."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from aiohttp import web

from bridge.api import similar, stems
from bridge.api.errors import answer_errors
from bridge.api.keys import CALLERS, METRICS, ROUTE_TABLE, SERVICE, SETS, SETTINGS, SNAPSHOTS, STAGE, STREAMS, TURNS
from bridge.api.metrics import observed
from bridge.api.routes import ROUTES
from bridge.api.security.confirm.asking import CONFIRMATIONS, confirming
from bridge.api.security.confirm.pending import Confirmations
from bridge.api.security.connection import name_server, with_continue
from bridge.api.security.guard import guard
from bridge.engines.choice import PROCEDURAL
from bridge.monitoring.metrics import Metrics
from bridge.monitoring.usage_log import UsageLog
from bridge.realtime.hub import Hub
from bridge.realtime.job_socket import JobSocket
from bridge.realtime.streams import StreamSocket
from bridge.rights import Callers
from bridge.sets import SetStore
from bridge.sounds.pregeneration import pregenerate
from bridge.sounds.service import SampleService
from bridge.sounds.snapshots import Snapshots
from bridge.sounds.turns import Turns
from bridge.stage.stage import Stage
from bridge.streaming import Streams


def create_app(service: SampleService) -> web.Application:
    """Put HTTP and push in front of a service; nothing runs before the application starts.

    The guard is in front of every route, of Socket.IO and of every WebSocket; only what counts them is before it.
    """
    settings = service.settings
    metrics = Metrics(service)
    callers = Callers(settings, metrics.wrong_key)
    confirmations = Confirmations()
    app = web.Application(
        middlewares=[observed(metrics), guard(settings, callers), answer_errors, confirming(confirmations)],
        client_max_size=settings.max_body_kb * 1024,
    )
    app[CALLERS] = callers
    app[SETTINGS] = settings
    app[SERVICE] = service
    app[METRICS] = metrics
    app[CONFIRMATIONS] = confirmations
    app[STAGE] = Stage(service)
    app[STREAMS] = Streams(service, app[STAGE])
    app[SNAPSHOTS] = Snapshots(service.library)
    app[TURNS] = Turns()
    app[SETS] = SetStore(settings.data_dir, settings.undo_seconds)
    app.on_response_prepare.append(name_server)
    app[ROUTE_TABLE] = tuple(ROUTES)
    app.add_routes(with_continue(ROUTES))
    Hub(service, app[STAGE], metrics, callers, app[SNAPSHOTS], app[TURNS]).attach(app)
    JobSocket(service, metrics).attach(app)
    usage = UsageLog(service)
    StreamSocket(service, app[STREAMS], metrics, usage, callers).attach(app)
    metrics.attach(app)
    stems.attach(app)
    similar.attach(app)
    usage.attach(app)
    app.cleanup_ctx.append(_background)
    return app


async def _background(app: web.Application) -> AsyncIterator[None]:
    service = app[SERVICE]
    if service.settings.pregenerate:
        service.begin([PROCEDURAL, service.choice.name])
        service.background.spawn(pregenerate(service))
    else:
        service.begin([service.choice.name])
    warming = asyncio.create_task(app[SNAPSHOTS].warm())
    yield
    warming.cancel()
    await asyncio.gather(warming, return_exceptions=True)
    app[SNAPSHOTS].close()

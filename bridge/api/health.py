"""Probes: one document for all contracts."""

from __future__ import annotations

import glob
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from bridge import __version__
from bridge.api.body import json_response
from bridge.api.keys import SERVICE
from bridge.api.stems import STEMS
from bridge.errors import EngineUnavailable
from bridge.jobs import State
from bridge.sounds.service import SampleService


async def get_health(request: web.Request) -> web.StreamResponse:
    """200 for as long as the process answers."""
    document = await health_document(request.app[SERVICE])
    if request.app[STEMS].storage_error is not None:
        document["services"]["storage"] = "error"
    return json_response(document)


async def get_live(_: web.Request) -> web.StreamResponse:
    """The event loop turns."""
    return json_response({"status": "alive"})


async def get_ready(request: web.Request) -> web.StreamResponse:
    """503 until a new sound can be made."""
    service = request.app[SERVICE]
    error = await service.readiness.trouble()
    if error is None and service.readiness.ready:
        return json_response({"status": "ready", "engine": service.choice.name})
    raise EngineUnavailable(
        error.message if error else f"Engine '{service.choice.name}' is starting. Ask again in a moment.",
        code="not_ready",
        **({"reason": error.code} if error else {}),
    )


async def health_document(service: SampleService) -> dict[str, Any]:
    """How the service stands (rule 1 of the wire contracts)."""
    choice = service.choice
    info = service.engines.known(choice.name)
    trouble = await service.readiness.trouble()
    disk = await service.disk.look()  # an engine that is broken hides it in ``trouble``
    warnings = service.missing.known
    return {
        "status": "degraded" if trouble or any(each.sounds for each in warnings) else "healthy",
        "timestamp": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S"),
        "version": __version__,
        "engine": choice.name,
        "engine_reason": trouble.message if trouble else service.readiness.why,
        "model": info.model if info else None,
        "device": info.device if info else "cpu",
        "precision": info.precision if info else None,
        "kernel": info.kernel if info else None,
        "speed": info.speed if info else None,
        "gpu_available": bool(glob.glob("/dev/nvidia[0-9]*")),  # noqa: PTH207  a pattern, not a path
        "services": {
            "musicgen": "available" if service.readiness.has_weights else "not_loaded",
            "stable_audio": "not_loaded",
            "storage": "connected",
            "mode": "musicgen" if choice.name == "musicgen" else "mock",
        },
        "jobs": {str(state): await service.queue.count(state) for state in (State.QUEUED, State.RUNNING)},
        "sounds": await service.library.count(),
        "warnings": [*(each.text for each in warnings), *([disk.message] if disk else [])],
    }

"""Which scope a call needs: every route (``bridge/api/routes.py``) and every message of Socket.IO, on one screen.

A route that is not here can be read by everybody and is closed for anything else; a test holds the table complete.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from aiohttp import hdrs, web

from bridge.rights.caller import Scope


class Right(NamedTuple):
    """What a call needs."""

    scope: Scope
    destructive: bool = False
    """True for what takes something away that somebody may miss: a page has to confirm it (``bridge/api/confirm``)."""


_READ, _MAKE, _OWN = Right(Scope.READ), Right(Scope.MAKE), Right(Scope.OWN)

RIGHTS: Mapping[str, Right] = {
    # the page and Strudel's own conventions
    "GET /": _READ,
    "GET /assets/{name}": _READ,
    "GET /sample-bridge.js": _READ,
    "GET /notices": _READ,
    "GET /licence": _READ,
    "GET /source": _READ,
    "GET /strudel.json": _READ,
    "GET /gen/{words}": _MAKE,
    # the page's session: its handler looks at the key
    "GET /session": _READ,
    "POST /session": _READ,
    "DELETE /session": _READ,
    # contract A, and B's tasks
    "POST /generate": _MAKE,
    "POST /generate_stem": _MAKE,
    "GET /generate/{task_id}": _READ,
    "GET /download/{task_id}": _READ,
    "POST /evaluate": _MAKE,
    "GET /stream/sessions": _READ,
    "GET /ws/stream/{session_id}": _MAKE,
    # contract D
    "GET /stems/{request}/{file}": _READ,
    # contract C: jobs are told, and taken back, as far as they are the caller's; see Caller.may_see
    "POST /api/v1/generate": _MAKE,
    "GET /api/v1/status/{job_id}": _READ,
    "GET /api/v1/download/{job_id}": _READ,
    "DELETE /api/v1/jobs/{job_id}": _MAKE,
    "GET /api/v1/jobs": _READ,
    "POST /api/v1/prompt/build": _MAKE,
    "GET /ws": _READ,
    # contract E
    "POST /api/upload": _MAKE,
    "GET /api/embedding/{audio_id}": _READ,
    "POST /api/generate/{audio_id}": _MAKE,
    "GET /api/status/{generation_id}": _READ,
    "GET /api/download/{generation_id}": _READ,
    # the sounds
    "GET /sounds": _READ,
    "GET /sounds/{keyword}": _READ,
    "PATCH /sounds/{keyword}": Right(Scope.OWN, destructive=True),
    "DELETE /sounds/{keyword}": Right(Scope.OWN, destructive=True),
    "POST /sounds/{keyword}/slices": _MAKE,
    "POST /forget": Right(Scope.ADMIN, destructive=True),
    "GET /confirm/{id}": _READ,
    "GET /samples/{file}": _READ,
    # the players' code: for our own page and its owner's programs alone, reading too
    "GET /sets": _OWN,
    "GET /sets/{id}": _OWN,
    "PUT /sets/{id}": _OWN,
    "PATCH /sets/{id}": _OWN,
    "DELETE /sets/{id}": Right(Scope.OWN, destructive=True),
    "GET /sets/{id}/versions/{version}": _OWN,
    # probes; over a network the figures need a key
    "GET /health": _READ,
    "GET /health/live": _READ,
    "GET /health/ready": _READ,
    "GET /metrics": _READ,
    # what the API is
    "GET /openapi.json": _READ,
    "GET /asyncapi.json": _READ,
    "GET /docs": _READ,
    "GET /redoc": _READ,
    "GET /asyncapi": _READ,
    "GET /viewers/{name}": _READ,
    # push: what a message needs stands below
    "GET /socket.io/": _READ,
    "POST /socket.io/": _READ,
    "OPTIONS /socket.io/": _READ,
}
"""``METHOD path`` as the router writes it; HEAD needs what GET needs."""

MESSAGES: Mapping[str, Scope] = {
    "hello": Scope.READ,
    "generate": Scope.MAKE,
    "cancel": Scope.MAKE,
    "session": Scope.OWN,
}
"""Messages of Socket.IO. The players' tempo and key are theirs: a foreign page does not set them."""

_UNLISTED_READ, _UNLISTED = Right(Scope.READ), Right(Scope.ADMIN)
_READING = frozenset({hdrs.METH_GET, hdrs.METH_HEAD, hdrs.METH_OPTIONS})


def right_for(request: web.Request) -> Right:
    """Say what a request needs. By the route it met, never by its path: a path can be spelled in many ways."""
    match = request.match_info
    if match.http_exception is not None:  # 404 or 405 will be answered
        return _UNLISTED_READ if request.method in _READING else _MAKE
    resource = match.route.resource
    return right_of(request.method, resource.canonical if resource is not None else "")


def right_of(method: str, path: str) -> Right:
    """Say what a method of a route needs."""
    method = hdrs.METH_GET if method == hdrs.METH_HEAD else method
    found = RIGHTS.get(f"{method} {path}")
    return found or (_UNLISTED_READ if method in _READING else _UNLISTED)

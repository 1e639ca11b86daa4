"""The one table from errors to HTTP statuses, and the one shape of every error answer."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler
from pydantic import ValidationError

from bridge import errors
from bridge.requests import from_validation

logger = logging.getLogger(__name__)

STATUS: Mapping[type[errors.BridgeError], int] = {
    errors.MalformedBody: 400,
    errors.InvalidKeywords: 400,
    errors.Forbidden: 403,
    errors.NotFound: 404,
    errors.Conflict: 409,
    errors.TooLarge: 413,
    errors.UnsupportedMedia: 415,
    errors.Misdirected: 421,
    errors.InvalidRequest: 422,
    errors.BadAudio: 502,
    errors.EngineCrashed: 502,
    errors.EngineTimeout: 504,
    errors.EngineUnavailable: 503,
    errors.EngineError: 502,
    errors.Busy: 503,
    errors.StorageFull: 507,
    errors.StorageUnavailable: 503,
    errors.JobCancelled: 409,
    errors.BridgeError: 500,
}

_HTTP_CODES: Mapping[int, tuple[str, str]] = {
    404: ("not_found", "Nothing is here. GET /sounds lists the sounds, docs/http-api.md the calls."),
    405: ("method_not_allowed", "This path does not take that method."),
    413: ("too_large", "The body is too large for this call."),
    416: ("range_not_satisfiable", "That range lies outside the file."),
}


def status_of(error: errors.BridgeError) -> int:
    """Answer the status of the nearest class in the table."""
    return next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)


def error_document(error: errors.BridgeError) -> dict[str, Any]:
    """Build the body of every error answer on every path.

    ``success: false`` is for clients of contract A, ``detail`` for clients of FastAPI servers.
    """
    return {
        "success": False,
        "error": {"code": error.code, "message": error.message, **error.details},
        "detail": error.message,
    }


def error_response(error: errors.BridgeError, headers: Mapping[str, str] | None = None) -> web.Response:
    """Answer an error with its status."""
    response = _json(error_document(error), status_of(error), headers)
    if response.status == 503:
        response.headers.setdefault("Retry-After", "5")
    return response


@web.middleware
async def answer_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Middleware: whatever a handler raises leaves as the one error shape; nobody sees a traceback."""
    try:
        return await handler(request)
    except errors.BridgeError as error:
        if status_of(error) >= 500:
            logger.warning("%s %s: %s", request.method, request.path, error.message)
        return error_response(error)
    except ValidationError as error:
        return error_response(from_validation(error))
    except web.HTTPException as error:
        if error.status < 400:
            raise
        code, message = _HTTP_CODES.get(error.status, ("http_error", error.reason))
        kept = {name: error.headers[name] for name in ("Allow", "Content-Range") if name in error.headers}
        return _json(error_document(errors.BridgeError(message, code=code)), error.status, kept)
    except Exception:
        logger.exception("%s %s failed", request.method, request.path)
        return _json(
            error_document(errors.BridgeError("Something broke in the bridge; its log has the details.")), 500, None
        )


def _json(document: Mapping[str, Any], status: int, headers: Mapping[str, str] | None) -> web.Response:
    return web.Response(
        status=status, text=json.dumps(document, ensure_ascii=False), content_type="application/json", headers=headers
    )

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
from bridge.api.keys import SERVICE
from bridge.sounds.orders import from_validation
from bridge.system.disk import of_disk
from bridge.system.incoming import check_texts

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
    errors.ConfirmationRequired: 428,
    errors.BadAudio: 502,
    errors.EngineCrashed: 502,
    errors.EngineTimeout: 504,
    errors.EngineUnavailable: 503,
    errors.EngineError: 502,
    errors.Busy: 503,
    errors.TooMany: 429,
    errors.StorageFull: 507,
    errors.DiskFailed: 503,
    errors.StorageUnavailable: 503,
    errors.JobCancelled: 409,
    errors.BridgeError: 500,
}

_HTTP_CODES: Mapping[int, tuple[str, str]] = {
    404: ("not_found", "There is nothing at this address. GET /sounds lists the sounds, docs/http-api.md the calls."),
    405: ("method_not_allowed", "This path does not take that method."),
    413: ("too_large", "The body is too large for this call."),
    416: ("range_not_satisfiable", "That range lies outside the file."),
}
_ENGINE_IO = frozenset({"application/json", "text/plain"})
_MISTAKES = frozenset({400, 413, 415, 422})
"""Statuses of requests that have something wrong in them."""


class ErrorResponse(web.Response):
    """The answer that tells of an error, and the error itself, for those who count."""

    def __init__(self, error: errors.BridgeError, status: int, headers: Mapping[str, str] | None = None) -> None:
        text = json.dumps(error_document(error), ensure_ascii=False)
        super().__init__(status=status, text=text, content_type="application/json", headers=headers)
        self.error = error
        if status in (429, 503):
            self.headers.setdefault("Retry-After", "5")


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
    return ErrorResponse(error, status_of(error), headers)


@web.middleware
async def answer_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Middleware: whatever a handler raises leaves as the one error shape; a traceback is never sent."""
    try:
        _check_request(request)
        response = await handler(request)
        if response.status >= 400 and not response.prepared and isinstance(response, web.Response):
            return _ours(response)
        return response  # noqa: TRY300
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
        kind = errors.InvalidRequest if error.status in _MISTAKES else errors.BridgeError
        return ErrorResponse(kind(message, code=code), error.status, kept)
    except web.RequestPayloadError:
        return error_response(errors.MalformedBody("The body is cut off, or not compressed as Content-Encoding says."))
    except Exception as error:
        return _unforeseen(request, error)


def _unforeseen(request: web.Request, error: Exception) -> web.Response:
    if isinstance(error, ConnectionError) and (request.transport is None or request.transport.is_closing()):
        logger.debug("%s %s: the client hung up", request.method, request.path)
        return error_response(errors.MalformedBody("The connection was closed before the body had come."))
    service = request.app.get(SERVICE)
    found = of_disk(error, service.settings.data_dir) if service is not None else None
    if service is not None and found is not None:
        service.disk.suspect()
        logger.warning("%s %s: %s", request.method, request.path, found.message)
        return error_response(found)
    logger.error("%s %s failed", request.method, request.path, exc_info=error)
    return ErrorResponse(errors.BridgeError("Something broke in the bridge; its log has the details."), 500)


def _check_request(request: web.Request) -> None:
    """Raise InvalidRequest when an address or a header is not text: aiohttp passes such bytes on as surrogates."""
    check_texts((request.path, request.query_string), "address")
    check_texts(request.query.keys(), "address")
    check_texts(request.query.values(), "address")
    check_texts(request.match_info.values(), "address")
    check_texts(request.headers.values(), "header")


def _ours(response: web.Response) -> web.Response:
    """Give the errors of Engine.IO, which are JSON strings, our shape."""
    if isinstance(response, ErrorResponse) or response.content_type not in _ENGINE_IO:
        return response
    try:
        said = json.loads(response.text or "")
    except ValueError:
        return response
    if not isinstance(said, str):
        return response
    kind = errors.InvalidRequest if response.status in _MISTAKES else errors.BridgeError
    return ErrorResponse(kind(f"{said.rstrip('.')}. Socket.IO runs over WebSocket only here."), response.status)

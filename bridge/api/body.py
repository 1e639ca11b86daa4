"""Reading requests and writing JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from aiohttp import web

from bridge.errors import InvalidRequest, MalformedBody, TooLarge
from bridge.system.incoming import checked, is_text

NO_STORE = {"Cache-Control": "no-store"}


async def read_json(request: web.Request) -> Any:
    """Parse the body; an empty one means ``{}``. Raises MalformedBody, TooLarge, and what ``checked`` does."""
    try:
        raw = await request.read()
    except web.HTTPRequestEntityTooLarge:
        limit = request.client_max_size // 1024
        raise TooLarge(f"The body is larger than {limit} KiB. A prompt has at most 500 characters.") from None
    return checked(_parsed(raw))


async def read_large_json(request: web.Request, most: int, long: str) -> Any:
    """Parse a body of up to ``most`` bytes whose field ``long`` may be a text of any length; else as ``read_json``."""
    raw = bytearray()
    if (request.content_length or 0) <= most:
        async for piece in request.content.iter_any():
            raw += piece
            if len(raw) > most:
                break
    if len(raw) > most or (request.content_length or 0) > most:
        raise TooLarge(f"The body is larger than {most // 1024} KiB.")
    document = _parsed(bytes(raw))
    text = document.get(long) if isinstance(document, dict) else None
    if not isinstance(text, str):
        return checked(document)
    if not is_text(text) or "\0" in text:
        raise InvalidRequest(
            f"{long}: the text holds half of a surrogate pair, or NUL. Send Unicode text.", code="bad_text", field=long
        )
    checked({name: value for name, value in document.items() if name != long})
    return document


def dropping(request: web.Request) -> Callable[[], None]:
    """What ends the connection of a request, whatever it is doing."""

    def drop() -> None:
        if request.transport is not None:
            request.transport.abort()

    return drop


def json_response(document: Any, status: int = 200) -> web.Response:
    """Answer JSON that no cache keeps."""
    return web.Response(
        status=status,
        text=json.dumps(document, ensure_ascii=False, allow_nan=False),
        content_type="application/json",
        headers=NO_STORE,
    )


def query_number(request: web.Request, name: str, default: int, low: int, high: int) -> int:
    """A whole number from the query. Raises InvalidRequest."""
    text = request.query.get(name)
    if text is None:
        return default
    try:
        value = int(text)
    except ValueError:
        value = low - 1
    if not low <= value <= high:
        raise InvalidRequest(f"{name}: give a whole number from {low} to {high}.", field=name)
    return value


def _parsed(raw: bytes) -> Any:
    if not raw.strip():
        return {}
    try:
        return json.loads(raw, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise MalformedBody(f"The body is not JSON ({_short(error)}).") from None


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a number in JSON")


def _short(error: Exception) -> str:
    return str(error)[:120] or type(error).__name__

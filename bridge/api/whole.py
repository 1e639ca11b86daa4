"""Answers about the whole library over HTTP: shared bytes, an ETag, one at a time for each client."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable

from aiohttp import hdrs, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.payload import Payload

from bridge.api.keys import TURNS
from bridge.rights import current_caller
from bridge.sounds.snapshots import Document
from bridge.sounds.turns import Turns, client_of

STUCK_SECONDS = 10.0
"""A client that takes nothing for this long is dropped: others of the same address may be waiting."""

_CACHE = "no-cache"
"""Kept by browsers, and asked for at each use."""


def whole_response(request: web.Request, document: Document) -> web.StreamResponse:
    """Answer a document, or 304 to a client that has it already."""
    headers = {hdrs.ETAG: document.etag, hdrs.CACHE_CONTROL: _CACHE}
    if _has(request, document.etag):
        return web.Response(status=304, headers=headers)
    client = client_of(current_caller().name, request.remote, request.headers.get(hdrs.ORIGIN))
    response = web.Response(
        body=_Shared(request, document, request.app[TURNS], client), headers=headers, content_type="application/json"
    )
    response.headers[hdrs.CONTENT_LENGTH] = str(document.size)
    return response


def _has(request: web.Request, etag: str) -> bool:
    asked = request.headers.get(hdrs.IF_NONE_MATCH, "")
    return any(each.strip().removeprefix("W/") in (etag, "*") for each in asked.split(","))


class _Shared(Payload):
    """Bytes that all answers share; each connection holds one part of them at most."""

    def __init__(self, request: web.Request, document: Document, turns: Turns, client: Hashable) -> None:
        super().__init__(document, content_type="application/json")
        self._size = document.size
        self._request = request
        self._document = document
        self._turns = turns
        self._client = client

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        return b"".join(self._document.chunks).decode(encoding, errors)

    async def write(self, writer: AbstractStreamWriter) -> None:
        async with self._turns.of(self._client):
            transport = self._request.transport
            if transport is None or transport.is_closing():
                return  # nothing is made for a client that left while it waited
            try:
                for chunk in self._document.chunks:
                    async with asyncio.timeout(STUCK_SECONDS):
                        await writer.write(chunk)
                        # What is left over lies in the kernel by now: wait until it is taken.
                        await writer.drain()
                    await asyncio.sleep(0)
            except TimeoutError:
                transport.abort()
                raise ConnectionResetError("The client stopped reading.") from None

"""A sample as an answer: opened at once, sent by the kernel.

``aiohttp.web.FileResponse`` opens and closes each file in a thread of its pool, which takes longer than the opening:
measured with a WAV of 320 KB and all our headers, 320 microseconds of processor time an answer, 180 without. Samples
lie on a local disk and have just been looked at, so opening one does not hold the event loop up.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import BinaryIO

from aiohttp import ETag, hdrs, web
from aiohttp.abc import AbstractStreamWriter
from multidict import CIMultiDict, istr

from bridge.audio.formats import content_type
from bridge.system.threads import SERVING

YEAR = "public, max-age=31536000, immutable"

_CONTENT_TYPE = istr(hdrs.CONTENT_TYPE)
_PIECE = 2**16


class SampleFile(web.StreamResponse):
    """A file whose ETag is the sample's id and format: it stays the same when the file is made again.

    Ranges are for GET and HEAD, as everywhere: one range, an unsatisfiable one is 416, and ``If-Range`` with another
    ETag, or a date, gets the whole file. A file that has gone meanwhile is 404.
    """

    def __init__(self, path: Path, sample_id: str, extension: str, **headers: str) -> None:
        super().__init__(
            headers=CIMultiDict(
                {
                    _CONTENT_TYPE: content_type(extension),
                    hdrs.CACHE_CONTROL: YEAR,
                    hdrs.ETAG: f'"{sample_id}.{extension}"',
                    hdrs.ACCEPT_RANGES: "bytes",
                    **headers,
                }
            )
        )
        self._path = path

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Open the file, send head and bytes, and close it."""
        if self.prepared:
            return await super().prepare(request)
        try:
            file = open(self._path, "rb", buffering=0)  # noqa: ASYNC230, PTH123, SIM115  see above; closed below
        except FileNotFoundError:
            self.set_status(404)
            return await self._without_body(request)
        with file:
            size = os.fstat(file.fileno()).st_size
            try:
                wanted = self._range(request, size)
            except ValueError:
                self.set_status(416)
                self.headers[hdrs.CONTENT_RANGE] = f"bytes */{size}"
                return await self._without_body(request)
            start, stop = wanted or (0, size)
            if wanted:
                self.set_status(206)
                self.headers[hdrs.CONTENT_RANGE] = f"bytes {start}-{stop - 1}/{size}"
            self.content_length = stop - start
            writer = await super().prepare(request)
            if writer is not None and request.method != hdrs.METH_HEAD and stop > start:
                await _send(request, writer, file, start, stop - start)
            return writer

    async def _without_body(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        self.headers.pop(hdrs.ETAG, None)
        self.headers[hdrs.CACHE_CONTROL] = "no-store"
        self.content_length = 0
        return await super().prepare(request)

    def _range(self, request: web.BaseRequest, size: int) -> tuple[int, int] | None:
        """First byte wanted and the one after the last, None for the whole file. Raises ValueError: no such bytes."""
        if hdrs.RANGE not in request.headers or request.method not in (hdrs.METH_GET, hdrs.METH_HEAD):
            return None
        expected = request.headers.get(hdrs.IF_RANGE)
        if expected is not None and expected != self.headers[hdrs.ETAG]:
            return None
        wanted = request.http_range
        if wanted.start is None:
            return None
        start = max(wanted.start + size, 0) if wanted.start < 0 else wanted.start
        stop = size if wanted.stop is None else min(wanted.stop, size)
        if start >= stop:
            raise ValueError("no such bytes")
        return start, stop


def is_known(request: web.Request, sample_id: str, extension: str) -> bool:
    """Does the asker have this file already (If-None-Match)?"""
    known: tuple[ETag, ...] = request.if_none_match or ()
    return any(tag.value in ("*", f"{sample_id}.{extension}") for tag in known)


async def _send(request: web.BaseRequest, writer: AbstractStreamWriter, file: BinaryIO, start: int, count: int) -> None:
    transport = request.transport
    if transport is None:
        raise ConnectionResetError("The client has gone.")
    try:
        await asyncio.get_running_loop().sendfile(transport, file, start, count)
    except NotImplementedError:  # an event loop of another kind
        file.seek(start)
        while count and (piece := await SERVING.run(file.read, min(count, _PIECE))):
            count -= len(piece)
            await writer.write(piece)

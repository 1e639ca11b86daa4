"""``/samples/{digest}.{extension}``: immutable bytes."""

from __future__ import annotations

import re
from pathlib import Path

from aiohttp import ETag, hdrs, web

from bridge.api.keys import SERVICE
from bridge.errors import NotFound

CONTENT_TYPES = {"wav": "audio/wav", "flac": "audio/flac", "ogg": "audio/ogg", "mp3": "audio/mpeg"}
YEAR = "public, max-age=31536000, immutable"

_NAME = re.compile(r"([0-9a-f]{16,64})\.(wav|flac|ogg|mp3)", re.ASCII)


class SampleFile(web.FileResponse):
    """A file whose ETag is the sample's id: it stays the same when the file is made again."""

    def __init__(self, path: Path, sample_id: str, extension: str, **headers: str) -> None:
        super().__init__(
            path, headers={hdrs.CONTENT_TYPE: CONTENT_TYPES[extension], hdrs.CACHE_CONTROL: YEAR, **headers}
        )
        self._sample_etag = f'"{sample_id}.{extension}"'

    @property
    def etag(self) -> ETag | None:
        """The sample's id and format."""
        return ETag(is_weak=False, value=self._sample_etag.strip('"'))

    @etag.setter
    def etag(self, _: ETag | str | None) -> None:
        self.headers[hdrs.ETAG] = self._sample_etag


async def get_sample(request: web.Request) -> web.StreamResponse:
    """Send a sample; HEAD, Range and If-None-Match included."""
    found = _NAME.fullmatch(request.match_info["file"])
    if found is None:
        raise NotFound("A sample's address is /samples/<id>.wav, .flac, .ogg or .mp3.", code="unknown_sample")
    sample_id, extension = found.groups()
    matches = request.if_none_match
    if matches and any(tag.value in ("*", f"{sample_id}.{extension}") for tag in matches):
        # Immutable: whoever has it has it right, whatever became of our file.
        etag = f'"{sample_id}.{extension}"'
        return web.Response(status=304, headers={hdrs.ETAG: etag, hdrs.CACHE_CONTROL: YEAR})
    path = await request.app[SERVICE].library.audio(sample_id, extension)
    return SampleFile(path, sample_id, extension)

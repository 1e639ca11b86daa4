"""``/samples/{digest}.{extension}``: immutable bytes."""

from __future__ import annotations

import re

from aiohttp import hdrs, web

from bridge.api.keys import SERVICE
from bridge.api.samplefile import YEAR, SampleFile, is_known
from bridge.api.security.strangers import is_stranger, refusal
from bridge.audio.formats import BY_SUFFIX
from bridge.errors import NotFound

_NAME = re.compile(rf"([0-9a-f]{{16,64}})\.({'|'.join(map(re.escape, BY_SUFFIX))})", re.ASCII)


async def get_sample(request: web.Request) -> web.StreamResponse:
    """Send a sample; HEAD, Range and If-None-Match included."""
    found = _NAME.fullmatch(request.match_info["file"])
    if found is None:
        raise NotFound("A sample's address is /samples/<id>.wav, .24.wav, .flac, .ogg or .mp3.", code="unknown_sample")
    sample_id, extension = found[1], BY_SUFFIX[found[2]]
    if is_known(request, sample_id, extension):
        # Immutable: whoever has it has it right, whatever became of our file.
        etag = f'"{sample_id}.{extension}"'
        return web.Response(status=304, headers={hdrs.ETAG: etag, hdrs.CACHE_CONTROL: YEAR})
    library = request.app[SERVICE].library
    if is_stranger(request) and not library.has_audio(sample_id, extension):
        raise refusal()
    path = await library.audio(sample_id, extension)
    return SampleFile(path, sample_id, extension)

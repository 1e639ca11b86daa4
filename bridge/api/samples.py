"""``/samples/{digest}.{extension}``: immutable bytes, audio or the outline of it."""

from __future__ import annotations

import re

from aiohttp import hdrs, web

from bridge.api.keys import SERVICE
from bridge.api.samplefile import YEAR, SampleFile, is_known
from bridge.api.security.strangers import is_stranger, refusal
from bridge.audio.formats import BY_SUFFIX, PEAKS
from bridge.errors import NotFound

_EXTENSIONS = {**BY_SUFFIX, PEAKS: PEAKS}
_NAME = re.compile(rf"([0-9a-f]{{16,64}})\.({'|'.join(map(re.escape, _EXTENSIONS))})", re.ASCII)


async def get_sample(request: web.Request) -> web.StreamResponse:
    """Send a sample; HEAD, Range and If-None-Match included."""
    found = _NAME.fullmatch(request.match_info["file"])
    if found is None:
        raise NotFound(
            "A sample's address is /samples/<id>.wav, .24.wav, .flac, .ogg, .mp3 or .peaks.", code="unknown_sample"
        )
    sample_id, extension = found[1], _EXTENSIONS[found[2]]
    if is_known(request, sample_id, extension):
        # Immutable: a client that has it has the right bytes, whatever became of our file.
        etag = f'"{sample_id}.{extension}"'
        return web.Response(status=304, headers={hdrs.ETAG: etag, hdrs.CACHE_CONTROL: YEAR})
    library = request.app[SERVICE].library
    if is_stranger(request) and not library.has_audio(sample_id, extension):
        raise refusal()
    path = await (library.peaks(sample_id) if extension == PEAKS else library.audio(sample_id, extension))
    return SampleFile(path, sample_id, extension)

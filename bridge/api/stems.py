"""Contract D: many stems in one request, answered at once; the document comes by callback, or is fetched."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from typing import Any

from aiohttp import web

from bridge.api.body import json_response
from bridge.api.keys import SERVICE, SETTINGS
from bridge.api.samplefile import YEAR, SampleFile, is_known
from bridge.errors import NotFound
from bridge.exchange.callbacks import Callbacks
from bridge.exchange.object_storage import FOLDER, LocalFolder, open_storage
from bridge.exchange.stems import Stems

STEMS = web.AppKey("stems", Stems)

_FILE = re.compile(r".+-([0-9a-f]{16,64})\.wav")


def attach(app: web.Application) -> None:
    """Take requests for stems in ``app`` while it runs. Raises StartupError for a storage that cannot be meant."""
    settings = app[SETTINGS]
    secret = settings.callback_secret
    hosts = () if settings.is_withheld("callback_hosts", "callback_secret") else settings.callback_hosts
    app[STEMS] = Stems(
        app[SERVICE],
        open_storage(settings),
        Callbacks(hosts, secret.get_secret_value() if secret else None),
    )
    app.cleanup_ctx.append(_running)


def wants_stems(document: Any) -> bool:
    """Is this body of ``POST /generate`` one of contract D?"""
    return isinstance(document, Mapping) and document.get("target_stems") is not None


async def post_stems(request: web.Request, document: Mapping[str, Any]) -> web.StreamResponse:
    """Promise the stems of one request."""
    base = request.app[SETTINGS].public_url or f"{request.scheme}://{request.host}"
    accepted = await request.app[STEMS].accept(document, base)
    told = "The callback comes when they are stored" if accepted.callback_url else "They are being made"
    return json_response(
        {
            "generation_request_id": accepted.generation_request_id,
            "status": "processing",
            "message": f"{told}; GET /generate/<generation_request_id> says how far they are.",
        }
    )


async def get_stem_file(request: web.Request) -> web.StreamResponse:
    """A stem that is stored here: what ``blob_url`` leads to while no object storage is set."""
    folder, file = request.match_info["request"], request.match_info["file"]
    storage, named = request.app[STEMS].storage, _FILE.fullmatch(file)
    if named is None or not isinstance(storage, LocalFolder):
        raise _unknown()
    try:
        path = storage.path(f"{folder}/{file}")
    except ValueError:
        raise _unknown() from None
    if not path.is_file():
        raise _unknown()
    sample_id = named[1]
    if is_known(request, sample_id, "wav"):
        return web.Response(status=304, headers={"ETag": f'"{sample_id}.wav"', "Cache-Control": YEAR})
    return SampleFile(path, sample_id, "wav")


def _unknown() -> NotFound:
    return NotFound(f"No stem is stored at this address below /{FOLDER}/.", code="unknown_stem")


async def _running(app: web.Application) -> AsyncIterator[None]:
    async with app[STEMS].running():
        yield

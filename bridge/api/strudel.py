"""Strudel's own conventions: the sample map, for any Strudel page."""

from __future__ import annotations

from aiohttp import web

from bridge.api.keys import SNAPSHOTS
from bridge.api.licence import licence_filter
from bridge.api.whole import whole_response


async def get_strudel_map(request: web.Request) -> web.StreamResponse:
    """Every sound's name -> its URLs; root-relative, without ``_base``. ``?licence=`` leaves the rest out."""
    return whole_response(request, await request.app[SNAPSHOTS].sample_map(**licence_filter(request)))

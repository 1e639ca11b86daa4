"""Strudel's own conventions: the sample map, for any Strudel page."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from bridge.api.body import json_response
from bridge.api.keys import SERVICE
from bridge.api.licence import licence_filter
from bridge.events import Urls, sound_urls
from cache import Sound, sound_data

_OFFLINE_ALIASES_START = ("gen_", "musicgen_")


async def get_strudel_map(request: web.Request) -> web.StreamResponse:
    """Every sound's name -> its URLs; root-relative, without ``_base``. ``?licence=`` leaves the rest out."""
    library = request.app[SERVICE].library
    sounds = await library.read(library.store.sounds, order="name", **licence_filter(request))
    return json_response(sample_map(sounds))


def sample_map(sounds: list[Sound]) -> dict[str, Urls]:
    """Names and aliases -> URLs.

    Short aliases such as ``bd`` stay out: they would overwrite what the foreign page calls so.
    """
    found: dict[str, Urls] = {}
    for sound in sounds:
        data: dict[str, Any] = sound_data(sound)
        urls = sound_urls(data["slots"])
        for name in (sound.name, *(alias for alias in sound.aliases if alias.startswith(_OFFLINE_ALIASES_START))):
            found[name] = urls
    return found

"""The sounds API: list, fetch by keyword, rename, pin, delete with undo."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Annotated, Any

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from bridge.api.answers import answer_sound, chosen_format
from bridge.api.body import json_response, query_number, read_json
from bridge.api.keys import SERVICE
from bridge.api.licence import licence_filter
from bridge.errors import InvalidRequest, NotFound
from bridge.events import sample_url, sound_message
from bridge.rights.redacting import for_caller
from bridge.sounds.library import Library
from bridge.sounds.orders import SoundName
from bridge.sounds.placing import Placed
from bridge.sounds.service import SampleService
from cache import Slot, Sound, sound_data
from prompts import Kind, canonical_key

MAX_LIMIT = 500


class SoundChange(BaseModel):
    """``PATCH /sounds/{name}``."""

    model_config = ConfigDict(extra="forbid")

    name: SoundName | None = None
    pinned: Annotated[bool, Field(strict=True)] | None = None
    deleted: Annotated[bool, Field(strict=True)] | None = None


async def list_sounds(request: web.Request) -> web.StreamResponse:
    """Sounds with their facts: best match first with ``q``, else the newest change first."""
    library = request.app[SERVICE].library
    filters = _filters(request)
    limit = query_number(request, "limit", 100, 1, MAX_LIMIT)
    after = query_number(request, "cursor", 0, 0, 2**62) or None
    words = request.query.get("q", "").strip()
    if words:
        sounds, cursor = await library.search(words[:500], limit=limit, **filters), None
    else:
        sounds = await library.sounds(limit=limit, after=after, **filters)
        cursor = str(sounds[-1].seq) if len(sounds) == limit else None
    return json_response({"sounds": [sound_document(sound) for sound in sounds], "next": cursor})


async def get_sound(request: web.Request) -> web.StreamResponse:
    """The best match for a keyword, as audio, as contract A's JSON, or as its facts."""
    service: SampleService = request.app[SERVICE]
    started = time.monotonic()
    sound = await service.library.find(request.match_info["keyword"], **_filters(request))
    extension = chosen_format(request.query.get("format"), request.headers.get("Accept", ""), "wav")
    n = query_number(request, "n", 0, 0, 2**31)
    if n >= len(sound.slots):
        raise NotFound(
            f"'{sound.name}' has {len(sound.slots)} slots, numbered from 0. There is no slot {n}.", code="unknown_slot"
        )
    library = service.library
    library.touch(sound.name)
    if extension == "json":
        return json_response(sound_document(sound) | {"samples": [await _slot(library, slot) for slot in sound.slots]})
    sample = await library.take(sound.slots[n].spec_id)
    if sample is None:
        raise NotFound(f"The audio of '{sound.name}' slot {n} is lost. POST /generate makes it again.", code="lost")
    placed = Placed(sound.name, n, sample, cached=True)
    return await answer_sound(service, placed, extension, task_id=None, seconds=time.monotonic() - started)


async def post_slices(request: web.Request) -> web.StreamResponse:
    """Cut slot ``?n=`` (0) before its attacks; the pieces are ``<name>_sl``, at most 16."""
    service: SampleService = request.app[SERVICE]
    sound = await service.slicer.slices(request.match_info["keyword"], query_number(request, "n", 0, 0, 2**31))
    return json_response(sound_document(sound))


async def change_sound(request: web.Request) -> web.StreamResponse:
    """Rename, pin, or take a deletion back."""
    library = request.app[SERVICE].library
    name = request.match_info["keyword"]
    document = await read_json(request)
    if not isinstance(document, dict) or not document:
        raise InvalidRequest('Say what to change: {"name": "new_name"}, {"pinned": true} or {"deleted": false}.')
    change = SoundChange.model_validate(document)
    if change.deleted is True:
        raise InvalidRequest("deleted: use DELETE to take a sound away.", field="deleted")
    sound = await library.restore(name) if change.deleted is False else await library.sound(name)
    if change.pinned is not None:
        sound = await library.pin(sound.name, change.pinned)
    if change.name is not None and change.name != sound.name:
        sound = await library.rename(sound.name, change.name)
    return json_response(sound_document(sound))


async def delete_sound(request: web.Request) -> web.StreamResponse:
    """Take a sound away; it can be brought back for a while."""
    service: SampleService = request.app[SERVICE]
    sound, until = await service.library.delete(request.match_info["keyword"])
    moment = datetime.fromtimestamp(time.time() if until is None else until, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    undo = {"method": "PATCH", "path": f"/sounds/{sound.name}", "body": {"deleted": False}}
    return json_response({
        "name": sound.name,
        "deleted": True,
        "restorable_until": None if until is None else moment,
        "undo_until": moment,
        "undo": None if until is None else undo,
    })  # fmt: skip


def sound_document(sound: Sound) -> dict[str, Any]:
    """A sound as lists show it: the message that pages get, and whether it is pinned."""
    return {**for_caller(sound_message(sound.seq, sound_data(sound))), "pinned": sound.pinned}


async def _slot(library: Library, slot: Slot) -> dict[str, Any]:
    """One slot with everything that is known of its sample; facts and provenance are null where it is lost."""
    sample = await library.take(slot.spec_id)
    return {
        "n": slot.n,
        "sample_id": slot.sample_id,
        "standin": slot.standin,
        "url": sample_url(slot.sample_id),
        "facts": for_caller(sample.facts) if sample else None,
        "provenance": for_caller(library.provenance(sample)) if sample else None,
    }


def _filters(request: web.Request) -> dict[str, Any]:
    query = request.query
    filters: dict[str, Any] = {"engine": query.get("engine"), "session": query.get("session")}
    filters |= licence_filter(request)
    kind = query.get("kind")
    if kind is not None and kind not in set(Kind):
        raise InvalidRequest(f"kind: choose one of {', '.join(Kind)}.", field="kind")
    filters["kind"] = kind
    filters["bpm"] = float(query_number(request, "bpm", 0, 20, 400)) if "bpm" in query else None
    try:
        filters["key"] = canonical_key(query["key"]) if "key" in query else None
    except ValueError as error:
        raise InvalidRequest(f"key: {error}", field="key") from None
    return filters

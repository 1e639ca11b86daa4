"""Sets: what players wrote, kept in versions. For our own page and keys with the scope own only."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field
from typing_extensions import TypedDict

from bridge.api.body import json_response, read_json, read_large_json
from bridge.api.keys import SETS
from bridge.errors import InvalidRequest, NotFound, TooLarge
from bridge.sets import LONGEST_NAME, MOST_CODE_BYTES, KeptSet, SetSummary, Version
from bridge.system.threads import FILES

_MOST_BODY = 3 * MOST_CODE_BYTES
"""Bytes: JSON writes some characters as several."""


class SetBody(BaseModel):
    """``PUT /sets/{id}``."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    name: Annotated[str, Field(min_length=1, max_length=LONGEST_NAME, strict=True)]
    code: Annotated[str, Field(strict=True)]
    base: Annotated[int, Field(ge=0, le=10**6, strict=True)]
    """The version that this one was made of; 0 for a new set."""


class SetChange(BaseModel):
    """``PATCH /sets/{id}``."""

    model_config = ConfigDict(extra="forbid")

    deleted: Annotated[bool, Field(strict=True)]


class SetVersion(TypedDict):
    """One save, without its code."""

    version: int
    name: str
    saved: str
    """UTC"""
    bytes: int


class SetVersionDocument(SetVersion):
    """One save."""

    id: str
    code: str


class SetHead(SetVersion):
    """A set as lists show it: its newest version that can be read."""

    id: str
    damaged: bool
    """A newer version cannot be read."""
    deleted_until: str | None
    """UTC; until when a deleted set can be brought back"""


class SetDocument(SetHead):
    """A set."""

    code: str
    versions: list[SetVersion]
    """The newest first."""


class SetList(TypedDict):
    """All sets, the one saved last first; deleted ones too, while they can be brought back."""

    sets: list[SetHead]


class SetDeleted(TypedDict):
    """What was deleted, and until when it can be brought back."""

    id: str
    deleted: bool
    deleted_until: str


async def list_sets(request: web.Request) -> web.StreamResponse:
    """All sets, without their code; deleted ones too, while they can be brought back."""
    found = await FILES.run(request.app[SETS].summaries)
    return json_response(SetList(sets=[_head(each) for each in found]))


async def get_set(request: web.Request) -> web.StreamResponse:
    """A set with the code of its newest version, and the list of its versions."""
    return json_response(_document(await FILES.run(request.app[SETS].get, request.match_info["id"])))


async def get_set_version(request: web.Request) -> web.StreamResponse:
    """One version of a set with its code."""
    set_id, text = request.match_info["id"], request.match_info["version"]
    if not (text.isascii() and text.isdigit() and len(text) <= 6):
        raise NotFound("A version is a number from 1. GET /sets/{id} lists them.", code="unknown_version")
    found = await FILES.run(request.app[SETS].version, set_id, int(text))
    return json_response(SetVersionDocument(**_version(found), id=set_id, code=found.code or ""))


async def put_set(request: web.Request) -> web.StreamResponse:
    """Keep a version on top of version ``base``; 0 begins a set under an id of the caller's choice.

    Nothing is overwritten. When somebody else saved meanwhile, the answer is 409 ``set_changed`` with both.
    """
    document = await read_large_json(request, _MOST_BODY, "code")
    if not isinstance(document, dict):
        raise InvalidRequest('The body must be a JSON object: {"name": "...", "code": "...", "base": 0}.')
    body = SetBody.model_validate(document)
    if len(body.code.encode()) > MOST_CODE_BYTES:
        raise TooLarge(f"The code of one set has at most {MOST_CODE_BYTES // 2**20} MiB.", field="code")
    kept = await FILES.run(request.app[SETS].save, request.match_info["id"], body.name, body.code, body.base)
    return json_response(_document(kept))


async def restore_set(request: web.Request) -> web.StreamResponse:
    """Bring a deleted set back: ``{"deleted": false}``."""
    document = await read_json(request)
    if not isinstance(document, dict) or SetChange.model_validate(document).deleted:
        raise InvalidRequest('Send {"deleted": false}; DELETE takes a set away.', field="deleted")
    return json_response(_document(await FILES.run(request.app[SETS].restore, request.match_info["id"])))


async def delete_set(request: web.Request) -> web.StreamResponse:
    """Delete a set with all its versions; it can be brought back for a while."""
    set_id = request.match_info["id"]
    until = await FILES.run(request.app[SETS].delete, set_id)
    return json_response(SetDeleted(id=set_id, deleted=True, deleted_until=_moment(until)))


def _version(version: Version) -> SetVersion:
    return SetVersion(version=version.number, name=version.name, saved=_moment(version.saved), bytes=version.size)


def _head(found: SetSummary) -> SetHead:
    until = None if found.deleted_until is None else _moment(found.deleted_until)
    return SetHead(**_version(found.head), id=found.id, damaged=found.damaged, deleted_until=until)


def _document(found: KeptSet) -> SetDocument:
    return SetDocument(**_head(found), code=found.head.code or "", versions=[_version(each) for each in found.versions])


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

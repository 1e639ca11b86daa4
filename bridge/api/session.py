"""``/session``: our own page gives the key once and gets a cookie for it, which no code in the page can read."""

from __future__ import annotations

from typing import Annotated

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field
from typing_extensions import TypedDict

from bridge.api.body import json_response, read_json
from bridge.api.keys import CALLERS, SETTINGS
from bridge.api.security.guard import local_port
from bridge.errors import Forbidden, InvalidRequest
from bridge.rights import Caller, current_caller
from bridge.rights.callers import cookie_name
from bridge.rights.keys import key_name
from bridge.rights.page_sessions import SESSION_SECONDS


class SessionKeyBody(BaseModel):
    """``POST /session``."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    key: Annotated[str, Field(min_length=1, max_length=1024)]
    """The server's key."""


class PageSession(TypedDict):
    """What our page may do."""

    open: bool
    """Does a session count?"""
    key_needed: bool
    """Has the server a key, which this caller has not shown?"""
    scopes: list[str]


async def get_session(_: web.Request) -> web.StreamResponse:
    """Say what the caller may do, and whether it needs the key."""
    return json_response(_document(current_caller()))


async def post_session(request: web.Request) -> web.StreamResponse:
    """Exchange the key for a session of 12 hours. Only our own page may: others show their key with each call."""
    callers, caller = request.app[CALLERS], _own_page()
    document = await read_json(request)
    if not isinstance(document, dict):
        raise InvalidRequest('The body must be a JSON object: {"key": "..."}.')
    key = SessionKeyBody.model_validate(document).key
    if not callers.keyed:
        return json_response(_document(caller))
    name = key_name(request.app[SETTINGS], key)
    if name is None:
        await callers.guesses.wrong(request.remote, "http")
        raise Forbidden(
            "That is not this server's key. Open the page again with #token=YOUR_KEY at the end of its address.",
            code="wrong_key",
        )
    if caller.session is not None:
        callers.sessions.end(caller.session)
    session_id = callers.sessions.open(name)
    opened = callers.of(key=None, session_id=session_id, origin=caller.origin, own_origin=True)
    response = json_response(_document(opened))
    response.set_cookie(
        cookie_name(local_port(request)),
        session_id,
        max_age=SESSION_SECONDS,
        path="/",
        httponly=True,
        samesite="Strict",
        secure=(caller.origin or "").startswith("https://"),
    )
    return response


async def delete_session(request: web.Request) -> web.StreamResponse:
    """End the page's session, here and everywhere it was copied to."""
    callers, caller = request.app[CALLERS], _own_page()
    if caller.session is not None:
        callers.sessions.end(caller.session)
    response = json_response(_document(callers.still(caller)))
    response.del_cookie(cookie_name(local_port(request)), path="/", httponly=True, samesite="Strict")
    return response


def _own_page() -> Caller:
    caller = current_caller()
    if not caller.is_page:
        raise Forbidden(
            "Only the bridge's own page has a session. Programs and other pages send the key with each call, as "
            "X-API-Key.",
            code="own_page_only",
        )
    return caller


def _document(caller: Caller) -> PageSession:
    needed = caller.refusal is not None and caller.refusal[0] in ("key_required", "session_expired")
    return PageSession(open=caller.session is not None, key_needed=needed, scopes=sorted(caller.scopes))

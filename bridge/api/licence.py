"""``?licence=``: lists and maps without the sounds that may not be used as the asker means to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiohttp import web

COMMERCIAL = "commercial"
"""Everything that may be sold; any other word is a licence, as SPDX writes it, in capitals or not."""


def asked_licence(request: web.Request) -> str | None:
    """What the query asks for; None asks for nothing."""
    return request.query.get("licence", "").strip() or None


def licence_filter(request: web.Request) -> dict[str, Any]:
    """The store's filter; it holds for every slot of a sound."""
    asked = asked_licence(request)
    if asked is None:
        return {}
    return {"commercial": True} if asked.lower() == COMMERCIAL else {"licence": asked[:200]}


def fits(asked: str | None, facts: Mapping[str, Any]) -> bool:
    """Is this what was asked for? ``facts``: a sample's, or what an engine says of itself."""
    if asked is None:
        return True
    if asked.lower() == COMMERCIAL:
        return bool(facts.get("commercial"))
    return str(facts.get("licence", "")).lower() == asked.lower()

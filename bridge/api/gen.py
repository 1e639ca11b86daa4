"""``GET /gen/<words>.json``: a sample map made of words, for Strudel pages that run no code of ours.

``samples('http://localhost:5001/gen/dusty break:4,vinyl stab.json?bpm=174&key=fm')``
"""

from __future__ import annotations

import asyncio

from aiohttp import web

from bridge.api.body import json_response
from bridge.api.keys import SERVICE, STAGE
from bridge.api.licence import asked_licence, fits
from bridge.engines.choice import PROCEDURAL
from bridge.errors import BridgeError, InvalidKeywords, InvalidRequest
from bridge.events import Urls, by_root, sample_url
from bridge.jobs import Ticket
from bridge.sounds.orders import GenerateBody, Order
from bridge.sounds.placing import Placed
from bridge.sounds.service import SampleService
from prompts import InvalidKeyword, Keyword, SampleSpec, parse_keywords, reserved_name

WAIT_SECONDS = 1.5
MAX_WAIT_SECONDS = 20.0


async def get_generated_map(request: web.Request) -> web.StreamResponse:
    """Ask for every word, wait a moment, and list URLs whose bytes exist: the wanted sample, else its stand-in.

    No audio request is ever held; evaluating the line again picks up what has become better.
    """
    service = request.app[SERVICE]
    try:
        keywords = parse_keywords(request.match_info["words"].removesuffix(".json"))
    except InvalidKeyword as error:
        raise InvalidKeywords(str(error)) from None
    wait = _wait_seconds(request)
    query = request.query
    fields: dict[str, object] = {"bpm": _number(query["bpm"]) if "bpm" in query else None, "key": query.get("key")}
    licence = asked_licence(request)
    engine, standin = await _engine(service, licence)
    roots = _roots(query["roots"]) if "roots" in query else ()
    orders = [_order(keyword, {**fields, "engine": engine}, roots) for keyword in keywords]
    asked = [await request.app[STAGE].ask(order, standin=standin) for order in orders]
    tickets = [ticket for each in asked for ticket in each]
    await asyncio.wait([asyncio.ensure_future(service.queue.wait(ticket.id)) for ticket in tickets], timeout=wait)
    found: dict[str, str | Urls] = {"_base": f"{request.scheme}://{request.host}"}
    for keyword, each in zip(keywords, asked, strict=True):
        now = [await service.queue.ticket(ticket.id) for ticket in each]
        addresses = [address for ticket in now if (address := _address(service, ticket))]
        if addresses:
            found[keyword.name] = by_root(addresses)
    for name in list(found):
        if (plain := _plain(name)) and plain not in found:
            found[plain] = found[name]
    return json_response(found)


async def _engine(service: SampleService, licence: str | None) -> tuple[str, bool]:
    """An engine whose sounds have the licence that was asked for, and whether stand-ins have it too.

    Raises InvalidRequest when there is no such engine.
    """
    if licence is None:
        return "auto", True
    names = dict.fromkeys((service.choice.name, PROCEDURAL))
    fitting = [name for name in names if fits(licence, (await service.engines.info(name)).as_dict())]
    if not fitting:
        raise InvalidRequest(
            f"licence: no engine here makes sounds under '{licence[:64]}'. Ask for commercial, or leave it out.",
            code="unknown_licence",
            field="licence",
        )
    return fitting[0], PROCEDURAL in fitting


def _order(keyword: Keyword, fields: dict[str, object], roots: tuple[str, ...]) -> Order:
    spec = SampleSpec.model_validate({"prompt": keyword.text, **fields})
    return Order(spec=spec, name=keyword.name, variations=keyword.count, roots=roots)


def _roots(text: str) -> tuple[str, ...]:
    """Notes for whatever of the words is pitched. Raises pydantic's ValidationError, which names the field."""
    return GenerateBody.model_validate({"roots": text}).roots


def _plain(name: str) -> str | None:
    """The words alone, as people write them who asked for them: ``dusty_break``. None for a name of Strudel's own."""
    plain = name.removeprefix("gen_")
    return None if name.startswith("_") or plain.isdigit() or reserved_name(plain) else plain


def _address(service: SampleService, ticket: Ticket) -> tuple[str | None, str] | None:
    """Root and URL of what plays for a ticket; None while nothing does."""
    try:
        placed: Placed = service.placed(ticket)
    except BridgeError:
        standin = ticket.claim.standin
        return (standin.root, sample_url(standin.sample_id)) if standin else None
    return placed.facts.root, sample_url(placed.sample.sample_id)


def _wait_seconds(request: web.Request) -> float:
    if "wait" not in request.query:
        return WAIT_SECONDS
    wait = _number(request.query["wait"])
    if not isinstance(wait, float) or not 0 <= wait <= MAX_WAIT_SECONDS:
        raise InvalidRequest(f"wait: give seconds from 0 to {MAX_WAIT_SECONDS:g}.", field="wait")
    return wait


def _number(text: str) -> float | str:
    """The number, or the text itself: what is not a number is refused where the range is known."""
    try:
        return float(text)
    except ValueError:
        return text

"""Contract C: the job API of a DAW's service, below ``/api/v1``."""

from __future__ import annotations

import re
from typing import Annotated, Any

from aiohttp import web
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from bridge.api.answers import answer_sound, chosen_format
from bridge.api.body import json_response, query_number, read_json
from bridge.api.generate import ask_once
from bridge.api.keys import SERVICE
from bridge.errors import InvalidRequest
from bridge.exchange.job_status import job_status, utc
from bridge.jobs import Priority, State, Ticket
from bridge.rights import current_caller
from bridge.sounds.orders import Words, generate_order
from bridge.sounds.service import SampleService
from bridge.sounds.tickets import cancel_ticket, visible_ticket
from prompts import structured_prompt

DEFAULT_LIMIT = 50
MAX_LIMIT = 500
_CURSOR = re.compile(r"([0-9]{1,18})\.(gen_[0-9a-f]{12})", re.ASCII)


def _null_is_empty(value: Any) -> Any:
    return [] if value is None else value


class PromptParts(BaseModel):
    """``POST /api/v1/prompt/build``; nothing is required."""

    model_config = ConfigDict(extra="ignore", use_attribute_docstrings=True)

    genre: Words | None = None
    """``electronic``"""
    tempo: Annotated[float, Field(strict=True, ge=20, le=400, allow_inf_nan=False)] | Words | None = None
    """A word such as ``fast``, or beats per minute."""
    mood: Words | None = None
    """``energetic``"""
    instruments: Annotated[list[Words], BeforeValidator(_null_is_empty), Field(max_length=16)] = Field(
        default_factory=list
    )
    """``["synthesizer", "drums"]``"""
    artist_style: Words | None = None
    """``similar to ...``, as it shall stand in the prompt."""


async def post_job(request: web.Request) -> web.StreamResponse:
    """Take a job in; it is answered at once, and made when its turn comes."""
    order, body = generate_order(await read_json(request))
    ticket, *others = await ask_once(request, order, priority=Priority[body.priority.upper()])
    answer: dict[str, Any] = {
        "job_id": ticket.id,
        # However soon it is started: clients of this contract compare with this one word.
        "status": str(State.QUEUED),
        "message": f"Accepted. GET /api/v1/status/{ticket.id} says how it goes.",
        "created_at": utc(ticket.created),
    }
    if others:
        answer["variations"] = [each.id for each in (ticket, *others)]
    return json_response(answer)


async def get_status(request: web.Request) -> web.StreamResponse:
    """How a job stands."""
    return json_response(job_status(await _ticket(request)))


async def get_audio(request: web.Request) -> web.StreamResponse:
    """The audio of a completed job."""
    service, ticket = request.app[SERVICE], await _ticket(request)
    extension = chosen_format(request.query.get("format"), request.headers.get("Accept", ""), "wav")
    job = ticket.job
    took = (job.ended or 0.0) - job.started if job.started is not None else 0.0
    return await answer_sound(service, service.placed(ticket), extension, task_id=ticket.id, seconds=took)


async def delete_job(request: web.Request) -> web.StreamResponse:
    """Take a job back; when this answers, nothing works on it any more unless others wait for the same sound."""
    service: SampleService = request.app[SERVICE]
    ticket = await cancel_ticket(service, request.match_info["job_id"])
    return json_response({
        "job_id": ticket.id,
        "status": str(State.CANCELLED),
        "message": "Cancelled. Ask again if the sound is wanted after all.",
    })  # fmt: skip


async def list_jobs(request: web.Request) -> web.StreamResponse:
    """Recent jobs, newest first, page by page."""
    limit = query_number(request, "limit", DEFAULT_LIMIT, 1, MAX_LIMIT)
    caller = current_caller()
    every = await request.app[SERVICE].queue.tickets(_states(request))
    tickets = [each for each in every if caller.may_see(each.claim.owner)]
    places = sorted(((_place(ticket), ticket) for ticket in tickets), key=lambda pair: pair[0], reverse=True)
    if (after := request.query.get("cursor")) is not None:
        last = _read_cursor(after)
        places = [pair for pair in places if pair[0] < last]
    page = places[:limit]
    following = "{}.{}".format(*page[-1][0]) if len(places) > limit else None
    return json_response({"jobs": [job_status(ticket) for _, ticket in page], "next": following})


async def post_prompt(request: web.Request) -> web.StreamResponse:
    """Build a prompt from what was picked; nothing is made."""
    document = await read_json(request)
    if not isinstance(document, dict):
        raise InvalidRequest('The body must be a JSON object, such as {"genre": "electronic", "tempo": "fast"}.')
    parts = PromptParts.model_validate(document)
    text, components = structured_prompt(
        genre=parts.genre,
        tempo=parts.tempo,
        mood=parts.mood,
        instruments=parts.instruments,
        artist_style=parts.artist_style,
    )
    return json_response({"structured_prompt": text, "components": components})


async def _ticket(request: web.Request) -> Ticket:
    return await visible_ticket(request.app[SERVICE], request.match_info["job_id"])


def _states(request: web.Request) -> list[State]:
    text = request.query.get("status")
    if text is None:
        return []
    try:
        return [State(word.strip().lower()) for word in text.split(",")]
    except ValueError:
        raise InvalidRequest(f"status: choose one of {', '.join(State)}.", field="status") from None


def _place(ticket: Ticket) -> tuple[int, str]:
    """Where a job stands in the list; it stays the same while others come and go."""
    return round(ticket.created * 1e6), ticket.id


def _read_cursor(text: str) -> tuple[int, str]:
    found = _CURSOR.fullmatch(text)
    if found is None:
        raise InvalidRequest("cursor: send the value of `next` from the last page, unchanged.", field="cursor")
    return int(found[1]), found[2]

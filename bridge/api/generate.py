"""Contract A, and the task calls that B shares with it."""

from __future__ import annotations

import hashlib
import time

from aiohttp import web

from bridge.api.answers import answer_sound, chosen_format
from bridge.api.body import json_response, read_json
from bridge.api.keys import SERVICE, STAGE
from bridge.api.stems import STEMS, post_stems, wants_stems
from bridge.errors import NotFound
from bridge.events import sample_url
from bridge.exchange.job_status import MESSAGES
from bridge.jobs import Priority, State, Ticket
from bridge.rights import current_caller
from bridge.rights.redacting import for_caller
from bridge.sounds.orders import GenerateBody, Order, generate_order, stem_order
from bridge.sounds.placing import Placed
from bridge.sounds.service import SampleService
from bridge.sounds.tickets import visible_ticket
from bridge.stage.repeats import RequestKey
from prompts import sound_name


async def post_generate(request: web.Request) -> web.StreamResponse:
    """Make a sound from words; answered when it is made, or at once with 202."""
    document = await read_json(request)
    if wants_stems(document):
        return await post_stems(request, document)
    order, body = generate_order(document)
    return await _answer(request, order, body)


async def post_generate_stem(request: web.Request) -> web.StreamResponse:
    """Make a stem of a type; the prompt is built from style, mood, key and tempo."""
    order, body = stem_order(await read_json(request))
    return await _answer(request, order, body)


async def get_task(request: web.Request) -> web.StreamResponse:
    """How a task stands."""
    task_id = request.match_info["task_id"]
    try:
        ticket = await visible_ticket(request.app[SERVICE], task_id)
    except NotFound:  # perhaps it is the caller's own id of contract D
        return json_response(await request.app[STEMS].document(task_id))
    return json_response(task_document(ticket))


async def get_download(request: web.Request) -> web.StreamResponse:
    """The audio of a completed task."""
    service = request.app[SERVICE]
    ticket = await visible_ticket(service, request.match_info["task_id"])
    extension = chosen_format(request.query.get("format"), request.headers.get("Accept", ""), "wav")
    return await answer_sound(service, service.placed(ticket), extension, task_id=ticket.id, seconds=_took(ticket))


def task_document(ticket: Ticket) -> dict[str, object]:
    """Contract B's status of a task."""
    job = ticket.job
    document: dict[str, object] = {
        "task_id": ticket.id,
        "status": str(ticket.state),
        "progress": round(job.progress.fraction, 4),
        "message": job.error.message if ticket.state is State.FAILED and job.error else MESSAGES.get(ticket.state, ""),
        "audio_url": None,
        "duration": None,
        "eta_s": job.progress.eta_s,
    }
    if isinstance(ticket.outcome, Placed) and ticket.state is State.COMPLETED:
        placed = ticket.outcome
        document |= {
            "audio_url": f"/download/{ticket.id}",
            "duration": placed.sample.frames / placed.sample.rate,
            "name": placed.name,
            "n": placed.n,
            "sample_id": placed.sample.sample_id,
            "sample_url": sample_url(placed.sample.sample_id),
            "strudel": placed.strudel,
            "cached": placed.cached,
            "facts": for_caller(placed.sample.facts),
        }
    if ticket.state is State.FAILED and job.error is not None:
        document["error"] = {"code": job.error.code, "message": job.error.message}
    return document


async def _answer(request: web.Request, order: Order, body: GenerateBody) -> web.StreamResponse:
    service: SampleService = request.app[SERVICE]
    asked = body.format if "format" in body.model_fields_set else None
    extension = chosen_format(asked, request.headers.get("Accept", ""), "base64")
    at_once = not body.wait or _prefers_async(request)
    begun = time.monotonic()
    near = await service.library.mistyped(order.name or sound_name(order.spec.prompt))
    priority = Priority[body.priority.upper()]
    # What a batch makes is not played before it is made, so it needs nothing to stand in.
    tickets = await ask_once(request, order, priority=priority, standin=at_once and priority is Priority.PLAYER)
    ticket = tickets[0]
    if at_once:
        others = {"variations": [each.id for each in tickets]} if len(tickets) > 1 else {}
        answer = json_response(task_document(ticket) | others | _nearest(near), status=202)
        answer.headers["Location"] = f"/generate/{ticket.id}"
        if _prefers_async(request):
            answer.headers["Preference-Applied"] = "respond-async"
        return answer
    placed = service.placed(await service.queue.wait(ticket.id))
    took = time.monotonic() - begun
    return await answer_sound(service, placed, extension, task_id=ticket.id, seconds=took, nearest=near)


async def ask_once(request: web.Request, order: Order, *, priority: Priority, standin: bool = False) -> list[Ticket]:
    """Ask; with an ``Idempotency-Key`` the same request gets the tickets that it got before."""
    given = request.headers.get("Idempotency-Key")
    key = RequestKey(_owned(given[:200]), _fingerprint(request.path, order)) if given else None
    return await request.app[STAGE].ask(order, priority=priority, standin=standin, key=key)


def _owned(key: str) -> str:
    """Two askers may take the same key: each has its own, or one would get the tickets of the other."""
    owner = current_caller().owner
    return key if owner is None else hashlib.sha256(f"{owner}\n{key}".encode("utf-8", "surrogatepass")).hexdigest()


def _fingerprint(path: str, order: Order) -> str:
    """What makes two requests the same one."""
    return hashlib.sha256(f"{path}\n{order.model_dump_json()}".encode()).hexdigest()


def _nearest(names: list[str]) -> dict[str, object]:
    """What the name of a new sound looks like a typing error of."""
    return {"nearest": names} if names else {}


def _prefers_async(request: web.Request) -> bool:
    preferences = ",".join(request.headers.getall("Prefer", ())).lower().split(",")
    return any(preference.partition(";")[0].strip() == "respond-async" for preference in preferences)


def _took(ticket: Ticket) -> float:
    job = ticket.job
    return (job.ended or 0.0) - job.started if job.started is not None else 0.0

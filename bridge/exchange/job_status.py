"""A job as contract C tells it: the same document from ``GET /api/v1/status``, in the list, and on ``/ws``."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NotRequired

from typing_extensions import TypedDict

from bridge.events import ErrorBody
from bridge.jobs import State, Ticket
from bridge.sounds.placing import Placed

PARAMETERS = (
    "kind", "duration", "bars", "meter", "bpm", "key", "chords", "effects", "temperature", "top_k", "top_p",
    "guidance", "num_beams", "repetition_penalty",
)  # fmt: skip
"""Fields of a spec that ``metadata.parameters`` repeats."""

MESSAGES: Mapping[State, str] = {
    State.QUEUED: "Waiting for its turn.",
    State.RUNNING: "Being made.",
    State.COMPLETED: "Ready.",
    State.CANCELLED: "Cancelled.",
}


class JobMetadata(TypedDict):
    """What a job makes, and with what; null where it is not known yet."""

    prompt: str
    engine: str | None
    model: str | None
    seed: int | None
    parameters: dict[str, Any]
    name: str | None
    n: int | None
    licence: str | None


class JobStatus(TypedDict):
    """How a job stands; all keys are there from the start."""

    job_id: str
    status: State
    progress: float
    """0 to 1"""
    message: str
    audio_url: str | None
    duration: float | None
    """Seconds, once the sound is there."""
    created_at: str
    started_at: str | None
    completed_at: str | None
    error: ErrorBody | None
    metadata: JobMetadata


class JobEvent(JobStatus):
    """A status document as ``/ws`` sends it."""

    type: str


class SocketError(TypedDict):
    """What a message on ``/ws`` is answered that cannot be understood."""

    type: str
    error: ErrorBody
    job_id: NotRequired[str]


def job_status(ticket: Ticket) -> JobStatus:
    """Build the status document of one asker's job."""
    job, state = ticket.job, ticket.state
    placed = ticket.outcome if isinstance(ticket.outcome, Placed) and state is State.COMPLETED else None
    failed = job.error if state is State.FAILED else None
    return JobStatus(
        job_id=ticket.id,
        status=state,
        progress=1.0 if state is State.COMPLETED else round(job.progress.fraction, 4),
        message=failed.message if failed else MESSAGES.get(state, ""),
        audio_url=f"/api/v1/download/{ticket.id}" if placed else None,
        duration=placed.sample.frames / placed.sample.rate if placed else None,
        created_at=utc(ticket.created),
        started_at=utc(job.started) if job.started is not None else None,
        completed_at=utc(job.ended) if job.ended is not None else None,
        error=ErrorBody(code=failed.code, message=failed.message) if failed else None,
        metadata=_metadata(ticket, placed),
    )


def utc(seconds: float) -> str:
    """``2026-11-20T12:00:00Z``: no fraction, no offset."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _metadata(ticket: Ticket, placed: Placed | None) -> JobMetadata:
    facts = placed.facts if placed else None
    spec: Mapping[str, Any] = (facts and facts.spec) or _asked(ticket)
    return JobMetadata(
        prompt=ticket.claim.prompt,
        engine=facts.engine if facts else spec.get("engine"),
        model=facts.model if facts else spec.get("model"),
        seed=spec.get("seed"),
        parameters={name: spec[name] for name in PARAMETERS if name in spec},
        name=placed.name if placed else ticket.claim.name,
        n=placed.n if placed else ticket.claim.n,
        licence=facts.licence if facts else None,
    )


def _asked(ticket: Ticket) -> Mapping[str, Any]:
    specs = ticket.job.work.specs
    return specs[0].model_dump(mode="json") if specs else {}

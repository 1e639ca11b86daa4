"""Answers as types, for the API's description: what the handlers write is held against them by the tests."""

from __future__ import annotations

from typing import Annotated, Any, Literal, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from bridge.audio.facts import SampleFacts
from bridge.events import ErrorBody, SoundMessage, Urls
from bridge.exchange.job_status import JobStatus

TaskState = Literal["queued", "running", "completed", "failed", "cancelled"]
Fraction = Annotated[float, Field(ge=0, le=1)]


class ErrorDetail(ErrorBody):
    """What went wrong; some errors name more: the nearest names, the engines there are."""

    field: NotRequired[str]
    nearest: NotRequired[list[str]]
    confirm: NotRequired[str | None]
    """Of a 428: what to show in a frame; null where no page can ask."""
    seconds: NotRequired[float]
    """Until it has to be shown."""


class Error(TypedDict):
    """Every error, on every path."""

    success: Literal[False]
    error: ErrorDetail
    detail: str
    """The message once more, for clients of FastAPI servers."""


class SoundFacts(TypedDict):
    """A sound that has been made, with the facts that contract A shows."""

    success: Literal[True]
    prompt: str
    duration: float
    """Seconds, as long as it really is."""
    sampling_rate: int
    generation_time: float
    cached: bool
    name: str
    n: int
    task_id: str | None
    status: Literal["completed"]
    audio_url: str
    strudel: str
    """Code to paste."""
    kind: str
    bpm: float | None
    bars: int | None
    key: str | None
    seed: int | None
    engine: str
    model: str | None
    licence: str


class SoundAnswer(SoundFacts):
    """Contract A's answer: a whole WAV file in base64."""

    audio_base64: str
    nearest: NotRequired[list[str]]
    """The name looks like a typing error of these."""


class Task(TypedDict):
    """Contract B's status of a task."""

    task_id: str
    status: TaskState
    progress: Fraction
    message: str
    audio_url: str | None
    duration: float | None
    eta_s: float | None
    name: NotRequired[str]
    n: NotRequired[int]
    sample_id: NotRequired[str]
    sample_url: NotRequired[str]
    strudel: NotRequired[str]
    cached: NotRequired[bool]
    """True when the audio was there before it was asked for."""
    facts: NotRequired[SampleFacts]
    error: NotRequired[ErrorBody]
    variations: NotRequired[list[str]]
    nearest: NotRequired[list[str]]


class StreamSession(TypedDict):
    """A stream that plays."""

    session_id: str
    prompt: str
    started_at: str
    seconds_sent: float
    quality_mode: Literal["draft", "balanced", "high"]


class StreamSessions(TypedDict):
    """The streams that play, the oldest first."""

    sessions: list[StreamSession]


class StemsAccepted(TypedDict):
    """Contract D's answer: the stems are promised."""

    generation_request_id: str
    status: Literal["processing"]
    message: str


class StoredStem(TypedDict):
    """A stem where it can be fetched."""

    stem_type: str
    blob_url: str
    file_size_bytes: int
    format: Literal["wav"]
    sample_rate: int
    channels: int


class FailedStem(TypedDict):
    """A stem that could not be made."""

    stem_type: str
    error: str


class StemsDocument(TypedDict):
    """Contract D's document, as the callback brings it."""

    generation_request_id: str
    audio_file_id: str
    status: Literal["processing", "completed", "failed"]
    processing_time_seconds: float
    generated_stems: list[StoredStem]
    parameters: dict[str, Any]
    failed_stems: NotRequired[list[FailedStem]]
    error_message: NotRequired[str]


class JobAccepted(TypedDict):
    """Contract C's answer to a new job."""

    job_id: str
    status: Literal["queued"]
    message: str
    created_at: str
    variations: NotRequired[list[str]]


class JobCancelledAnswer(TypedDict):
    """A job was taken back."""

    job_id: str
    status: Literal["cancelled"]
    message: str


class JobList(TypedDict):
    """One page of jobs, newest first."""

    jobs: list[JobStatus]
    next: str | None
    """``cursor`` of the next page."""


class BuiltPrompt(TypedDict):
    """A prompt and its phrases."""

    structured_prompt: str
    components: dict[str, str]


class SoundDocument(SoundMessage):
    """A sound as lists show it."""

    pinned: bool


class SoundList(TypedDict):
    """Sounds with their facts."""

    sounds: list[SoundDocument]
    next: str | None


class Deleted(TypedDict):
    """A sound was taken away; ``undo`` is the call that brings it back.

    ``restorable_until`` and ``undo`` are null where there was no room to keep it: it is gone for good.
    """

    name: str
    deleted: Literal[True]
    restorable_until: str | None
    undo_until: str
    undo: dict[str, Any] | None


class Forgotten(TypedDict):
    """Words were wiped."""

    forgotten: Literal[True]
    sounds: list[str]
    samples: int


class Jobs(TypedDict):
    """How many there are."""

    queued: int
    running: int


class Health(TypedDict):
    """One document for every contract."""

    status: Literal["healthy", "degraded"]
    timestamp: str
    """UTC, without a zone"""
    version: str
    engine: str
    engine_reason: str
    model: str | None
    device: str
    precision: str | None
    """What the model's weights are kept in"""
    kernel: str | None
    """Which program computes it"""
    speed: float | None
    """Seconds of audio that are made per second, measured here"""
    gpu_available: bool
    services: dict[str, str]
    jobs: Jobs
    sounds: int
    warnings: list[str]
    """What may be missing of what is kept, and what to do, in sentences"""


class Alive(TypedDict):
    """The process answers."""

    status: Literal["alive"]


class Ready(TypedDict):
    """New sounds can be made."""

    status: Literal["ready"]
    engine: str


SampleMap = dict[str, Urls | str]
"""Name to addresses, as Strudel's ``samples`` reads it."""

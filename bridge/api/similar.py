"""Contract E: upload audio, and have new audio made that is like it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from aiohttp import web
from typing_extensions import TypedDict

from bridge.api.body import NO_STORE, dropping, json_response, read_json
from bridge.api.generate import ask_once
from bridge.api.keys import SERVICE, SETTINGS
from bridge.api.multipart import Form
from bridge.api.rawaudio import is_raw_audio
from bridge.api.samplefile import SampleFile
from bridge.errors import EngineUnavailable, InvalidRequest, TooLarge, UnsupportedMedia
from bridge.events import ErrorBody
from bridge.exchange.job_status import MESSAGES, job_status
from bridge.exchange.likeness import NO_EMBEDDING, RATE, similar_order, wav_of
from bridge.exchange.uploads import Uploads, too_large
from bridge.jobs import Priority, State
from bridge.sounds.tickets import visible_ticket

UPLOADS = web.AppKey("uploads", Uploads)

_BESIDE = 1 << 20
"""Bytes that a body may have besides the file."""
_MOST_PARTS = 32


class Uploaded(TypedDict):
    """What was found in uploaded audio; null where nothing could be found."""

    audio_id: str
    duration: float
    """Seconds"""
    sample_rate: int
    channels: int
    format: str
    tempo: float | None
    """Beats per minute"""
    key: str | None
    features: dict[str, Any]


class Embedding(TypedDict):
    """What the audio is like, for a model."""

    audio_id: str
    embedding: list[float]
    model: str


class SimilarAccepted(TypedDict):
    """The audio will be made."""

    generation_id: str
    status: str
    message: str


class SimilarStatus(TypedDict):
    """How a generation stands."""

    generation_id: str
    status: State
    progress: int
    """Per cent"""
    message: str
    audio_url: str | None
    duration: float | None
    """Seconds"""
    error: ErrorBody | None


def attach(app: web.Application) -> None:
    """Take uploads in ``app``."""
    app[UPLOADS] = Uploads(app[SETTINGS])


async def post_upload(request: web.Request) -> web.StreamResponse:
    """Send audio in the field ``file``, or as the body: WAV, MP3, FLAC or Ogg; the answer says what it is like."""
    uploads, most = request.app[UPLOADS], request.app[SETTINGS].max_upload_bytes
    raw = is_raw_audio(request)
    if not raw and request.content_type != "multipart/form-data":
        if request.body_exists:
            raise UnsupportedMedia(
                "Send the audio in the field `file` of a multipart form, or as the body with Content-Type: audio/wav."
            )
        raise _without_file()
    if (request.content_length or 0) > most + _BESIDE:
        raise too_large(most)
    async with uploads.receive(dropping(request)) as receiver:
        async for piece in request.content.iter_any() if raw else _file_in(request):
            await receiver.write(piece)
        upload = await uploads.keep(receiver)
    features = upload.features
    tempo, key = features["tempo"], features["key"]
    return json_response(
        Uploaded(
            audio_id=upload.audio_id,
            duration=features["duration"],
            sample_rate=features["sample_rate"],
            channels=features["channels"],
            format=features["format"],
            tempo=tempo["bpm"] if tempo else None,
            key=key["name"] if key else None,
            features=features,
        )
    )


async def get_embedding(request: web.Request) -> web.StreamResponse:
    """What uploaded audio is like, as 512 numbers for a model; not there yet."""
    await request.app[UPLOADS].get(request.match_info["audio_id"])
    raise EngineUnavailable(NO_EMBEDDING, code="embedding_unavailable")


async def post_similar(request: web.Request) -> web.StreamResponse:
    """Have new audio made that is like the uploaded one; answered at once."""
    document = await read_json(request)
    upload = await request.app[UPLOADS].get(request.match_info["audio_id"])
    order = similar_order(document, upload, await request.app[SERVICE].resolver.conditions())
    ticket, *_ = await ask_once(request, order, priority=Priority.PLAYER)
    return json_response(
        SimilarAccepted(
            generation_id=ticket.id,
            status=str(State.QUEUED),
            message=f"Accepted. GET /api/status/{ticket.id} says how it goes.",
        )
    )


async def get_similar_status(request: web.Request) -> web.StreamResponse:
    """How a generation stands, in per cent."""
    ticket = await visible_ticket(request.app[SERVICE], request.match_info["generation_id"])
    status = job_status(ticket)
    done = status["status"] is State.COMPLETED and status["audio_url"] is not None
    return json_response(
        SimilarStatus(
            generation_id=ticket.id,
            status=status["status"],
            progress=round(100 * status["progress"]),
            message=status["message"] or MESSAGES.get(status["status"], ""),
            audio_url=f"/api/download/{ticket.id}" if done else None,
            duration=status["duration"],
            error=status["error"],
        )
    )


async def get_similar_audio(request: web.Request) -> web.StreamResponse:
    """The WAV of a completed generation, 32 kHz whichever engine made it."""
    service = request.app[SERVICE]
    placed = service.placed(await visible_ticket(service, request.match_info["generation_id"]))
    path = await wav_of(service, request.app[UPLOADS], placed)
    headers = {**NO_STORE, "Content-Disposition": f'inline; filename="{placed.name}_{placed.n}.wav"'}
    return SampleFile(path, f"{placed.sample.sample_id}-{RATE}", "wav", **headers)


async def _file_in(request: web.Request) -> AsyncIterator[bytes]:
    """The pieces of the field ``file``; other fields are passed over.

    Raises MalformedBody, TooLarge, and InvalidRequest when there is no such field.
    """
    found, beside = False, 0
    form = Form(request, _MOST_PARTS, "send the audio in the field `file`", "Send the file alone.")
    async for part in form.parts():
        wanted = part.name == "file" and not found
        found |= wanted
        async for piece in form.pieces(part):
            if wanted:
                yield piece
                continue
            beside += len(piece)
            if beside > _BESIDE:
                raise TooLarge("The form holds more than the file. Send the file alone.") if found else _without_file()
    if not found:
        raise _without_file()


def _without_file() -> InvalidRequest:
    return InvalidRequest("file: field required; send the audio in this field of a form.", field="file")

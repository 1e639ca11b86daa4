"""Contract B's ``POST /evaluate``: figures about audio, sent or kept, as far as they need no model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, cast

from aiohttp import BodyPartReader, web
from pydantic import BaseModel, ConfigDict, Field
from typing_extensions import TypedDict

from bridge.api.body import dropping, json_response, read_json
from bridge.api.keys import SERVICE
from bridge.api.multipart import Form
from bridge.api.rawaudio import is_raw_audio
from bridge.api.similar import UPLOADS
from bridge.errors import InvalidRequest, NotFound, TooLarge
from bridge.exchange.uploads import Uploads
from bridge.sounds.service import SampleService

MEASURES = ("snr", "harmonic_percussive_ratio", "tempo_stability", "pitch_stability", "loudness_lufs")
WHY_NULL = (
    "fad and clap_score compare embeddings, which this server does not make yet. Any other figure is null where the "
    "audio has none: no steady beat, no single pitch, or silence."
)
MOST_FILES = 16
_MOST_TEXT = 4096


class EvaluateBody(BaseModel):
    """``POST /evaluate`` of a sound that is kept."""

    model_config = ConfigDict(extra="ignore", use_attribute_docstrings=True)

    sound: Annotated[str, Field(min_length=1, max_length=200)]
    """A sound's name."""
    n: Annotated[int, Field(ge=0, le=2**31, strict=True)] = 0
    """Its slot."""
    prompt: Annotated[str, Field(max_length=500)] | None = None
    """What it was to be; taken for clap_score, which is null."""


class Measures(TypedDict):
    """Figures of audio; null where it has none."""

    snr: float | None
    """dB, what stands out over the noise"""
    harmonic_percussive_ratio: float | None
    """dB, what lasts over what strikes"""
    tempo_stability: float | None
    """0..1"""
    pitch_stability: float | None
    """0..1"""
    loudness_lufs: float | None
    fad: None
    clap_score: None


class EvaluatedAudio(Measures):
    """One piece of audio."""

    name: str
    duration: float
    sample_rate: int
    channels: int
    scaled_db: float | None
    """How much quieter it was made, as it went beyond full scale; null: it did not"""


class Evaluation(Measures):
    """The mean over all that was sent, and each by itself."""

    prompt: str | None
    reason: str
    """Why figures are null."""
    results: list[EvaluatedAudio]


async def post_evaluate(request: web.Request) -> web.StreamResponse:
    """Measure audio files (a form, at most 16; or one as the body) or a kept sound; nothing of a file is kept."""
    if request.content_type == "multipart/form-data":
        results, prompt = await _evaluate_form(request)
    elif is_raw_audio(request):
        results, prompt = [await _evaluate_body(request)], None
    else:
        body = EvaluateBody.model_validate(_present(await read_json(request)))
        results = [await _evaluate_sound(request.app[SERVICE], request.app[UPLOADS], body)]
        prompt = body.prompt
    return json_response(Evaluation(**_means(results), prompt=prompt, reason=WHY_NULL, results=results))


async def _evaluate_body(request: web.Request) -> EvaluatedAudio:
    uploads = request.app[UPLOADS]
    async with uploads.receive(dropping(request)) as receiver:
        async for piece in request.content.iter_any():
            await receiver.write(piece)
        return _audio("file 1", await uploads.judge(receiver))


async def _evaluate_form(request: web.Request) -> tuple[list[EvaluatedAudio], str | None]:
    uploads, results = request.app[UPLOADS], list[EvaluatedAudio]()
    texts: dict[str, str] = {}
    form = Form(request, 4 * MOST_FILES, "send each file in a field of its own", "Send fewer files at a time.")
    async for part in form.parts():
        if part.filename is None and part.name != "file":
            texts[_shown(part.name)] = await _text(form, part)
            continue
        if len(results) == MOST_FILES:
            raise TooLarge(f"The form has more than {MOST_FILES} files. Send fewer at a time.")
        async with uploads.receive(dropping(request)) as receiver:
            async for piece in form.pieces(part):
                await receiver.write(piece)
            measured = await uploads.judge(receiver)
        results.append(_audio(_shown(part.filename) or f"file {len(results) + 1}", measured))
    named = {name: text for name, text in texts.items() if name in EvaluateBody.model_fields and text}
    if "n" in named:
        named["n"] = int(named["n"]) if named["n"].isdecimal() and len(named["n"]) < 10 else -1  # type: ignore[assignment]
    if named.get("sound"):
        body = EvaluateBody.model_validate(named)
        results.append(await _evaluate_sound(request.app[SERVICE], uploads, body))
    if not results:
        raise InvalidRequest("file: send audio files, or the name of a sound in the field `sound`.", field="file")
    return results, named.get("prompt")


async def _evaluate_sound(service: SampleService, uploads: Uploads, body: EvaluateBody) -> EvaluatedAudio:
    sound = await service.library.sound(body.sound)
    if body.n >= len(sound.slots):
        raise NotFound(f"'{sound.name}' has no slot {body.n}; it has {len(sound.slots)}.", code="unknown_slot")
    sample = await service.library.take(sound.slots[body.n].spec_id)
    if sample is None:
        raise NotFound(f"'{sound.name}' has just been deleted.", code="lost")
    return _audio(sound.name, await uploads.judge_file(service.library.master(sample.sample_id)))


def _audio(name: str, measured: Mapping[str, Any]) -> EvaluatedAudio:
    figures = {each: measured[each] for each in (*MEASURES, "duration", "sample_rate", "channels", "scaled_db")}
    return cast("EvaluatedAudio", {"name": name, **figures, "fad": None, "clap_score": None})


def _means(results: list[EvaluatedAudio]) -> Measures:
    means: dict[str, Any] = dict.fromkeys(("fad", "clap_score"))
    for name in MEASURES:
        values = [value for result in results if (value := cast("dict[str, Any]", result)[name]) is not None]
        means[name] = round(sum(values) / len(values), 3) if values else None
    return cast("Measures", means)


def _present(document: Any) -> dict[str, Any]:
    if not isinstance(document, Mapping):
        raise InvalidRequest('The body must be a JSON object, such as {"sound": "bd"}.')
    return {name: value for name, value in document.items() if value is not None}


def _shown(name: str | None) -> str:
    """A name out of a form as text: it may hold bytes that are none."""
    return (name or "")[:200].encode(errors="replace").decode()


async def _text(form: Form, part: BodyPartReader) -> str:
    held = bytearray()
    async for piece in form.pieces(part):
        held += piece
        if len(held) > _MOST_TEXT:
            raise TooLarge(f"{_shown(part.name)}: this field is longer than {_MOST_TEXT} bytes.")
    return held.decode(errors="replace").strip()

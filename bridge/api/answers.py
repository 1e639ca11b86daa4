"""How a sound is answered: contract A's JSON with base64, or the audio itself with its facts in headers."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from aiohttp import hdrs, web

from bridge.api.body import NO_STORE
from bridge.api.description.shapes import SoundFacts
from bridge.api.samplefile import SampleFile
from bridge.audio.facts import filled
from bridge.audio.formats import FORMATS
from bridge.errors import InvalidRequest
from bridge.events import sample_url
from bridge.rights import current_caller
from bridge.sounds.placing import Placed
from bridge.sounds.service import SampleService
from bridge.system.threads import SERVING

BASE64 = "base64"
_IN_HEADERS = (
    "name", "n", "task_id", "duration", "sampling_rate", "generation_time", "cached", "engine", "licence", "strudel",
)  # fmt: skip
"""Keys of the JSON answer that stand in headers when the answer is the audio."""
_ACCEPTED = {f"audio/{name}": extension for name, extension in {
    "wav": "wav", "x-wav": "wav", "wave": "wav", "vnd.wave": "wav", "*": "wav",
    "flac": "flac", "x-flac": "flac", "ogg": "ogg", "vorbis": "ogg", "mpeg": "mp3", "mp3": "mp3",
}.items()}  # fmt: skip


def chosen_format(asked: str | None, accept: str, default: str) -> str:
    """Decide the format: what is asked for, then the ``audio/`` type that Accept wants most, then the default.

    Raises InvalidRequest for a format that is not made.
    """
    if asked is not None:
        if asked not in FORMATS and asked not in (BASE64, "json"):
            names = ", ".join([BASE64, *FORMATS])
            raise InvalidRequest(f"format: '{asked[:20]}' is not made here. Choose one of {names}.",
                                 code="unknown_format", field="format")  # fmt: skip
        return asked
    wanted = [_part(part) for part in accept.lower().split(",")]
    for media_type, _ in sorted(wanted, key=lambda part: -part[1]):
        if media_type in _ACCEPTED:
            return _ACCEPTED[media_type]
    return default


def _part(text: str) -> tuple[str, float]:
    """One part of Accept: its media type, and how much it is wanted; what is refused is not a type."""
    media_type, *parameters = (word.strip() for word in text.split(";"))
    quality = next((word[2:] for word in parameters if word.startswith("q=")), "1")
    try:
        wanted = float(quality)
    except ValueError:
        wanted = 1.0
    return (media_type, wanted) if wanted > 0 else ("", 0.0)


async def answer_sound(
    service: SampleService,
    placed: Placed,
    extension: str,
    *,
    task_id: str | None,
    seconds: float,
    nearest: Sequence[str] = (),
) -> web.StreamResponse:
    """Answer a sound in ``extension`` or as base64.

    ``seconds``: how long the answer took to make. ``nearest``: what its name looks like a typing error of.
    """
    facts = _facts(placed, task_id, seconds) | ({"nearest": [*nearest]} if nearest else {})
    if extension != BASE64:
        sample = placed.sample
        path = await service.library.audio(sample.sample_id, extension)
        headers = {f"X-Bridge-{key.replace('_', '-').title()}": _header(facts[key]) for key in _IN_HEADERS}
        headers["Content-Location"] = sample_url(sample.sample_id, FORMATS[extension].suffix)
        headers["Content-Disposition"] = f'inline; filename="{placed.name}_{placed.n}.{FORMATS[extension].suffix}"'
        headers[hdrs.CACHE_CONTROL] = "no-store"
        return SampleFile(path, sample.sample_id, extension, **headers)
    path = await service.library.audio(placed.sample.sample_id, "wav")
    body = await SERVING.run(_with_base64, facts, path)
    return web.Response(body=body, content_type="application/json", headers=NO_STORE)


def _header(value: Any) -> str:
    text = "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    return quote(text, safe=" :;,./()\"'=")


def _facts(placed: Placed, task_id: str | None, seconds: float) -> dict[str, Any]:
    sample, facts = placed.sample, placed.facts
    return {**filled(
        SoundFacts,
        facts,
        success=True,
        # A look at the library tells foreign pages no words; what a caller asked for itself are its own.
        prompt=facts.prompt if task_id is not None or not current_caller().secluded else "",
        duration=sample.frames / sample.rate,
        sampling_rate=sample.rate,
        generation_time=round(seconds, 3),
        cached=placed.cached,
        name=placed.name,
        n=placed.n,
        task_id=task_id,
        status="completed",
        audio_url=sample_url(sample.sample_id),
        strudel=placed.strudel,
    )}  # fmt: skip


def _with_base64(facts: dict[str, Any], path: Path) -> bytes:
    """Write the answer in a thread: the audio is most of it, and needs no escaping."""
    head = json.dumps(facts, ensure_ascii=False, allow_nan=False)[:-1]
    return b'%s, "audio_base64": "%s"}' % (head.encode(), base64.b64encode(path.read_bytes()))

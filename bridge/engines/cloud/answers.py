"""From what a provider answers to a clip: audio as it is, or JSON with audio somewhere in it."""

from __future__ import annotations

import base64
import binascii
import hashlib
import io
from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
import soundfile

from bridge.audio.finishing.resample import resample
from bridge.engines.cloud.http import Answer
from bridge.errors import BadAudio
from bridge.plugins.clip import Clip
from bridge.plugins.engine import EngineInfo

MAX_SECONDS: Final = 120.0
RATE: Final = 44100
MOST_SECONDS: Final = 600.0
_NAMES: Final = (
    "audio_base64", "audio", "audio_url", "audio_content", "generated_audio", "b64_json", "url", "output", "outputs",
    "result", "data", "file",
)  # fmt: skip
"""Members of JSON that hold audio, the surest first."""
_RATES: Final = ("sampling_rate", "sample_rate", "sr")
_UNSAID_RATE: Final = 32000
"""Of bare numbers: MusicGen's, whose endpoints answer so."""
_DEEPEST: Final = 5


def described(name: str, *, sound: str, model: str, licence: str) -> EngineInfo:
    """Describe an engine that asks a provider. ``sound``: changes whenever the same spec would give other audio."""
    return EngineInfo(
        name=name,
        revision=f"1:{hashlib.sha256(sound.encode()).hexdigest()[:12]}",
        rate=RATE,
        channels=2,
        max_seconds=MAX_SECONDS,
        streams=False,
        concurrency=2,
        instant=False,
        generative_model=True,
        licence=licence,
        commercial=False,
        model=model,
        device="cloud",
        paid=True,
    )


def clip_of(answer: Answer, provider: str, fetch: Callable[[str], Answer]) -> Clip:
    """Read an answer: audio bytes; or JSON with base64, a data URL, an address (``fetch`` gets it) or bare numbers.

    The clip comes at 44.1 kHz with one or two channels. Raises BadAudio with a sentence for everything else.
    """
    if not answer.body:
        raise BadAudio(f"{provider} sent an empty answer. Try again.")
    if answer.media_type.endswith("json") or (answer.body[:1] in b"{[" and not answer.media_type.startswith("audio/")):
        try:
            document = answer.json()
        except (ValueError, RecursionError):
            raise BadAudio(f"{provider} announces JSON and sends something else.") from None
        return of_document(document, provider, fetch)
    return decoded(answer.body, provider, answer.media_type)


def of_document(document: Any, provider: str, fetch: Callable[[str], Answer]) -> Clip:
    """Find the audio in parsed JSON; see ``clip_of``."""
    found = _find(document, None, _DEEPEST)
    if found is None:
        raise BadAudio(f"{provider} answered without audio{_shape(document)}.")
    value, rate = found
    if not isinstance(value, str):
        return _of_numbers(value, rate or _UNSAID_RATE, provider)
    if value.startswith(("http://", "https://")):
        answer = fetch(value)
        return decoded(answer.body, provider, answer.media_type)
    text = value.partition(",")[2] if value.startswith("data:") else value
    try:
        audio = base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        raise BadAudio(f"{provider} sent audio whose base64 is broken.") from None
    return decoded(audio, provider, "")


def decoded(audio: bytes, provider: str, media_type: str) -> Clip:
    """Decode a whole file. Raises BadAudio for what is none, for odd rates, and for more than ten minutes."""
    try:
        with soundfile.SoundFile(io.BytesIO(audio)) as file:
            if not 4000 <= file.samplerate <= 384_000 or not 1 <= file.channels <= 32:
                raise BadAudio(f"{provider} sent {file.channels} channels at {file.samplerate} Hz: nothing plays that.")
            if file.frames > MOST_SECONDS * file.samplerate:
                raise BadAudio(f"{provider} sent more than {MOST_SECONDS:g} seconds of audio.")
            samples = file.read(dtype="float32", always_2d=True).T
            rate = file.samplerate
    except (soundfile.LibsndfileError, RuntimeError):
        what = f" ({media_type})" if media_type else ""
        raise BadAudio(f"What {provider} sent{what} cannot be read as audio; WAV, FLAC, Ogg and MP3 can.") from None
    return _fitting(samples, rate, provider)


def _fitting(samples: np.ndarray[Any, Any], rate: int, provider: str) -> Clip:
    if samples.shape[1] == 0:
        raise BadAudio(f"{provider} sent a file without a single sample in it.")
    if samples.shape[0] > 2:
        samples = samples.mean(axis=0, keepdims=True)
    clip = Clip(np.ascontiguousarray(samples, dtype=np.float32), rate)
    # NaN is found, and told, by finishing; the resampler would spread it.
    return resample(clip, RATE) if np.isfinite(clip.samples).all() else Clip(clip.samples, RATE)


def _find(value: Any, rate: int | None, depth: int) -> tuple[Any, int | None] | None:
    """The first thing that can be audio, with the rate that stands next to it."""
    if isinstance(value, str):
        return (value, rate) if len(value) > 32 or value.startswith("http") else None
    if isinstance(value, list):
        if _is_numbers(value):
            return value, rate
        return next((found for each in value[:4] if depth and (found := _find(each, rate, depth - 1))), None)
    if not isinstance(value, Mapping) or not depth:
        return None
    said = next((value[name] for name in _RATES if isinstance(value.get(name), int)), rate)
    return next((found for name in _NAMES if name in value and (found := _find(value[name], said, depth - 1))), None)


def _is_numbers(value: list[Any]) -> bool:
    while isinstance(value, list) and value and isinstance(value[0], list):
        value = value[0]
    return len(value) > 1 and all(isinstance(each, (int, float)) and not isinstance(each, bool) for each in value[:8])


def _of_numbers(value: list[Any], rate: int, provider: str) -> Clip:
    try:
        samples = np.asarray(value, dtype=np.float32)
    except (ValueError, TypeError):
        raise BadAudio(f"{provider} sent numbers that are not rows of equal length.") from None
    while samples.ndim > 2 and samples.shape[0] == 1:
        samples = samples[0]
    samples = samples[np.newaxis, :] if samples.ndim == 1 else samples
    if samples.ndim != 2 or not 4000 <= rate <= 384_000 or samples.shape[1] > MOST_SECONDS * rate:
        raise BadAudio(f"{provider} sent numbers in the shape {samples.shape} at {rate} Hz, which is not a clip.")
    if samples.shape[0] > samples.shape[1]:
        samples = samples.T
    return _fitting(samples, rate, provider)


def _shape(document: Any) -> str:
    return f", only {', '.join(map(str, list(document)[:6]))}" if isinstance(document, Mapping) and document else ""

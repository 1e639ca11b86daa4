"""Contract E: new audio like an uploaded one, made from what was measured of it.

Tempo and key are taken as they are; timbre becomes words that any engine understands, and ten octave levels for
engines that can follow them. ``cfg_coef`` says how strongly. An engine that takes audio is given the upload itself:
it follows its melody, continues from its end, or varies it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from bridge.errors import InvalidRequest
from bridge.exchange.uploads import Upload, Uploads
from bridge.sounds.orders import Order
from bridge.sounds.placing import Placed
from bridge.sounds.service import SampleService
from prompts import MAX_PROMPT, Duration, Prompt, SampleSpec, Seed, TopK, TopP

RATE = 32_000
"""Hz of what is downloaded, whichever engine made it."""

NO_EMBEDDING = "Embeddings are not built yet: this server measures tempo, key, loudness, spectrum and timbre instead."

_SURE_KEY, _SURE_TEMPO = 0.6, 0.2
_COLOURS = (("dark", 0.0, 350.0), ("warm", 350.0, 900.0), ("bright", 2500.0, 1e5))
"""By the centre of the spectrum, Hz."""
_PACES = (("slow", 0.3, 1.2), ("fast", 7.0, 1e3))
"""By how many onsets there are per second."""
_NOISY = 0.15
"""Flatness from which noise is a part of the sound."""
_TELLING_SECONDS = 1.0
"""Audio shorter than this is described, and not given to an engine."""
_LASTING = 0.05
"""Sustain from which something is more than struck."""
_SAME = {"duration": "duration_seconds", "cfg_coef": "guidance", "seed": "random_seed"}

Cfg = Annotated[float, Field(ge=1, le=10, strict=True, allow_inf_nan=False)]
Seconds = Annotated[Duration, Field(ge=5)]


class SimilarBody(BaseModel):
    """``POST /api/generate/{audio_id}``; nothing is required."""

    model_config = ConfigDict(extra="ignore", use_attribute_docstrings=True)

    duration: Seconds | None = None
    """Seconds, 5 to 120; without it 8."""
    duration_seconds: Seconds | None = None
    temperature: Annotated[float, Field(ge=0.1, le=2, strict=True, allow_inf_nan=False)] = 1.0
    """How far the engine strays."""
    top_k: TopK = 250
    """0 = off."""
    top_p: TopP = 0.0
    """0 and 1 = off."""
    cfg_coef: Cfg | None = None
    """1 to 10: how closely the upload is followed; without it 3."""
    guidance: Cfg | None = None
    prompt: Prompt | None = None
    """Words that go before those that were found for the upload."""
    seed: Seed | None = None
    random_seed: Seed | None = None

    @model_validator(mode="after")
    def _one_value(self) -> SimilarBody:
        for ours, other in _SAME.items():
            values = {value for name in (ours, other) if (value := getattr(self, name)) is not None}
            if len(values) > 1:
                raise ValueError(f"{ours} and {other} mean the same and differ; give one of them")
        return self

    def same(self, ours: str) -> Any:
        """The value of a field under whichever of its names it came."""
        value = getattr(self, ours)
        return getattr(self, _SAME[ours]) if value is None else value


def similar_order(document: Any, upload: Upload, conditions: Collection[str] = ()) -> Order:
    """Read ``POST /api/generate/{audio_id}``. Raises InvalidRequest and pydantic's ValidationError.

    ``conditions``: what the engine can do with the audio itself; one that can do something is given it.
    """
    if not isinstance(document, Mapping):
        raise InvalidRequest('The body must be a JSON object, such as {"duration": 8, "cfg_coef": 3}.')
    body = SimilarBody.model_validate({name: value for name, value in document.items() if value is not None})
    features = upload.features
    fields: dict[str, Any] = {
        "prompt": _prompt(body.prompt, words_for(features)),
        "kind": "raw",
        "duration": body.same("duration") or 8.0,
        "bpm": _tempo(features),
        "key": _key(features),
        "octaves": (features["spectrum"] or {}).get("octaves_db", ()),
        "guidance": body.same("cfg_coef") or 3.0,
        "temperature": body.temperature,
        "top_k": body.top_k,
        "top_p": body.top_p,
        "seed": body.same("seed"),
    }
    if conditions and features["duration"] >= _TELLING_SECONDS:
        fields["source"] = upload.audio_id
    return Order(spec=SampleSpec.model_validate(fields))


async def wav_of(service: SampleService, uploads: Uploads, placed: Placed) -> Path:
    """The WAV that contract E downloads. Raises NotFound, InvalidRequest, StorageFull."""
    sample = placed.sample
    path = await service.library.audio(sample.sample_id, "wav")
    return path if sample.rate == RATE else await uploads.at_rate(path, sample.sample_id, RATE)


def words_for(features: Mapping[str, Any]) -> str:
    """Say in words what was measured: how it sounds, and what seems to play."""
    spectrum, timbre = features["spectrum"], features["timbre"]
    if spectrum is None or timbre is None:
        return "quiet texture"
    return " ".join([*_adjectives(features, spectrum, timbre), _instrument(features, spectrum, timbre)])


def _adjectives(features: Mapping[str, Any], spectrum: Mapping[str, Any], timbre: Mapping[str, Any]) -> list[str]:
    centroid, rate = spectrum["centroid_hz"], timbre["onsets_per_second"]
    # The kick alone makes the centre of drums low, however bright the others are.
    struck = timbre["sustain"] < _LASTING
    found = [word for word, least, most in _COLOURS if least <= centroid < most and not struck]
    found += [word for word, least, most in _PACES if least <= rate < most]
    if timbre["width"] > 0.15:
        found.append("wide")
    elif features.get("channels") == 1:
        found.append("mono")
    decay = timbre["decay_db_per_s"]
    if decay is not None and decay > 120:
        found.append("tight")
    elif rate > 0.5 and decay is not None and decay < 12:
        found.append("sustained")
    if spectrum["flatness"] > _NOISY and timbre["sustain"] > _LASTING:
        found.append("noisy")
    return found


def _instrument(features: Mapping[str, Any], spectrum: Mapping[str, Any], timbre: Mapping[str, Any]) -> str:
    """Name what seems to play, in words that the procedural engine has instruments for."""
    centroid, sustain, rate = spectrum["centroid_hz"], timbre["sustain"], timbre["onsets_per_second"]
    decay = timbre["decay_db_per_s"] or 0.0
    tonal = features["key"] is not None or timbre["pitch_confidence"] > 0.5
    if not tonal and sustain >= _LASTING and rate < 1.5:
        return "wind" if centroid < 1500 else "rain"
    if not tonal or sustain < _LASTING or (spectrum["flatness"] > _NOISY and rate > 1.5):
        return "drums" if rate >= 0.8 else "impact"
    if rate < 0.6:
        bed = "drone" if centroid < 120 else "pad" if centroid < 1500 else "glass pad"
        return f"{bed} {timbre['pitch']}" if timbre["pitch_confidence"] > 0.6 else bed
    low, bass = spectrum["octaves_db"][1:3]
    if centroid < 400 and (low > -8 or bass > -2):
        return "synth bassline" if decay > 25 else "reese bassline"
    line = "melody" if timbre["pitch_confidence"] > 0.5 else "chords"
    if decay < 10:
        return f"strings {line}"
    if centroid < 600:
        return f"electric piano {line}"
    if decay > 40 and centroid > 1000:
        return "pluck arp"
    return f"piano {line}" if centroid < 1600 else f"bright pluck {line}"


def _prompt(asked: str | None, words: str) -> str:
    """The asker's words first; what was measured is left out where both would be too long."""
    both = f"{asked}, {words}" if asked else words
    return both if len(both) <= MAX_PROMPT else asked or words


def _tempo(features: Mapping[str, Any]) -> float | None:
    tempo = features["tempo"]
    return round(tempo["bpm"], 1) if tempo and tempo["confidence"] >= _SURE_TEMPO else None


def _key(features: Mapping[str, Any]) -> str | None:
    key, spectrum = features["key"], features["spectrum"]
    if spectrum and spectrum["flatness"] > _NOISY:  # what is found in noise is chance
        return None
    return key["name"] if key and key["confidence"] >= _SURE_KEY else None

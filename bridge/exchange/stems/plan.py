"""Contract D's request for many stems, and the one plan that makes them fit together."""

from __future__ import annotations

import hashlib
import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, Strict, ValidationError

from bridge.errors import InvalidRequest
from bridge.sounds.orders import SAME, GenerateBody, Order, from_validation, read_body
from prompts import (
    DEFAULT_BPM,
    PITCH_CLASSES,
    Kind,
    SampleSpec,
    StemType,
    UnknownStemType,
    build_prompt,
    read_chord,
    resolve_stem_type,
)

MOST_STEMS: Final = 16
"""Stems in one request."""

_OF_A_SPEC = ("prompt", "temperature", "top_k", "top_p", "key", "meter", "engine")
_PARAMETERS = frozenset({*_OF_A_SPEC, *SAME, *itertools.chain(*SAME.values()), "style", "genre", "mood"})
"""What is understood of ``parameters``; all else is ignored, and not kept."""
_PITCHED = frozenset({"bass", "piano", "guitar", "synth", "other", "melody", "voice"})
_CARRYING = ("drums", "bass", "piano", "guitar", "synth", "other", "melody", "voice", "fx")
"""Who comes first; the first of them that has notes is what the others follow where the engine can listen."""
_NAMES = {
    "drums": "drums?|drum ?kits?|percussion",
    "bass": "bass(?: ?guitars?| ?lines?)?",
    "guitar": "(?<!bass )guitars?",
    "piano": "pianos?|keyboards?",
    "synth": "synths?|synthesi[sz]ers?",
    "voice": "vocals?|voices?|singers?|singing",
}
"""How a text for the whole band names the player of each stem."""
_LINK = r"(?:\band\b|\bwith\b|\bfeaturing\b|\bplus\b|&|,)"
_LOOSE = re.compile(rf"\s*{_LINK}(?=\s*(?:{_LINK}|$))|^\s*{_LINK}|\s+(?=,)", re.IGNORECASE)
"""A link that joins nothing any more."""
_PROGRESSIONS = {
    "": ((0, ""), (7, ""), (9, "m"), (5, "")),
    "m": ((0, "m"), (8, ""), (3, ""), (10, "")),
}
"""Semitones above the tonic, for a request that names no chords: I V vi IV, and i VI III VII in minor."""
_KEYS = ("c", "g", "d", "a", "f", "am", "em", "dm")


def _text(text: str) -> str:
    if not text.isprintable() or not text.strip():
        raise ValueError("is text that can be printed, and not empty")
    return text


Id = Annotated[str, Strict(), Field(min_length=1, max_length=200), AfterValidator(_text)]


class StemRequest(BaseModel):
    """``POST /generate`` with ``target_stems``; unknown fields are ignored."""

    model_config = ConfigDict(extra="ignore", use_attribute_docstrings=True, frozen=True)

    generation_request_id: Id
    """The caller's own name of this request; sent again with the same body it is the same request."""
    audio_file_id: Id
    """The caller's name of the song that the stems are for; given back as it came."""
    target_stems: Annotated[
        list[Annotated[str, Strict(), Field(max_length=64)]], Field(min_length=1, max_length=MOST_STEMS)
    ]
    """drums, bass, melody, vocals, guitar, piano, synth, fx, other, or names of common stems."""
    parameters: dict[str, Any] = Field(default_factory=dict)
    """target_bpm, duration_seconds, style, chord_progression, prompt, temperature, random_seed."""
    callback_url: Annotated[str, Strict(), Field(max_length=2048)] | None = None
    """Where the finished document is sent."""


@dataclass(frozen=True, slots=True)
class PlannedStem:
    """One stem of a request."""

    stem_type: str
    """As the caller wrote it."""
    order: Order
    pitched: bool
    """It has notes: the first that has is what others can follow."""


@dataclass(frozen=True, slots=True)
class StemPlan:
    """What all stems of a request share, and each of them, in the order of making."""

    stems: tuple[PlannedStem, ...]
    parameters: dict[str, Any]
    """Contract D's parameters, with what was chosen where the caller chose nothing."""
    seconds: float


def read_request(document: Mapping[str, Any]) -> tuple[StemRequest, StemPlan]:
    """Validate a request and plan it. Raises ValidationError and InvalidRequest, naming the field."""
    request = StemRequest.model_validate({name: value for name, value in document.items() if value is not None})
    types = _types(request.target_stems)
    given = {name: value for name, value in request.parameters.items() if value not in (None, [], "")}
    given = {name: value for name, value in given.items() if name in _PARAMETERS}
    try:
        return request.model_copy(update={"parameters": given}), _planned(given, types)
    except ValidationError as error:
        raise _in_parameters(from_validation(error)) from None
    except InvalidRequest as error:
        raise _in_parameters(error) from None


def _in_parameters(error: InvalidRequest) -> InvalidRequest:
    details = {**error.details, "field": f"parameters.{error.details.get('field', 'body')}"}
    return InvalidRequest(f"parameters.{error.message}", code=error.code, **details)


def _types(asked: list[str]) -> dict[str, tuple[str, StemType]]:
    """Each type once, by its own name, with the word that the caller used first."""
    found: dict[str, tuple[str, StemType]] = {}
    for number, text in enumerate(asked):
        try:
            stem = resolve_stem_type(text)
        except UnknownStemType as error:
            field = f"target_stems.{number}"
            raise InvalidRequest(f"{field}: {error}", code="unknown_type", field=field, nearest=error.nearest) from None
        found.setdefault(stem.name, (text.strip(), stem))
    return found


def _planned(given: Mapping[str, Any], types: Mapping[str, tuple[str, StemType]]) -> StemPlan:
    _, body = read_body({name: value for name, value in given.items() if name not in _OF_A_SPEC}, GenerateBody)
    words = given.get("prompt")
    shared = {name: given[name] for name in _OF_A_SPEC if name in given} | {
        ours: value for ours in SAME if (value := body.same(ours)) is not None
    }
    described = build_prompt(prompt=words if isinstance(words, str) else None, style=body.style, genre=body.genre)
    # Validated before anything is built of it: what is wrong with the prompt is said of the prompt.
    band = SampleSpec.model_validate(
        shared | {"prompt": words if words is not None else described or "band", "kind": Kind.STEM}
    )
    band = band.model_copy(update={"prompt": described or "band"}).complete()
    seed = band.seed if band.seed is not None else _digest(band.canonical())
    bpm = band.bpm or DEFAULT_BPM
    key = band.key or _key_of(band.chords) or _KEYS[seed % len(_KEYS)]
    chords = band.chords or _progression(key)
    stems = []
    for name, (asked, _) in sorted(types.items(), key=lambda item: _rank(item[0])):
        prompt = build_prompt(
            type=name,
            prompt=_for_one(band.prompt if described else "", name),
            mood=body.mood,
            key=key if name in _PITCHED else None,
            bpm=bpm,
        )
        # The chords are the spec's alone: an engine that reads "chords" as a word would play them on drums.
        fields = {"prompt": prompt, "bpm": bpm, "key": key, "chords": chords, "seed": _digest(f"{seed}/{name}")}
        order = Order(spec=SampleSpec.model_validate(dict(band) | fields))
        stems.append(PlannedStem(asked, order, name in _PITCHED))
    parameters = {
        "target_bpm": bpm,
        "duration_seconds": band.seconds,
        "style": body.style,
        "chord_progression": list(chords),
        "prompt": words,
        "temperature": band.temperature,
        "random_seed": seed,
    }
    return StemPlan(tuple(stems), parameters, band.seconds or 0.0)


def _rank(name: str) -> int:
    return _CARRYING.index(name) if name in _CARRYING else len(_CARRYING)


def _for_one(text: str, name: str) -> str | None:
    """Take the other players out of a text for the whole band: "rock with guitar and bass" is "rock with bass"."""
    others = "|".join(words for player, words in _NAMES.items() if player != name)
    left = re.sub(rf"\b(?:{others})\b", "", text, flags=re.IGNORECASE)
    if left == text:
        return text or None
    while (tidy := _LOOSE.sub("", left)) != left:
        left = tidy
    return re.sub(r"\s+", " ", left).strip() or None


def _key_of(chords: tuple[str, ...]) -> str | None:
    """The key of a progression that names none: that of its first chord."""
    for name in chords:
        chord = read_chord(name)
        if chord is not None:
            minor = 3 in chord.tones and 4 not in chord.tones
            return PITCH_CLASSES[chord.root] + ("m" if minor else "")
    return None


def _progression(key: str) -> tuple[str, ...]:
    tonic, minor = key.removesuffix("m"), "m" if key.endswith("m") else ""
    root = PITCH_CLASSES.index(tonic)
    return tuple(PITCH_CLASSES[(root + up) % 12].capitalize() + kind for up, kind in _PROGRESSIONS[minor])


def _digest(text: str) -> int:
    """A seed of 32 bits."""
    return int(hashlib.sha256(text.encode()).hexdigest()[:8], 16)

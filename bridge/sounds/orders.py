"""What may be asked for over HTTP, Socket.IO and the command line, read into one order."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from bridge.errors import InvalidRequest
from prompts import (
    Bpm,
    Chords,
    Duration,
    Guidance,
    Key,
    Kind,
    KindName,
    SampleSpec,
    Seed,
    UnknownStemType,
    build_prompt,
    offered_name,
    reserved_name,
    resolve_stem_type,
    valid_name,
)

SAME: Final = {
    "bpm": ("tempo", "target_bpm"),
    "seed": ("random_seed",),
    "duration": ("duration_seconds",),
    "guidance": ("cfg_coef",),
    "chords": ("chord_progression",),
}
"""Our names and what the other contracts call the same value."""

RESERVED: Final = "reserved_name"
"""Code of the error for a name that Strudel has itself; ``offered`` next to it says what to use instead."""

MAX_VARIATIONS: Final = 16
MAX_ROOTS: Final = 8
_NOTE: Final = re.compile(r"([a-g])(#|s|b|f)?([0-8])")


def _name(text: str) -> str:
    lowered = text.lower()
    if not valid_name(lowered):
        raise ValueError("a sound's name has 1 to 64 letters, digits and _, not digits alone, and no wt_ in front")
    if reserved_name(lowered):
        raise PydanticCustomError(
            RESERVED,
            "Strudel itself has the name '{name}', so a sound of ours may not take it. Use '{offered}'.",
            {"name": lowered, "offered": offered_name(lowered)},
        )
    return lowered


def _finite_tempo(value: float) -> float:
    if not 60 <= value <= 200:
        raise ValueError("tempo is a number from 60 to 200; use bpm for 20 to 400")
    return value


def _roots(value: Any) -> Any:
    """Read ``["c2", "c3"]``, and the same in one string; sharps are written #."""
    notes = re.split(r"[\s,]+", value.strip()) if isinstance(value, str) else value
    if not isinstance(notes, list):
        return notes
    found = [_NOTE.fullmatch(note.strip().lower()) if isinstance(note, str) else None for note in notes]
    if wrong := [note for note, match in zip(notes, found, strict=True) if match is None]:
        raise ValueError(f"{str(wrong[0])[:16]!r} is not a note; write them like c2, f#3 or bb4")
    signs = {"#": "#", "s": "#", "b": "b", "f": "b", None: ""}
    return list(dict.fromkeys(f"{match[1]}{signs[match[2]]}{match[3]}" for match in found if match))


Roots = Annotated[tuple[str, ...], Field(max_length=MAX_ROOTS), BeforeValidator(_roots)]
SoundName = Annotated[str, AfterValidator(_name)]
Words = Annotated[str, Field(max_length=200)]


class Order(BaseModel):
    """One sound that somebody wants: the spec, and where it goes."""

    model_config = ConfigDict(frozen=True)

    spec: SampleSpec
    """Not yet resolved: engine and seed may be open."""
    name: str | None = None
    """The sound to append to; without it the name comes from the words."""
    numbered: bool = False
    """Register the new slot alone too, as ``<name>_<k>``, k from 1: contract A's stems."""
    aliases: tuple[str, ...] = ()
    session: str | None = None
    variations: int = 1
    fresh: bool = False
    """A new sound even if these words were answered before."""
    roots: Roots = ()
    """Notes at which a pitched sound is made; other kinds have none."""

    def takes(self) -> list[tuple[SampleSpec, int]]:
        """What is to be made: each spec and the number of its variation; one at each root, whose note ends its words.

        Raises pydantic's ValidationError when prompt and note are too long together.
        """
        specs = [self.spec]
        if self.roots and self.spec.complete().kind is Kind.PITCHED:
            specs = [
                SampleSpec.model_validate({**dict(self.spec), "prompt": f"{self.spec.prompt}, {root}"})
                for root in self.roots
            ]
        return [(spec, number) for spec in specs for number in range(self.variations)]


class GenerateBody(BaseModel):
    """``POST /generate`` of contracts A and B, and Socket.IO's ``generate``; ranges of a spec's fields are prompts'."""

    model_config = ConfigDict(extra="ignore", use_attribute_docstrings=True)

    format: Literal["base64", "wav", "wav24", "flac", "ogg", "mp3"] = "base64"
    """How the answer brings the audio."""
    wait: bool = True
    """false answers 202 with the task at once."""
    priority: Literal["player", "batch"] = "player"
    """batch: everybody who plays goes first."""
    name: SoundName | None = None
    """The sound to append to."""
    session: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    """Players who share bpm, key and new sounds."""
    variations: Annotated[int, Field(ge=1, le=MAX_VARIATIONS, strict=True)] = 1
    """So many seeds, each in a slot."""
    fresh: Annotated[bool, Field(strict=True)] = False
    """true makes a new sound even when these words were answered before."""
    make: Annotated[bool, Field(strict=True)] = True
    """false, over Socket.IO alone: refused with ``nearest`` when the name looks like a typing error of a kept one."""
    roots: Roots = ()
    """Notes at which a pitched sound is made, so that it sounds natural over octaves: c2, c3 and c4, say."""
    genre: Words | None = None
    mood: Words | None = None
    style: Words | None = None
    instruments: Annotated[list[Words], Field(max_length=16)] = Field(default_factory=list)
    tempo: Annotated[float, Field(strict=True, allow_inf_nan=False), AfterValidator(_finite_tempo)] | None = None
    target_bpm: Bpm | None = None
    bpm: Bpm | None = None
    seed: Seed | None = None
    random_seed: Seed | None = None
    duration: Duration | None = None
    duration_seconds: Duration | None = None
    guidance: Guidance | None = None
    cfg_coef: Guidance | None = None
    chords: Chords | None = None
    chord_progression: Chords | None = None

    @model_validator(mode="after")
    def _one_value(self) -> GenerateBody:
        for ours, others in SAME.items():
            values = {name: value for name in (ours, *others) if (value := getattr(self, name)) not in (None, ())}
            if len(set(values.values())) > 1:
                raise ValueError(f"{' and '.join(values)} mean the same and differ; give one of them")
        if len(self.roots) * self.variations > 2 * MAX_VARIATIONS:
            raise ValueError(f"roots times variations are at most {2 * MAX_VARIATIONS}; give fewer of them")
        return self

    def same(self, ours: str) -> Any:
        """The value of a field under whichever of its names it came."""
        values = (getattr(self, name) for name in (ours, *SAME[ours]))
        return next((value for value in values if value not in (None, ())), None)


class StemBody(GenerateBody):
    """``POST /generate_stem`` of contract A."""

    type: Annotated[str, Field(min_length=1, max_length=64)]
    """drums, bass, melody, voice, guitar, piano, synth, fx, other, or the name of a common stem."""
    prompt: Words | None = None
    kind: KindName | None = None
    bars: Annotated[int, Field(strict=True)] | None = None
    key: Key | None = None


def read_body(document: Any, model: type[GenerateBody]) -> tuple[dict[str, Any], GenerateBody]:
    """Validate a JSON document; ``null`` means absent, unknown fields are ignored.

    Raises pydantic's ValidationError, and InvalidRequest when the document is not an object.
    """
    if document is None:
        document = {}
    if not isinstance(document, Mapping):
        raise InvalidRequest('The body must be a JSON object, such as {"prompt": "dusty vinyl break"}.')
    present = {name: value for name, value in document.items() if value is not None}
    return present, model.model_validate(present)


def from_validation(error: ValidationError) -> InvalidRequest:
    """Turn pydantic's findings into one sentence that names the field."""
    first = error.errors(include_url=False, include_input=False)[0]
    location = first["loc"]
    field = ".".join(str(part) for part in location) or "body"
    text = first["msg"].removeprefix("Value error, ")
    if first["type"] == RESERVED:
        return InvalidRequest(f"{field}: {text}", code=RESERVED, field=field, offered=first["ctx"]["offered"])
    message = f"{field}: {text[:1].lower()}{text[1:]}" if text else f"{field} is not right"
    return InvalidRequest(message, field=field)


def generate_order(document: Any, *, guess_kind: bool = False) -> tuple[Order, GenerateBody]:
    """Read ``POST /generate``: without ``kind`` and ``bars`` the audio comes as the engine made it.

    ``guess_kind``: let the words decide instead (Socket.IO, command line); ``"kind": "auto"`` asks for that, too.
    """
    present, body = read_body(document, GenerateBody)
    kind = present.get("kind")
    if isinstance(kind, str) and kind.strip().lower() == "auto":
        kind = None
    elif kind is None and body.roots:
        kind = "pitched"
    elif kind is None and "bars" not in present and not guess_kind:
        kind = "raw"
    fields = _spec_fields(present, body) | {"kind": kind}
    if body.genre or body.mood or body.style or body.instruments:
        # Validated first: what is wrong with the prompt is said of the prompt, not of the text built from it.
        asked = SampleSpec.model_validate({name: value for name, value in fields.items() if value is not None})
        fields["prompt"] = build_prompt(
            prompt=asked.prompt, genre=body.genre, mood=body.mood, style=body.style, instruments=body.instruments
        )
    return _order(fields, body), body


def stem_order(document: Any) -> tuple[Order, StemBody]:
    """Read ``POST /generate_stem``: the prompt is built, the sound is ``musicgen_<type>``."""
    present, body = read_body(document, StemBody)
    assert isinstance(body, StemBody)  # noqa: S101  the model asked for
    try:
        stem = resolve_stem_type(body.type)
    except UnknownStemType as error:
        raise InvalidRequest(f"type: {error}", code="unknown_type", field="type", nearest=error.nearest) from None
    fields = _spec_fields(present, body)
    kind = body.kind or (None if body.bars is not None else "stem")
    fields["prompt"] = build_prompt(
        type=body.type,
        style=body.style,
        mood=body.mood,
        key=body.key,
        bpm=body.same("bpm"),
        genre=body.genre,
        instruments=tuple(body.instruments),
        chords=body.same("chords") or (),
        prompt=body.prompt,
    )
    fields["kind"] = kind
    order = _order(fields, body)
    if order.name is None:
        order = order.model_copy(update={"name": f"musicgen_{stem.name}", "numbered": True})
    return order, body


def _spec_fields(present: Mapping[str, Any], body: GenerateBody) -> dict[str, Any]:
    fields = {name: value for name, value in present.items() if name in SampleSpec.model_fields}
    return fields | {ours: body.same(ours) for ours in SAME}


def _order(fields: Mapping[str, Any], body: GenerateBody) -> Order:
    present = {name: value for name, value in fields.items() if value is not None}
    return Order(
        spec=SampleSpec.model_validate(present),
        name=body.name,
        session=body.session,
        variations=body.variations,
        fresh=body.fresh,
        roots=body.roots,
    )

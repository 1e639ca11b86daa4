"""The fields of a spec as types: each range is stated here, once, for the spec and for every wire model."""

from __future__ import annotations

import re
import unicodedata
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field, Strict

from prompts._chords import chord_name
from prompts._keys import canonical_key
from prompts._kind import Kind
from prompts._meter import canonical_meter

MAX_PROMPT: Final = 500
"""Characters in a prompt."""
MIN_SECONDS: Final = 0.1
"""The shortest sample in seconds."""
MAX_SECONDS: Final = 120.0
"""The longest sample in seconds."""

_LONGEST_LIST: Final = 1000
"""Characters in a text that is cut into a list: 32 chord names of 24 characters and what is between them."""

_BLANKS = str.maketrans(dict.fromkeys("\t\n\r\x0b\x0c\x85\u2028\u2029", " "))


def plain_text(text: str) -> str:
    """Return ``text`` stripped, line breaks and tabs turned into blanks.

    Raises ValueError for other control characters, lone surrogates, and text without any visible character.
    """
    text = text.translate(_BLANKS).strip()
    if any(unicodedata.category(character) in {"Cc", "Cs"} for character in text):
        raise ValueError("must be text without control characters")
    if all(unicodedata.category(character)[0] in "ZC" for character in text):
        raise ValueError("must not be empty; say in words what you want to hear")
    return text


def _at_most(limit: int) -> AfterValidator:
    def check(text: str) -> str:
        if len(text) > limit:
            raise ValueError(f"has {len(text)} characters; at most {limit} are allowed")
        return text

    return AfterValidator(check)


def _lower_case(value: object) -> object:
    return value.strip().lower() if isinstance(value, str) else value


def _split(value: object) -> object:
    if isinstance(value, str) and len(value) > _LONGEST_LIST:  # before it is cut, which takes long
        raise ValueError(f"has {len(value)} characters; at most {_LONGEST_LIST} are allowed")
    return re.split(r"[\s,|]+", value.strip(" \t,|")) if isinstance(value, str) else value


def _once(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))


def _ten_or_none(levels: tuple[float, ...]) -> tuple[float, ...]:
    if len(levels) not in {0, 10}:
        raise ValueError(f"are {len(levels)} levels; give ten, one for each octave from 31 Hz to 16 kHz, or none")
    return tuple(round(level, 1) for level in levels)


_Number = Annotated[float, Strict(), Field(allow_inf_nan=False)]
_Integer = Annotated[int, Strict()]

Prompt = Annotated[
    str,
    Strict(),
    AfterValidator(plain_text),
    _at_most(MAX_PROMPT),
    Field(json_schema_extra={"minLength": 1, "maxLength": MAX_PROMPT}),
]
"""What is to be heard, in words: 1 to 500 characters."""
KindName = Annotated[Kind, BeforeValidator(_lower_case)]
"""A kind, in any letter case."""
Duration = Annotated[_Number, Field(ge=MIN_SECONDS, le=MAX_SECONDS)]
"""Seconds."""
Bars = Annotated[_Integer, Field(ge=1, le=64)]
"""Bars; how many beats one has, the meter says."""
Bpm = Annotated[_Number, Field(ge=20, le=400)]
"""Quarter notes per minute."""
Meter = Annotated[
    str, Strict(), AfterValidator(canonical_meter), Field(json_schema_extra={"examples": ["4/4", "3/4", "7/8"]})
]
"""Time signature of 2 to 15 quarters or eighths: ``3/4``, ``7/8``."""
Key = Annotated[str, Strict(), AfterValidator(canonical_key)]
"""A key in any spelling that ``canonical_key`` reads; kept in its canonical one."""
Chords = Annotated[
    tuple[Annotated[str, Strict(), AfterValidator(chord_name)], ...],
    BeforeValidator(_split, json_schema_input_type=list[str] | str),
    Field(max_length=32),
]
"""At most 32 chord names, one a bar; a text is cut at blanks, commas and bar lines."""
Effects = Annotated[
    tuple[Annotated[str, Strict(), Field(pattern=r"^[a-z0-9_]{1,32}$")], ...],
    BeforeValidator(_split, json_schema_input_type=list[str] | str),
    AfterValidator(_once),
    Field(max_length=8),
]
"""At most 8 names of audio processors, applied in this order."""
Seed = Annotated[_Integer, Field(ge=0, le=2**32 - 1)]
"""Starts the random numbers: the same seed gives the same sound."""
EngineName = Annotated[str, Strict(), Field(pattern=r"^[a-z0-9_]{1,32}$")]
"""Name of an engine, or ``auto``."""
ModelName = Annotated[str, Strict(), AfterValidator(plain_text), _at_most(200)]
"""Hub id, size or folder of a model."""
Temperature = Annotated[_Number, Field(ge=0, le=2)]
"""How far the engine strays; 0 takes the likeliest code each time."""
TopK = Annotated[_Integer, Field(ge=0, le=500)]
"""Draw from this many likeliest codes; 0 = off."""
TopP = Annotated[_Number, Field(ge=0, le=1)]
"""Draw from the likeliest codes that together have this probability; 0 and 1 = off."""
Guidance = Annotated[_Number, Field(ge=0, le=10)]
"""Classifier-free guidance: how strictly the words are followed."""
Octaves = Annotated[
    tuple[Annotated[_Number, Field(ge=-60, le=0)], ...], Field(max_length=10), AfterValidator(_ten_or_none)
]
"""Level of ten octaves, from 31 Hz to 16 kHz, in dB under the loudest one."""
Beams = Annotated[_Integer, Field(ge=1, le=8)]
"""Candidates of which the best one is kept."""
RepetitionPenalty = Annotated[_Number, Field(ge=1, le=2)]
"""Above 1 makes codes that were used already less likely."""
QualityMode = Literal["draft", "balanced", "high"]
"""How much work a sound is worth: draft is the quickest, high the most exact."""
AudioId = Annotated[str, Strict(), Field(pattern=r"^[0-9a-f]{32}$")]
"""32 hexadecimal digits: an upload's ``audio_id``, or the id of a kept sample."""
SourceUse = Literal["melody", "continuation", "variation"]
"""What given audio is for: its tune is followed, it continues, or it is varied."""

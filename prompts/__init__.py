"""What a player asks for: specs, names, keywords, prompt text, search words.

A leaf: knows no audio, no HTTP, no torch, no disk.
"""

from prompts._building import build_prompt, structured_prompt
from prompts._chords import ChordSymbol, chord_name, read_chord
from prompts._fields import (
    MAX_PROMPT,
    MAX_SECONDS,
    MIN_SECONDS,
    AudioId,
    Bars,
    Beams,
    Bpm,
    Chords,
    Duration,
    Effects,
    EngineName,
    Guidance,
    Key,
    KindName,
    Meter,
    ModelName,
    Octaves,
    Prompt,
    QualityMode,
    RepetitionPenalty,
    Seed,
    SourceUse,
    Temperature,
    TopK,
    TopP,
)
from prompts._keys import PITCH_CLASSES, canonical_key, key_name
from prompts._keywords import MAX_COUNT, MAX_TOTAL, InvalidKeyword, Keyword, parse_keywords
from prompts._kind import Kind
from prompts._meter import bar_beats, canonical_meter
from prompts._mistyped import mistyped
from prompts._names import foreign_name, offered_name, reserved_name, slug, sound_aliases, sound_name, valid_name
from prompts._reading import LONGEST_HIT, LONGEST_SINGLE, bpm_in, key_in
from prompts._search import nearest, terms, words_to_find
from prompts._spec import DEFAULT_BARS, DEFAULT_BPM, NATURAL_SECONDS, SampleSpec
from prompts._spelling import respelled
from prompts._stems import (
    Stem,
    StemType,
    UnknownStemType,
    common_stems,
    example_prompts,
    resolve_stem_type,
)
from prompts._wording import affirmed, worded

__all__ = [
    "DEFAULT_BARS",
    "DEFAULT_BPM",
    "LONGEST_HIT",
    "LONGEST_SINGLE",
    "MAX_COUNT",
    "MAX_PROMPT",
    "MAX_SECONDS",
    "MAX_TOTAL",
    "MIN_SECONDS",
    "NATURAL_SECONDS",
    "PITCH_CLASSES",
    "AudioId",
    "Bars",
    "Beams",
    "Bpm",
    "ChordSymbol",
    "Chords",
    "Duration",
    "Effects",
    "EngineName",
    "Guidance",
    "InvalidKeyword",
    "Key",
    "Keyword",
    "Kind",
    "KindName",
    "Meter",
    "ModelName",
    "Octaves",
    "Prompt",
    "QualityMode",
    "RepetitionPenalty",
    "SampleSpec",
    "Seed",
    "SourceUse",
    "Stem",
    "StemType",
    "Temperature",
    "TopK",
    "TopP",
    "UnknownStemType",
    "affirmed",
    "bar_beats",
    "bpm_in",
    "build_prompt",
    "canonical_key",
    "canonical_meter",
    "chord_name",
    "common_stems",
    "example_prompts",
    "foreign_name",
    "key_in",
    "key_name",
    "mistyped",
    "nearest",
    "offered_name",
    "parse_keywords",
    "read_chord",
    "reserved_name",
    "resolve_stem_type",
    "respelled",
    "slug",
    "sound_aliases",
    "sound_name",
    "structured_prompt",
    "terms",
    "valid_name",
    "worded",
    "words_to_find",
]

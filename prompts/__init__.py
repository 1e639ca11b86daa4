"""What a player asks for: specs, names, keywords, prompt text, search words.

A leaf: knows no audio, no HTTP, no torch, no disk.
"""

from prompts._fields import (
    MAX_PROMPT,
    MAX_SECONDS,
    MIN_SECONDS,
    Bars,
    Beams,
    Bpm,
    Duration,
    EngineName,
    Guidance,
    Key,
    KindName,
    ModelName,
    Prompt,
    RepetitionPenalty,
    Seed,
    Temperature,
    TopK,
    TopP,
)
from prompts._keys import PITCH_CLASSES, canonical_key, key_name
from prompts._kind import Kind
from prompts._names import slug, sound_aliases, sound_name, valid_name
from prompts._spec import DEFAULT_BARS, DEFAULT_BPM, NATURAL_SECONDS, SampleSpec

__all__ = [
    "DEFAULT_BARS",
    "DEFAULT_BPM",
    "MAX_PROMPT",
    "MAX_SECONDS",
    "MIN_SECONDS",
    "NATURAL_SECONDS",
    "PITCH_CLASSES",
    "Bars",
    "Beams",
    "Bpm",
    "Duration",
    "EngineName",
    "Guidance",
    "Key",
    "Kind",
    "KindName",
    "ModelName",
    "Prompt",
    "RepetitionPenalty",
    "SampleSpec",
    "Seed",
    "Temperature",
    "TopK",
    "TopP",
    "canonical_key",
    "key_name",
    "slug",
    "sound_aliases",
    "sound_name",
    "valid_name",
]

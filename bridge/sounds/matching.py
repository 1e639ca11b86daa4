"""Which of the sounds that a search found are what the words say exactly."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from bridge.audio.facts import SampleFacts
from bridge.errors import NotFound
from cache import Sound
from prompts import Kind, bpm_in, key_in, slug, words_to_find

CANDIDATES: Final = 60
"""Sounds that are compared with the words."""
_SAME_TEMPO: Final = 0.5
"""Beats per minute."""

_WITHOUT_TEMPO: Final = frozenset({Kind.ONESHOT, Kind.PITCHED, Kind.TEXTURE})
"""These play at any tempo."""


def ranked(keyword: str, found: Sequence[Sound]) -> list[Sound]:
    """Put the exact ones first: the name is the text, then the prompt is, then all words are there with key and tempo.

    The others stay in their order.
    """
    return sorted(found, key=lambda sound: _rank(keyword, sound))


def best(keyword: str, found: Sequence[Sound]) -> Sound:
    """Return the first of ``found`` (not empty, ranked), or the first that has the tempo of the words.

    Raises NotFound with the nearest ones where only sounds of other tempos are there.
    """
    first, bpm = found[0], bpm_in(keyword)
    if bpm is None or _rank(keyword, first) < 2 or _has_tempo(first, bpm, unknown=True):
        return first
    for sound in found:
        if _has_tempo(sound, bpm, unknown=False):
            return sound
    near = [_told(sound) for sound in found[:5]]
    raise NotFound(
        f"No sound like '{keyword[:64]}' has {bpm:g} bpm. The nearest is '{first.name}' with {near[0]['bpm']:g} bpm; "
        "POST /generate with `body` makes yours.",
        code="unknown_sound",
        nearest=[each["name"] for each in near],
        nearest_sounds=near,
        body={"prompt": keyword[:500], "kind": "auto"},
    )


def _rank(keyword: str, sound: Sound) -> int:
    facts = SampleFacts.of(sound.facts)
    wanted = slug(keyword)
    if wanted in {name.removeprefix("gen_").removeprefix("musicgen_") for name in (sound.name, *sound.aliases)}:
        return 0
    if facts.prompt.casefold().split() == keyword.casefold().split():
        return 1
    words = words_to_find(keyword)
    there = words_to_find(f"{facts.prompt} {sound.name.replace('_', ' ')}")
    bpm, key = bpm_in(keyword), key_in(keyword)
    fits = (bpm is None or _has_tempo(sound, bpm, unknown=False)) and (key is None or facts.key == key)
    return 2 if len(words) > 1 and words <= there and fits and not facts.flags else 3


def _has_tempo(sound: Sound, bpm: float, *, unknown: bool) -> bool:
    facts = SampleFacts.of(sound.facts)
    if facts.bpm is None or facts.kind in _WITHOUT_TEMPO:
        return unknown
    return abs(facts.bpm - bpm) < _SAME_TEMPO


def _told(sound: Sound) -> dict[str, Any]:
    facts = SampleFacts.of(sound.facts)
    return {"name": sound.name, "bpm": facts.bpm, "key": facts.key}

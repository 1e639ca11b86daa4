"""Which of the sounds that a search found are what the words say exactly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
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
    wanted = _Wanted.of(keyword)
    return sorted(found, key=wanted.rank)


def best(keyword: str, found: Sequence[Sound]) -> Sound:
    """Return the first of ``found`` (not empty, ranked), or the first that has the tempo of the words.

    Raises NotFound with the nearest ones where only sounds of other tempos are there.
    """
    wanted = _Wanted.of(keyword)
    first, bpm = found[0], wanted.bpm
    if bpm is None or wanted.rank(first) < 2 or _has_tempo(first, bpm, unknown=True):
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


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What the words of one search say, read once for all the sounds that they are compared with."""

    name: str
    prompt: list[str]
    words: frozenset[str]
    bpm: float | None
    key: str | None

    @classmethod
    def of(cls, keyword: str) -> _Wanted:
        return cls(slug(keyword), keyword.casefold().split(), words_to_find(keyword), bpm_in(keyword), key_in(keyword))

    def rank(self, sound: Sound) -> int:
        """How exactly a sound is meant: 0 by its name, 1 by its prompt, 2 by all words with key and tempo, 3 less."""
        facts = SampleFacts.of(sound.facts)
        names = (sound.name, *sound.aliases)
        if self.name in {name.removeprefix("gen_").removeprefix("musicgen_") for name in names}:
            return 0
        if facts.prompt.casefold().split() == self.prompt:
            return 1
        if len(self.words) < 2 or facts.flags or (self.key is not None and facts.key != self.key):
            return 3
        if self.bpm is not None and not _has_tempo(sound, self.bpm, unknown=False):
            return 3
        return 2 if self.words <= words_to_find(f"{facts.prompt} {sound.name}") else 3


def _has_tempo(sound: Sound, bpm: float, *, unknown: bool) -> bool:
    facts = SampleFacts.of(sound.facts)
    if facts.bpm is None or facts.kind in _WITHOUT_TEMPO:
        return unknown
    return abs(facts.bpm - bpm) < _SAME_TEMPO


def _told(sound: Sound) -> dict[str, Any]:
    facts = SampleFacts.of(sound.facts)
    return {"name": sound.name, "bpm": facts.bpm, "key": facts.key}

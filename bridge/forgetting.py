"""Forgetting the words that sounds were made of: in the catalogue, in files, and in the journal of tasks."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bridge.audio import tags
from bridge.facts import search_terms
from bridge.service import SampleService
from bridge.stems import forget_words
from bridge.usage import forget_usage
from cache import Facts, Forgetting, Sound
from prompts import sound_name


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What was concerned."""

    names: tuple[str, ...]
    """Of the sounds, as they are called now."""
    samples: int
    """How many samples they have."""


async def forget(service: SampleService, name: str | None = None, *, names_too: bool = False) -> Forgotten:
    """Forget the prompts of one sound, or without a name of all; the sounds go on playing.

    ``names_too``: every sound of them gets a name that says nothing, and loses all others.

    Files, search terms and ended tasks go with the prompts. What is being made keeps its own; what other programs have
    copied or cached is out of reach.

    Raises NotFound, StorageFull.
    """
    library = service.library
    sound = await library.sound(name) if name is not None else None
    how = Forgetting(
        facts=without_prompt,
        file=tags.without_prompt,
        terms=_terms,
        name=_nameless if names_too else None,
    )
    sounds = (await library.forget(sound.name if sound else None, how)).sounds
    spec_ids = {slot.spec_id for each in sounds for slot in each.slots}
    await service.queue.forget(None if sound is None else spec_ids, () if sound is None else (sound.name,))
    samples = {slot.sample_id for each in sounds for slot in each.slots}
    folder = service.settings.data_dir
    await asyncio.to_thread(forget_words, folder, samples if sound else None)
    await asyncio.to_thread(forget_usage, folder, None if sound is None else {sound.name, *sound.aliases})
    return Forgotten(tuple(each.name for each in sounds), len(samples))


def without_prompt(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Take the words out of a sample's facts; the fields stay, empty."""
    spec = facts.get("spec")
    kept = {**facts, "prompt": ""}
    return {**kept, "spec": {**spec, "prompt": ""}} if isinstance(spec, Mapping) else kept


def _terms(sound: Sound, slots: Sequence[Facts]) -> dict[str, float]:
    found: dict[str, float] = {}
    for prompt in ("", *(str(facts.get("prompt", "")) for facts in slots)):
        for word, weight in search_terms(prompt, sound.name, sound.aliases).items():
            found[word] = max(found.get(word, 0.0), weight)
    return found


def _nameless(sound: Sound) -> str:
    return sound_name("", sound.slot.spec_id)

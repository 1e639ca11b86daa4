"""Forgetting the words that sounds were made of, wherever in the data folder they are kept.

Whatever keeps words has a keeper here, which is called with what is to be forgotten. The store comes first, as it says
which sounds are concerned; then every keeper, in the order in which they registered. A module below this one is named
here; one above calls ``register``.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from bridge.audio.files import tags
from bridge.errors import BridgeError
from bridge.exchange.stems import forget_words
from bridge.monitoring.usage_log import forget_usage
from bridge.rights.redacting import without_words
from bridge.sets import forget_in_sets
from bridge.sounds.facts import search_terms
from bridge.sounds.service import SampleService
from bridge.system.disk import on_disk
from bridge.system.ledgers import forget_set_aside
from bridge.system.threads import FILES, WRITES
from cache import Facts, Forgetting, Sound
from prompts import sound_name

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Words:
    """Whose words are to be forgotten."""

    names: frozenset[str] | None
    """Name and aliases of the sound; None: the words of all sounds."""
    spec_ids: frozenset[str]
    sample_ids: frozenset[str]
    prompts: frozenset[str]
    """The words themselves, as they were asked with."""
    renamed: Mapping[str, str]
    """Old name to new one, of sounds whose names go too."""


Forget: TypeAlias = Callable[[SampleService, Words], Awaitable[None]]
_KEEPERS: dict[str, Forget] = {}
_owed: set[str] = set()
"""Prompts that the store has forgotten and a keeper has not, since it failed: told again the next time."""


def register(what: str, forget_there: Forget) -> None:
    """Name something that keeps words, and how it forgets them; the same name takes the earlier one's place."""
    _KEEPERS[what] = forget_there


def keepers() -> tuple[str, ...]:
    """What keeps words, besides the store."""
    return tuple(_KEEPERS)


@dataclass(frozen=True, slots=True)
class Wiped:
    """What was concerned."""

    names: tuple[str, ...]
    """Of the sounds, as they are called now."""
    samples: int
    """How many samples they have."""


async def forget(service: SampleService, name: str | None = None, *, names_too: bool = False) -> Wiped:
    """Forget the prompts of one sound, or without a name of all; the sounds keep playing.

    ``names_too``: every sound of them gets a name that says nothing, and loses all others.

    Files, search terms and ended tasks go with the prompts, and so do damaged files that were set aside. What is being
    made keeps its own; backups, and what other programs have copied or cached, are out of reach.

    Raises NotFound, StorageFull, DiskFailed: it is to be asked for again then, and has gone as far as it could.
    """
    library = service.library
    sound = await library.sound(name) if name is not None else None
    prompts, renamed = set(_owed), dict[str, str]()

    def facts(known: dict[str, Any]) -> dict[str, Any]:
        prompts.add(str(known.get("prompt", "")))
        return without_words(known)

    def nameless(known: Sound) -> str:
        new = _nameless(known)
        renamed.update(dict.fromkeys((known.name, *known.aliases), new))
        return new

    how = Forgetting(
        facts=facts,
        file=tags.without_prompt,
        terms=_terms,
        name=nameless if names_too else None,
    )
    published = await library.forget(sound.name if sound else None, how)
    sounds = published.sounds
    for event in published.events:  # as they are called in the end
        if isinstance(new := event.data.get("renamed_to"), str):
            renamed.update(dict.fromkeys((event.data["name"], *event.data["aliases"]), new))
    words = Words(
        None if sound is None else frozenset({sound.name, *sound.aliases}),
        frozenset(slot.spec_id for each in sounds for slot in each.slots),
        frozenset(slot.sample_id for each in sounds for slot in each.slots),
        frozenset(prompts - {""}),
        renamed,
    )
    failed: BridgeError | None = None
    for what, forget_there in _KEEPERS.items():
        try:
            await forget_there(service, words)
        except BridgeError as error:  # the others are not kept from forgetting
            logger.warning("words in %s could not be forgotten: %s", what, error.message)
            failed = failed or error
    if failed is not None:
        _owed.update(words.prompts)
        raise failed
    _owed.clear()
    return Wiped(tuple(each.name for each in sounds), len(words.sample_ids))


async def _in_journal(service: SampleService, words: Words) -> None:
    if words.names is None:
        await service.queue.forget(None)
    else:
        await service.queue.forget(words.spec_ids, words.names)


async def _in_stems(service: SampleService, words: Words) -> None:
    await FILES.run(forget_words, service.settings.data_dir, None if words.names is None else words.sample_ids)


async def _in_usage(service: SampleService, words: Words) -> None:
    await WRITES.run(forget_usage, service.settings.data_dir, words.names)


async def _in_files_set_aside(service: SampleService, _: Words) -> None:
    await FILES.run(forget_set_aside, service.settings.data_dir)


register("the journal of jobs", _in_journal)
register("requests for stems and their files", _in_stems)
register("the usage log", _in_usage)


async def _in_sets(service: SampleService, words: Words) -> None:
    data = service.settings.data_dir

    def forget_there() -> None:
        with on_disk(data):
            forget_in_sets(data, words.prompts, words.renamed)

    await FILES.run(forget_there)


register("sets", _in_sets)
register("damaged files that were set aside", _in_files_set_aside)


def _terms(sound: Sound, slots: Sequence[Facts]) -> dict[str, float]:
    found: dict[str, float] = {}
    for prompt in ("", *(str(facts.get("prompt", "")) for facts in slots)):
        for word, weight in search_terms(prompt, sound.name, sound.aliases).items():
            found[word] = max(found.get(word, 0.0), weight)
    return found


def _nameless(sound: Sound) -> str:
    return sound_name("", sound.slot.spec_id)

"""Rebuilding a data folder's catalogue: what the tags of a master tell, in the words of the library."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

import cache
from bridge.audio.facts import SampleFacts
from bridge.audio.files import tags
from bridge.audio.files.provenance import facts_in
from bridge.sounds.facts import search_terms
from cache import Facts, Rebuilding, Rebuilt, Told
from prompts import SampleSpec, sound_name


def rebuild(data_dir: Path) -> Rebuilt:
    """Rebuild the catalogue of a data folder that no server has open. Raises cache.StoreError, see cache.rebuild."""
    return cache.rebuild(data_dir, Rebuilding(tell=tell, terms=_terms))


def tell(data: bytes) -> Told:
    """Read a master's provenance as the facts of its sample, as well as they can be had."""
    found = tags.read(data)[1] or {}
    try:
        facts = facts_in(found)
    except (TypeError, ValueError, AttributeError):  # a document of another program, or of a later version
        facts = SampleFacts()
    aliases = (sound_name(facts.prompt),) if facts.prompt else ()
    return Told(facts.as_json(), _spec_id(facts), aliases, _moment(facts.created_at))


def _spec_id(facts: SampleFacts) -> str | None:
    """The identity of what was asked for, where the document has all of it."""
    try:
        return SampleSpec.model_validate(facts.spec).spec_id(facts.recipe) if facts.recipe else None
    except ValueError:
        return None


def _terms(name: str, aliases: Sequence[str], facts: Facts) -> Mapping[str, float]:
    return search_terms(SampleFacts.of(facts).prompt, name, aliases)


def _moment(text: str) -> float:
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return 0.0

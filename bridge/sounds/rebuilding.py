"""Rebuilding a data folder's catalogue: what the tags of a master tell, in the words of the library."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import cache
from bridge.audio.files import tags
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
        facts = _facts(found)
    except (TypeError, ValueError, AttributeError):  # a document of another program, or of a later version
        facts = _facts({})
    prompt = facts["prompt"]
    return Told(facts, _spec_id(facts), (sound_name(prompt),) if prompt else (), _moment(facts["created_at"]))


def _facts(found: Mapping[str, Any]) -> dict[str, Any]:
    engine, music, audio = (dict(found.get(part) or {}) for part in ("engine", "music", "audio"))
    parameters = dict(found.get("parameters") or {})
    prompt = str(found.get("prompt") or "")
    rate, frames = int(audio.get("rate_hz") or 0), int(audio.get("frames") or 0)
    seconds = frames / rate if rate else 0.0
    spec = {
        **parameters,
        "duration": seconds or None,
        "prompt": prompt,
        "seed": found.get("seed"),
        "engine": engine.get("name") or "",
        "model": engine.get("model"),
        **{name: music.get(name) for name in ("kind", "bpm", "bars", "key", "meter")},
    }
    return {
        "prompt": prompt,
        "kind": str(music.get("kind") or "oneshot"),
        "seconds": seconds,
        **{name: music.get(name) for name in ("bpm", "bars", "beats", "key", "meter", "root")},
        "chords": list(parameters.get("chords") or ()),
        "seed": found.get("seed"),
        "engine": str(engine.get("name") or ""),
        "revision": str(engine.get("revision") or ""),
        "model": engine.get("model"),
        "licence": str(engine.get("licence") or ""),
        "commercial": bool(engine.get("commercial")),
        "digital_source_type": str(found.get("digital_source_type") or "algorithmicMedia"),
        "recipe": str(found.get("recipe") or ""),
        "version": str(found.get("made_by") or "").rpartition(" ")[2],
        "parents": list(found.get("parents") or ()),
        "flags": list(found.get("flags") or ()),
        "score": found.get("score"),
        "measures": dict(found.get("measures") or {}),
        "decisions": list(found.get("decisions") or ()),
        "spec": spec,
        "created_at": str(found.get("created_at") or ""),
    }


def _spec_id(facts: Mapping[str, Any]) -> str | None:
    """The identity of what was asked for, where the document has all of it."""
    try:
        return SampleSpec.model_validate(facts["spec"]).spec_id(facts["recipe"]) if facts["recipe"] else None
    except ValueError:
        return None


def _terms(name: str, aliases: Sequence[str], facts: Facts) -> Mapping[str, float]:
    return search_terms(str(facts.get("prompt") or ""), name, aliases)


def _moment(text: str) -> float:
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return 0.0

"""Provenance: one JSON document that says how a sound came to be. It travels in every file and in the catalogue.

Its fields are described in docs/provenance.md. Built from a sample's facts alone, so that a file made again a year
later carries the same words.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from bridge.audio.facts import SampleFacts

SCHEMA = "sample-bridge/provenance/1"
"""Named in every document; a later version only adds fields, or counts up."""
PROGRAM = "sample-bridge"
SOURCE_TYPES = "http://cv.iptc.org/newscodes/digitalsourcetype/"
"""IPTC's vocabulary of digital source types; ours are trainedAlgorithmicMedia and algorithmicMedia."""

_LARGEST = 1 << 20
"""Characters; our provenance is never longer, and a stranger's file may say anything."""
_OWN_FIELDS = ("prompt", "seed", "engine", "model", "kind", "bpm", "bars", "key", "duration", "meter")
"""Of a spec: those that the document has in places of their own."""


_OF_ENGINE = ("revision", "model", "licence", "commercial")
_OF_MUSIC = ("kind", "bpm", "bars", "beats", "meter", "key", "root")
_OF_MAKING = ("recipe", "decisions", "measures", "flags", "score", "parents")
"""Facts that the document shows under their own names: in ``engine``, in ``music``, and at its end."""


def document(
    facts: SampleFacts, *, sample_id: str, rate: int, channels: int, frames: int, prompts: bool = True
) -> dict[str, Any]:
    """Build the document of a sample. ``rate`` in Hz; ``prompts`` False leaves the words away."""
    return {
        "schema": SCHEMA,
        "made_by": f"{PROGRAM} {facts.version}".strip(),
        "created_at": facts.created_at,
        "sample_id": sample_id,
        "digital_source_type": facts.digital_source_type,
        "digital_source_type_uri": SOURCE_TYPES + facts.digital_source_type,
        "engine": {"name": facts.engine, **facts.some(_OF_ENGINE)},
        "prompt": facts.prompt if prompts else "",
        "seed": facts.seed,
        "parameters": {
            name: value for name, value in facts.spec.items() if name not in _OWN_FIELDS and value is not None
        },
        "music": facts.some(_OF_MUSIC),
        "audio": {"rate_hz": rate, "channels": channels, "frames": frames},
        **facts.some(_OF_MAKING),
    }


def facts_in(found: Mapping[str, Any]) -> SampleFacts:
    """Read a document's facts back, as well as they can be had. Raises ValueError, TypeError or AttributeError."""
    engine, music, audio, parameters = (
        dict(found.get(part) or {}) for part in ("engine", "music", "audio", "parameters")
    )
    rate, frames = int(audio.get("rate_hz") or 0), int(audio.get("frames") or 0)
    told = {
        **{name: found.get(name) for name in ("prompt", "seed", "digital_source_type", "created_at", *_OF_MAKING)},
        **{name: music.get(name) for name in _OF_MUSIC},
        **{name: engine.get(name) for name in _OF_ENGINE},
        "engine": engine.get("name"),
        "version": str(found.get("made_by") or "").rpartition(" ")[2],
        "chords": parameters.get("chords"),
        "seconds": frames / rate if rate else 0.0,
    }
    facts = SampleFacts.found(told)
    asked = facts.some([name for name in _OWN_FIELDS if name != "duration"])
    return facts.but(spec={**parameters, **asked, "duration": facts.seconds or None})


def statement(found: Mapping[str, Any]) -> str:
    """Say the most important in one sentence, for programs that show a comment and read no JSON."""
    engine = found.get("engine", {})
    model = f" ({engine['model']})" if engine.get("model") else ""
    return (
        f"Made by {found.get('made_by', PROGRAM)} with {engine.get('name') or 'an unknown engine'}{model}; "
        f"{found.get('digital_source_type')}; licence {engine.get('licence') or 'unknown'}."
    )


def to_text(found: Mapping[str, Any]) -> str:
    """Write a document as one line of ASCII: there are chunks and tags that know no other letters."""
    return json.dumps(found, allow_nan=False, separators=(",", ":"))


def from_text(text: str) -> dict[str, Any] | None:
    """Read a document; None when the text is not a document of ours."""
    if len(text) > _LARGEST or SCHEMA.rpartition("/")[0] not in text:
        return None
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict) or not str(found.get("schema", "")).startswith(SCHEMA.rpartition("/")[0] + "/"):
        return None
    return found


def without_prompt(found: Mapping[str, Any]) -> dict[str, Any]:
    """Take the words out of a document. What is left is never longer than it was."""
    return {**found, "prompt": ""}

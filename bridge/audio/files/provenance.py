"""Provenance: one JSON document that says how a sound came to be. It travels in every file and in the catalogue.

Its fields are described in docs/provenance.md. Built from a sample's facts alone, so that a file made again a year
later carries the same words.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

SCHEMA = "sample-bridge/provenance/1"
"""Named in every document; a later version only adds fields, or counts up."""
PROGRAM = "sample-bridge"
SOURCE_TYPES = "http://cv.iptc.org/newscodes/digitalsourcetype/"
"""IPTC's vocabulary of digital source types; ours are trainedAlgorithmicMedia and algorithmicMedia."""

_LARGEST = 1 << 20
"""Characters; nobody's provenance is longer, and a stranger's file may say anything."""
_OWN_FIELDS = ("prompt", "seed", "engine", "model", "kind", "bpm", "bars", "key", "duration", "meter")
"""Of a spec: those that the document has in places of their own."""


def document(
    facts: Mapping[str, Any], *, sample_id: str, rate: int, channels: int, frames: int, prompts: bool = True
) -> dict[str, Any]:
    """Build the document of a sample. ``rate`` in Hz; ``prompts`` False leaves the words away."""
    source_type = facts.get("digital_source_type", "algorithmicMedia")
    return {
        "schema": SCHEMA,
        "made_by": f"{PROGRAM} {facts.get('version', '')}".strip(),
        "created_at": facts.get("created_at", ""),
        "sample_id": sample_id,
        "digital_source_type": source_type,
        "digital_source_type_uri": SOURCE_TYPES + source_type,
        "engine": {
            "name": facts.get("engine", ""),
            "revision": facts.get("revision", ""),
            "model": facts.get("model"),
            "licence": facts.get("licence", ""),
            "commercial": bool(facts.get("commercial")),
        },
        "prompt": facts.get("prompt", "") if prompts else "",
        "seed": facts.get("seed"),
        "parameters": _parameters(facts.get("spec")),
        "music": {name: facts.get(name) for name in ("kind", "bpm", "bars", "beats", "meter", "key", "root")},
        "audio": {"rate_hz": rate, "channels": channels, "frames": frames},
        "recipe": facts.get("recipe", ""),
        "decisions": facts.get("decisions", []),
        "measures": facts.get("measures", {}),
        "flags": facts.get("flags", []),
        "score": facts.get("score"),
        "parents": facts.get("parents", []),
    }


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
    """Read a document; None when the text is no document of ours."""
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


def _parameters(spec: object) -> dict[str, Any]:
    if not isinstance(spec, Mapping):
        return {}
    return {name: value for name, value in spec.items() if name not in _OWN_FIELDS and value is not None}

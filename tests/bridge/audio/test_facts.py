"""The facts of a sample, and that whoever shows some of them takes them from the one place."""

from __future__ import annotations

import dataclasses
import json
import re
import types
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Union, get_args, get_origin, get_type_hints

import pytest

from bridge.api.description.shapes import SoundFacts
from bridge.audio.facts import SampleFacts
from bridge.audio.files import provenance
from bridge.events import SoundMessage, Urls, sound_message

REPOSITORY = Path(__file__).parents[3]
FACTS = get_type_hints(SampleFacts)
OF_THE_SOUND = {"revision"}
"""In a message this is how often the sound has changed, not the engine's version."""
AUDIO = {"sample_id": "ab" * 16, "rate": 44100, "channels": 2, "frames": 22050}


@pytest.mark.parametrize("shape", [SoundMessage, SoundFacts])
def test_who_shows_a_fact_gives_it_the_type_that_it_has(shape: type) -> None:
    shown = {name: hint for name, hint in get_type_hints(shape).items() if name in FACTS.keys() - OF_THE_SOUND}
    assert len(shown) > 8
    assert shown == {name: FACTS[name] for name in shown}


def in_typescript(hint: Any) -> str:
    """A type of a message as the page writes it."""
    if hint == Urls:
        return "SoundUrls"
    if get_origin(hint) in (Union, types.UnionType):
        return " | ".join(in_typescript(each) for each in get_args(hint))
    if get_origin(hint) in (list, Sequence):
        return f"{in_typescript(get_args(hint)[0])}[]"
    return {str: "string", bool: "boolean", int: "number", float: "number", type(None): "null"}[hint]


def test_the_pages_type_of_a_sound_has_the_fields_of_the_message_and_their_types() -> None:
    text = (REPOSITORY / "web_client" / "src" / "protocol.ts").read_text("utf-8")
    (body,) = re.findall(r"^export interface Sound {\n(.*?)^}", text, re.MULTILINE | re.DOTALL)
    written = dict(re.findall(r"^  (\w+): (.+);$", body, re.MULTILINE))
    told = {name: in_typescript(hint) for name, hint in get_type_hints(SoundMessage).items()}
    # The page may take a number that it cannot read for null.
    assert {
        name: kind if kind == told.get(name) else kind.removesuffix(" | null") for name, kind in written.items()
    } == told


def test_facts_of_an_older_version_are_read_and_every_part_tells_them() -> None:
    old = SampleFacts.of({"prompt": "kick", "seconds": 0.5, "bars": None, "shimmer": 0.25})
    assert (old.kind, old.flags, old.licence, old.commercial) == ("oneshot", [], "", False)
    assert old.as_json()["shimmer"] == 0.25, "what an engine remarked stays with them"
    assert old.but(bpm=92.0).as_json() == {**old.as_json(), "bpm": 92.0}
    slots = [{"sample_id": "ab" * 16, "standin": False, "root": None}]
    snapshot = {"name": "kick", "aliases": [], "n": 0, "standin": False, "revision": 1, "slots": slots}
    message = sound_message(7, {**snapshot, "facts": {"prompt": "kick", "seconds": 0.5}})
    assert list(message) == list(SoundMessage.__annotations__)
    assert (message["revision"], message["strudel"]) == (1, 's("kick")')
    assert provenance.document(old, **AUDIO)["music"]["kind"] == "oneshot"


def test_facts_are_frozen_and_json() -> None:
    facts = SampleFacts.of({"prompt": "kick"})
    with pytest.raises(dataclasses.FrozenInstanceError):
        facts.prompt = "snare"  # type: ignore[misc]
    assert SampleFacts.of(json.loads(json.dumps(facts.as_json()))) == facts


def test_a_document_of_a_file_gives_back_the_facts_that_it_was_made_of() -> None:
    facts = SampleFacts(
        prompt="dusty break", kind="loop", seconds=0.5, bpm=92.0, bars=2, beats=8.0, key="fm", meter="4/4",
        chords=["fm"], root="c3", seed=7, engine="musicgen", revision="3", model="small", licence="CC0-1.0",
        commercial=True, digital_source_type="trainedAlgorithmicMedia", recipe="musicgen/3/finish-3", version="1.0",
        parents=["cd" * 16], flags=["off_grid"], score=0.5, measures={"lufs": -13.0}, decisions=["stretched"],
        created_at="2026-11-20T11:27:36Z",
    )  # fmt: skip
    asked = facts.but(spec={"prompt": "dusty break", "chords": ["fm"], "guidance": 3.0})
    found = provenance.facts_in(provenance.document(asked, **AUDIO))
    assert found.but(spec={}) == facts
    assert (found.spec["guidance"], found.spec["duration"], found.spec["bpm"]) == (3.0, 0.5, 92.0)


@pytest.mark.parametrize("wrong", [{"flags": 5}, {"engine": 5}, {"measures": ["x"]}, {"audio": {"rate_hz": "fast"}}])
def test_a_document_that_is_not_ours_is_refused_with_an_error_that_rebuilding_knows(wrong: dict[str, Any]) -> None:
    with pytest.raises((TypeError, ValueError, AttributeError)):
        provenance.facts_in(wrong)
    assert provenance.facts_in({"prompt": 5, "engine": {"licence": 7}}).prompt == "5"

"""The document that says how a sound came to be."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from bridge.audio.facts import SampleFacts
from bridge.audio.files import provenance

AUDIO = {"sample_id": "ab" * 16, "rate": 44100, "channels": 2, "frames": 1000}
FACTS = {
    "prompt": "dusty «break»",
    "kind": "loop",
    "bpm": 92.0,
    "bars": 2,
    "beats": 8.0,
    "key": "fm",
    "root": None,
    "seed": 7,
    "engine": "musicgen",
    "revision": "3",
    "model": "facebook/musicgen-small",
    "licence": "CC-BY-NC-4.0",
    "commercial": False,
    "digital_source_type": "trainedAlgorithmicMedia",
    "recipe": "musicgen/3/finish-1",
    "flags": ["off_grid"],
    "measures": {"lufs": -13.0},
    "decisions": ["stretched by 1.01"],
    "version": "0.1.0",
    "spec": {"prompt": "dusty «break»", "seed": 7, "guidance": 3.0, "model": None},
    "created_at": "2026-11-20T11:27:36Z",
}


def test_the_document_has_everything_that_the_facts_know() -> None:
    found = provenance.document(SampleFacts.of(FACTS), **AUDIO)
    assert found["schema"] == provenance.SCHEMA
    assert found["engine"] == {
        "name": "musicgen",
        "revision": "3",
        "model": "facebook/musicgen-small",
        "licence": "CC-BY-NC-4.0",
        "commercial": False,
    }
    assert found["digital_source_type_uri"].endswith("/digitalsourcetype/trainedAlgorithmicMedia")
    assert (found["prompt"], found["seed"], found["parameters"]) == ("dusty «break»", 7, {"guidance": 3.0})
    assert (found["decisions"], found["flags"], found["measures"]) == (
        FACTS["decisions"],
        FACTS["flags"],
        FACTS["measures"],
    )
    assert found["music"]["bars"] == 2
    assert found["audio"] == {"rate_hz": 44100, "channels": 2, "frames": 1000}
    assert found["parents"] == []


def test_facts_of_an_older_version_make_a_document_too() -> None:
    found = provenance.document(SampleFacts.of({"prompt": "kick"}), **AUDIO)
    assert found["engine"]["name"] == ""
    assert "unknown" in provenance.statement(found)


def test_without_prompts_no_word_of_them_is_anywhere() -> None:
    for found in (
        provenance.document(SampleFacts.of(FACTS), **AUDIO, prompts=False),
        provenance.without_prompt(provenance.document(SampleFacts.of(FACTS), **AUDIO)),
    ):
        assert "dusty" not in json.dumps(found)
        assert found["prompt"] == ""


def test_the_text_is_one_line_of_ascii_and_comes_back() -> None:
    found = provenance.document(SampleFacts.of(FACTS), **AUDIO)
    text = provenance.to_text(found)
    assert text.isascii()
    assert "\n" not in text
    assert provenance.from_text(text + "   ") == found
    assert len(provenance.to_text(provenance.without_prompt(found))) < len(text)


@pytest.mark.parametrize(
    "text",
    ["", "a comment", "{}", "[]", '{"schema": "other/1"}', '"sample-bridge/provenance/1"',
     '{"schema": "sample-bridge/provenance/1"',
     "[" * 5000 + '"sample-bridge/provenance/1"', "sample-bridge/provenance"],
)  # fmt: skip
def test_any_other_text_is_no_document(text: str) -> None:
    assert provenance.from_text(text) is None


def test_the_statement_fits_the_broadcast_description() -> None:
    text = provenance.statement(provenance.document(SampleFacts.of(FACTS), **AUDIO))
    for word in ("musicgen", "trainedAlgorithmicMedia", "CC-BY-NC-4.0", "0.1.0"):
        assert word in text
    assert len(text) <= 256


def test_every_field_is_described() -> None:
    page = (Path(__file__).parents[4] / "docs" / "provenance.md").read_text("utf-8")
    described = re.findall(r"^\| `(\w+)` \|", page.partition("## Where it stands")[0], re.MULTILINE)
    assert described == list(provenance.document(SampleFacts.of(FACTS), **AUDIO))

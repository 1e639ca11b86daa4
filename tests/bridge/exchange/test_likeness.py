"""What an upload is called in words, and what is asked for after it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bridge.audio.analysis.features import describe
from bridge.engines.procedural import ProceduralEngine
from bridge.exchange.likeness import similar_order, words_for
from bridge.exchange.uploads import Upload
from bridge.plugins.clip import Clip
from prompts import MAX_PROMPT, SampleSpec

HEARD = [
    ("house beat, drums", 124.0, {"drums"}),
    ("jazz drums with brushes", 140.0, {"drums"}),
    ("warm pad", None, {"pad", "drone"}),
    ("glass pad", None, {"pad"}),
    ("reese bassline", 100.0, {"bassline"}),
    ("electric piano chords", 90.0, {"piano", "strings", "pluck"}),
    ("rain", None, {"rain", "wind"}),
]


def features_of(prompt: str, bpm: float | None = None, seconds: float = 6.0) -> dict[str, Any]:
    spec = SampleSpec(prompt=prompt, bpm=bpm, kind="raw", duration=seconds, seed=1).resolved("procedural")
    clip = next(iter(ProceduralEngine().stream(spec, seconds, lambda _: None)))
    return {"duration": seconds, "sample_rate": clip.rate, "channels": 2, "format": "wav"} | describe(clip)


@pytest.mark.parametrize(("prompt", "bpm", "words"), HEARD)
def test_what_plays_is_named(prompt: str, bpm: float | None, words: set[str]) -> None:
    said = words_for(features_of(prompt, bpm))
    assert words & set(said.split()), said


def test_silence_has_words_too_and_asks_for_no_colour() -> None:
    silence = {"channels": 1} | describe(Clip.of(np.zeros(44_100), 44_100))
    order = similar_order({}, Upload("0" * 32, silence))
    assert order.spec.prompt == "quiet texture"
    assert (order.spec.bpm, order.spec.key, order.spec.octaves) == (None, None, ())


def test_a_prompt_that_fills_its_place_leaves_the_words_out() -> None:
    features = features_of("warm pad")
    words = "x" * MAX_PROMPT
    assert similar_order({"prompt": words}, Upload("0" * 32, features)).spec.prompt == words
    assert similar_order({"prompt": "flute"}, Upload("0" * 32, features)).spec.prompt.startswith("flute, ")


def test_both_names_of_a_value_mean_it() -> None:
    upload = Upload("0" * 32, features_of("warm pad"))
    ours = similar_order({"duration": 7, "cfg_coef": 5, "seed": 3}, upload)
    others = similar_order({"duration_seconds": 7, "guidance": 5, "random_seed": 3}, upload)
    assert ours == others
    assert (ours.spec.duration, ours.spec.guidance, ours.spec.seed) == (7, 5, 3)

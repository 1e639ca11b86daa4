"""Prompt text put together from parts."""

from __future__ import annotations

import pytest

from prompts import UnknownStemType, build_prompt, structured_prompt


def test_a_prompt_says_everything_once_in_a_fixed_order() -> None:
    assert build_prompt(type="voice", style="angelic choir", mood="dreamy", key="cm", bpm=120) == (
        "angelic choir, voice stem, dreamy, C minor, 120 bpm"
    )
    assert build_prompt(
        genre="rock", style="Rock", instruments=["guitar", "bass", "drums"], chords=["C", "G", "Am"]
    ) == ("Rock, featuring guitar, bass and drums, over C G Am")
    assert build_prompt(prompt="warm", bpm=92.5, key="Bb") == "warm, A# major, 92.5 bpm"


def test_nothing_given_is_an_empty_text() -> None:
    assert build_prompt() == build_prompt(style=" ", instruments=[" "]) == ""


def test_an_unknown_type_or_key_is_refused() -> None:
    with pytest.raises(UnknownStemType):
        build_prompt(type="kazoo orchestra")
    with pytest.raises(ValueError, match="not a key"):
        build_prompt(key="H")


def test_a_structured_prompt_has_five_phrases_under_their_own_keys() -> None:
    text, components = structured_prompt(
        "electronic", "fast", "energetic", ["synthesizer", "drums"], "similar to Daft Punk"
    )
    assert text == (
        "electronic music, fast tempo, energetic mood, featuring synthesizer and drums, similar to Daft Punk"
    )
    assert components == {
        "genre": "electronic music",
        "tempo": "fast tempo",
        "mood": "energetic mood",
        "instruments": "featuring synthesizer and drums",
        "artist_style": "similar to Daft Punk",
    }


def test_a_structured_prompt_leaves_out_what_is_not_given() -> None:
    assert structured_prompt() == ("", {})
    assert structured_prompt(genre="House music", tempo=124)[0] == "House music, 124 bpm"
    assert structured_prompt(instruments=["a", "b", "c"])[1] == {"instruments": "featuring a, b and c"}

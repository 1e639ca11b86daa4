"""Typing errors."""

import pytest

from prompts import Kind, SampleSpec, respelled

NOUNS = {
    *(
        "kick",
        "snare",
        "clap",
        "hihat",
        "crash",
        "piano",
        "guitar",
        "organ",
        "choir",
        "brass",
        "bass",
        "rain",
        "violins",
    ),
    *("saxophone", "glockenspiel", "xylophone", "chant", "sitar", "drone", "recorder", "laser", "cello", "beat"),
}


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("kikc", "kick"),
        ("hihta", "hihat"),
        ("claap", "clap"),
        ("basss", "bass"),
        ("brss", "brass"),
        ("crrash", "crash"),
        ("orgn", "organ"),
        ("Pinao", "piano"),
        ("acoustic gutar", "acoustic guitar"),
        ("saxaphone", "saxophone"),
        ("xylofone", "xylophone"),
        ("glokenspeil", "glockenspiel"),
        ("slow viollins, rian", "slow violins, rain"),
    ],
)
def test_a_mistyped_instrument_is_read(typed: str, meant: str) -> None:
    assert respelled(typed, NOUNS) == meant


@pytest.mark.parametrize(
    "text",
    [
        "a cash register and a caged bird",
        "a star in the corner of a cave",
        "she was done with her chair, at rest on the train",
        "clip, chop, snake, basin, later, rack",
        "recorded, according to the cell",
        "bass and basses, crashes, beats",
        "rxxn",
        "",
        "東京 ♯ 808",
    ],
)
def test_ordinary_words_stay_as_they_are(text: str) -> None:
    assert respelled(text, NOUNS) == text


def test_words_that_are_known_elsewhere_stay_as_they_are() -> None:
    assert respelled("hrad pinao", {"hard", "piano"}, known={"hrad"}) == "hrad piano"


@pytest.mark.parametrize(
    ("prompt", "kind"),
    [("pinao", Kind.PITCHED), ("rian", Kind.TEXTURE), ("techno baet", Kind.LOOP), ("kikc", Kind.ONESHOT)],
)
def test_a_mistyped_word_tells_the_kind_too(prompt: str, kind: Kind) -> None:
    assert SampleSpec(prompt=prompt).complete().kind is kind


def test_where_a_word_is_understood_nothing_is_guessed() -> None:
    assert SampleSpec(prompt="snare with rian").complete().kind is Kind.ONESHOT

"""Two different wishes are not one sound, unless one is said to stand in for the other."""

from __future__ import annotations

from itertools import combinations

import pytest

from bridge.engines.procedural.asking import scored
from bridge.engines.procedural.standing import SAME_THING, STANDS_IN
from bridge.engines.procedural.words import read
from prompts import SampleSpec
from prompts._data import table


def asked(words: str) -> tuple[object, ...]:
    """What a prompt makes the engine do, but for its chance."""
    reading = read(words)
    names = tuple(entry.name for entry in reading.instruments)
    genre = reading.genre.name if reading.genre else None
    return names[:1], reading.knobs, genre, reading.beat, reading.line, SampleSpec(prompt=words).complete().kind


def told(first: str, second: str) -> bool:
    """Is it said that these two sound alike?"""
    return STANDS_IN.get(first, first) == STANDS_IN.get(second, second) or any(
        {first, second} <= {*group} or {STANDS_IN.get(first, first), STANDS_IN.get(second, second)} <= {*group}
        for group in SAME_THING
    )


def test_no_two_nouns_of_the_vocabulary_are_one_sound_in_silence() -> None:
    kinds = table("vocabulary")["kinds"]
    nouns = [noun for group in ("pitched", "drum", "effect", "rise", "texture") for noun in kinds[group]]
    known = [noun for noun in nouns if read(noun).instruments]  # of the others, the seed of their words chooses
    alike = [pair for pair in combinations(known, 2) if asked(pair[0]) == asked(pair[1]) and not told(*pair)]
    assert alike == []


def test_what_stands_in_is_really_what_plays() -> None:
    for words, taken in STANDS_IN.items():
        assert read(words).instruments[:1] == read(taken).instruments[:1] != (), words


@pytest.mark.parametrize(
    ("first", "second"),
    [
        *combinations(["rain ambience", "forest ambience", "thunderstorm ambience", "ocean ambience", "ambience"], 2),
        *combinations([f"{of} bass line" for of in ("upright", "slap", "fm", "electric", "acid", "reese", "sub")], 2),
        ("bass line", "walking bass line"),
        ("rain soundscape", "wind soundscape"),
    ],
)
def test_what_stands_before_a_common_noun_tells_sounds_apart(first: str, second: str) -> None:
    assert asked(first)[0] != asked(second)[0]


def test_an_acid_bass_line_is_played_by_the_acid_alone_and_one_drop_is_a_beat() -> None:
    assert [entry.name for entry in read("acid bass line").instruments] == ["acid_bass"]
    assert read("upright bassline").instruments == read("upright bass line").instruments
    assert read("upright bassline").line == "bass"
    reggae = read("reggae one drop")
    assert reggae.instruments == ()
    assert reggae.genre is not None
    assert reggae.genre.name == "reggae"


def played(prompt: str) -> set[str]:
    """Names of the instruments of a part of 8 s."""
    spec = SampleSpec(prompt=prompt, kind="stem", duration=8, seed=1).resolved("procedural")
    return {event.instrument.name for event in scored(spec, read(prompt), 1, 120.0, 8.0)}


@pytest.mark.parametrize(
    ("prompt", "unwanted"),
    [
        ("techno without hats", {"hat", "hat_open"}),
        ("techno beat, no drums", {"kick", "kick_909", "hat", "clap", "snare"}),
        ("jazz song without piano", {"piano"}),
        ("rock music without bass", {"electric_bass"}),
        ("techno ohne Schlagzeug", {"kick", "kick_909", "hat", "clap"}),
    ],
)
def test_what_is_not_wanted_does_not_play(prompt: str, unwanted: set[str]) -> None:
    assert not played(prompt) & unwanted
    assert played(prompt)


@pytest.mark.parametrize(
    ("words", "english"), [("Klavier", "piano"), ("Geige", "violin"), ("batterie", "drums"), ("ピアノ", "piano")]
)
def test_words_of_other_languages_play_the_same_instrument(words: str, english: str) -> None:
    assert asked(words)[:1] == asked(english)[:1]
    assert read(words).beat == read(english).beat

"""Words choose an instrument and move its sound."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest

from bridge.engines.procedural.instruments import FAMILIES, TABLE
from bridge.engines.procedural.words import read
from tests.benchmarks._figure import median
from tests.benchmarks.words import DECIBELS, PERCENT, WORDS, moves

Samples = npt.NDArray[np.float32]
Say = Callable[..., Samples]
RATE = 44_100


@pytest.mark.parametrize(
    ("prompt", "name"),
    [
        ("909 kick drum, hard techno", "kick_909"),
        ("an 808", "kick_808"),
        ("808 snare", "snare_808"),
        ("closed hi-hat", "hat"),
        ("Open Hi Hats", "hat_open"),
        ("conga hit, open and warm", "conga"),
        ("deep sub bass note, clean sine", "sub_bass"),
        ("tb-303 squelch", "acid_bass"),
        ("electric piano with a little bass", "electric_piano"),
        ("choir singing aah", "choir"),
        ("guitar pad", "pad_warm"),
        ("distorted guitar", "guitar_distorted"),
        ("warm pad over a drum beat", "pad_warm"),
        ("water drop", "water_drop"),
        ("drum and bass break", None),
    ],
)
def test_the_longest_phrase_of_the_first_part_names_the_instrument(prompt: str, name: str | None) -> None:
    reading = read(prompt)
    assert (reading.instruments[0].name if reading.instruments else None) == name


@pytest.mark.parametrize(
    ("prompt", "name"),
    [
        ("kikc", "kick"),
        ("kik", "kick"),
        ("a punchy snaer", "snare"),
        ("techno hihta", "hat"),
        ("acoustik gutar", "guitar_steel"),
        ("saxaphone", "saxophone"),
        ("cash in the corner", None),
        ("dark house", None),
    ],
)
def test_a_mistyped_instrument_is_still_that_instrument(prompt: str, name: str | None) -> None:
    assert next((entry.name for entry in read(prompt).instruments), None) == name


def test_a_mistyped_beat_is_a_beat() -> None:
    assert read("techno braekbeat").beat


def test_every_instrument_answers_to_each_of_its_words() -> None:
    lost = [
        (word, entry.name, found[0].name if found else None)
        for entry in TABLE.values()
        for word in entry.words
        for found in [read(word).instruments]
        if entry not in found
    ]
    assert lost == []


def test_no_phrase_belongs_to_two_instruments() -> None:
    said = [word for entry in TABLE.values() for word in entry.words]
    assert sorted(word for word in set(said) if said.count(word) > 1) == []


def test_no_instrument_is_lost_behind_another_of_the_same_name() -> None:
    assert len(TABLE) == sum(len(family.INSTRUMENTS) for family in FAMILIES)
    assert len(TABLE) >= 40


def test_a_word_that_chose_the_instrument_does_not_turn_it_again() -> None:
    assert read("distorted guitar").knobs.drive == 0
    assert read("distorted piano").knobs.drive > 0


def test_every_word_is_measured_over_ten_sounds_or_more() -> None:
    assert len(WORDS) == 27
    assert all(len(word.bases) >= 10 for word in WORDS.values())


@pytest.mark.parametrize("word", WORDS)
def test_a_word_moves_what_it_names_the_right_way_and_audibly(word: str) -> None:
    """Four of its sounds; `make bench BENCH=words` measures all of them."""
    bases = WORDS[word].bases
    moved = moves(word, bases[:: max(1, len(bases) // 4)][:4])
    assert sum(value > 0 for value in moved.values()) >= len(moved) - 1, moved
    assert median(moved.values()) > (DECIBELS if WORDS[word].unit == "dB" else PERCENT), moved


def test_dry_takes_the_room_away(say: Say) -> None:
    assert say("dry choir", kind="oneshot").shape[1] < say("choir", kind="oneshot").shape[1]

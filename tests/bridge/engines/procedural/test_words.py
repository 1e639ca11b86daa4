"""Words choose an instrument and move its sound."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest

from bridge.engines.procedural.instruments import FAMILIES, TABLE
from bridge.engines.procedural.words import read

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
    wish = read(prompt)
    assert (wish.instruments[0].name if wish.instruments else None) == name


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


def centroid(x: Samples) -> float:
    power = np.abs(np.fft.rfft(x.mean(axis=0))) ** 2
    return float((np.fft.rfftfreq(x.shape[1], 1 / RATE) * power).sum() / power.sum())


def decay(x: Samples) -> float:
    energy = np.cumsum(x.mean(axis=0).astype(np.float64) ** 2)
    return float(np.searchsorted(energy, 0.95 * energy[-1]) / RATE)


def crest(x: Samples) -> float:
    m = x.mean(axis=0)
    return float(20 * np.log10(np.abs(m).max() / np.sqrt(np.mean(m**2))))


def width(x: Samples) -> float:
    if len(x) == 1:
        return -60.0
    return float(10 * np.log10(1e-6 + np.sum((x[0] - x[1]) ** 2) / np.sum((x[0] + x[1]) ** 2)))


SOME = [
    "kick",
    "snare",
    "hi hat",
    "cowbell",
    "acid bass",
    "piano",
    "bell",
    "nylon guitar",
    "synth pluck",
    "pad",
    "brass",
    "lead",
]


@pytest.mark.parametrize(
    ("word", "moved"),
    [
        ("bright", lambda a, b: centroid(b) > 1.15 * centroid(a)),
        ("dark", lambda a, b: centroid(b) < 0.87 * centroid(a)),
        ("warm", lambda a, b: centroid(b) < 0.9 * centroid(a)),
        ("distorted", lambda a, b: crest(b) < crest(a) - 1.5),
        ("long", lambda a, b: decay(b) > 1.15 * decay(a)),
        ("short", lambda a, b: decay(b) < 0.87 * decay(a)),
        ("wide", lambda a, b: width(b) > width(a) + 2),
    ],
)
def test_a_word_moves_the_sound_it_names_the_right_way(
    say: Say, word: str, moved: Callable[[Samples, Samples], bool]
) -> None:
    unmoved = [name for name in SOME if not moved(say(name, kind="oneshot"), say(f"{word} {name}", kind="oneshot"))]
    assert len(unmoved) <= 1, unmoved


def test_dry_takes_the_room_away(say: Say) -> None:
    assert say("dry choir", kind="oneshot").shape[1] < say("choir", kind="oneshot").shape[1]

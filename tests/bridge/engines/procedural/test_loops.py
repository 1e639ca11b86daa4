"""Loops and beds: exact, without a seam, and in the style that was asked for."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest

from bridge.engines.procedural.genres import GENRES, LEVELS, STANDARD_KIT
from bridge.engines.procedural.instruments import TABLE
from bridge.engines.procedural.parts import plan, score
from bridge.engines.procedural.theory import chords_in, tonality
from bridge.engines.procedural.words import read

Samples = npt.NDArray[np.float32]
Say = Callable[..., Samples]
RATE = 44_100


def seam(x: Samples) -> float:
    """The step across the join, over the 99th percentile of the steps around it, after whitening by differences."""
    y = np.diff(np.concatenate([x[0, -2646:], x[0, :2646]]).astype(np.float64), 2)
    middle = slice(2646 - 4, 2646 + 3)
    away = np.abs(np.delete(y, np.arange(2640, 2650)))
    return float(np.abs(y[middle]).max() / np.percentile(away, 99.5))


@pytest.mark.parametrize("bpm", [60, 92.5, 174])
@pytest.mark.parametrize("bars", [1, 4])
def test_a_loop_is_its_bars_to_the_sample(say: Say, bpm: float, bars: int) -> None:
    assert say("hip hop break", kind="loop", bpm=bpm, bars=bars).shape[1] == round(bars * 240 / bpm * RATE)


@pytest.mark.parametrize(
    "prompt", ["acid bassline", "synth arp", "wet choir pad", "lofi jazz piano chords", "distorted techno beat, dusty"]
)
def test_a_loop_has_no_seam(say: Say, prompt: str) -> None:
    # A hit on the first beat is louder than what goes before it, and that is no click: turn the loop by half a step.
    x = say(prompt, kind="loop", bpm=120, bars=2)
    assert seam(np.roll(x, RATE // 16, axis=1)) < 3
    assert seam(x) < 25


@pytest.mark.parametrize("name", sorted(entry.name for entry in TABLE.values() if entry.bed))
def test_a_bed_runs_from_its_end_into_its_beginning(say: Say, name: str) -> None:
    assert seam(say(TABLE[name].words[0], 3.0, kind="texture")) < 2.5


def test_a_long_bed_is_exact_and_seamless_too(say: Say) -> None:
    x = say("choir", 48.0, kind="texture")
    assert x.shape[1] == 48 * RATE
    assert seam(x) < 2.5


def test_a_kick_on_every_beat_is_where_the_beat_is(say: Say) -> None:
    x = np.abs(say("techno kick loop, four to the floor", kind="loop", bpm=120, bars=2).mean(axis=0))
    beats = [float(x[int(i * 0.5 * RATE) : int((i * 0.5 + 0.05) * RATE)].max()) for i in range(8)]
    between = [float(x[int((i * 0.5 + 0.4) * RATE) : int((i * 0.5 + 0.49) * RATE)].max()) for i in range(8)]
    assert min(beats) > 2 * max(between)


def test_every_groove_is_written_for_instruments_that_exist() -> None:
    for genre in GENRES:
        kit = STANDARD_KIT | genre.kit
        for groove in genre.grooves:
            for slot, line in groove.items():
                assert kit[slot] in TABLE, (genre.name, slot)
                assert len(line) % 16 == 0, (genre.name, slot)
                assert set(line) <= {*LEVELS, "."}, (genre.name, slot)
        for line in genre.basslines:
            assert len(line) == 16
            assert set(line) <= set("R853" + "7.-"), (genre.name, line)
        assert all(len(line) == 16 for line in genre.chords), genre.name
        assert all(name in TABLE for _, name in genre.parts), genre.name


@pytest.mark.parametrize("genre", [genre.name for genre in GENRES])
def test_a_genre_brings_its_own_groove(genre: str) -> None:
    reading = read(f"{genre} drum beat")
    assert reading.genre is not None
    assert reading.genre.name == genre
    events = score(plan(reading, "", None, 120, 4.0, 1), reading, True)
    assert events
    assert all(0 <= event.at < 4.0 for event in events)


def test_parts_of_one_request_share_chords_and_grid() -> None:
    reading = read("house beat with bass and electric piano chords")
    shared = plan(reading, "house", "fm", 120, 8.0, 1)
    names = {event.instrument.role for event in score(shared, reading, True)}
    assert names == {"drum", "bass", "chord"}


@pytest.mark.parametrize(
    ("prompt", "roles"),
    [
        ("drum stem", {"drum"}),
        ("bass stem", {"bass"}),
        ("melody stem", {"lead"}),
        ("angelic choir, voice stem", {"voice"}),
        ("synth stem", {"lead"}),
        ("house bassline", {"bass"}),
        ("instrumental stem", {"drum", "bass", "lead", "chord"}),
        ("epic orchestral battle", {"drum", "chord", "lead"}),
    ],
)
def test_a_stem_is_played_by_those_it_names(prompt: str, roles: set[str]) -> None:
    reading = read(prompt)
    events = score(
        plan(reading, prompt, None, 120, 8.0, 1), reading, reading.genre is not None or not reading.instruments
    )
    assert {event.instrument.role for event in events} == roles


def test_only_the_named_drums_play_when_no_beat_is_asked_for() -> None:
    reading = read("shaker and conga loop")
    events = score(plan(reading, "", None, 100, 4.8, 1), reading, False)
    assert {event.instrument.name for event in events} == {"shaker", "conga"}


def test_chord_names_are_played_and_a_lone_letter_is_none() -> None:
    assert [chord.notes for chord in chords_in("Am F C G")] == [(9, 12, 16), (5, 9, 12), (0, 4, 7), (7, 11, 14)]
    assert chords_in("A sad pad") == ()
    assert tonality("f#m", "major").tonic == 6
    assert tonality("f#m", "major").scale == "minor"
    assert tonality("c", "phrygian").scale == "major"

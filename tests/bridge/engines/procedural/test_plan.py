"""One plan for all parts: meter, chords, genre and speed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bridge.engines.procedural import ProceduralEngine
from bridge.engines.procedural.asking import scored
from bridge.engines.procedural.genres import GENRES, Genre
from bridge.engines.procedural.plan import NoteEvent
from bridge.engines.procedural.theory import chords_in, chords_of, note_in, note_name, tonality
from bridge.engines.procedural.words import read
from bridge.plugins.engine import note_of
from prompts import SampleSpec

LISTED = {
    "techno", "house", "trap", "drum and bass", "hip hop", "lo-fi", "ambient", "rock", "jazz", "classical",
    "electronic", "folk", "orchestral", "dubstep", "batucada",
}  # fmt: skip


def asked(prompt: str, **fields: Any) -> SampleSpec:
    return SampleSpec(prompt=prompt, **{"kind": "loop", **fields}).complete().resolved("procedural", None)


def events_of(prompt: str, **fields: Any) -> list[NoteEvent]:
    spec = asked(prompt, **fields)
    assert spec.bpm is not None
    assert spec.seconds is not None
    return scored(spec, read(prompt), spec.seed or 0, spec.bpm, spec.seconds)


def classes(events: list[NoteEvent], start: float, stop: float) -> set[int]:
    """Pitch classes between two moments."""
    return {
        round(69 + 12 * np.log2(event.pitch / 440)) % 12 for event in events if start - 0.03 <= event.at < stop - 0.03
    }


def lowest(events: list[NoteEvent], start: float, stop: float) -> int:
    pitch = min(event.pitch for event in events if start - 0.03 <= event.at < stop - 0.03)
    return round(69 + 12 * np.log2(pitch / 440)) % 12


CHORDS = ("Am", "F", "C", "G/B")
ROOTS = (9, 5, 0, 11)


def test_bass_and_pad_of_one_request_stand_on_the_same_roots() -> None:
    for i, root in enumerate(ROOTS):
        for prompt in ("house bassline", "bass loop", "warm pad loop"):
            events = events_of(prompt, chords=CHORDS, bpm=120, bars=4, seed=5)
            inside = classes(events, 2 * i, 2 * i + 2)
            assert root in inside or (root == 11 and 7 in inside), (prompt, i, inside)
    bass = events_of("sub bass loop", chords=CHORDS, bpm=120, bars=4, seed=5)
    first = [min((event for event in bass if event.at >= 2 * i - 0.03), key=lambda event: event.at) for i in range(4)]
    assert [round(69 + 12 * np.log2(event.pitch / 440)) % 12 for event in first] == list(ROOTS)


def test_chords_of_the_words_are_played_where_no_field_names_any() -> None:
    events = events_of("piano chords, Dm7 G7 Cmaj7", bpm=120, bars=3)
    assert [classes(events, 2 * i, 2 * i + 2) for i in range(3)] == [{2, 5, 9, 0}, {7, 11, 2, 5}, {0, 4, 7, 11}]


@pytest.mark.parametrize("key", ["am", "f", "c#m"])
@pytest.mark.parametrize("genre", GENRES, ids=lambda genre: genre.name)
def test_every_note_of_a_genre_is_one_of_its_scale(genre: Genre, key: str) -> None:
    for what in ("bass line", "piano chords", "arp"):
        prompt = f"{genre.words[0]} {what}"
        home = tonality(key, read(prompt).scale or genre.scale)
        scale = {home.degree(step) % 12 for step in range(7)}
        for seed in (1, 2):
            played = [
                event for event in events_of(prompt, key=key, bars=4, seed=seed) if event.instrument.role != "drum"
            ]
            assert classes(played, 0, 60) <= scale


def test_a_diminished_triad_gives_way_to_the_chord_that_it_is_a_part_of() -> None:
    assert [tone % 12 for tone in tonality("g", "major").harmony(6, sevenths=False).notes] == [2, 6, 9]
    assert len(tonality("am", "minor").harmony(1, sevenths=True).notes) == 4


def test_where_no_chord_is_wanted_only_drums_play() -> None:
    events = events_of("house drums and bass", chords=("C", "N.C."), bpm=120, bars=2, seed=1)
    assert {event.instrument.role for event in events if event.at < 1.9} == {"drum", "bass"}
    assert {event.instrument.role for event in events if event.at > 2.1} == {"drum"}


@pytest.mark.parametrize("seed", [None, 3])
def test_stems_that_are_asked_for_apart_share_their_harmony_and_their_grid(seed: int | None) -> None:
    """Without a seed each prompt gets one of its own; style, tempo and key are what they share."""
    stems = {
        prompt: events_of(prompt, bpm=124, bars=4, key="fm", **({} if seed is None else {"seed": seed}))
        for prompt in ("house drum loop", "house bassline", "house piano chords", "house warm pad loop")
    }
    bar = 4 * 60 / 124
    chords = [classes(stems["house warm pad loop"], i * bar, (i + 1) * bar) for i in range(4)]
    played = [classes(stems["house piano chords"], i * bar, (i + 1) * bar) for i in range(4)]
    assert played == chords
    assert len({tuple(sorted(chord)) for chord in chords}) > 1
    for i in range(4):
        root = min(e.pitch for e in stems["house bassline"] if i * bar - 0.03 <= e.at < (i + 1) * bar - 0.03)
        assert round(69 + 12 * np.log2(root / 440)) % 12 in chords[i]
    sixteenth, swing = bar / 16, 0.18 / 3
    for prompt, events in stems.items():
        steps = np.array([event.at / sixteenth for event in events])
        off = np.minimum(np.abs(steps - np.round(steps)), np.abs(steps - swing - np.round(steps - swing)))
        assert (off * sixteenth).max() < 0.03, prompt


@pytest.mark.parametrize(
    ("meter", "beats", "kicks"), [("3/4", 3.0, {0.0}), ("6/8", 3.0, {0.0, 2.5}), ("7/8", 3.5, {0.0, 2.0})]
)
def test_another_meter_has_its_own_bar_and_figure(meter: str, beats: float, kicks: set[float]) -> None:
    spec = asked("rock drum loop", meter=meter, bpm=120, bars=2, seed=2)
    assert spec.seconds == beats
    events = events_of("rock drum loop", meter=meter, bpm=120, bars=2, seed=2)
    bar = beats / 2
    for start in (0.0, bar):
        inside = [
            e for e in events if start - 0.02 <= e.at < start + bar - 0.02 and e.instrument.name == "kick_acoustic"
        ]
        assert {round((event.at - start) * 2 * 4) / 4 for event in inside} == kicks
    assert max(event.at for event in events) < beats


def test_a_waltz_of_the_words_has_three_beats() -> None:
    assert asked("piano waltz chords", bpm=90, bars=2).seconds == 4.0


def test_every_listed_genre_has_a_groove_a_kit_and_a_harmony_of_its_own() -> None:
    by_name = {genre.name: genre for genre in GENRES}
    assert set(by_name) >= LISTED
    assert read("cinematic drums").genre is by_name["orchestral"]
    patterns = {
        name: frozenset(
            (event.instrument.name, round(event.at / 0.125))
            for event in events_of(f"{name} beat", bpm=120, bars=1, seed=1)
        )
        for name in sorted(LISTED)
    }
    alike = {
        (one, other): len(patterns[one] & patterns[other]) / len(patterns[one] | patterns[other])
        for one in patterns
        for other in patterns
        if one < other
    }
    assert {pair: share for pair, share in alike.items() if share > 0.7} == {}
    harmony = {(genre.scale, genre.progressions, genre.sevenths) for genre in GENRES if genre.name in LISTED}
    assert len(harmony) > 10


def test_slow_and_fast_keep_the_tempo_and_change_how_often_something_is_played() -> None:
    counts = [len(events_of(f"{word} arp".strip(), bpm=100, bars=2, seed=1)) for word in ("slow", "", "fast")]
    assert counts[0] < 0.6 * counts[1]
    assert counts[2] > 1.7 * counts[1]
    assert len(events_of("fast arp", bpm=300, bars=2, seed=1)) == len(events_of("arp", bpm=300, bars=2, seed=1))


def test_chord_names_are_read_in_a_row() -> None:
    assert [chord.notes for chord in chords_in("Am-F-C-G")] == [(9, 12, 16), (5, 9, 12), (0, 4, 7), (7, 11, 14)]
    assert chords_in("Bass and Drums, A Big Sound in C") == ()
    assert chords_of(["C", "nonsense", "N.C."]) == (chords_of(["C"])[0], chords_of(["N.C."])[0])


def test_a_note_with_its_octave_is_the_root() -> None:
    assert [note_in(text) for text in ("piano c3", "F#2 pluck", "an Eb4", "808", "a 909 kick")] == [
        48,
        42,
        63,
        None,
        None,
    ]
    assert [note_name(midi) for midi in (36, 42, 63)] == ["c2", "f#2", "d#4"]


@pytest.mark.parametrize(
    ("prompt", "note"),
    [
        ("grand piano", 60),
        ("deep choir", 48),
        ("strings in F minor", 65),
        ("flute d5", 74),
        ("power chord", 36),
        ("kick", None),
        ("rain", None),
    ],
)
def test_the_engine_knows_which_note_it_plays(prompt: str, note: int | None) -> None:
    spec = asked(prompt, kind="pitched")
    assert ProceduralEngine().note(spec) == note_of(ProceduralEngine(), spec) == note

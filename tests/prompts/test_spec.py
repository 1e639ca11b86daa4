"""SampleSpec: what it takes, refuses, fills in, and how it tells sounds apart."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from pydantic import ValidationError

from prompts import Kind, SampleSpec


def spec(prompt: str = "kick", **fields: Any) -> SampleSpec:
    return SampleSpec(prompt=prompt, **fields)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("duration", "8"),
        ("duration", True),
        ("duration", float("nan")),
        ("duration", float("inf")),
        ("duration", 0),
        ("duration", 0.09),
        ("duration", -1),
        ("duration", 120.1),
        ("bars", 0),
        ("bars", 65),
        ("bars", True),
        ("bars", 2.5),
        ("bars", "2"),
        ("bpm", 19.9),
        ("bpm", 400.1),
        ("bpm", float("nan")),
        ("bpm", "120"),
        ("key", "H"),
        ("key", ""),
        ("key", 5),
        ("meter", "1/4"),
        ("meter", "16/4"),
        ("meter", "4/3"),
        ("meter", "waltz"),
        ("meter", 4),
        ("chords", ["C"] * 33),
        ("chords", 3),
        ("effects", [f"e{n}" for n in range(9)]),
        ("effects", 3),
        ("seed", -1),
        ("seed", 2**32),
        ("seed", 1.5),
        ("seed", "1"),
        ("kind", "song"),
        ("kind", 3),
        ("engine", ""),
        ("engine", "../etc"),
        ("engine", "Tone"),
        ("engine", "x" * 33),
        ("engine", "tone\n"),
        ("model", ""),
        ("model", "a\x00b"),
        ("model", "m" * 201),
        ("temperature", -0.1),
        ("temperature", 2.1),
        ("top_k", 501),
        ("top_k", 2.5),
        ("top_p", 1.1),
        ("guidance", 10.1),
        ("num_beams", 0),
        ("num_beams", 9),
        ("repetition_penalty", 0.9),
        ("repetition_penalty", 2.1),
        ("prompt", ""),
        ("prompt", " \n\t "),
        ("prompt", "\u200b\u200d"),
        ("prompt", "a" * 501),
        ("prompt", "bell\x07"),
        ("prompt", "esc\x1b[31m"),
        ("prompt", "half \ud83d pair"),
        ("prompt", 3),
        ("prompt", ["kick"]),
    ],
)
def test_a_bad_value_is_refused_and_its_field_named(field: str, value: object) -> None:
    with pytest.raises(ValidationError) as caught:
        SampleSpec.model_validate({"prompt": "kick", field: value})
    assert [error["loc"] for error in caught.value.errors()] == [(field,)]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("duration", 0.1),
        ("duration", 120),
        ("bars", 1),
        ("bars", 64),
        ("bpm", 20),
        ("bpm", 400),
        ("seed", 0),
        ("seed", 2**32 - 1),
        ("temperature", 0),
        ("temperature", 2),
        ("top_k", 0),
        ("top_k", 500),
        ("top_p", 1),
        ("guidance", 0),
        ("guidance", 10),
        ("num_beams", 8),
        ("repetition_penalty", 2),
        ("engine", "stable_audio"),
        ("model", "facebook/musicgen-small"),
        ("prompt", "a" * 500),
        ("prompt", "<script>alert(1)</script> ${x} `y`"),
        ("prompt", "👩‍🎤 singing"),
        ("prompt", "太鼓"),
    ],
)
def test_the_ends_of_every_range_and_any_text_are_taken(field: str, value: object) -> None:
    assert getattr(SampleSpec.model_validate({"prompt": "kick", field: value}), field) == value


def test_a_prompt_is_stripped_before_it_is_measured_and_line_breaks_become_blanks() -> None:
    assert spec("  " + "a" * 500 + "\n").prompt == "a" * 500
    assert spec("warm\r\npad\u2028please").prompt == "warm  pad please"


def test_null_means_absent_and_unknown_fields_are_ignored() -> None:
    wire = {"prompt": "kick", "temperature": None, "engine": None, "top_k": None, "bpm": None, "tomorrow": 1}
    assert SampleSpec.model_validate(wire) == spec()
    assert SampleSpec.model_validate_json(json.dumps(wire)) == spec()


def test_a_spec_is_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        spec().prompt = "snare"  # type: ignore[misc]


def test_a_kind_may_be_written_in_any_letter_case() -> None:
    assert spec(kind="Loop").kind is Kind.LOOP


def test_bars_that_last_too_long_at_their_bpm_are_refused_even_when_the_words_say_the_bpm() -> None:
    with pytest.raises(ValidationError, match="64 bars at 20 bpm last 768 seconds"):
        spec(bars=64, bpm=20)
    with pytest.raises(ValidationError, match="fewer bars") as caught:
        spec("break, 60 bpm", bars=64).complete()
    assert caught.value.errors()[0]["loc"] == ("bpm",)
    assert spec("break, 174 bpm", bars=64).complete().seconds == pytest.approx(64 * 240 / 174)


@pytest.mark.parametrize(
    ("fields", "seconds", "beats"),
    [
        ({}, None, None),
        ({"duration": 3}, 3, None),
        ({"duration": 3, "bpm": 120}, 3, None),
        ({"bars": 2, "bpm": 92}, 2 * 240 / 92, 8),
        ({"bars": 2}, 4, 8),
        ({"bars": 4, "bpm": 120, "duration": 3}, 8, 16),
        ({"kind": "loop", "duration": 4, "bpm": 120}, 4, 8),
        ({"kind": "stem", "duration": 4, "bpm": 90}, 4, 6),
        ({"bars": 2, "bpm": 120, "meter": "3/4"}, 3, 6),
        ({"bars": 2, "bpm": 90, "meter": "6/8"}, 4, 6),
        ({"bars": 4, "bpm": 140, "meter": "7/8"}, 6, 14),
        ({"kind": "texture"}, 8, None),
        ({"kind": "stem"}, 8, None),
        ({"kind": "raw"}, 8, None),
        ({"kind": "oneshot"}, None, None),
        ({"kind": "pitched"}, None, None),
        ({"kind": "raw", "duration": 0.5}, 0.5, None),
    ],
)
def test_the_length_comes_from_bars_then_duration_then_the_kind(
    fields: dict[str, Any], seconds: float | None, beats: float | None
) -> None:
    assert spec(**fields).seconds == (None if seconds is None else pytest.approx(seconds))
    assert spec(**fields).beats == beats


def test_words_fill_what_is_not_said() -> None:
    found = spec("dusty break in F# minor, 92 bpm, 4 bars").complete()
    assert (found.kind, found.bpm, found.bars, found.key, found.duration) == (Kind.LOOP, 92, 4, "f#m", None)


def test_explicit_fields_win_over_words() -> None:
    words = "dusty break in F# minor, 92 bpm, 4 bars"
    found = spec(words, kind="oneshot", bpm=140, bars=1, key="C").complete()
    assert (found.kind, found.bpm, found.bars, found.key) == (Kind.ONESHOT, 140, 1, "c")
    assert spec(words, duration=5).complete().bars is None


def test_a_loop_without_any_length_has_two_bars_at_120_bpm() -> None:
    found = spec("drum loop").complete()
    assert (found.bpm, found.bars, found.seconds, found.beats) == (120, 2, 4, 8)
    assert spec("drum loop", duration=3).complete().bpm == 120


def test_bars_make_a_loop_and_need_a_tempo() -> None:
    found = spec("piano", bars=1).complete()
    assert (found.kind, found.bpm) == (Kind.LOOP, 120)


def test_a_meter_and_several_chords_make_a_loop_of_a_bar_a_chord() -> None:
    assert spec("piano", meter="3/4").complete().kind is Kind.LOOP
    assert spec("piano", meter="3/4").complete().seconds == 3
    assert spec("piano", chords=["C"]).complete().kind is Kind.PITCHED
    found = spec("piano", chords=["Am", "F", "C", "G"]).complete()
    assert (found.kind, found.bars) == (Kind.LOOP, 4)
    assert spec("piano, 2 bars", chords=["Am", "F", "C", "G"]).complete().bars == 2
    assert spec("piano", chords=["C"] * 32, bpm=20, meter="15/4").complete().bars == 2
    assert spec("piano", chords=["C"] * 32, bpm=20, meter="15/4").complete().seconds == 90


def test_words_say_the_meter_and_the_field_wins() -> None:
    assert spec("piano waltz, 90 bpm").complete().meter == "3/4"
    assert spec("piano waltz", meter="6/8").complete().meter == "6/8"
    assert spec("piano waltz").complete().beats == 6


def test_a_bad_chord_and_a_bad_effect_are_named() -> None:
    for field, value in (("chords", ["C", "H7"]), ("effects", ["warmth", "../etc"])):
        with pytest.raises(ValidationError) as caught:
            SampleSpec.model_validate({"prompt": "kick", field: value})
        assert [error["loc"] for error in caught.value.errors()] == [(field, 1)]


def test_bars_in_a_long_meter_are_refused_when_they_last_too_long() -> None:
    with pytest.raises(ValidationError, match="20 bars at 60 bpm last 140 seconds"):
        spec(bars=20, bpm=60, meter="7/4")


def test_completing_twice_changes_nothing() -> None:
    for words in [
        "kick",
        "waltz",
        "7/8 break",
        "dusty break 92 bpm",
        "warm pad in g",
        "raw noise",
        "voice stem",
        "flute, 3 bars",
    ]:
        once = spec(words).complete()
        assert once.complete() == once


def test_a_resolved_spec_has_engine_model_kind_and_a_seed_of_its_own() -> None:
    one = spec("kick").resolved("procedural")
    assert (one.engine, one.model, one.kind) == ("procedural", None, Kind.ONESHOT)
    assert one.seed == spec(" KICK ").resolved("procedural").seed
    assert one.seed != spec("snare").resolved("procedural").seed
    assert spec("kick", seed=7).resolved("musicgen", "facebook/musicgen-small").seed == 7
    with pytest.raises(ValidationError):
        spec().resolved("No Engine")


def test_only_a_resolved_spec_has_an_identity() -> None:
    for unresolved in [
        spec(),
        spec(engine="tone", seed=1),
        spec(engine="tone", kind="raw"),
        spec(kind="raw", seed=1),
    ]:
        with pytest.raises(ValueError, match="resolved"):
            unresolved.spec_id("1")


SAME = [
    ({"prompt": "Dusty Break", "duration": 8}, {"prompt": "dusty   break", "duration": 8.0}),
    ({"prompt": "kick", "key": "Bb minor"}, {"prompt": "kick", "key": "a#m"}),
    ({"prompt": "kick", "top_p": 0}, {"prompt": "kick", "top_p": 1}),
    ({"prompt": "pad"}, {"prompt": "pad", "kind": "texture", "duration": 8}),
    ({"prompt": "beat"}, {"prompt": "beat", "bars": 2, "bpm": 120, "duration": 3}),
    ({"prompt": "cafe\u0301 loop"}, {"prompt": "caf\u00e9 loop"}),
    ({"prompt": "beat"}, {"prompt": "beat", "meter": "4/4", "chords": [], "effects": []}),
    ({"prompt": "pad", "chords": ["Bbmaj7", "Am"]}, {"prompt": "pad", "chords": "A#M7 | Amin"}),
    ({"prompt": "kick", "temperature": 0.1 + 0.2}, {"prompt": "kick", "temperature": 0.3}),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_specs_that_mean_the_same_have_one_identity(one: dict[str, Any], other: dict[str, Any]) -> None:
    first, second = (SampleSpec.model_validate(fields).resolved("tone") for fields in (one, other))
    assert first.canonical() == second.canonical()
    assert first.spec_id("1") == second.spec_id("1")


def test_every_field_and_the_recipe_tell_sounds_apart() -> None:
    changes: list[dict[str, Any]] = [
        {},
        {"prompt": "kick!"},
        {"kind": "raw"},
        {"duration": 1},
        {"bars": 2},
        {"bpm": 91},
        {"key": "c"},
        {"meter": "3/4"},
        {"chords": ["C"]},
        {"effects": ["warmth"]},
        {"seed": 4},
        {"model": "m"},
        {"temperature": 0.5},
        {"top_k": 10},
        {"top_p": 0.5},
        {"guidance": 2},
        {"octaves": [0.0] * 10},
        {"num_beams": 2},
        {"repetition_penalty": 1.5},
        {"quality_mode": "draft"},
        {"source": "0" * 32},
        {"source": "0" * 32, "source_as": "melody"},
    ]
    assert {key for change in changes for key in change} == set(SampleSpec.model_fields) - {"engine"}
    ids = {
        SampleSpec.model_validate({"prompt": "kick", **change}).resolved("tone", change.get("model")).spec_id("1")
        for change in changes
    }
    ids |= {spec().resolved("other").spec_id("1"), spec().resolved("tone").spec_id("2")}
    assert len(ids) == len(changes) + 2
    assert all(len(spec_id) == 32 and set(spec_id) <= set("0123456789abcdef") for spec_id in ids)


def test_identity_survives_the_way_over_the_wire() -> None:
    dice = random.Random(1)
    for _ in range(200):
        one = spec(
            "".join(dice.choices("abc ÄßŁ 鼓🥁", k=20)) + "x",
            duration=round(dice.uniform(0.1, 120), dice.randrange(5)),
            bpm=dice.choice([None, 90, 90.5]),
            temperature=dice.uniform(0, 2),
        ).resolved("tone")
        again = SampleSpec.model_validate_json(one.model_dump_json())
        assert again == one
        assert again.spec_id("1") == one.spec_id("1")


def test_the_identity_of_a_spec_never_changes_between_versions() -> None:
    found = spec("dusty break", seed=1).resolved("tone").spec_id("1")
    assert found == "66bbb32b2290a9ae9709630fc6c637ef"


def test_the_json_schema_states_the_ranges() -> None:
    properties = SampleSpec.model_json_schema()["properties"]
    assert (properties["prompt"]["minLength"], properties["prompt"]["maxLength"]) == (1, 500)
    assert {"minimum": 0.1, "maximum": 120.0, "type": "number"} in properties["duration"]["anyOf"]
    assert all(field["description"] for field in properties.values())


def test_another_quality_is_the_same_music() -> None:
    draft, high = (spec(quality_mode=mode).resolved("tone") for mode in ("draft", "high"))
    assert draft.seed == high.seed == spec().resolved("tone").seed
    assert draft.spec_id("1") != high.spec_id("1")


@pytest.mark.parametrize("field", [{"source": "../../etc/passwd"}, {"source": "A" * 32}, {"source_as": "soup"}])
def test_a_source_is_an_id_and_has_a_known_use(field: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        spec(**field)


@pytest.mark.parametrize(
    ("bpm", "bars"), [(124, 4), (120, 4), (90, 4), (174, 8), (60, 2), (20, 1), (400, 16), (92.5, 4), (None, None)]
)
def test_a_stem_whose_tempo_is_known_and_not_its_length_has_whole_bars(bpm: float | None, bars: int | None) -> None:
    found = spec("drum stem", kind="stem", bpm=bpm).complete()
    assert found.bars == bars
    assert found.seconds == pytest.approx(8.0 if bars is None or bpm is None else bars * 240 / bpm)
    assert spec("drum stem", kind="stem", bpm=bpm, duration=7.3).complete().seconds == 7.3

"""Time signatures: how they are written, how long their bars are, and where words name them."""

from __future__ import annotations

import pytest

from prompts import SampleSpec, bar_beats, canonical_meter


def test_a_meter_has_one_spelling() -> None:
    assert [canonical_meter(text) for text in ("3/4", " 7 / 8 ", "07/8", "15/4")] == ["3/4", "7/8", "7/8", "15/4"]


@pytest.mark.parametrize("text", ["", "4", "1/4", "16/8", "4/2", "4/16", "3/4/4", "-3/4", "3:4", "waltz"])
def test_anything_else_is_refused_with_examples(text: str) -> None:
    with pytest.raises(ValueError, match="7/8"):
        canonical_meter(text)


def test_a_bar_is_counted_in_quarter_notes() -> None:
    assert [bar_beats(meter) for meter in (None, "4/4", "3/4", "6/8", "7/8", "5/4")] == [4, 4, 3, 3, 3.5, 5]


@pytest.mark.parametrize(
    ("words", "meter"),
    [
        ("piano waltz", "3/4"),
        ("Waltzes at 90 bpm", "3/4"),
        ("drums in 7/8", "7/8"),
        ("6/8 groove, 100 bpm", "6/8"),
        ("(5/4) odd beat", "5/4"),
        ("a house beat in 4 / 4", "4/4"),
        ("dusty break", None),
        ("recorded on 3/4/2019", None),
        ("version 1.3/4", None),
        ("1/4 note delay", None),
        ("take 13/16", None),
    ],
)
def test_words_name_a_meter(words: str, meter: str | None) -> None:
    found = SampleSpec(prompt=words).complete()
    assert found.meter == meter
    assert meter is None or found.kind == "loop"

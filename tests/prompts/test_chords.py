"""Chord names: many spellings, and what they mean."""

from __future__ import annotations

import pytest

from prompts import chord_name, read_chord


@pytest.mark.parametrize(
    ("names", "root", "quality", "tones"),
    [
        ("C c Cmaj CM Cmajor", 0, "", (0, 4, 7)),
        ("Am am Amin A- Aminor Ami", 9, "m", (0, 3, 7)),
        ("F#m7 Gbmin7 F♯-7", 6, "m7", (0, 3, 7, 10)),
        ("Bbmaj7 A#M7 B♭Δ BbΔ7 Bbma7", 10, "maj7", (0, 4, 7, 11)),
        ("Gsus4 Gsus", 7, "sus4", (0, 5, 7)),
        ("Cdim C° Co", 0, "dim", (0, 3, 6)),
        ("C°7 Cdim7 Co7", 0, "dim7", (0, 3, 6, 9)),
        ("E7", 4, "7", (0, 4, 7, 10)),
        ("Bm7b5 Bø Bø7 Bm7(b5)", 11, "m7b5", (0, 3, 6, 10)),
        ("Caug C+", 0, "aug", (0, 4, 8)),
        ("Cm(maj7) CmMaj7 CmM7", 0, "mmaj7", (0, 3, 7, 11)),
        ("Cm(add9) Cmadd9", 0, "madd9", (0, 3, 7, 14)),
        ("C6/9 C69", 0, "69", (0, 4, 7, 9, 14)),
        ("E5", 4, "5", (0, 7)),
        ("C7(b9) C7b9", 0, "7b9", (0, 4, 7, 10, 13)),
    ],
)
def test_spellings_of_one_chord_are_read_as_one(names: str, root: int, quality: str, tones: tuple[int, ...]) -> None:
    for name in names.split():
        chord = read_chord(name)
        assert chord is not None
        assert (chord.root, chord.quality, chord.tones, chord.bass) == (root, quality, tones, root), name


def test_a_slash_names_the_lowest_note() -> None:
    chord = read_chord("D/F#")
    assert chord is not None
    assert (chord.root, chord.bass) == (2, 6)


def test_no_chord_is_silence() -> None:
    assert [read_chord(name) for name in ("N.C.", "NC", "n.c.")] == [None, None, None]


@pytest.mark.parametrize("name", ["", "H", "I", "iv", "Cfoo", "C G", "C/", "C//G", "dim", "major", "3", "C" * 99])
def test_what_is_no_chord_is_refused_with_examples(name: str) -> None:
    with pytest.raises(ValueError, match="F#m7"):
        read_chord(name)


def test_a_name_is_kept_as_written_but_tidy() -> None:
    names = {" am ": "Am", "bb": "Bb", "F♯m7": "F#m7", "d/f#": "D/F#", "nc": "N.C.", "C6/9": "C6/9", "Cmaj7": "Cmaj7"}
    assert {name: chord_name(name) for name in names} == names

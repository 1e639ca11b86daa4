"""What people write in many ways is read in one."""

from __future__ import annotations

import pytest

from prompts import Kind, SampleSpec, affirmed, worded


def complete(text: str) -> SampleSpec:
    return SampleSpec(prompt=text).complete()


@pytest.mark.parametrize(
    ("text", "bpm"),
    [
        ("techno beat ninety two bpm", 92),
        ("beat at a hundred and forty bpm", 140),
        ("beat, one hundred twenty-eight bpm", 128),
        ("beat one twenty eight bpm", 128),
        ("tempo of eighty five, lofi beat", 85),
        ("dusty_break_97bpm", 97),
        ("beat 92,5 bpm", 92.5),
        ("beat at 120 b.p.m.", 120),
        ("beat at 120 BPMs", 120),
        ("two bars of a beat", 120),
    ],
)
def test_a_tempo_is_read_however_it_is_written(text: str, bpm: float) -> None:
    assert complete(text).bpm == bpm


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("warm_pad_Fsmin_97bpm", "f#m"),
        ("pad_Cmin", "cm"),
        ("pad_f_sharp", "f#"),
        ("A-minor pad", "am"),
        ("pad in a-minor", "am"),
        ("pad, F#-major", "f#"),
        ("pad in B-flat", "a#"),
    ],
)
def test_a_key_is_read_however_it_is_written(text: str, key: str) -> None:
    assert complete(text).key == key


@pytest.mark.parametrize(
    ("text", "bars", "seconds"),
    [
        ("drum loop, 16 beats", 4, 8),
        ("drum loop, four bars", 4, 8),
        ("drum loop of sixteen beats at 60 bpm", 4, 16),
        ("waltz loop, 6 beats", 2, 3),
        ("pad, 30 seconds long", None, 30),
        ("a twelve-second pad", None, 12),
        ("jazz piano, 20 seconds", None, 20),
        ("piano with a 2 second delay", None, None),
        ("drum loop at 90 beats per minute", 2, pytest.approx(16 / 3)),
    ],
)
def test_a_length_is_read_however_it_is_written(text: str, bars: int | None, seconds: float | None) -> None:
    found = complete(text)
    assert (found.bars, found.seconds) == (bars, seconds)


@pytest.mark.parametrize(
    ("text", "kept", "unwanted"),
    [
        ("warm pad no drums", "warm pad", ("drums",)),
        ("techno without hats, 130 bpm", "techno 130 bpm", ("hats",)),
        ("no electric guitar but a piano", "but a piano", ("electric guitar",)),
        ("song without drums or bass", "song", ("drums", "bass")),
        ("lofi song without any vocals", "lofi song", ("vocals",)),
        ("pad, no reverb", "pad", ("reverb",)),
        ("notes of a piano", "notes of a piano", ()),
    ],
)
def test_what_is_not_wanted_is_taken_out(text: str, kept: str, unwanted: tuple[str, ...]) -> None:
    rest, words = affirmed(text)
    assert rest.replace(",", " ").split() == kept.split()
    assert words == unwanted


def test_a_pad_without_drums_is_a_pad() -> None:
    assert complete("warm pad no drums").kind is Kind.TEXTURE
    assert complete("piano, without a beat").kind is Kind.PITCHED


@pytest.mark.parametrize(
    ("text", "kind", "english"),
    [
        ("dunkles Klavier", Kind.PITCHED, "piano"),
        ("Schlagzeug Schleife, 4 Takte", Kind.LOOP, "drums"),
        ("Regen", Kind.TEXTURE, "rain"),
        ("batería rápida", Kind.LOOP, "drums"),
        ("bateria", Kind.LOOP, "drums"),
        ("guitarra eléctrica", Kind.PITCHED, "electric guitar"),
        ("guitare", Kind.PITCHED, "guitar"),
        ("flûte douce", Kind.PITCHED, "flute"),
        ("ピアノ", Kind.PITCHED, "piano"),
        ("静かなピアノの曲", Kind.LOOP, "piano"),
        ("nappe sans batterie", Kind.ONESHOT, "without drums"),
    ],
)
def test_words_of_other_languages_are_read(text: str, kind: Kind, english: str) -> None:
    assert english in worded(text)
    assert complete(text).kind is kind

"""What a prompt's words give away."""

from __future__ import annotations

import pytest

from prompts import Kind, SampleSpec


def complete(text: str) -> SampleSpec:
    return SampleSpec(prompt=text).complete()


KINDS = {
    Kind.LOOP: [
        "dusty break",
        "drum loop",
        "trap beat",
        "a groove",
        "guitar riff",
        "4 bars of piano",
        "two-bar flute line",
        "12-bar blues",
        "breakbeats",
        "jazz drums",
        "pad loop",
        "acid bassline",
        "amen",
        "rain with a beat",
        "piano melody",
        "jazzy chords at 90 bpm",
    ],
    Kind.TEXTURE: [
        "warm pad",
        "dark drone",
        "rain",
        "wind in trees",
        "noise bed",
        "room tone",
        "vinyl crackle",
        "ambience",
        "ocean waves",
        "string pad",
        "ATMOSPHERE",
        "loopable rain",
    ],
    Kind.PITCHED: [
        "piano note",
        "pluck",
        "bass note",
        "guitar",
        "angelic choir",
        "voice",
        "flute",
        "brass stab",
        "one-shot piano",
        "steel drums",
        "electric piano chord",
        "cellos",
        "vocal chop",
        "handpan",
    ],
    Kind.ONESHOT: [
        "kick",
        "808",
        "synth tom",
        "vocal riser",
        "snare drum",
        "bass drum",
        "closed hi-hat",
        "wind chimes",
        "noise riser with wind",
        "glass break",
        "cowbell",
        "break, one shot",
        "offbeat hat",
        "🔥",
        "太鼓",
        "hello",
        "kick at 90 beats per minute",
        "impact",
        "heartbeat",
        "broken",
    ],
    Kind.STEM: ["drum stem", "voice stem, dreamy, 120 bpm"],
}


@pytest.mark.parametrize(("text", "kind"), [(text, kind) for kind, texts in KINDS.items() for text in texts])
def test_words_give_the_kind_away(text: str, kind: Kind) -> None:
    assert complete(text).kind is kind


@pytest.mark.parametrize(
    ("text", "bpm"),
    [
        ("kick 92 bpm", 92),
        ("kick 92BPM", 92),
        ("kick 92-bpm", 92),
        ("bpm 92", 92),
        ("bpm: 92.5 kick", 92.5),
        ("kick @92bpm", 92),
        ("tempo of 140", 140),
        ("90 beats per minute", 90),
        ("10 bpm or 100 bpm", 100),
        ("1500 bpm", None),
        ("10 bpm", None),
        ("bpm 9999", None),
        ("808 kick", None),
        ("bpm", None),
    ],
)
def test_words_give_the_tempo_away(text: str, bpm: float | None) -> None:
    assert SampleSpec(prompt=text, kind="raw").complete().bpm == bpm


@pytest.mark.parametrize(
    ("text", "bars"),
    [
        ("loop, 4 bars", 4),
        ("1 bar loop", 1),
        ("sixteen-bar loop", 16),
        ("8 measures", 8),
        ("loop, 99 bars", 2),
        ("0 bars loop", 2),
    ],
)
def test_words_give_the_bars_away(text: str, bars: int) -> None:
    assert complete(text).bars == bars


KEYS = {
    "pad in C minor": "cm",
    "pad, c minor, slow": "cm",
    "f# minor riff": "f#m",
    "F#m riff": "f#m",
    "pad in fm": "fm",
    "key=Fm pad": "fm",
    "pad in the key of G": "g",
    "pad, key: d": "d",
    "In C": "c",
    "pad in g, dark": "g",
    "piano note f#": "f#",
    "lead in Db": "c#",
    "Bb pad": "a#",
    "ebm pad": "d#m",
    "E flat major": "d#",
    "b flat horn": "a#",
    "pad in E-flat": "d#",
    "pad Am": "am",
    "pad in A minor": "am",
    "big A minor pad": "am",
    "pad, a minor, 90 bpm": "am",
    "pad in a minor": "am",
    "riff in a minor with reverb": "am",
    "key of a minor": "am",
    "in A": "a",
    "a flat minor": "g#m",
    "in a b minor pad": "bm",
    "vitamin in c major": "c",
    # none of these names a key
    "a major hit": None,
    "A major hit": None,
    "a major chord": None,
    "a minor accident": None,
    "in a major way": None,
    "pad in a minor key": None,
    "in a cave": None,
    "A kick": None,
    "a sharp snare": None,
    "in a flat room": None,
    "in b movie style": None,
    "fm bass": None,
    "FM radio": None,
    "am radio": None,
    "Am I here": None,
    "I am here": None,
    "gm drums": None,
    "bb king": None,
    "dB meter": None,
    "c4 note": None,
    "Cmaj7": None,
    "in D&B style": None,
    "in G-funk style": None,
    "C-section": None,
    "in Cuba": None,
    "hidden": None,
    "key lime": None,
}


@pytest.mark.parametrize(("text", "key"), KEYS.items())
def test_words_give_the_key_away_when_it_is_certain(text: str, key: str | None) -> None:
    assert complete(text).key == key


MUSIC = [
    "upbeat electronic music",
    "a song about rain drops",
    "smooth jazz",
    "Energetic rock guitar solo",
    "lofi hip hop, warm",
    "drum and bass at 174 bpm",
    "brazilian batucada percussion with surdo",
]


@pytest.mark.parametrize("text", MUSIC)
def test_words_for_music_make_a_loop_of_four_bars_or_a_stem_of_the_asked_length(text: str) -> None:
    loop, stem = complete(text), SampleSpec(prompt=text, duration=3).complete()
    assert (loop.kind, loop.bars) == (Kind.LOOP, 4)
    assert (stem.kind, stem.seconds) == (Kind.STEM, 3)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("jazz piano", Kind.PITCHED),
        ("solo violin", Kind.PITCHED),
        ("music box", Kind.PITCHED),
        ("techno kick", Kind.ONESHOT),
        ("909 kick drum, hard techno", Kind.ONESHOT),
        ("rock falling on a roof", Kind.ONESHOT),
    ],
)
def test_a_style_before_an_instrument_makes_no_music_of_it(text: str, kind: Kind) -> None:
    assert complete(text).kind is kind


@pytest.mark.parametrize(
    ("text", "seconds", "kind"),
    [
        ("jazz piano", 3, Kind.PITCHED),
        ("piano note", 6, Kind.PITCHED),
        ("snare", 2, Kind.ONESHOT),
        ("snare", 2.5, Kind.STEM),
        ("jazz piano", 5.5, Kind.STEM),
        ("punchy kick", 8, Kind.STEM),
        ("tension riser", 8, Kind.ONESHOT),
        ("impact", 20, Kind.STEM),
        ("one long note of a choir", 12, Kind.PITCHED),
        ("warm pad", 60, Kind.TEXTURE),
        ("techno beat", 20, Kind.LOOP),
    ],
)
def test_a_length_that_no_single_sound_has_makes_a_stem(text: str, seconds: float, kind: Kind) -> None:
    assert SampleSpec(prompt=text, duration=seconds).complete().kind is kind

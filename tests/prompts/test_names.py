"""Names of sounds: always sayable in Strudel's mini-notation."""

from __future__ import annotations

import random
import re
import sys
from pathlib import Path

import pytest

from prompts import foreign_name, offered_name, reserved_name, slug, sound_aliases, sound_name, valid_name


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Dusty vinyl break, 92 bpm", "dusty_vinyl_break_92_bpm"),
        ("  --kick!!  ", "kick"),
        ("café crème", "cafe_creme"),
        ("ﬁne Ⅷ", "fine_viii"),
        ("Straße", "strasse"),
        ("ＫＩＣＫ", "kick"),
        ("808", "x_808"),
        ("１２３", "x_123"),
        ("wt_saw", "x_wt_saw"),
        ("WT saw", "x_wt_saw"),
        ("wt", "x_wt"),
        ("wtf", "wtf"),
        ("<b>bold</b>", "b_bold_b"),
        ("a_b", "a_b"),
        ("word " * 20, "word_word_word_word_word_word_word_word_word"),
        ("a" * 60, "a" * 48),
        ("1" * 60, "x_" + "1" * 46),
        ("a" * 47 + " b", "a" * 47),
        ("a" * 46 + " b", "a" * 46 + "_b"),
    ],
)
def test_a_slug_is_cut_between_words(text: str, name: str) -> None:
    assert slug(text) == name


def test_what_has_no_letters_is_called_by_its_id() -> None:
    assert slug("🔥🔥", "0123456789abcdef") == "x_012345"
    assert slug("太鼓") == slug("太鼓") != slug("🔥")


def test_any_text_gives_a_valid_name() -> None:
    dice = random.Random(2)
    for _ in range(3000):
        text = "".join(chr(dice.choice([dice.randrange(sys.maxunicode + 1), dice.randrange(128)])) for _ in range(40))
        for made in (text, text[:1], re.sub(r"\D", "", text), "wt_" + text):
            name = slug(made, "f" * 32)
            assert len(name) <= 48
            assert valid_name(name), (made, name)
            assert len(sound_name(made, "f" * 32)) <= 52
            assert valid_name(sound_aliases(sound_name(made))[0])


def test_a_sound_has_the_name_of_its_words_and_an_alias() -> None:
    assert sound_name("Warm pad") == "gen_warm_pad"
    assert sound_aliases("gen_warm_pad") == ("musicgen_warm_pad",)
    assert sound_aliases("musicgen_voice") == ()


@pytest.mark.parametrize(
    "name",
    [
        "",
        "12",
        "wt_x",
        "Kick",
        "a-b",
        "a b",
        "é",
        "a" * 65,
        "kick\n",
        "../a",
        "gen:a",
        "_",
        "gen_",
        "musicgen_",
        "gen___",
    ],
)
def test_such_a_name_is_not_valid(name: str) -> None:
    assert not valid_name(name)


@pytest.mark.parametrize("name", ["a", "1a", "_a", "gen_kick", "a" * 64])
def test_such_a_name_is_valid(name: str) -> None:
    assert valid_name(name)


SUPERDOUGH = Path(__file__).parents[2] / "web_client" / "node_modules" / "superdough"
PROTOTYPE = [
    "__proto__",
    "constructor",
    "hasOwnProperty",
    "isPrototypeOf",
    "propertyIsEnumerable",
    "toLocaleString",
    "toString",
    "valueOf",
    "__defineGetter__",
    "__defineSetter__",
    "__lookupGetter__",
    "__lookupSetter__",
]


@pytest.mark.parametrize(
    "name",
    [*PROTOTYPE, "_base", "bd", "sh", "sine", "white", "zzfx", "piano", "RolandTR909_bd", "tr808_sd", "gm_piano", "HH"],
)
def test_names_that_strudel_has_are_reserved_and_another_is_offered(name: str) -> None:
    assert reserved_name(name)
    assert offered_name(name) == foreign_name(name) == f"gen_{name.lower()}"
    assert valid_name(offered_name(name))
    assert not reserved_name(offered_name(name))


@pytest.mark.parametrize("name", ["kick", "gen_bd", "musicgen_bd", "beat", "rain", "my_tones", "bd_sl", "voice", "fx"])
def test_other_names_are_free(name: str) -> None:
    assert not reserved_name(name)
    assert foreign_name(name) == name


def test_every_synth_that_superdough_registers_is_reserved() -> None:
    if not SUPERDOUGH.is_dir():
        pytest.skip("web_client/node_modules is not installed")
    source = "".join((SUPERDOUGH / name).read_text() for name in ("synth.mjs", "zzfx.mjs", "helpers.mjs"))
    found = set(re.findall(r"registerSound\(\s*'(\w+)'", source))
    for listed in re.findall(
        r"(?:const waveforms = |const noises = |^  )\[((?:'\w+'(?:, )?)+)\]", source, re.MULTILINE
    ):
        found |= set(re.findall(r"'(\w+)'", listed))
    assert {"sbd", "supersaw", "sine", "pink", "z_sine", "saw"} <= found | {"saw"}
    assert [name for name in sorted(found) if not reserved_name(name)] == []


def test_the_sign_of_a_note_is_said() -> None:
    assert slug("pad in F#") == "pad_in_f_sharp"
    assert slug("F#m pad") == "f_sharp_m_pad"
    assert slug("A♭ horn") == "a_flat_horn"
    assert slug("#1 hit") == "1_hit"

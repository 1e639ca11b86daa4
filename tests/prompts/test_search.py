"""Search words: sloppy queries must hit."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from prompts import nearest, terms


@pytest.mark.parametrize(("number", "least"), [("", 0.95), ("_2", 0.95)])
def test_sloppy_queries_that_were_written_down_beforehand_hit(number: str, least: float) -> None:
    lines = (Path(__file__).parent / f"sloppy_queries{number}.txt").read_text("utf-8").splitlines()
    pairs = [line.split(" | ") for line in lines if not line.startswith("#")]
    missed = [(query, word) for query, word in pairs if word not in terms(query)]
    assert len(pairs) >= 60
    assert 1 - len(missed) / len(pairs) >= least, missed


def test_said_words_weigh_more_than_what_they_mean_and_that_more_than_its_other_names() -> None:
    found = terms("horns")
    assert found["horns"] == 1
    assert found["horns"] > found["brass"] > found["trumpet"] > 0
    assert list(found) == sorted(found, key=lambda word: (-found[word], word))


def test_a_phrase_means_something_of_its_own() -> None:
    assert terms("drum & bass")["break"] > terms("drum and bass")["bass"]
    assert terms("eight oh eight")["808"] > terms("eight oh eight")["oh"]
    assert terms("hi-hat") == {**terms("hi-hat"), "hat": terms("hihat")["hat"]}


def test_stop_words_tempo_and_plain_numbers_are_no_search_words() -> None:
    assert set(terms("give me the kick at 92 bpm please, 7 of 12")) == set(terms("kick"))
    assert terms("808 kick")["808"] == 1
    assert "and" not in terms("drum and bass")
    assert terms("the") == terms("") == terms("🔥") == terms("92 bpm") == {}


def test_a_mistyped_word_finds_what_the_library_has() -> None:
    assert 0 < terms("zanzithofon", {"zanzithophone", "kick"})["zanzithophone"] < 0.8
    assert "kick" not in terms("zanzithophone", {"zanzithophone", "kick"})


def test_a_word_that_the_library_has_is_not_taken_for_another() -> None:
    assert "kick" in terms("kickk")
    assert "kick" not in terms("kickk", {"kickk"})


def test_another_form_of_a_word_that_the_library_has_counts_nearly_as_much() -> None:
    assert terms("zorps", {"zorp"})["zorp"] == 0.9


def test_accents_do_not_matter() -> None:
    assert terms("crème brûlée") == terms("CREME brulee")


def test_other_scripts_and_markup_are_words_too() -> None:
    assert terms("太鼓") == {"太鼓": 1.0}
    assert "script" in terms("<script>kick</script>")


def test_five_hundred_characters_of_nonsense_are_read_without_harm() -> None:
    words = [f"q{number}z" for number in range(110)]
    found = terms(" ".join(words)[:500], {"kick"})
    assert all(0 < weight <= 1 for weight in found.values())
    assert set(words[:100]) <= set(found)


def test_the_nearest_names_come_likest_first() -> None:
    assert nearest("kik", ["snare", "kick", "kick_808"]) == ["kick", "kick_808"]
    assert nearest("gen_warm_pat", ["gen_warm_pad", "gen_warm_pads", "gen_war", "x"], limit=2) == [
        "gen_warm_pad",
        "gen_warm_pads",
    ]
    assert nearest("qq", ["kick"]) == nearest("kick", []) == []


def test_importing_prompts_loads_neither_rapidfuzz_nor_the_data() -> None:
    code = (
        "import sys, prompts, prompts._data as data;"
        "assert 'rapidfuzz' not in sys.modules;"
        "assert data.table.cache_info().currsize == 0"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])

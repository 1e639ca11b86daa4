"""The keyword grammar."""

from __future__ import annotations

import pytest

from prompts import InvalidKeyword, Keyword, parse_keywords


def test_words_counts_and_both_kinds_of_gaps_are_read() -> None:
    assert parse_keywords("kick:3,warm_pad, dusty  break:4") == (
        Keyword("kick", "gen_kick", 3),
        Keyword("warm pad", "gen_warm_pad", 1),
        Keyword("dusty break", "gen_dusty_break", 4),
    )


def test_the_counts_of_one_name_add_up() -> None:
    assert parse_keywords("kick:3,snare,Kick,gen_kick:2") == (
        Keyword("kick", "gen_kick", 6),
        Keyword("snare", "gen_snare", 1),
    )


def test_stray_commas_and_blanks_do_no_harm() -> None:
    assert parse_keywords(" ,kick : 02 ,,") == (Keyword("kick", "gen_kick", 2),)


def test_emoji_are_words_and_each_has_a_name() -> None:
    assert len({keyword.name for keyword in parse_keywords("🔥,🥁:2")}) == 2


def test_the_limits_themselves_are_allowed() -> None:
    assert [keyword.count for keyword in parse_keywords("kick:32,snare:32")] == [32, 32]


@pytest.mark.parametrize(
    "text",
    [
        "",
        " , ",
        ":3",
        "_:1",
        "kick:",
        "kick:0",
        "kick:-1",
        "kick:x",
        "kick:1.5",
        "kick:3:4",
        "kick:٣",
        "kick:33",
        "kick:99999999999999",
        "kick:32,kick",
        "a:32,b:32,c",
        "bell\x07",
        "a" * 501,
        "gen_",
        "half \ud83d",
    ],
)
def test_anything_else_is_an_error_in_a_sentence(text: str) -> None:
    with pytest.raises(InvalidKeyword, match=r"^[A-Z0-9'].*\.$"):
        parse_keywords(text)

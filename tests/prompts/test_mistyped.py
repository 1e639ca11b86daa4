"""Names that look like a typing error of another one."""

import pytest

from prompts import common_stems, mistyped

KEPT = {*(stem.sound for stem in common_stems()), "gen_electric_piano", "gen_kick_909", "gen_floob", "lab_piano"}


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("gen_electric_paino", ["gen_electric_piano"]),
        ("musicgen_electric_paino", ["gen_electric_piano"]),
        ("gen_kick_909x", ["gen_kick_909"]),
        ("gen_acidlin", ["gen_acid_line"]),  # nobody has it, but it is what the vocabulary says
    ],
)
def test_a_typing_error_of_a_kept_name_is_known(typed: str, meant: list[str]) -> None:
    assert mistyped(typed, KEPT) == meant


@pytest.mark.parametrize(
    "typed",
    [
        "gen_kick_808",  # digits are meant
        "gen_kick_9099",
        "gen_flob",  # near a name, but that one's word is in no vocabulary either
        "gen_dark_kick",  # plain words
        "gen_kicks",
        "gen_piano_2",
        "gen_klangfarbe",
        "gen_paxno_x_deep",  # three edits
        "gen_kyyck",  # two edits in a short word
    ],
)
def test_what_may_be_meant_is_made(typed: str) -> None:
    assert mistyped(typed, KEPT) == []

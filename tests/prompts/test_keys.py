"""Keys: every spelling that players use."""

from __future__ import annotations

import pytest

from prompts import PITCH_CLASSES, canonical_key, key_name

SPELLINGS = {
    "c": ["C", "c", "C major", "c maj", "CM", "CMaj", "C-Major", " c  major ", "b#"],
    "cm": ["C minor", "cm", "Cm", "c min", "Cmin", "C_minor", "c-minor", "C MINOR"],
    "c#": ["Db", "c#", "C♯", "cs", "c-sharp", "D♭ major", "d flat major"],
    "d#m": ["Ebm", "ebmin", "Ebmin", "E flat minor", "dsm", "D# minor", "e-flat-minor"],
    "e": ["e", "Fb", "E major"],
    "f": ["F", "e#", "es"],
    "f#": ["F# major", "fs", "f sharp", "Gb", "gb major"],
    "f#m": ["fsm", "f-sharp-minor", "F#m", "f#min", "Gb minor", "gbm"],
    "fm": ["fm", "F minor"],
    "g#m": ["Abm", "A flat minor", "gsm"],
    "a": ["a", "A major", "A"],
    "am": ["Am", "a minor", "A min"],
    "a#": ["Bb", "bb", "BB", "B flat", "as", "B♭"],
    "a#m": ["bbm", "Bbm", "B flat minor", "asm"],
    "b": ["b", "Cb", "B"],
    "bm": ["bm", "B minor"],
}


@pytest.mark.parametrize(("text", "key"), [(text, key) for key, texts in SPELLINGS.items() for text in texts])
def test_a_key_has_one_spelling(text: str, key: str) -> None:
    assert canonical_key(text) == key


@pytest.mark.parametrize("key", [tonic + mode for tonic in PITCH_CLASSES for mode in ("", "m")])
def test_every_canonical_key_is_its_own_spelling_and_reads_back_from_its_name(key: str) -> None:
    assert canonical_key(key) == key
    assert canonical_key(key_name(key)) == key


@pytest.mark.parametrize(
    "text", ["", " ", "H", "C dorian", "c##", "Cmaj7", "minor", "x", "c minor pad", "8A", "ｃ", "m"]
)
def test_anything_else_is_an_error_with_examples(text: str) -> None:
    with pytest.raises(ValueError, match="'C minor'"):
        canonical_key(text)

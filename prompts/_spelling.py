"""Typing errors in the names of instruments."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from functools import cache

from prompts._data import table
from prompts._phrases import singulars, words_of

_WORD = re.compile(r"[a-z]{3,}")


def respelled(text: str, nouns: Collection[str], known: Collection[str] = ()) -> str:
    """Return ``text``, lower case, with each word that is one of ``nouns`` mistyped spelled right.

    For texts in which nothing is understood as it stands. Two letters that changed places are an error in any word, a
    letter typed twice or once in any word, one that is missing or too many in words from five letters on, a wrong one
    from six, two errors from eight. The first letter is right, but for a change of places. ``known``: further words
    that are meant as they are; so are the vocabulary's, and ordinary ones that look like instruments.
    """
    from rapidfuzz.distance import OSA

    meant = {*nouns, *known}

    def right(word: str) -> str:
        if any(form in meant or form in meant_words() for form in singulars(word)):
            return word
        errors = ((noun, OSA.distance(word, noun, score_cutoff=2)) for noun in nouns if len(noun) > 3)
        found = [(how, noun) for noun, count in errors if (how := _how(word, noun, count))]
        return min(found)[1] if found else word

    return _WORD.sub(lambda match: right(match[0]), text.lower())


def _how(word: str, noun: str, errors: int) -> int:
    """Tell which error it is, 1 the likeliest, 0 none."""
    if errors == 1 and sorted(word) == sorted(noun):
        return 1
    if word[0] != noun[0] or errors > 2:
        return 0
    if errors == 1 and _once(word) == _once(noun):
        return 2
    if errors == 1 and len(word) != len(noun) and len(noun) > 4:
        return 3
    if len(noun) >= (6 if errors == 1 else 8):
        return 3 + errors
    return 0


def _once(word: str) -> str:
    """Each letter once where it stands several times in a row."""
    return re.sub(r"(.)\1+", r"\1", word)


@cache
def meant_words() -> frozenset[str]:
    """Words that are not typing errors."""
    return frozenset(_vocabulary())


def _vocabulary() -> Iterator[str]:
    yield from table("vocabulary")["ordinary"]
    yield from table("vocabulary")["stop_words"]
    for word, others in table("vocabulary")["words"].items():
        for phrase in (word, *others):
            yield from words_of(phrase)
    for phrases in table("vocabulary")["kinds"].values():
        for phrase in phrases:
            yield from words_of(phrase)

"""Names of sounds that look like a typing error of another one."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from functools import cache

from prompts._data import table
from prompts._phrases import singulars, words_of
from prompts._spelling import meant_words

_MAKEABLE = re.compile(r"(?:gen|musicgen)_([a-z0-9_]+)")
_LETTERS_FOR_TWO = 6
"""Two edits are a typing error in words of this many letters; in shorter ones a single edit is."""


def mistyped(name: str, kept: Collection[str], limit: int = 3) -> list[str]:
    """Return the names that were probably meant by ``name``, the likest first; none when it reads well.

    ``kept``: names of sounds that exist. A name looks mistyped when one of its words is in no vocabulary, and it is one
    edit, or two in words from six letters on, from a name whose words all are. A digit is never a typing error. A long
    word may also be meant for a word of the vocabulary that has no sound ("acidlin").
    """
    text = _text(name)
    strange = [word for word in text.split("_") if word and not _known(word)]
    if not strange:
        return []
    longest = max(len(re.sub(r"\d", "", word)) for word in strange)
    most = 2 if longest >= _LETTERS_FOR_TWO else 1
    found = _near(text, (other for other in kept if _MAKEABLE.fullmatch(other)), most)
    if not found and longest >= _LETTERS_FOR_TWO:
        found = _near(text, _named_by_vocabulary(), most)
    return list(dict.fromkeys(other for _, other in sorted(found)))[:limit]


def _near(text: str, others: Iterable[str], most: int) -> list[tuple[int, str]]:
    from rapidfuzz.distance import OSA

    found = []
    for other in others:
        meant = _text(other)
        away = OSA.distance(text, meant, score_cutoff=most)
        if 0 < away <= most and _digits(text) == _digits(meant) and all(_known(word) for word in meant.split("_")):
            found.append((away, other))
    return found


def _text(name: str) -> str:
    match = _MAKEABLE.fullmatch(name)
    return (match[1] if match else name).strip("_")


def _digits(text: str) -> list[str]:
    return re.findall(r"\d+", text)


def _known(word: str) -> bool:
    return word.isdecimal() or len(word) < 2 or any(form in _words() for form in (word, *singulars(word)))


@cache
def _words() -> frozenset[str]:
    said = [text for stem in table("stems")["stem"] for text in (stem["name"], stem["prompt"], *stem.get("tags", ()))]
    said += [word for kind in table("stems")["type"] for word in (kind["name"], kind["words"], *kind.get("also", ()))]
    return meant_words() | {word for text in said for word in words_of(text.replace("_", " "))}


@cache
def _named_by_vocabulary() -> tuple[str, ...]:
    phrases = {phrase for group in table("vocabulary")["kinds"].values() for phrase in group}
    return tuple(sorted(f"gen_{'_'.join(words_of(phrase))}" for phrase in phrases))

"""Words and phrases in running text."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeVar

Meaning = TypeVar("Meaning")

_LONGEST = 4  # words in a phrase


def words_of(text: str) -> list[str]:
    """Return the words of ``text``: letters and digits, lower case, without accents; "&" is "and"."""
    plain = unicodedata.normalize("NFKD", text).casefold().replace("&", " and ")
    return re.findall(r"[^\W_]+", "".join(sign for sign in plain if not unicodedata.combining(sign)))


def joined(phrase: str) -> str:
    """Return a phrase without its gaps, so that "hi hat", "hi-hat" and "hihat" are one."""
    return "".join(words_of(phrase))


def singulars(word: str) -> Iterator[str]:
    """Yield ``word``, then what it may be the plural of."""
    yield word
    if len(word) > 3 and word.endswith("s") and not word.endswith("ss"):
        yield word[:-1]
        if word.endswith("es"):
            yield word[:-2]


def phrases_in(words: Sequence[str], meanings: Mapping[str, Meaning]) -> Iterator[tuple[tuple[str, ...], Meaning]]:
    """Yield each phrase that ``meanings`` knows (by its joined form, singular or plural), the longest first.

    No word belongs to two phrases.
    """
    start = 0
    while start < len(words):
        for end in range(min(len(words), start + _LONGEST), start, -1):
            known = next((form for form in singulars("".join(words[start:end])) if form in meanings), None)
            if known is not None:
                yield tuple(words[start:end]), meanings[known]
                start = end
                break
        else:
            start += 1

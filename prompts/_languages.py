"""Words of other languages, put into the English of the vocabulary: one file each in ``prompts/languages``."""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from importlib.resources import files

from prompts._data import table


def in_english(text: str) -> str:
    """Return ``text`` with the words that a language file knows in English, accents or not; the rest as it is."""
    if not text.isascii() or _first_words() & {word.lower() for word in re.findall(r"[A-Za-z]+", text)}:
        text = unicodedata.normalize("NFC", text)
        inside, words = _tables()
        if inside:
            text = _pattern(tuple(inside), whole=False).sub(lambda match: f" {inside[match[0]]} ", text)
        text = _pattern(tuple(words), whole=True).sub(lambda match: words[match[0].lower()], text)
    return text


@cache
def _tables() -> tuple[dict[str, str], dict[str, str]]:
    inside: dict[str, str] = {}
    words: dict[str, str] = {}
    found = [each.name for each in files("prompts").joinpath("languages").iterdir()]
    for name in sorted(name.removesuffix(".toml") for name in found if name.endswith(".toml")):
        language = table(f"languages/{name}")
        for word, english in language["words"].items():
            if language.get("inside"):
                inside[unicodedata.normalize("NFC", word)] = english
            else:
                words[word] = english
                words[word.lower()] = english
                words[_bare(word)] = english
    return inside, words


@cache
def _first_words() -> frozenset[str]:
    return frozenset(word.split()[0] for word in _tables()[1] if word.isascii())


@cache
def _pattern(words: tuple[str, ...], *, whole: bool) -> re.Pattern[str]:
    listed = "|".join(map(re.escape, sorted(words, key=len, reverse=True)))
    return re.compile(rf"(?<!\w)(?:{listed})(?!\w)" if whole else listed, re.IGNORECASE)


def _bare(word: str) -> str:
    plain = unicodedata.normalize("NFKD", word.lower())
    return "".join(sign for sign in plain if not unicodedata.combining(sign))

"""One spelling for what people write in many: numbers as words, "b.p.m.", "Fsmin", names with underscores, negation."""

from __future__ import annotations

import re
from functools import cache, lru_cache

from prompts._data import table
from prompts._languages import in_english
from prompts._phrases import singulars, words_of

_ONES = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]
_ONES += ["thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"]
_TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_VALUES = {word: number for number, word in enumerate(_ONES)} | {
    word: number for number, word in zip(range(20, 100, 10), _TENS, strict=True)
}
_WORD = "|".join(sorted([*_VALUES, "hundred"], key=len, reverse=True))
_SPELLED = rf"(?:an?\s+)?(?:{_WORD})(?:(?:[\s-]+and[\s-]+|[\s-]+)(?:{_WORD}))*"
_UNIT = r"(?:bpm|beats?|bars?|measures?|seconds?|secs?)"
_BEFORE_UNIT = re.compile(rf"\b(?P<spelled>{_SPELLED})(?=[\s-]*{_UNIT}\b)", re.IGNORECASE)
_AFTER_TEMPO = re.compile(
    rf"\b(?P<lead>(?:bpm|tempo)\s*(?:of|at|is)?\s*[:=@]?\s*)(?P<spelled>{_SPELLED})\b", re.IGNORECASE
)
_BPM = re.compile(r"\bb\.\s?p\.\s?m\.?(?!\w)|(?<![a-z])bpms\b", re.IGNORECASE)
_COMMA = re.compile(r"(?<![\d,.])(\d{1,3}),(\d{1,2})(?=[\s-]*bpm\b)", re.IGNORECASE)
_SHARP = re.compile(r"\b([A-Ga-g])s(?=(?:min|maj|minor|major)\b)")
_MODE = re.compile(r"\b([A-Ga-g](?:[#♯♭b])?)-(?=(?:minor|major|min|maj)\b)", re.IGNORECASE)
_GLUED = re.compile(r"\b([A-G](?:[#♯♭b])?)(min|maj)\b")
_NO = re.compile(r"\b(?:no|without(?:\s+any)?|minus)\s+(?P<rest>[^,;:.()\n/|]+)", re.IGNORECASE)
_ENDS = frozenset({"with", "but", "in", "at", "for", "on", "over", "from", "just", "only"})


@lru_cache(maxsize=512)
def worded(text: str) -> str:
    """Return ``text`` in the one spelling that the readers know; letter case stays, since it tells keys."""
    text = in_english(text.replace("_", " "))
    text = _COMMA.sub(r"\1.\2", _BPM.sub("bpm", text))
    text = _BEFORE_UNIT.sub(lambda match: str(_number(match["spelled"])), text)
    text = _AFTER_TEMPO.sub(lambda match: f"{match['lead']}{_number(match['spelled'])}", text)
    text = _SHARP.sub(r"\1#", text)
    text = _MODE.sub(lambda match: f"key: {match[1].capitalize()} ", text)
    return _GLUED.sub(r"\1 \2", text)


@lru_cache(maxsize=512)
def affirmed(text: str) -> tuple[str, tuple[str, ...]]:
    """Return ``text`` without what it does not want ("no drums", "without hats"), and those words, lower case."""
    unwanted: list[str] = []

    def cut(match: re.Match[str]) -> str:
        words = match["rest"].split()
        taken = _unwanted(words)
        unwanted.extend(" ".join(words_of(word)) for word in taken if words_of(word))
        rest = words[sum(len(word.split()) for word in taken) + len(taken) - 1 :]
        return f" , {affirmed(' '.join(rest))[0]}" if rest else " "

    return _NO.sub(cut, text), tuple(unwanted)


def _unwanted(words: list[str]) -> list[str]:
    """The nouns at the beginning of what follows "no", with the words before each: "electric guitar", "drums"."""
    found: list[str] = []
    start = 0
    while start < len(words):
        end = next((at for at in range(start, min(start + 3, len(words))) if _is_noun(words, at)), None)
        if end is None or any(word.lower() in _ENDS for word in words[start : end + 1]):
            break
        while end + 1 < len(words) and _is_noun(words, end + 1):
            end += 1
        found.append(" ".join(words[start : end + 1]))
        if end + 2 >= len(words) or words[end + 1].lower() not in {"or", "nor", "and"} or not _is_noun(words, end + 2):
            break
        start = end + 2
    return found or [words[0]]


def _is_noun(words: list[str], at: int) -> bool:
    return any(form in _nouns() for word in words_of(words[at]) for form in singulars(word))


@cache
def _nouns() -> frozenset[str]:
    kinds = table("vocabulary")["kinds"]
    groups = ("loop", "drum", "pitched", "texture", "effect", "rise")
    return frozenset(word for group in groups for phrase in kinds[group] for word in words_of(phrase)) - {"bed", "line"}


def _number(spelled: str) -> int:
    """ "ninety two" -> 92, "a hundred and forty" -> 140, "one twenty eight" -> 128."""
    total = 0
    for word in re.findall(r"[a-z]+", spelled.lower()):
        if word == "hundred":
            total = (total or 1) * 100
        elif word in _VALUES:
            value = _VALUES[word]
            # "one twenty eight" says its hundreds without the word
            total = total * 100 + value if 0 < total < 10 and value >= 10 else total + value
    return total

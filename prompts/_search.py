"""Search words for what somebody typed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from functools import cache

from prompts._data import table
from prompts._phrases import joined, phrases_in, singulars, words_of
from prompts._reading import without_bpm

_SAID = 1.0
_MEANT = 0.8  # the word that stems and prompts use for what was said
_PART = 0.5  # a word out of a phrase that means something else as a whole ("oh" in "eight oh eight")
_ALSO = 0.2  # other words for the same thing
_GUESSES = 16  # words that are looked up by likeness, which costs time
_ENOUGH = 78.0  # likeness, 0..100, at which a word counts as another one mistyped
_CLOSE = 55.0  # likeness at which a name is worth proposing
_ENDINGS = (("ing", ""), ("ing", "e"), ("ed", ""), ("ed", "e"), ("y", ""), ("er", ""), ("ish", ""))


def terms(text: str, known: Collection[str] = ()) -> dict[str, float]:
    """Return the words to search for, each with its weight (above 0, at most 1), the weightiest first.

    What was said counts most, then what the vocabulary takes it to mean ("horns" -> brass), then other words for
    that. A word that neither the vocabulary nor ``known`` (the words that the library has) contains is taken for the
    nearest one that they do. Stop words, bpm and other plain numbers are dropped.
    """
    words = [word for word in words_of(without_bpm(text)) if not word.isdecimal() or word in _index()]
    weights: dict[str, float] = defaultdict(float)
    unread = set(words)
    for phrase, meanings in phrases_in(words, _index()):
        unread -= set(phrase)
        _add(weights, phrase, _SAID if len(phrase) == 1 else _PART)
        _expand(weights, meanings, 1.0)
    strange = [word for word in dict.fromkeys(words) if word in unread and word not in _stop_words()]
    _add(weights, strange, _SAID)
    for word in strange[:_GUESSES]:
        _guess(weights, word, known)
    kept = {word: weight for word, weight in weights.items() if word not in _stop_words() and len(word) > 1}
    return dict(sorted(kept.items(), key=lambda item: (-item[1], item[0])))


def words_to_find(text: str) -> frozenset[str]:
    """Return the words of ``text`` that tell sounds apart: no stop words, no tempo."""
    words = words_of(without_bpm(text.replace("_", " ")))
    return frozenset([*singulars(word)][-1] for word in words if word not in _stop_words())


def nearest(word: str, known: Iterable[str], limit: int = 3) -> list[str]:
    """Return up to ``limit`` of ``known`` that look like ``word``, the likest first."""
    from rapidfuzz import fuzz, process

    names = sorted(set(known))
    plain = joined(word)
    found = process.extract(plain, names, scorer=fuzz.ratio, processor=joined, limit=limit, score_cutoff=_CLOSE)
    return [name for name, _, _ in found]


def _guess(weights: dict[str, float], word: str, known: Collection[str]) -> None:
    """Add what a word outside the vocabulary stands for: another form, two words in one, or a typing error."""
    for form in _forms(word):
        if form in _index():
            return _expand(weights, _index()[form], 0.9)
        if form in known:
            return _add(weights, [form], 0.9)
    if len(word) < 3:
        return None
    for cut in range(3, len(word) - 2):
        first, second = word[:cut], word[cut:]
        if first in _index() and second in _index():
            _expand(weights, _index()[first], 0.8)
            return _expand(weights, _index()[second], 0.8)
    from rapidfuzz import fuzz, process

    best = process.extractOne(word, sorted({*_index(), *known}), scorer=fuzz.ratio, score_cutoff=_ENOUGH)
    if best is not None:
        match, likeness, _ = best
        _add(weights, [match], likeness / 100 * _MEANT)
        _expand(weights, _index().get(match, ()), likeness / 100 * _MEANT)
    return None


def _forms(word: str) -> Iterable[str]:
    """Yield what ``word`` may be an inflection of."""
    yield from singulars(word)
    for ending, instead in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) > 2:
            stem = word.removesuffix(ending)
            yield stem + instead
            if stem[-1] == stem[-2]:
                yield stem[:-1] + instead


def _expand(weights: dict[str, float], meanings: Iterable[str], share: float) -> None:
    """Add the vocabulary's words for a meaning and, far below, the other words for it."""
    for meaning in meanings:
        _add(weights, [meaning], _MEANT * share)
        for other in table("vocabulary")["words"].get(meaning, ()):
            if len(words_of(other)) == 1:
                _add(weights, [joined(other)], _ALSO * share)


def _add(weights: dict[str, float], words: Iterable[str], weight: float) -> None:
    for word in words:
        weights[word] = max(weights[word], round(weight, 3))


@cache
def _index() -> dict[str, tuple[str, ...]]:
    """Return every word and phrase of the vocabulary, joined, with the words it stands for."""
    index: dict[str, list[str]] = {}
    for word, others in table("vocabulary")["words"].items():
        for phrase in (word, *others):
            meanings = index.setdefault(joined(phrase), [])
            if word not in meanings:
                meanings.append(word)
    return {phrase: tuple(meanings) for phrase, meanings in index.items()}


@cache
def _stop_words() -> frozenset[str]:
    return frozenset(table("vocabulary")["stop_words"])

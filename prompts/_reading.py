"""Facts that a prompt's words give away: kind, tempo, bars and key."""

from __future__ import annotations

import re
from functools import cache
from typing import Final

from prompts._data import table
from prompts._fields import MAX_SECONDS, MIN_SECONDS
from prompts._keys import canonical_key
from prompts._kind import Kind
from prompts._meter import bar_beats, meter_in
from prompts._phrases import joined, phrases_in, words_of
from prompts._spelling import respelled
from prompts._wording import affirmed, worded

_BPM = re.compile(
    r"""(?<![\d.])(?P<before>\d{2,3}(?:\.\d+)?)[\s-]*(?:bpm|beats\ per\ minute)\b
        |\b(?:bpm|beats\ per\ minute|tempo)\s*(?:of|at|is)?\s*[:=@]?\s*(?P<after>\d{2,3}(?:\.\d+)?)(?![\d.]*\d)""",
    re.VERBOSE | re.IGNORECASE,
)
_NUMBERS = {
    word: number
    for number, word in enumerate(["one", "two", "three", "four", "five", "six", "seven", "eight"], start=1)
} | {"twelve": 12, "sixteen": 16, "thirty two": 32}
_BARS = re.compile(
    rf"(?<![\w.])(?P<count>\d{{1,2}}|{'|'.join(_NUMBERS)})[\s-]*(?P<unit>bars?|measures?|beats?)\b(?!\s+per\b)",
    re.IGNORECASE,
)
_SECONDS = re.compile(
    r"(?<![\w.])(?P<count>\d{1,3}(?:\.\d+)?)[\s-]*(?:seconds?|secs?)\b"
    r"(?!\s+(?:delay|echo|reverb|tail|decay|release|attack|fade))",
    re.IGNORECASE,
)
_KEY = re.compile(
    r"""(?<![\w#♯♭'’-])
        (?:(?P<lead>(?i:(?:in\s+)?(?:the\s+)?key(?:\s+of)?\s*[:=]?|in))\s+|(?P<label>(?i:key)[:=])\s*)?
        (?P<note>[A-Ga-g])
        (?P<sign>[\#♯♭b]|[\s-]?(?i:sharp|flat))?
        (?:[\s-]*(?P<mode>(?i:minor|major|min|maj))|(?P<m>m))?
        (?![-'’&]?\w|[\#♯♭])""",
    re.VERBOSE,
)
_PARTS = re.compile(r"[,;:.()/|]|\b(?:with|over|plus|on|in|from|for|at|featuring)\b", re.IGNORECASE)
_END_OF_PHRASE = re.compile(r"\s*(?:$|[^\w\s]|\d|(?i:and|at|by|for|from|on|over|with)\b)")

LONGEST_HIT: Final = 2.0
"""Seconds: a single hit of a drum is no longer, so what is asked to be longer is a part for it."""
LONGEST_SINGLE: Final = 3.0
"""Seconds: the same for notes and effects. Only risers, and what is called a note, go on."""
_STRUCK = frozenset({"effect", "rise", "drum"})
_NO_NOUNS = frozenset({"music", "style"})


def kind_in(text: str, seconds: float | None = None) -> Kind:
    """Guess the kind of sample that is ``seconds`` long; None means that nobody said how long.

    In this order: "stem"; "one-shot" and the like; a number of bars, a meter, and words for loops (break, beat, riff);
    effects, one-shots; words for textures (pad, drone, rain); words for music, a loop; drums, one-shots; whatever plays
    a note (piano, pluck, bass, choir, flute): pitched; everything else is a one-shot. Where no word says anything,
    typing errors are read.

    A length that no single sound has, or words for music and a length, make a stem: it sounds to its end.
    """
    text = affirmed(worded(text))[0]
    words = without_bpm(text)
    found = _kinds(words)
    if found <= {"style"}:
        found |= _kinds(respelled(words, _kind_nouns()))
    if "stem" in found:
        return Kind.STEM
    if "single" in found:
        return _single(found)
    if "loop" in found or bars_in(text) is not None or meter_in(text) is not None:
        return Kind.LOOP
    if "texture" in found and not found & {"effect", "rise", "music"}:
        return Kind.TEXTURE
    music = not found & {"effect", "rise"} and says_music(words)
    longest = LONGEST_HIT if "drum" in found else LONGEST_SINGLE
    if seconds is not None and (music or (seconds > longest and not found & {"rise", "note"})):
        return Kind.STEM
    if music:
        return Kind.LOOP
    return _single(found)


def says_music(text: str) -> bool:
    """Tell whether words ask for music rather than a loop: "music", "a song", or a first part that ends in a style or a
    solo ("smooth jazz", "guitar solo in A").
    """
    text = affirmed(worded(text))[0]
    found = _kinds(text)
    if "loop" in found or meter_in(text) is not None:
        return False
    return "music" in found or _ending_kind(words_of(_PARTS.split(text.strip())[0])) == "style"


def _single(found: set[str]) -> Kind:
    return Kind.PITCHED if found & {"pitched", "note"} and not found & _STRUCK else Kind.ONESHOT


def _ending_kind(words: list[str]) -> str | None:
    """Return the kind of the longest known phrase that ends ``words``."""
    endings = ("".join(words[start:]) for start in range(max(0, len(words) - 4), len(words)))
    return next((_kind_words()[ending] for ending in endings if ending in _kind_words()), None)


def bpm_in(text: str) -> float | None:
    """Return the beats per minute of "92 bpm", "bpm: 92" or "@92bpm"; None without any from 20 to 400."""
    numbers = (float(match["before"] or match["after"]) for match in _BPM.finditer(worded(text)))
    return next((number for number in numbers if 20 <= number <= 400), None)


def without_bpm(text: str) -> str:
    """Return ``text`` without what ``bpm_in`` reads."""
    return _BPM.sub(" ", text)


def bars_in(text: str) -> int | None:
    """Return the number of bars of "4 bars", "two-bar", "8 measures" or, where they are whole bars, "16 beats".

    None without any from 1 to 64.
    """
    text = worded(text)
    beats = bar_beats(meter_in(text))
    for match in _BARS.finditer(text):
        count = _NUMBERS.get(match["count"].lower()) or int(match["count"])
        bars = count / (beats if match["unit"].lower().startswith("beat") else 1)
        if bars.is_integer() and 1 <= bars <= 64:
            return int(bars)
    return None


def seconds_in(text: str) -> float | None:
    """Return the length that "30 seconds long" or "a 5-second riser" says; None for none from 0.1 to 120.

    "A 2 second delay" says no length.
    """
    for match in _SECONDS.finditer(worded(text)):
        if MIN_SECONDS <= float(match["count"]) <= MAX_SECONDS:
            return float(match["count"])
    return None


def key_in(text: str) -> str | None:
    """Return the canonical key of "in C minor", "f# minor", "key of G", "Bbm"; None when no key is certain.

    "a major hit" and "fm bass" name no key: a bare "a" counts only where nothing follows that it could be the
    article of, and a lower-case letter with "m" only after "in" or "key".
    """
    for match in _KEY.finditer(worded(text)):
        if _is_key(match):
            return canonical_key(
                f"{match['note']}{(match['sign'] or '').strip(' -')}{match['mode'] or match['m'] or ''}"
            )
    return None


def _is_key(match: re.Match[str]) -> bool:
    """Tell a key from an article, a radio band and a synthesis method."""
    note, sign, spelled = match["note"], match["sign"], bool(match["mode"])
    lead = bool(match["lead"] or match["label"])
    if match["label"] or "key" in (match["lead"] or "").lower():
        return True
    phrase_ends = bool(_END_OF_PHRASE.match(match.string, match.end()))
    capital = note.isupper() and (match.start("note") > 0 or note != "A")
    if match["m"]:
        return lead or capital or sign in {"#", "♯", "♭", "b"}
    if sign in {"#", "♯", "♭"}:
        return True
    if note in "aA" and sign != "b":
        return (capital or phrase_ends) and (spelled or bool(sign) or (lead and capital))
    if spelled or (sign is not None and sign != "b"):
        return True
    if sign:
        return lead or capital
    return lead and (capital or phrase_ends)


def _kinds(text: str) -> set[str]:
    return {kind for _, kind in phrases_in(words_of(text), _kind_words())}


@cache
def _kind_nouns() -> frozenset[str]:
    kinds = table("vocabulary")["kinds"]
    phrases = (phrase for kind, phrases in kinds.items() if kind not in _NO_NOUNS for phrase in phrases)
    return frozenset(phrase for phrase in phrases if phrase.isalpha())


@cache
def _kind_words() -> dict[str, str]:
    return {joined(phrase): kind for kind, phrases in table("vocabulary")["kinds"].items() for phrase in phrases}

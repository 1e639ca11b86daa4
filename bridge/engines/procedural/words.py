"""What the words of a prompt mean for this engine: instruments, knobs, genre and mood.

The engine adds a word to a table, never to the code that plays.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import lru_cache

from prompts import affirmed, respelled, worded

from .genres import GENRES, Genre
from .instrument import Instrument, Knobs
from .instruments import TABLE
from .lexicon import BEAT, KNOBS, LINES, MOODS, SAME, WEAK
from .theory import note_in

_SEGMENT = re.compile(r"[,;:.()\n/|]| with | and | over | plus | on | in | from | for | at ")


def plain(prompt: str) -> str:
    """Lower case, one blank between words, spellings made one, a blank at both ends."""
    text = " " + " ".join(re.findall(r"[a-z0-9#]+", prompt.lower().replace("'", ""))) + " "
    for other, one in SAME:
        text = text.replace(f" {other} ", f" {one} ")
    return text


@dataclass(frozen=True, slots=True)
class Reading:
    """A prompt, understood."""

    instruments: tuple[Instrument, ...]
    """Those that are named, the main one first."""
    knobs: Knobs
    genre: Genre | None
    scale: str | None
    beat: bool
    """Drums as a groove are asked for."""
    line: str | None
    """arp, bass, chords, riff or melody, when a word says so."""
    four: bool
    """A kick on every beat is asked for."""
    text: str
    without: frozenset[str] = frozenset()
    """Names of instruments that are not wanted."""
    note: float | None = None
    """MIDI number of a note that is named with its octave."""


def _phrases() -> list[tuple[str, Instrument]]:
    pairs: dict[str, Instrument] = {}
    for entry in TABLE.values():
        for phrase in entry.words:
            pairs.setdefault(plain(phrase), entry)
    return sorted(pairs.items(), key=lambda pair: (pair[0].count(" "), len(pair[0])), reverse=True)


_PHRASES = _phrases()
_STYLES = [
    (plain(phrase), 1 if BEAT & set(plain(phrase).split()) else len(phrase), genre)
    for genre in GENRES
    for phrase in genre.words
]


def _named(segment: str) -> tuple[list[Instrument], set[str]]:
    """Instruments of one segment: longest phrases first, each word used once; of equals the last is the noun.

    Also the words of those phrases: "distorted guitar" has been distorted by choosing it.
    """
    found: list[tuple[int, int, Instrument]] = []
    said: set[str] = set()
    rest = segment
    for phrase, entry in _PHRASES:
        at = rest.rfind(phrase)
        if at < 0:  # a plural
            at = rest.rfind(phrase.rstrip() + "s ")
            if at < 0:
                continue
            phrase = phrase.rstrip() + "s "
        rest = rest[: at + 1] + "#" * (len(phrase) - 2) + rest[at + len(phrase) - 1 :]
        found.append((phrase.count(" ") if phrase.strip() not in WEAK else 0, at, entry))
        said.update(phrase.split())
    found.sort(key=lambda item: (item[0], item[1]), reverse=True)
    return [entry for _, _, entry in found], said


_LONG = 7
"""Letters from which a word of a longer phrase ("acoustic guitar") is not a typing error for another word."""
_NOUNS = {
    word
    for entry in TABLE.values()
    for phrase in entry.words
    for word in phrase.split()
    if word.isalpha() and word not in WEAK and len(word) >= (4 if word == phrase else _LONG)
} | BEAT
_OTHERS = {*KNOBS, *MOODS, *LINES, *WEAK} | {
    word for genre in GENRES for phrase in genre.words for word in phrase.split()
}


@lru_cache(maxsize=256)
def read(prompt: str) -> Reading:
    """Understand a prompt; words that mean nothing here are left alone, unless they are an instrument's, mistyped.

    What it does not want ("no drums", "without hats") is no part of what it names.
    """
    prompt, unwanted = affirmed(worded(prompt))
    reading = _heard(prompt)
    if not unwanted:
        return reading
    refused = _understood(" , ".join(unwanted))
    roles = ({"drum"} if refused.beat else set()) | ({"voice"} if {"vocals", "vocal"} & {*unwanted} else set())
    roles |= {"bass"} if {"bass", "bass line"} & {*unwanted} else set()
    without = frozenset(
        entry.name
        for entry in TABLE.values()
        if entry.role in roles or any(entry.name.startswith(other.name) for other in refused.instruments)
    )
    kept = tuple(entry for entry in reading.instruments if entry.name not in without)
    return replace(reading, instruments=kept, without=without, beat=reading.beat and not refused.beat)


def _heard(prompt: str) -> Reading:
    reading = _understood(prompt)
    if reading.instruments or reading.beat or reading.line:
        return reading
    other = respelled(prompt, _NOUNS, _OTHERS)
    return reading if other == prompt.lower() else _understood(other)


def _understood(prompt: str) -> Reading:
    text = plain(prompt)
    genre, words = None, 0
    for phrase, weight, candidate in _STYLES:
        if phrase in text and weight > words:
            genre, words = candidate, weight
    instruments: list[Instrument] = []
    spent: set[str] = set()
    weak: list[Instrument] = []
    for segment in _SEGMENT.split(prompt.lower().replace("drum and bass", "dnb")):
        entries, used = _named(plain(segment))
        spent |= used if len(used) > 1 else set()
        (weak if used and used <= WEAK else instruments).extend(entry for entry in entries if entry not in instruments)
    instruments += [entry for entry in weak if entry not in instruments]
    knobs = genre.knobs if genre and not any(word in KNOBS for word in genre.words) else Knobs()
    scale = None
    said = text.split()
    for word in said:
        if word in spent:
            continue
        if word in KNOBS:
            knobs += KNOBS[word]
        elif word in MOODS:
            knobs += MOODS[word].knobs
            scale = MOODS[word].scale or scale
        if word in {"major", "minor"}:
            scale = word
    lines = [LINES[word] for word in text.replace(" bass line ", " bassline ").split() if word in LINES]
    return Reading(
        instruments=tuple(instruments),
        knobs=knobs,
        genre=genre,
        scale=scale,
        beat=bool(BEAT & set(said)) or "four to the floor" in text or " amen " in text,
        line=lines[0] if lines else None,
        four="four to the floor" in text or "4 4" in text,
        text=text,
        note=note_in(prompt),
    )

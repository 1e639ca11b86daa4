"""What the words of a prompt mean for this engine: instruments, knobs, genre, mood and metre.

The engine adds a word to a table, never to the code that plays.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from .genres import GENRES, Genre
from .instrument import Instrument, Knobs
from .instruments import TABLE

_SAME = (
    ("hi hat", "hat"),
    ("hihat", "hat"),
    ("highhat", "hat"),
    ("kick drum", "kick"),
    ("bass drum", "kick"),
    ("snare drum", "snare"),
    ("bassdrum", "kick"),
    ("tr 808", "808"),
    ("tr 909", "909"),
    ("tr808", "808"),
    ("tr909", "909"),
    ("lo fi", "lofi"),
    ("one shot", "oneshot"),
    ("8 bit", "8bit"),
    ("drum n bass", "drum and bass"),
    ("d n b", "drum and bass"),
    ("dnb", "drum and bass"),
    ("synthesizer", "synth"),
    ("synthesiser", "synth"),
    ("hip hop", "hiphop"),
    ("b line", "bassline"),
    ("bass line", "bassline"),
    ("e piano", "electric piano"),
)
_SEGMENT = re.compile(r"[,;:.()\n/|]| with | and | over | plus | on | in | from | for | at ")

KNOBS: dict[str, Knobs] = {
    "dark": Knobs(bright=-0.9),
    "darker": Knobs(bright=-0.9),
    "dull": Knobs(bright=-1.0),
    "muffled": Knobs(bright=-1.2),
    "bright": Knobs(bright=0.9),
    "brighter": Knobs(bright=0.9),
    "brilliant": Knobs(bright=1.0),
    "sparkling": Knobs(bright=0.9),
    "crisp": Knobs(bright=0.3, punch=0.2),
    "sharp": Knobs(bright=0.6, hard=0.5),
    "harsh": Knobs(bright=1.0, drive=0.8),
    "warm": Knobs(bright=-0.55, drive=0.15, age=0.15),
    "mellow": Knobs(bright=-0.6, hard=-0.4),
    "cold": Knobs(bright=0.6, width=0.2),
    "icy": Knobs(bright=0.9, wet=0.3),
    "glassy": Knobs(bright=0.8),
    "metallic": Knobs(bright=0.6, hard=0.2),
    "hard": Knobs(hard=0.9, punch=0.4, drive=0.35, bright=0.3),
    "soft": Knobs(hard=-0.9, punch=-0.4, bright=-0.35),
    "gentle": Knobs(hard=-0.8, bright=-0.3),
    "smooth": Knobs(hard=-0.6, bright=-0.3),
    "heavy": Knobs(hard=0.6, drive=0.5, bright=-0.2),
    "bold": Knobs(hard=0.5, bright=0.2),
    "punchy": Knobs(punch=0.9, length=-0.15, hard=0.3),
    "tight": Knobs(length=-0.4, punch=0.3),
    "snappy": Knobs(punch=0.6, bright=0.15, length=-0.3),
    "boomy": Knobs(length=0.6, pitch=-2, bright=-0.3),
    "round": Knobs(bright=-0.35, hard=-0.3),
    "fat": Knobs(drive=0.4, width=0.2, bright=-0.1, pitch=-1),
    "thick": Knobs(drive=0.3, width=0.4),
    "thin": Knobs(bright=0.25, length=-0.2),
    "big": Knobs(wet=0.35, width=0.3, length=0.3),
    "huge": Knobs(wet=0.5, width=0.4, length=0.5),
    "deep": Knobs(pitch=-3, bright=-0.3, length=0.2),
    "low": Knobs(pitch=-3, bright=-0.15),
    "high": Knobs(pitch=4, bright=0.2),
    "distorted": Knobs(drive=1.2),
    "distortion": Knobs(drive=1.2),
    "overdriven": Knobs(drive=0.9),
    "dirty": Knobs(drive=0.8, lofi=0.2),
    "gritty": Knobs(drive=0.7, lofi=0.3),
    "fuzzy": Knobs(drive=1.0),
    "crunchy": Knobs(drive=0.7, lofi=0.3),
    "saturated": Knobs(drive=0.7),
    "clean": Knobs(drive=-1.0, lofi=-1.0, age=-0.5, air=-0.3),
    "pure": Knobs(drive=-1.0, lofi=-1.0, air=-0.5),
    "clear": Knobs(drive=-0.5, lofi=-0.6, bright=0.15),
    "lofi": Knobs(lofi=0.9, bright=-0.15),
    "dusty": Knobs(lofi=0.6, bright=-0.15, age=0.3),
    "vinyl": Knobs(lofi=0.5),
    "bitcrushed": Knobs(lofi=1.4),
    "crushed": Knobs(lofi=1.2),
    "tape": Knobs(age=0.7, drive=0.3, lofi=0.2),
    "old": Knobs(age=0.9, lofi=0.4, bright=-0.3),
    "vintage": Knobs(age=0.8, lofi=0.2, bright=-0.2),
    "retro": Knobs(age=0.6),
    "analog": Knobs(age=0.5, drive=0.15),
    "analogue": Knobs(age=0.5, drive=0.15),
    "detuned": Knobs(age=0.9, width=0.3),
    "modern": Knobs(age=-0.3, bright=0.2),
    "wide": Knobs(width=1.0),
    "stereo": Knobs(width=0.6),
    "mono": Knobs(width=-2.0),
    "narrow": Knobs(width=-1.2),
    "long": Knobs(length=0.7),
    "sustained": Knobs(length=0.7, hard=-0.2),
    "ringing": Knobs(length=0.8),
    "short": Knobs(length=-0.7),
    "stab": Knobs(length=-0.7, hard=0.4),
    "staccato": Knobs(length=-0.9, hard=0.3),
    "plucked": Knobs(hard=0.2),
    "wet": Knobs(wet=0.9),
    "reverb": Knobs(wet=0.8),
    "reverberant": Knobs(wet=0.9),
    "spacious": Knobs(wet=0.7, width=0.4),
    "distant": Knobs(wet=0.9, bright=-0.5),
    "far": Knobs(wet=0.8, bright=-0.4),
    "hall": Knobs(wet=0.7),
    "cathedral": Knobs(wet=1.2),
    "dry": Knobs(wet=-1.0),
    "close": Knobs(wet=-0.7),
    "slow": Knobs(speed=-0.9),
    "fast": Knobs(speed=0.9),
    "quick": Knobs(speed=0.6, length=-0.2),
    "evolving": Knobs(speed=-0.3, width=0.2),
    "breathy": Knobs(air=1.0),
    "airy": Knobs(air=0.7, bright=0.3),
    "noisy": Knobs(air=0.8, lofi=0.3),
    "lush": Knobs(width=0.4, wet=0.3),
    "dreamy": Knobs(wet=0.5, hard=-0.4, width=0.3),
    "squelch": Knobs(bright=0.4, drive=0.2),
    "resonant": Knobs(bright=0.3),
    "acid": Knobs(bright=0.1),
    "dense": Knobs(speed=0.5),
    "sparse": Knobs(speed=-0.7),
    "steady": Knobs(),
    "noise": Knobs(),
}


@dataclass(frozen=True, slots=True)
class Mood:
    """What a mood word turns, and the scale it asks for."""

    knobs: Knobs
    scale: str | None = None


MOODS: dict[str, Mood] = {
    "happy": Mood(Knobs(bright=0.45, speed=0.3), "major"),
    "joyful": Mood(Knobs(bright=0.45, speed=0.3), "major"),
    "uplifting": Mood(Knobs(bright=0.5, wet=0.2), "major"),
    "sad": Mood(Knobs(bright=-0.5, hard=-0.4, speed=-0.4), "minor"),
    "energetic": Mood(Knobs(hard=0.6, speed=0.7, bright=0.4, punch=0.4)),
    "calm": Mood(Knobs(hard=-0.6, speed=-0.6, bright=-0.35, wet=0.2)),
    "relaxing": Mood(Knobs(hard=-0.6, speed=-0.6, bright=-0.35, wet=0.2)),
    "dramatic": Mood(Knobs(hard=0.5, wet=0.45, punch=0.3), "minor"),
    "peaceful": Mood(Knobs(hard=-0.7, speed=-0.5, wet=0.4, bright=-0.3), "major"),
    "euphoric": Mood(Knobs(bright=0.6, width=0.5, wet=0.4), "major"),
    "melancholic": Mood(Knobs(bright=-0.5, hard=-0.4, wet=0.3, age=0.2), "minor"),
    "melancholy": Mood(Knobs(bright=-0.5, hard=-0.4, wet=0.3), "minor"),
    "aggressive": Mood(Knobs(hard=0.9, drive=0.9, bright=0.4, punch=0.4), "phrygian"),
    "angry": Mood(Knobs(hard=0.9, drive=0.9, bright=0.4), "phrygian"),
    "ethereal": Mood(Knobs(wet=0.9, width=0.5, hard=-0.6, air=0.4), "lydian"),
    "angelic": Mood(Knobs(wet=0.3, air=0.3, bright=0.2, hard=-0.3), "major"),
    "heavenly": Mood(Knobs(wet=0.7, air=0.3, bright=0.25), "major"),
    "epic": Mood(Knobs(wet=0.5, width=0.5, hard=0.4, punch=0.3, length=0.2), "minor"),
    "mysterious": Mood(Knobs(wet=0.5, bright=-0.4), "phrygian"),
    "scary": Mood(Knobs(wet=0.5, bright=-0.3, age=0.5), "phrygian"),
    "eerie": Mood(Knobs(wet=0.6, age=0.6), "phrygian"),
    "romantic": Mood(Knobs(hard=-0.4, wet=0.3, bright=-0.2), "major"),
    "nostalgic": Mood(Knobs(age=0.6, lofi=0.3, bright=-0.2), "major"),
    "haunting": Mood(Knobs(wet=0.7, age=0.4, bright=-0.3), "minor"),
}

_BEAT = {
    "beat",
    "beats",
    "drums",
    "drum",
    "break",
    "breaks",
    "breakbeat",
    "groove",
    "kit",
    "rhythm",
    "drumloop",
    "drumkit",
    "percussion",
}
_LINES = {
    "arp": "arp",
    "arpeggio": "arp",
    "arpeggiated": "arp",
    "arpeggiator": "arp",
    "sequence": "arp",
    "bassline": "bass",
    "walking": "bass",
    "chords": "chords",
    "progression": "chords",
    "comping": "chords",
    "riff": "riff",
    "lick": "melody",
    "solo": "melody",
    "melody": "melody",
    "lead": "melody",
    "motif": "melody",
    "hook": "melody",
    "theme": "melody",
    "strumming": "chords",
    "stabs": "chords",
}
_WEAK = {
    "hit",
    "drop",
    "metal",
    "wood",
    "click",
    "boom",
    "sweep",
    "space",
    "texture",
    "water",
    "night",
    "data",
    "error",
    "build",
    "fall",
    "void",
    "ping",
    "chord",
    "stab",
    "machine",
    "nature",
    "singing",
    "aah",
    "ah",
    "dust",
    "noise",
    "tension",
    "static",
    "industrial",
    "orchestral",
    "crackle",
    "machines",
    "atmosphere",
    "shout",
    "waves",
    "blip",
    "sticks",
    "fire",
    "heart",
    "vinyl",
    "percussion",
    "synth",
    "sequence",
    "cinematic",
}
"""Words that mean an instrument only when nothing else does."""
_METRES = {"3 4": 12, "6 8": 12, "7 8": 14, "5 4": 20, "waltz": 12}


def plain(prompt: str) -> str:
    """Lower case, one blank between words, spellings made one, a blank at both ends."""
    text = " " + " ".join(re.findall(r"[a-z0-9#]+", prompt.lower().replace("'", ""))) + " "
    for other, one in _SAME:
        text = text.replace(f" {other} ", f" {one} ")
    return text


@dataclass(frozen=True, slots=True)
class Wish:
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
    steps: int
    """Sixteenths a bar."""
    four: bool
    """A kick on every beat is asked for."""
    text: str


def _phrases() -> list[tuple[str, Instrument]]:
    pairs: dict[str, Instrument] = {}
    for entry in TABLE.values():
        for phrase in entry.words:
            pairs.setdefault(plain(phrase), entry)
    return sorted(pairs.items(), key=lambda pair: (pair[0].count(" "), len(pair[0])), reverse=True)


_PHRASES = _phrases()
_STYLES = [
    (plain(phrase), 1 if _BEAT & set(phrase.split()) else len(phrase), genre)
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
        found.append((phrase.count(" ") if phrase.strip() not in _WEAK else 0, at, entry))
        said.update(phrase.split())
    found.sort(key=lambda item: (item[0], item[1]), reverse=True)
    return [entry for _, _, entry in found], said


def read(prompt: str) -> Wish:
    """Understand a prompt; words that mean nothing here are left alone."""
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
        (weak if used and used <= _WEAK else instruments).extend(entry for entry in entries if entry not in instruments)
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
    joined = text.replace("drum and bass", " ")
    lines = [_LINES[word] for word in said if word in _LINES]
    return Wish(
        instruments=tuple(instruments),
        knobs=knobs,
        genre=genre,
        scale=scale,
        beat=bool(_BEAT & set(joined.split())) or "four to the floor" in text or " amen " in text,
        line=lines[0] if lines else None,
        steps=next((steps for metre, steps in _METRES.items() if f" {metre} " in text), 16),
        four="four to the floor" in text or "4 4" in text,
        text=text,
    )

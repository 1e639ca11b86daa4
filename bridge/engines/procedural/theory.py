"""Keys, scales and chords. Pitches are MIDI numbers; 69 is A4 at 440 Hz."""

from __future__ import annotations

import re
from dataclasses import dataclass

_CLASSES = {"c": 0, "d": 2, "e": 4, "f": 5, "g": 7, "a": 9, "b": 11}
_SCALES = {
    "major": (0, 2, 4, 5, 7, 9, 11),
    "minor": (0, 2, 3, 5, 7, 8, 10),
    "dorian": (0, 2, 3, 5, 7, 9, 10),
    "phrygian": (0, 1, 3, 5, 7, 8, 10),
    "lydian": (0, 2, 4, 6, 7, 9, 11),
    "mixolydian": (0, 2, 4, 5, 7, 9, 10),
}
SCALES = tuple(_SCALES)
_QUALITIES = {
    "": (0, 4, 7),
    "maj": (0, 4, 7),
    "m": (0, 3, 7),
    "min": (0, 3, 7),
    "dim": (0, 3, 6),
    "aug": (0, 4, 8),
    "7": (0, 4, 7, 10),
    "maj7": (0, 4, 7, 11),
    "m7": (0, 3, 7, 10),
    "sus2": (0, 2, 7),
    "sus4": (0, 5, 7),
    "6": (0, 4, 7, 9),
    "9": (0, 4, 7, 10, 14),
    "m9": (0, 3, 7, 10, 14),
    "5": (0, 7),
}
_CHORD = re.compile(r"(?<![\w#])([A-G])([#b]?)(maj7|maj|min|m7|m9|m|dim|aug|sus2|sus4|6|7|9|5)?(?![\w#'])")


def hertz(midi: float) -> float:
    """Frequency of a MIDI number."""
    return float(440.0 * 2 ** ((midi - 69) / 12))


@dataclass(frozen=True, slots=True)
class Chord:
    """Notes of a chord as semitones above C, the root first."""

    notes: tuple[int, ...]

    @property
    def root(self) -> int:
        """Pitch class of the root."""
        return self.notes[0] % 12


@dataclass(frozen=True, slots=True)
class Tonality:
    """A tonic and its scale."""

    tonic: int
    """Pitch class, 0 = C."""
    scale: str

    def degree(self, index: int) -> int:
        """Semitones above C of a degree, 0 = tonic, 7 = the tonic an octave higher."""
        steps = _SCALES[self.scale]
        return self.tonic + 12 * (index // 7) + steps[index % 7]

    def chord(self, degree: int, size: int = 3) -> Chord:
        """Thirds stacked on a degree."""
        return Chord(tuple(self.degree(degree + 2 * i) for i in range(size)))


def tonality(key: str | None, default: str) -> Tonality:
    """Read a canonical key ("c", "f#m", "bb"); without one C in the ``default`` scale."""
    if not key or key[0].lower() not in _CLASSES:
        return Tonality(0, default)
    text = key.lower()
    tonic = (_CLASSES[text[0]] + text.count("#") - (1 if text[1:2] == "b" else 0)) % 12
    minor = text.endswith("m")
    fits = default not in {"major", "lydian", "mixolydian"} if minor else default in {"major", "lydian", "mixolydian"}
    return Tonality(tonic, default if fits else "minor" if minor else "major")


def chords_in(prompt: str) -> tuple[Chord, ...]:
    """Chord names of a prompt ("Am F C G", "Dm7, G7"); a single letter alone is no progression."""
    found = []
    for note, sign, quality in _CHORD.findall(prompt):
        root = (_CLASSES[note.lower()] + {"#": 1, "b": -1, "": 0}[sign]) % 12
        found.append(Chord(tuple(root + step for step in _QUALITIES[quality])))
    return tuple(found) if len(found) > 1 else ()


def near(pitch_class: float, centre: float) -> float:
    """The MIDI number of this pitch class nearest to ``centre``."""
    return pitch_class + 12 * round((centre - pitch_class) / 12)


def voiced(chord: Chord, centre: float) -> list[float]:
    """The notes of a chord in close position around ``centre``, sorted."""
    return sorted(near(note, centre) for note in chord.notes)

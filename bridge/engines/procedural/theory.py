"""Keys, scales and chords. Pitches are MIDI numbers; 69 is A4 at 440 Hz."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from prompts import PITCH_CLASSES, read_chord

_CLASSES = {"c": 0, "d": 2, "e": 4, "f": 5, "g": 7, "a": 9, "b": 11}
_SCALES = {
    "major": (0, 2, 4, 5, 7, 9, 11),
    "minor": (0, 2, 3, 5, 7, 8, 10),
    "dorian": (0, 2, 3, 5, 7, 9, 10),
    "phrygian": (0, 1, 3, 5, 7, 8, 10),
    "lydian": (0, 2, 4, 6, 7, 9, 11),
    "mixolydian": (0, 2, 4, 5, 7, 9, 10),
}
_NOTE = re.compile(r"(?<![\w#])([a-g])(#|s|b)?([0-6])(?![\w#])", re.IGNORECASE)
_CAPITAL = re.compile(r"[A-G]")


def hertz(midi: float) -> float:
    """Frequency of a MIDI number."""
    return float(440.0 * 2 ** ((midi - 69) / 12))


@dataclass(frozen=True, slots=True)
class Chord:
    """Notes of a chord as semitones above C, the root first; without notes nobody but the drums plays."""

    notes: tuple[int, ...]
    bass: int | None = None
    """Pitch class of the lowest note where it is not the root."""

    @property
    def root(self) -> int:
        """Pitch class that a bass plays."""
        return self.notes[0] % 12 if self.bass is None else self.bass

    @property
    def third(self) -> int:
        """Semitones from the root to the chord's second note: 3 minor, 4 major, 5 suspended."""
        return self.notes[1] - self.notes[0]

    @property
    def fifth(self) -> int:
        """Semitones from the root to the chord's third note: 7, and 6 in a diminished chord."""
        return self.notes[2] - self.notes[0] if len(self.notes) > 2 else 7


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

    def harmony(self, degree: int, *, sevenths: bool) -> Chord:
        """The chord that stands for a degree: progressions are written for one scale and played in any.

        A diminished triad is the upper part of the seventh chord a third below, so that one's triad is played instead.
        Jazz, with ``sevenths``, wants it as it is.
        """
        if sevenths:
            return self.chord(degree, 4)
        triad = self.chord(degree)
        return self.chord(degree - 2) if triad.third == 3 and triad.fifth == 6 else triad

    def nearest(self, note: float) -> int:
        """The note of the scale that is nearest to ``note``, the lower of two."""
        tones = {(self.tonic + step) % 12 for step in _SCALES[self.scale]}
        return next(round(note) + off for off in (0, -1, 1, -2, 2) if (round(note) + off) % 12 in tones)


def tonality(key: str | None, default: str) -> Tonality:
    """Read a canonical key ("c", "f#m", "bb"); without one C in the ``default`` scale."""
    if not key or key[0].lower() not in _CLASSES:
        return Tonality(0, default)
    text = key.lower()
    tonic = (_CLASSES[text[0]] + text.count("#") - (1 if text[1:2] == "b" else 0)) % 12
    minor = text.endswith("m")
    fits = default not in {"major", "lydian", "mixolydian"} if minor else default in {"major", "lydian", "mixolydian"}
    return Tonality(tonic, default if fits else "minor" if minor else "major")


def chords_of(names: Sequence[str]) -> tuple[Chord, ...]:
    """Chords by their names, as a spec has them; "N.C." is a chord without notes. Unknown names are left out."""
    found = []
    for name in names:
        try:
            chord = read_chord(name)
        except ValueError:
            continue
        if chord is None:
            found.append(Chord(()))
        else:
            found.append(
                Chord(
                    tuple(chord.root + tone for tone in chord.tones), None if chord.bass == chord.root else chord.bass
                )
            )
    return tuple(found)


def chords_in(prompt: str) -> tuple[Chord, ...]:
    """Chord names of a prompt ("Am F C G", "Dm7, G7", "Am-F-C-G"): at least two, one after the other."""
    run: list[str] = []
    for word in [*re.split(r"[\s,|–>]+|-(?=[A-G])", prompt), ""]:
        name = word.rstrip(".;:")
        if _CAPITAL.match(name) and chords_of([name]):
            run.append(name)
        elif len(run) > 1:
            break
        else:
            run = []
    return chords_of(run) if len(run) > 1 else ()


def near(pitch_class: float, centre: float) -> float:
    """The MIDI number of this pitch class nearest to ``centre``."""
    return pitch_class + 12 * round((centre - pitch_class) / 12)


def voiced(chord: Chord, centre: float) -> list[float]:
    """The notes of a chord in close position around ``centre``, sorted."""
    return sorted(near(note, centre) for note in chord.notes)


def note_in(prompt: str) -> float | None:
    """MIDI number of a note with its octave in the words ("piano c3", "F#2 pluck"); c4 is 60."""
    match = _NOTE.search(prompt)
    if match is None:
        return None
    name, sign, octave = match.groups()
    step = {"#": 1, "s": 1, "b": -1}.get((sign or "").lower(), 0)
    return 12.0 * (int(octave) + 1) + _CLASSES[name.lower()] + step


def note_name(midi: float) -> str:
    """Name of a MIDI number as Strudel has it: 60 is "c4", 66 is "f#4"."""
    return f"{PITCH_CLASSES[round(midi) % 12]}{round(midi) // 12 - 1}"

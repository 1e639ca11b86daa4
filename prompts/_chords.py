"""Chord names: what is understood, and which notes they mean."""

from __future__ import annotations

import re
from dataclasses import dataclass

_NATURALS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_TONES = {
    "": (0, 4, 7),
    "m": (0, 3, 7),
    "dim": (0, 3, 6),
    "aug": (0, 4, 8),
    "5": (0, 7),
    "sus2": (0, 2, 7),
    "sus4": (0, 5, 7),
    "6": (0, 4, 7, 9),
    "m6": (0, 3, 7, 9),
    "69": (0, 4, 7, 9, 14),
    "m69": (0, 3, 7, 9, 14),
    "7": (0, 4, 7, 10),
    "maj7": (0, 4, 7, 11),
    "m7": (0, 3, 7, 10),
    "mmaj7": (0, 3, 7, 11),
    "dim7": (0, 3, 6, 9),
    "m7b5": (0, 3, 6, 10),
    "aug7": (0, 4, 8, 10),
    "augmaj7": (0, 4, 8, 11),
    "7b5": (0, 4, 6, 10),
    "7sus2": (0, 2, 7, 10),
    "7sus4": (0, 5, 7, 10),
    "9sus4": (0, 5, 7, 10, 14),
    "7b9": (0, 4, 7, 10, 13),
    "7#9": (0, 4, 7, 10, 15),
    "7#11": (0, 4, 7, 10, 18),
    "maj7#11": (0, 4, 7, 11, 18),
    "7b13": (0, 4, 7, 10, 20),
    "add9": (0, 4, 7, 14),
    "madd9": (0, 3, 7, 14),
    "add11": (0, 4, 7, 17),
    "9": (0, 4, 7, 10, 14),
    "maj9": (0, 4, 7, 11, 14),
    "m9": (0, 3, 7, 10, 14),
    "mmaj9": (0, 3, 7, 11, 14),
    "11": (0, 7, 10, 14, 17),  # without the third, which would rub against the eleventh
    "m11": (0, 3, 7, 10, 14, 17),
    "13": (0, 4, 7, 10, 14, 21),
    "maj13": (0, 4, 7, 11, 14, 21),
    "m13": (0, 3, 7, 10, 14, 21),
}
# In this order; after them every quality that is understood has one spelling.
_SPELLINGS = [
    (r"[()\s,]", ""),
    ("♯", "#"),
    ("♭", "b"),
    (r"(?i)major|maj", "maj"),
    (r"(?i)minor|min|mi(?!n)", "m"),
    (r"[Δ△](?!\d)", "maj7"),
    (r"^ma(?=\d)|^M|(?<=m)M|[Δ△^](?=\d)|^j(?=\d)", "maj"),
    (r"^-", "m"),
    (r"(?i)diminished|dim|°|^o(?=7?$)", "dim"),
    (r"ø7?", "m7b5"),
    (r"(?i)augmented|aug|^\+", "aug"),
    (r"^(?:7#5|7\+)$", "aug7"),
    (r"^maj(?=$|6)", ""),
    (r"^(m?)maj$", r"\1maj7"),
    (r"(?i)suspended|sus", "sus"),
    (r"sus$", "sus4"),
    (r"^2$", "add9"),
    (r"(?i)add", "add"),
    (r"^(m?)6/?9$", r"\g<1>69"),
]
_CHORD = re.compile(r"(?P<root>[A-Ga-g])(?P<sign>[#♯b♭]{0,2})(?P<quality>.*?)(?:/(?P<bass>[A-Ga-g][#♯b♭]{0,2}))?")
_SILENCE = re.compile(r"(?i)n\.?\s?c\.?|no chord")
_LONGEST = 24


@dataclass(frozen=True, slots=True)
class ChordSymbol:
    """The notes of a chord name."""

    root: int
    """Pitch class, 0 = C."""
    quality: str
    """Its one spelling: ``""`` major, ``m``, ``7``, ``maj7``, ``m7b5`` and so on."""
    tones: tuple[int, ...]
    """Semitones above the root, the root's 0 first."""
    bass: int
    """Pitch class of the lowest note; the root unless a slash says otherwise."""


def read_chord(name: str) -> ChordSymbol | None:
    """Read ``C``, ``Am``, ``F#m7``, ``Bbmaj7``, ``Gsus4``, ``Cdim``, ``E7``, ``D/F#``; None for ``N.C.``, no chord.

    Raises ValueError for anything else.
    """
    text = name.strip()
    if len(text) > _LONGEST:  # first: to read a long one takes long
        raise _no_chord(name)
    if _SILENCE.fullmatch(text):
        return None
    match = _CHORD.fullmatch(text)
    if match is None or (quality := _quality(match["quality"])) not in _TONES:
        raise _no_chord(name)
    root = _pitch_class(match["root"] + match["sign"])
    return ChordSymbol(root, quality, _TONES[quality], _pitch_class(match["bass"]) if match["bass"] else root)


def _no_chord(name: str) -> ValueError:
    shown = name[:_LONGEST].encode(errors="replace").decode()
    return ValueError(f"'{shown}' is not a chord; write it like 'C', 'Am', 'F#m7', 'Bbmaj7' or 'N.C.'")


def chord_name(text: str) -> str:
    """Return a chord as it was written, tidied: no blanks around it, a capital root, ``#`` and ``b`` for signs.

    Raises ValueError when ``read_chord`` does.
    """
    if read_chord(text) is None:
        return "N.C."
    plain = text.strip().replace("♯", "#").replace("♭", "b")
    head, slash, bass = plain.rpartition("/")
    if slash and bass[:1].isalpha():
        plain = f"{head}/{bass[0].upper()}{bass[1:]}"
    return plain[0].upper() + plain[1:]


def chord_identity(name: str) -> list[int | str] | None:
    """Return what two names of one chord have in common, as JSON: ``Bb`` and ``A#maj`` are one."""
    chord = read_chord(name)
    return None if chord is None else [chord.root, chord.quality, chord.bass]


def _quality(text: str) -> str:
    for pattern, replacement in _SPELLINGS:
        text = re.sub(pattern, replacement, text)
    return text


def _pitch_class(note: str) -> int:
    sharps = sum({"#": 1, "♯": 1, "b": -1, "♭": -1}[sign] for sign in note[1:])
    return (_NATURALS[note[0].upper()] + sharps) % 12

"""Musical keys: many spellings in, one out."""

from __future__ import annotations

import re

PITCH_CLASSES = ("c", "c#", "d", "d#", "e", "f", "f#", "g", "g#", "a", "a#", "b")
"""Canonical names of the twelve pitch classes, sharps only; the index is the number of semitones above C."""

_SPELLING = re.compile(
    r"""(?P<note>[A-Ga-g])
        \ ?(?P<accidental>\#|♯|s(?![a-z])|s(?=m)|sharp|b|♭|flat)?
        \ ?(?P<mode>M|m|mi|min|minor|ma|maj|major)?""",
    re.VERBOSE,
)
_SHARPS = {"#", "♯", "s", "sharp"}
_MINOR = {"m", "mi", "min", "minor"}


def canonical_key(text: str) -> str:
    """Return the one spelling of a key: ``c``, ``f#``, ``fm``, ``a#m``.

    Accepts ``C minor``, ``fm``, ``F# major``, ``fsm``, ``f-sharp-minor``, ``Bb``, ``bbm``, ``Ebmin`` in any letter
    case; only a lone capital ``M`` means major. Flats come out as the sharp of the same pitch.

    Raises ValueError with examples for anything else.
    """
    words = re.sub(r"[-_\s]+", " ", text.strip())
    match = _SPELLING.fullmatch(words) or _SPELLING.fullmatch(words.lower())
    if match is None:
        raise ValueError("not a key; write it like 'C minor', 'fm', 'F# major' or 'Bb'")
    semitone = PITCH_CLASSES.index(match["note"].lower())
    if match["accidental"]:
        semitone += 1 if match["accidental"] in _SHARPS else -1
    return PITCH_CLASSES[semitone % 12] + ("m" if match["mode"] in _MINOR else "")


def key_name(key: str) -> str:
    """Return a canonical key as a person writes it: ``f#m`` -> ``F# minor``."""
    tonic, minor = key.removesuffix("m"), key.endswith("m")
    return f"{tonic.upper()} {'minor' if minor else 'major'}"

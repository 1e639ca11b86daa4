"""Text for a model, put together from what a player picked."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from prompts._keys import canonical_key, key_name
from prompts._stems import resolve_stem_type


def build_prompt(
    type: str | None = None,  # noqa: A002  (the contracts' name of the field)
    style: str | None = None,
    mood: str | None = None,
    key: str | None = None,
    bpm: float | None = None,
    genre: str | None = None,
    instruments: Sequence[str] = (),
    chords: Sequence[str] = (),
    prompt: str | None = None,
) -> str:
    """Return "angelic choir, voice stem, dreamy, C minor, 120 bpm" and the like: what is given, in a fixed order.

    Nothing is said twice; nothing given is an empty text. ``bpm`` is in beats per minute.

    Raises UnknownStemType for ``type``, ValueError for ``key``.
    """
    return _commas(
        [
            prompt,
            style,
            resolve_stem_type(type).words if type else None,
            genre,
            mood,
            f"featuring {_listed(instruments)}" if _listed(instruments) else None,
            # Not "chords": that word asks the procedural engine for somebody who plays them, also together with drums.
            f"over {' '.join(chord.strip() for chord in chords)}" if chords else None,
            key_name(canonical_key(key)) if key else None,
            f"{bpm:g} bpm" if bpm is not None else None,
        ]
    )


def structured_prompt(
    genre: str | None = None,
    tempo: str | float | None = None,
    mood: str | None = None,
    instruments: Sequence[str] = (),
    artist_style: str | None = None,
) -> tuple[str, dict[str, str]]:
    """Return a prompt of up to five phrases, and the phrases under the names of their parameters.

    "electronic music, fast tempo, energetic mood, featuring synthesizer and drums, similar to ..."; a ``tempo``
    that is a number is in beats per minute. What is not given is in neither.
    """
    phrases = {
        "genre": _ending(genre, "music"),
        "tempo": _ending(tempo, "tempo") if tempo is None or isinstance(tempo, str) else f"{tempo:g} bpm",
        "mood": _ending(mood, "mood"),
        "instruments": f"featuring {_listed(instruments)}" if _listed(instruments) else "",
        "artist_style": (artist_style or "").strip(),
    }
    components = {name: phrase for name, phrase in phrases.items() if phrase}
    return ", ".join(components.values()), components


def _commas(parts: Iterable[str | None]) -> str:
    """Join what is there, each part once whatever its letter case."""
    once: dict[str, str] = {}
    for part in (part.strip() for part in parts if part):
        once.setdefault(part.casefold(), part)
    return ", ".join(filter(None, once.values()))


def _listed(words: Sequence[str]) -> str:
    """Return "a", "a and b", "a, b and c"."""
    given = [word.strip() for word in words if word.strip()]
    return " and ".join(filter(None, [", ".join(given[:-1]), *given[-1:]]))


def _ending(text: str | None, noun: str) -> str:
    """Return ``text`` with ``noun`` behind it, unless it ends so already."""
    plain = (text or "").strip()
    return plain if not plain or plain.lower().endswith(noun) else f"{plain} {noun}"

"""Names of sounds, as Strudel's mini-notation can say them."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from functools import cache
from typing import NamedTuple

from prompts._data import table

MAX_SLUG = 48
"""Characters in a slug."""

_SIGNS = tuple(
    (re.compile(rf"(?<![^\W_])([A-Ga-g])[{signs}]"), rf"\1_{said}_") for signs, said in (("#♯", "sharp"), ("♭", "flat"))
)

_NAME = re.compile(r"[a-z0-9_]{1,64}")


def slug(text: str, spec_id: str = "") -> str:
    """Return ``text`` as 1 to 48 characters of ``[a-z0-9_]``, cut between words where that is possible.

    The sign of a note is said: ``f_sharp``, ``a_flat``.

    What has no letters of its own (emoji) is called ``x_`` and the first six digits of ``spec_id``, or of the text's
    own digest. Never digits alone, and never ``wt_...``, which Strudel takes for a wavetable: both get ``x_`` in
    front.
    """
    for sign, said in _SIGNS:
        text = sign.sub(said, text)
    plain = unicodedata.normalize("NFKD", text).casefold()
    plain = "".join(character for character in plain if not unicodedata.combining(character))
    result = _cut(re.sub(r"[^a-z0-9]+", "_", plain).strip("_"), MAX_SLUG)
    if not result:
        return f"x_{(spec_id or hashlib.sha256(text.encode(errors='replace')).hexdigest())[:6]}"
    if result.isdigit() or result == "wt" or result.startswith("wt_"):
        return "x_" + _cut(result, MAX_SLUG - 2)
    return result


def sound_name(text: str, spec_id: str = "") -> str:
    """Return the name under which a sound made from ``text`` is registered: ``gen_<slug>``, at most 52 characters."""
    return "gen_" + slug(text, spec_id)


def sound_aliases(name: str) -> tuple[str, ...]:
    """Return the other names that play ``name``: ``musicgen_<slug>`` for ``gen_<slug>``, else none."""
    return (f"musicgen_{name.removeprefix('gen_')}",) if name.startswith("gen_") else ()


def valid_name(name: str) -> bool:
    """Tell whether a sound may be called ``name``: ``[a-z0-9_]``, 1 to 64 of them, no number, no wavetable.

    Something has to be left without ``gen_`` and ``_``, which alone means a rest or a hold in mini-notation.
    """
    said = name.removeprefix("gen_").removeprefix("musicgen_").strip("_")
    return bool(_NAME.fullmatch(name)) and bool(said) and not name.isdigit() and not name.startswith("wt_")


def reserved_name(name: str) -> bool:
    """Tell whether no new sound may be called ``name``: Strudel has it, or it means something in a sample map."""
    lowered = name.lower()
    machine, _, part = lowered.rpartition("_")
    names = _reserved()
    return (
        lowered in names.alone
        or lowered.startswith(names.beginnings)
        or (part in names.parts and machine in names.machines)
    )


def offered_name(name: str) -> str:
    """Return what to call a sound instead of a reserved name: ``gen_<name>``."""
    return f"gen_{name.lower()}"


def foreign_name(name: str) -> str:
    """Return the name under which a sound stands in the maps of other pages.

    Its own, unless that is reserved: sounds kept from before such names were refused stay usable here, and are
    ``gen_<name>`` there.
    """
    return offered_name(name) if reserved_name(name) else name


class _Reserved(NamedTuple):
    alone: frozenset[str]
    parts: frozenset[str]
    machines: frozenset[str]
    beginnings: tuple[str, ...]


@cache
def _reserved() -> _Reserved:
    known = table("strudel")
    alone = frozenset(name for group in ("map", "synths", "drums", "samples") for name in known[group])
    return _Reserved(alone, frozenset(known["parts"]), frozenset(known["machines"]), tuple(known["beginnings"]))


def _cut(text: str, limit: int) -> str:
    """Shorten ``text`` to ``limit`` characters at the last ``_``, or within a word that alone is longer."""
    if len(text) <= limit:
        return text
    head, _, _ = text[: limit + 1].rpartition("_")
    return (head or text[:limit]).rstrip("_")

"""Finding sounds by words."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping

from cache._errors import NotStorable
from cache._model import Sound
from cache._reading import Wanted, sounds, where

EXACT = 1000.0
"""What a name or alias that was asked for word by word adds to the score."""

_PREFIXES = ("", "gen_", "musicgen_")
"""A player leaves these away."""


def search(
    con: sqlite3.Connection, terms: Mapping[str, float], wanted: Wanted, limit: int
) -> list[tuple[Sound, float]]:
    """Rank the sounds that have one of the terms.

    A sound's score is the sum of asked weight times kept weight over the terms they share. A sound whose name was
    asked for comes first; then those without flags before flagged ones; then by score, ties by name.
    """
    if not terms:
        return []
    try:
        asked = json.dumps(dict(terms), allow_nan=False)
    except ValueError as error:
        raise NotStorable("The weights of search terms are finite numbers.") from error
    condition, values = where(wanted)
    query = f"""
        WITH asked AS (SELECT key AS term, value AS weight FROM json_each(?)),
        hits (sound, score, exact) AS (
            SELECT terms.sound, terms.weight * asked.weight, 0 FROM asked CROSS JOIN terms USING (term)
            UNION ALL
            SELECT DISTINCT sound, {EXACT}, 1 FROM names WHERE live AND name IN (SELECT value FROM json_each(?))
        )
        SELECT sounds.id, sum(score) AS total FROM hits JOIN sounds ON sounds.id = hits.sound WHERE {condition}
        GROUP BY sounds.id ORDER BY max(exact) DESC, flagged, total DESC, name LIMIT ?
    """  # noqa: S608 - our own words
    rows = con.execute(query, [asked, json.dumps(_names(terms)), *values, limit]).fetchall()
    return list(zip(sounds(con, [number for number, _ in rows]), [score for _, score in rows], strict=True))


def words(con: sqlite3.Connection) -> frozenset[str]:
    """Return everything that a search can find: terms, names and aliases of sounds that are not deleted."""
    return frozenset(
        word
        for (word,) in con.execute(
            "SELECT term FROM terms JOIN sounds ON sounds.id = sound WHERE removed IS NULL"
            " UNION SELECT name FROM names WHERE live"
        )
    )


def _names(terms: Mapping[str, float]) -> list[str]:
    # Words that only stand in for the player's own (synonyms weigh less) name nothing.
    heaviest = max(terms.values())
    own = [term for term, weight in terms.items() if weight == heaviest]
    return [prefix + word for word in {*own, "_".join(own)} for prefix in _PREFIXES]

"""Questions to the catalogue. Every function takes a connection, so a writer may ask inside its transaction."""

from __future__ import annotations

import json
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, Literal, TypeAlias, TypedDict

from cache._errors import UnknownSound
from cache._model import Sample, Slot, Sound

Order: TypeAlias = Literal["newest", "name"]

_SAMPLE = """
SELECT samples.id, takes.spec_id, rate, channels, frames, bytes, facts, takes.created
FROM takes JOIN samples ON samples.id = takes.sample_id
"""

_EVERY_LICENCE = """
sounds.licence = ? COLLATE NOCASE AND NOT EXISTS (
    SELECT 1 FROM slots AS each LEFT JOIN takes AS made ON made.spec_id = each.spec_id
    WHERE each.sound = sounds.id AND json_extract(made.facts, '$.licence') COLLATE NOCASE IS NOT ?
)
"""


class Wanted(TypedDict, total=False):
    """What a sound must be; None, or nothing, does not ask."""

    kind: str | None
    licence: str | None
    """An SPDX identifier, in capitals or not, that every slot has."""
    commercial: bool | None
    """True: every slot may be used commercially. The other facts are those of the slot that changed last."""
    engine: str | None
    bpm: float | None
    """Beats per minute, met within half a beat."""
    key: str | None
    session: str | None


def where(wanted: Wanted) -> tuple[str, list[Any]]:
    """Build the condition on the table ``sounds`` and its parameters."""
    clauses, values = ["sounds.removed IS NULL"], list[Any]()
    for column, value in wanted.items():
        if column not in Wanted.__annotations__:
            raise TypeError(f"{column} is not something that sounds are listed by")
        if value is not None and column not in ("bpm", "licence"):
            clauses.append(f"sounds.{column} = ?")
            values.append(value)
    bpm = wanted.get("bpm")
    if bpm is not None:
        clauses.append("sounds.bpm BETWEEN ? AND ?")
        values += [bpm - 0.5, bpm + 0.5]
    licence = wanted.get("licence")
    if licence is not None:
        clauses.append(_EVERY_LICENCE)
        values += [licence, licence]
    return " AND ".join(clauses), values


def take(con: sqlite3.Connection, spec_id: str) -> Sample | None:
    """Return what was made of a spec, None when nothing was or its master is lost."""
    return _sample(con.execute(_SAMPLE + "WHERE spec_id = ? AND NOT lost", (spec_id,)).fetchone())


def sample(con: sqlite3.Connection, sample_id: str) -> Sample | None:
    """Return a sample with the facts of the first spec that it was made for."""
    query = _SAMPLE + "WHERE sample_id = ? ORDER BY takes.created, takes.spec_id LIMIT 1"
    return _sample(con.execute(query, (sample_id,)).fetchone())


def find(con: sqlite3.Connection, name: str) -> int | None:
    """Return the number of the sound with that name or alias."""
    row = con.execute("SELECT sound FROM names WHERE name = ? AND live", (name,)).fetchone()
    return None if row is None else int(row[0])


def need(con: sqlite3.Connection, name: str) -> int:
    """Return the number of the sound with that name or alias; raise UnknownSound."""
    if (number := find(con, name)) is None:
        raise UnknownSound(f"There is no sound named {name!r}. List the sounds to see their names.")
    return number


def sound(con: sqlite3.Connection, number: int) -> Sound:
    """Return one sound by its number."""
    return sounds(con, [number])[0]


def sounds(con: sqlite3.Connection, numbers: Sequence[int]) -> list[Sound]:
    """Return the sounds with these numbers, in this order."""
    asked = json.dumps(numbers)
    slots: dict[int, list[Slot]] = defaultdict(list)
    for number, n, sample_id, spec_id, standin, root in con.execute(
        "SELECT sound, n, slots.sample_id, slots.spec_id, standin, root FROM slots LEFT JOIN takes USING (spec_id)"
        " WHERE sound IN (SELECT value FROM json_each(?)) ORDER BY sound, n",
        (asked,),
    ):
        slots[number].append(Slot(n, sample_id, spec_id, bool(standin), root))
    aliases: dict[int, list[str]] = defaultdict(list)
    for number, name in con.execute(
        "SELECT sound, name FROM names WHERE alias AND sound IN (SELECT value FROM json_each(?)) ORDER BY rowid",
        (asked,),
    ):
        aliases[number].append(name)
    found = {
        number: Sound(
            name=name,
            aliases=tuple(aliases[number]),
            slots=tuple(slots[number]),
            n=n,
            facts=json.loads(facts) if facts else {},
            revision=revision,
            pinned=bool(pinned),
            session=session,
            created=created,
            changed=changed,
            seq=seq,
        )
        for number, name, n, revision, pinned, session, created, changed, seq, facts in con.execute(
            "SELECT id, name, sounds.n, revision, pinned, session, sounds.created, changed, seq, facts FROM sounds"
            " LEFT JOIN slots ON slots.sound = sounds.id AND slots.n = sounds.n LEFT JOIN takes USING (spec_id)"
            " WHERE id IN (SELECT value FROM json_each(?))",
            (asked,),
        )
    }
    return [found[number] for number in numbers]


def listed(
    con: sqlite3.Connection, wanted: Wanted, order: Order, limit: int | None, after: int | str | None
) -> list[Sound]:
    """Return the sounds that pass, the last changed first or by name, after a sound's ``seq`` or name."""
    condition, values = where(wanted)
    if after is not None:
        condition += " AND sounds.seq < ?" if order == "newest" else " AND sounds.name > ?"
        values.append(int(after) if order == "newest" else after)
    by = "sounds.seq DESC" if order == "newest" else "sounds.name"
    query = f"SELECT id FROM sounds WHERE {condition} ORDER BY {by} LIMIT ?"  # noqa: S608 - our own words
    return sounds(con, _numbers(con.execute(query, [*values, -1 if limit is None else limit])))


def names(con: sqlite3.Connection, wanted: Wanted) -> frozenset[str]:
    """Return the names of the sounds that pass."""
    condition, values = where(wanted)
    query = f"SELECT name FROM sounds WHERE {condition}"  # noqa: S608 - our own words
    return frozenset(name for (name,) in con.execute(query, values))


def count(con: sqlite3.Connection) -> int:
    """Count the sounds."""
    return int(con.execute("SELECT count(*) FROM sounds WHERE removed IS NULL").fetchone()[0])


def _numbers(rows: Iterable[tuple[int]]) -> list[int]:
    return [number for (number,) in rows]


def _sample(row: tuple[Any, ...] | None) -> Sample | None:
    if row is None:
        return None
    sample_id, spec_id, rate, channels, frames, size, facts, created = row
    return Sample(sample_id, spec_id, rate, channels, frames, size, json.loads(facts), created)

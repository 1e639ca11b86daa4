"""Changes to sounds, inside a transaction of the caller's. The rules of slots and names are here."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping

from cache import _events, _reading, _unwanted
from cache._errors import NameTaken, NotStorable, UnknownSound, UnknownTake
from cache._model import Event, Sample, Sound, Target


def place(con: sqlite3.Connection, target: Target, spec_id: str, now: float) -> tuple[Sound, int, Event | None]:
    """Show a take in a sound: (the sound after it, the slot, the event or None when all was so already)."""
    taken = _reading.take(con, spec_id)
    if taken is None:
        raise UnknownTake(f"No sample is kept for the spec {spec_id}. Make it first.")
    number = _reading.find(con, target.name)
    changed = number is None
    if number is None:
        number = _new_sound(con, target, now)
    slot, moved = _place(con, number, target, taken)
    named = _add_aliases(con, number, target.aliases)
    add_terms(con, number, target.terms)
    con.execute("UPDATE sounds SET used = ? WHERE id = ?", (now, number))
    event = None
    if changed or moved or named:
        con.execute(
            "UPDATE sounds SET n = ?, session = coalesce(?, session) WHERE id = ?", (slot, target.session, number)
        )
        _describe(con, number)
        event = announce(con, number, now)
    return _reading.sound(con, number), slot, event


def shown(con: sqlite3.Connection, target: Target) -> tuple[Sound, int] | None:
    """Say where ``place`` would find that all is so already: (the sound, the slot); None where it would change it."""
    taken = _reading.take(con, target.spec_id or "")
    number = _reading.find(con, target.name)
    if taken is None or number is None:
        return None
    sound = _reading.sound(con, number)
    if (
        target.n is not None
        and not target.standin
        and 0 <= target.n < len(sound.slots)
        and sound.slots[target.n].standin
    ):
        return None
    slot = next((slot for slot in sound.slots if slot.spec_id == taken.spec_id), None)
    if slot is None or slot.sample_id != taken.sample_id or (slot.standin and not target.standin):
        return None
    if any(_reading.find(con, alias) is None for alias in target.aliases):
        return None
    kept = dict(con.execute("SELECT term, weight FROM terms WHERE sound = ?", (number,)).fetchall())
    if any(kept.get(term, 0.0) < weight for term, weight in target.terms.items()):
        return None
    return sound, slot.n


def announce(con: sqlite3.Connection, number: int, now: float) -> Event:
    """Count a change of a sound, and number the event that pictures it."""
    con.execute(
        "UPDATE sounds SET revision = revision + 1, changed = ?, seq = ? WHERE id = ?",
        (now, _events.head(con) + 1, number),
    )
    return _events.append(con, "sound", _events.sound_data(_reading.sound(con, number)))


def rename(con: sqlite3.Connection, name: str, new: str, now: float) -> tuple[Sound, list[Event]]:
    """Give a sound another name; the old one stays as its alias."""
    number = _reading.need(con, name)
    before = _reading.sound(con, number)
    if before.name == new:
        return before, []
    holder = _reading.find(con, new)
    if holder not in (None, number):
        raise NameTaken(f"Another sound is named {new!r} already. Choose another name.")
    con.execute("DELETE FROM names WHERE sound = ? AND name = ?", (number, new))
    con.execute("UPDATE names SET alias = 1 WHERE sound = ? AND NOT alias", (number,))
    con.execute("INSERT INTO names (name, sound, alias) VALUES (?, ?, 0)", (new, number))
    con.execute("UPDATE sounds SET name = ? WHERE id = ?", (new, number))
    gone = _events.append(con, "sound_removed", _events.removed_data(before, "renamed") | {"renamed_to": new})
    there = announce(con, number, now)
    return _reading.sound(con, number), [gone, there]


def delete(con: sqlite3.Connection, name: str, now: float) -> tuple[Sound, Event]:
    """Take a sound out of every list; it can be restored until it is purged."""
    number = _reading.need(con, name)
    sound = _reading.sound(con, number)
    con.execute("UPDATE names SET live = 0 WHERE sound = ?", (number,))
    con.execute("UPDATE sounds SET removed = ? WHERE id = ?", (now, number))
    return sound, _events.append(con, "sound_removed", _events.removed_data(sound, "deleted"))


def restore(con: sqlite3.Connection, name: str, oldest: float, now: float) -> tuple[Sound, Event]:
    """Give the sound back that was deleted last under that name, not before the moment ``oldest``."""
    row = con.execute(
        "SELECT sounds.id, sounds.name FROM names JOIN sounds ON sounds.id = names.sound"
        " WHERE names.name = ? AND removed >= ? ORDER BY removed DESC, sounds.id DESC LIMIT 1",
        (name, oldest),
    ).fetchone()
    if row is None:
        raise UnknownSound(
            f"No sound named {name!r} was deleted lately. Deleted sounds are kept for a short time only."
        )
    number, own = row
    if _reading.find(con, own) is not None:
        raise NameTaken(f"Meanwhile another sound is named {own!r}. Rename that one first.")
    con.execute(
        "DELETE FROM names WHERE sound = ? AND name IN (SELECT name FROM names WHERE live)",
        (number,),
    )
    con.execute("UPDATE names SET live = 1 WHERE sound = ?", (number,))
    con.execute("UPDATE sounds SET removed = NULL, used = ? WHERE id = ?", (now, number))
    event = announce(con, number, now)
    sound = _reading.sound(con, number)
    _unwanted.forget(con, [sound.name, *sound.aliases])
    return sound, event


def _new_sound(con: sqlite3.Connection, target: Target, now: float) -> int:
    row = con.execute(
        "INSERT INTO sounds (name, n, revision, session, created, changed, used, seq) VALUES (?, 0, 0, ?, ?, ?, ?, 0)"
        " RETURNING id",
        (target.name, target.session, now, now, now),
    ).fetchone()
    con.execute("INSERT INTO names (name, sound, alias) VALUES (?, ?, 0)", (target.name, row[0]))
    _unwanted.forget(con, [target.name])
    return int(row[0])


def _place(con: sqlite3.Connection, number: int, target: Target, taken: Sample) -> tuple[int, bool]:
    """Find the slot: (n, is something new shown there?). Nothing but a stand-in is ever replaced."""
    slots = con.execute(
        "SELECT n, spec_id, sample_id, standin FROM slots WHERE sound = ? ORDER BY n", (number,)
    ).fetchall()
    if target.n is not None and not target.standin and 0 <= target.n < len(slots) and slots[target.n][3]:
        _show(con, number, target.n, taken, standin=False)
        return target.n, True
    for n, spec_id, sample_id, standin in slots:
        if spec_id == taken.spec_id:
            wanted_now = bool(standin) and not target.standin
            # Another sample for the same spec: the old one's file was lost, so it is shown no more anyway.
            new = wanted_now or sample_id != taken.sample_id
            if new:
                _show(con, number, n, taken, standin=bool(standin) and target.standin)
            return int(n), new
    _show(con, number, len(slots), taken, standin=target.standin)
    return len(slots), True


def _show(con: sqlite3.Connection, number: int, n: int, taken: Sample, *, standin: bool) -> None:
    con.execute(
        "INSERT OR REPLACE INTO slots (sound, n, spec_id, sample_id, standin) VALUES (?, ?, ?, ?, ?)",
        (number, n, taken.spec_id, taken.sample_id, standin),
    )


def _add_aliases(con: sqlite3.Connection, number: int, aliases: tuple[str, ...]) -> bool:
    added = 0
    for alias in aliases:
        added += con.execute(
            "INSERT INTO names (name, sound, alias) SELECT ?1, ?2, 1"
            " WHERE NOT EXISTS (SELECT 1 FROM names WHERE name = ?1 AND live)",
            (alias, number),
        ).rowcount
    return added > 0


def add_terms(con: sqlite3.Connection, number: int, terms: Mapping[str, float]) -> None:
    """Let a sound be found under these words, too. Raises NotStorable for a weight that is none."""
    if any(not 0 < weight < float("inf") for weight in terms.values()):
        raise NotStorable("The weights of search terms are positive, finite numbers.")
    con.executemany(
        "INSERT INTO terms (term, sound, weight) VALUES (?, ?, ?)"
        " ON CONFLICT DO UPDATE SET weight = max(weight, excluded.weight)",
        [(term, number, weight) for term, weight in terms.items()],
    )


def _describe(con: sqlite3.Connection, number: int) -> None:
    """Repeat the facts that lists are filtered by in columns with an index."""
    sound = _reading.sound(con, number)
    facts = sound.facts
    text = {each: facts[each] if isinstance(facts.get(each), str) else None for each in ("kind", "engine", "licence")}
    bpm = facts.get("bpm")
    (commercial,) = con.execute(
        "SELECT min(commercial) FROM slots JOIN takes USING (spec_id) WHERE sound = ?", (number,)
    ).fetchone()
    con.execute(
        "UPDATE sounds SET kind = ?, engine = ?, licence = ?, commercial = ?, bpm = ?, key = ?, flagged = ?"
        " WHERE id = ?",
        (
            text["kind"],
            text["engine"],
            text["licence"],
            commercial,
            bpm if isinstance(bpm, int | float) else None,
            facts["key"] if isinstance(facts.get("key"), str) else None,
            bool(facts.get("flags")),
            number,
        ),
    )

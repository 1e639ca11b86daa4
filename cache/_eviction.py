"""Giving disk space back: whole sounds, then the samples that no sound shows any more."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable

from cache import _events, _reading
from cache._model import Event, Sound


def purge(con: sqlite3.Connection, before: float) -> tuple[int, list[str]]:
    """Forget the sounds that were deleted before a moment: (how many, the samples that went with them)."""
    numbers = [row[0] for row in con.execute("SELECT id FROM sounds WHERE removed < ?", (before,))]
    return len(numbers), [sample_id for number in numbers for sample_id in _drop(con, number)]


def any_deleted(con: sqlite3.Connection) -> bool:
    """Is there a deleted sound that can still be restored?"""
    return con.execute("SELECT 1 FROM sounds WHERE removed IS NOT NULL LIMIT 1").fetchone() is not None


def purge_oldest(con: sqlite3.Connection) -> list[str]:
    """Forget the sound that was deleted first: return the samples that went with it."""
    row = con.execute("SELECT id FROM sounds WHERE removed IS NOT NULL ORDER BY removed, id LIMIT 1").fetchone()
    return [] if row is None else _drop(con, row[0])


def evict(
    con: sqlite3.Connection, limit: int, keep: Collection[str], loose_before: float
) -> tuple[list[Sound], list[Event], list[str]]:
    """Forget what was used least recently until the masters take at most ``limit`` bytes.

    Samples that no sound shows go first, if they are older than ``loose_before``. Sounds that are pinned, or have a
    name or alias in ``keep``, stay. Returns the sounds, their events, and the samples whose files can go.
    """
    over = total(con) - limit
    samples: list[str] = []
    if over > 0:
        for sample_id, size in con.execute(
            "SELECT id, bytes FROM samples WHERE created < ? AND NOT EXISTS"
            " (SELECT 1 FROM slots WHERE slots.sample_id = samples.id) ORDER BY created, id",
            (loose_before,),
        ).fetchall():
            if over <= 0:
                break
            over -= size
            samples += _drop_samples(con, [sample_id])
    sounds: list[Sound] = []
    events: list[Event] = []
    kept = set(keep)
    numbers = con.execute("SELECT id FROM sounds WHERE removed IS NULL AND NOT pinned ORDER BY used, id").fetchall()
    for (number,) in numbers if over > 0 else ():
        sound = _reading.sound(con, number)
        if kept.isdisjoint((sound.name, *sound.aliases)):
            events.append(_events.append(con, "sound_removed", _events.removed_data(sound, "evicted")))
            sounds.append(sound)
            samples += _drop(con, number)
            if (over := total(con) - limit) <= 0:
                break
    return sounds, events, samples


def total(con: sqlite3.Connection) -> int:
    """Add up the bytes of the masters."""
    return int(con.execute("SELECT coalesce(sum(bytes), 0) FROM samples").fetchone()[0])


def _drop(con: sqlite3.Connection, number: int) -> list[str]:
    """Forget a sound: return the samples that it was the last to show."""
    shown = [row[0] for row in con.execute("SELECT DISTINCT sample_id FROM slots WHERE sound = ?", (number,))]
    for table in ("slots", "terms", "names"):
        con.execute(f"DELETE FROM {table} WHERE sound = ?", (number,))  # noqa: S608 - our own words
    con.execute("DELETE FROM sounds WHERE id = ?", (number,))
    return _drop_samples(con, shown)


def _drop_samples(con: sqlite3.Connection, sample_ids: Iterable[str]) -> list[str]:
    gone = []
    for sample_id in sample_ids:
        if con.execute("SELECT 1 FROM slots WHERE sample_id = ?", (sample_id,)).fetchone() is None:
            con.execute("DELETE FROM takes WHERE sample_id = ?", (sample_id,))
            con.execute("DELETE FROM samples WHERE id = ?", (sample_id,))
            gone.append(sample_id)
    return gone

"""Forgetting what sounds were made of: in rows, in files, and in what the database leaves behind."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from cache import _adopting, _events, _reading, _writing
from cache._errors import NotStorable
from cache._folder import Folder
from cache._model import Event, Facts, Sound
from cache._plain import sync


@dataclass(frozen=True, slots=True)
class Forgetting:
    """How to forget; the store does not know what facts and files mean."""

    facts: Callable[[dict[str, Any]], Facts]
    """Facts of a take without what is to be forgotten."""
    file: Callable[[bytes], bytes]
    """A master without it: the same audio, in a file of the same length."""
    terms: Callable[[Sound, Sequence[Facts]], Mapping[str, float]]
    """Words under which a sound is found from now on, by itself and by the facts of its slots, forgotten or not."""
    name: Callable[[Sound], str] | None = None
    """Its new name; all old names go. None: they stay."""


@dataclass(frozen=True, slots=True)
class Found:
    """What is concerned."""

    sounds: tuple[int, ...]
    """Numbers of the sounds, those too that can still be restored."""
    spec_ids: frozenset[str]
    sample_ids: tuple[str, ...]


def find(con: sqlite3.Connection, name: str | None) -> Found:
    """Find a sound's takes and every sound that shows one of them; everything without a name. Raises UnknownSound."""
    if name is None:
        takes = con.execute("SELECT spec_id, sample_id FROM takes").fetchall()
        sounds = [number for (number,) in con.execute("SELECT id FROM sounds ORDER BY id")]
    else:
        takes = con.execute(
            "SELECT spec_id, takes.sample_id FROM takes JOIN slots USING (spec_id) WHERE sound = ?",
            (_reading.need(con, name),),
        ).fetchall()
        asked = json.dumps([spec_id for spec_id, _ in takes])
        query = "SELECT DISTINCT sound FROM slots WHERE spec_id IN (SELECT value FROM json_each(?)) ORDER BY sound"
        sounds = [number for (number,) in con.execute(query, (asked,))]
    return Found(tuple(sounds), frozenset(row[0] for row in takes), tuple(dict.fromkeys(row[1] for row in takes)))


def names(con: sqlite3.Connection, found: Found) -> frozenset[str]:
    """Return all names of the sounds concerned."""
    query = "SELECT name FROM names WHERE sound IN (SELECT value FROM json_each(?))"
    return frozenset(row[0] for row in con.execute(query, (json.dumps(found.sounds),)))


def same(con: sqlite3.Connection, found: Found, name: str | None) -> Found:
    """Find in another catalogue what was found in ours: the same takes, sounds of that name, and who shows them."""
    if name is None:
        return find(con, None)
    number = _reading.find(con, name)
    asked = json.dumps(sorted(found.spec_ids))
    query = (
        "SELECT spec_id, sample_id FROM takes WHERE spec_id IN (SELECT value FROM json_each(?))"
        " OR spec_id IN (SELECT spec_id FROM slots WHERE sound = ?)"
    )
    takes = con.execute(query, (asked, number)).fetchall()
    spec_ids = frozenset(row[0] for row in takes)
    query = "SELECT DISTINCT sound FROM slots WHERE spec_id IN (SELECT value FROM json_each(?)) ORDER BY sound"
    sounds = tuple(number for (number,) in con.execute(query, (json.dumps(sorted(spec_ids)),)))
    return Found(sounds, spec_ids, tuple(dict.fromkeys(row[1] for row in takes)))


def rewrite_master(folder: Folder, sample_id: str, change: Callable[[bytes], bytes], *, durable: bool) -> str | None:
    """Change a master in one step: return its new digest, None when there was nothing to change.

    A file of another length is refused: killed before the digest is written, the store must still find a whole master.
    """
    master = folder.master(sample_id)
    try:
        before = master.read_bytes()
    except FileNotFoundError:
        return None
    after = change(before)
    if after == before:
        return None
    if len(after) != len(before):
        raise NotStorable(f"The master of {sample_id} may not change its length, from {len(before)} to {len(after)}.")
    part = folder.incoming / f"{sample_id}.forgetting"
    try:
        part.write_bytes(after)
        if durable:
            sync(part)
        part.replace(master)
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)
    return _adopting.measure(master)[0]


def forget(con: sqlite3.Connection, found: Found, how: Forgetting, now: float) -> tuple[list[Sound], list[Event]]:
    """Change the catalogue: facts, search terms, names; and drop the events told so far, which hold them all.

    A client that missed one of those gets everything again. The news of a name
    that has gone goes to clients that listen now, and is not written down.
    """
    con.execute("PRAGMA secure_delete = ON")
    facts = con.execute(
        "SELECT spec_id, facts FROM takes WHERE spec_id IN (SELECT value FROM json_each(?))",
        (json.dumps(sorted(found.spec_ids)),),
    ).fetchall()
    for spec_id, text in facts:
        changed = _events.to_json(how.facts(json.loads(text)), "facts of a sample")
        con.execute("UPDATE takes SET facts = ? WHERE spec_id = ?", (changed, spec_id))
    living = _living(con, found.sounds)
    gone = [_rename(con, number, how.name) for number in found.sounds] if how.name else []
    events = [event for event in gone if event]
    told = _events.head(con)
    for number in found.sounds:
        _forget_terms(con, number, how)
    events += [_writing.announce(con, number, now) for number in living]
    if told and not living:
        # The last number given has to stay known.
        events.append(_events.append(con, "sound_removed", {"name": "forgotten", "aliases": [], "why": "forgotten"}))
    con.execute("DELETE FROM events WHERE seq <= ?", (told,))
    return _reading.sounds(con, living), events


def clean(con: sqlite3.Connection) -> None:
    """Write the database again and empty its journal: freed pages keep what stood in them. Outside a transaction."""
    con.execute("VACUUM")
    con.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def _rename(con: sqlite3.Connection, number: int, name_of: Callable[[Sound], str]) -> Event | None:
    """Take all names of a sound away and give it another: the event of its going, if anybody can know it."""
    sound = _reading.sound(con, number)
    living = bool(_living(con, [number]))
    name = _free_name(con, name_of(sound), number)
    con.execute("DELETE FROM names WHERE sound = ?", (number,))
    con.execute("INSERT INTO names (name, sound, alias, live) VALUES (?, ?, 0, ?)", (name, number, living))
    con.execute("UPDATE sounds SET name = ? WHERE id = ?", (name, number))
    if not living or (name == sound.name and not sound.aliases):
        return None
    return _events.append(con, "sound_removed", _events.removed_data(sound, "renamed") | {"renamed_to": name})


def _forget_terms(con: sqlite3.Connection, number: int, how: Forgetting) -> None:
    rows = con.execute("SELECT facts FROM slots JOIN takes USING (spec_id) WHERE sound = ? ORDER BY n", (number,))
    terms = how.terms(_reading.sound(con, number), [json.loads(text) for (text,) in rows])
    con.execute("DELETE FROM terms WHERE sound = ?", (number,))
    _writing.add_terms(con, number, terms)


def _living(con: sqlite3.Connection, numbers: Sequence[int]) -> list[int]:
    query = "SELECT id FROM sounds WHERE removed IS NULL AND id IN (SELECT value FROM json_each(?)) ORDER BY id"
    return [number for (number,) in con.execute(query, (json.dumps(list(numbers)),))]


def _free_name(con: sqlite3.Connection, wanted: str, number: int) -> str:
    """The name, or the first of name_2, name_3, ... that no other sound has."""
    name, count = wanted, 1
    while _reading.find(con, name) not in (None, number):
        count += 1
        name = f"{wanted}_{count}"
    return name

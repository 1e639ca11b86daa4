"""The numbered log. Every number is given in the transaction of the change that it announces."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from typing import Any

from cache._errors import NotStorable
from cache._model import Event, EventType, Sound

KEPT = 10_000
"""A client that missed more than this many events gets everything again."""


def to_json(value: Mapping[str, Any], what: str) -> str:
    """Write plain JSON; raise NotStorable for NaN, infinities and anything that is not JSON."""
    try:
        return json.dumps(value, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError) as error:
        raise NotStorable(f"The {what} are not plain JSON: {error}.") from error


def head(con: sqlite3.Connection) -> int:
    """Return the last number given, 0 before the first."""
    return int(con.execute("SELECT coalesce(max(seq), 0) FROM events").fetchone()[0])


def append(con: sqlite3.Connection, kind: EventType, data: Mapping[str, Any]) -> Event:
    """Number one event, and forget the one that is too old now."""
    seq = head(con) + 1
    text = to_json(data, f"data of a {kind} event")
    con.execute("INSERT INTO events VALUES (?, ?, ?)", (seq, kind, text))
    con.execute("DELETE FROM events WHERE seq <= ?", (seq - KEPT,))
    return Event(seq, kind, json.loads(text))


def since(con: sqlite3.Connection, seq: int, limit: int | None) -> list[Event] | None:
    """Return the events after number ``seq`` in their order, None when some of them are gone or ``seq`` never was."""
    oldest, newest = con.execute("SELECT coalesce(min(seq), 1), coalesce(max(seq), 0) FROM events").fetchone()
    if not oldest - 1 <= seq <= newest:
        return None
    rows = con.execute(
        "SELECT seq, type, data FROM events WHERE seq > ? ORDER BY seq LIMIT ?", (seq, -1 if limit is None else limit)
    )
    return [Event(number, kind, json.loads(data)) for number, kind, data in rows]


def sound_data(sound: Sound) -> dict[str, Any]:
    """Picture a sound well enough to build the message to the browsers from it, at any later time."""
    slot = sound.slot
    return {
        "name": sound.name,
        "aliases": list(sound.aliases),
        "n": sound.n,
        "standin": slot.standin,
        "revision": sound.revision,
        "session": sound.session,
        "pinned": sound.pinned,
        "sample_id": slot.sample_id,
        "spec_id": slot.spec_id,
        "slots": [{"sample_id": each.sample_id, "standin": each.standin, "root": each.root} for each in sound.slots],
        "facts": sound.facts,
    }


def removed_data(sound: Sound, why: str) -> dict[str, Any]:
    """Say which names are gone, and why: "deleted" or "evicted"."""
    return {"name": sound.name, "aliases": list(sound.aliases), "why": why}

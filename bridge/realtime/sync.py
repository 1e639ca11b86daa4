"""What a client that says hello gets: what it missed, or everything."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from bridge.events import wire_event
from bridge.sounds.snapshots import Everything, in_chunks
from cache import Event, SampleStore

MOST_MISSED = 2000
"""Events that are told one by one; who missed more gets everything, which is quicker."""


def wire(event: Event) -> dict[str, Any]:
    """A numbered event as the message that listeners get."""
    return wire_event(event.type, event.seq, event.data)


def missed(store: SampleStore, since: int) -> list[dict[str, Any]] | None:
    """Messages after ``since``, with their types; None when they are not all kept any more, or are too many."""
    if store.head() - since > MOST_MISSED:
        return None
    events = store.events_since(since)
    return None if events is None else [{"type": event.type, **wire(event)} for event in events]


def events_reply(facts: Mapping[str, Any], events: list[dict[str, Any]]) -> Iterator[bytes]:
    """The answer to a hello as JSON, in parts: what was missed. Encodes a part when it is asked for."""
    return _reply({**facts, "events": None}, in_chunks(_encoded(event) for event in events))


def reset_reply(facts: Mapping[str, Any], everything: Everything) -> Iterator[bytes]:
    """The answer to a hello as JSON, in parts: everything."""
    return _reply({**facts, "head": everything.head, "reset": True, "sounds": None}, everything.chunks())


def _reply(document: Mapping[str, Any], last: Iterator[bytes]) -> Iterator[bytes]:
    yield _encoded(document).removesuffix(b"null}")
    yield from last
    yield b"}"


def _encoded(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()

"""What a client that says hello gets: what it missed, or everything."""

from __future__ import annotations

from typing import Any

from bridge.events import SoundMessage, sound_message, wire_event
from cache import Event, SampleStore, sound_data


def wire(event: Event) -> dict[str, Any]:
    """A numbered event as the message that listeners get."""
    return wire_event(event.type, event.seq, event.data)


def missed(store: SampleStore, since: int) -> list[dict[str, Any]] | None:
    """Messages after ``since``, with their types; None when they are not all kept any more."""
    events = store.events_since(since)
    return None if events is None else [{"type": event.type, **wire(event)} for event in events]


def everything(store: SampleStore) -> tuple[int, list[SoundMessage]]:
    """The head number and all sounds. Read in this order: what comes in between is announced, too, and does no harm."""
    head = store.head()
    return head, [sound_message(sound.seq, sound_data(sound)) for sound in store.sounds()]

"""What goes into the store and what comes out: plain values, safe to pass between threads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

Facts: TypeAlias = Mapping[str, Any]
"""Plain JSON values about one take: kind, prompt, engine, licence, seed, bpm, root, flags, ... No NaN, no infinity."""

EventType: TypeAlias = Literal["sound", "sound_removed", "job"]


@dataclass(frozen=True, slots=True)
class NewSample:
    """A finished sample whose files wait in ``store.incoming``."""

    sample_id: str
    """Digest of the audio: 16..64 lower-case hexadecimal digits."""
    spec_id: str
    """Digest of the spec it was made from: 16..64 lower-case hexadecimal digits."""
    master: Path
    """The 24-bit WAV; publishing moves it away."""
    rate: int
    """Hz."""
    channels: int
    frames: int
    facts: Facts = field(default_factory=dict)
    deliveries: Mapping[str, Path] = field(default_factory=dict)
    """Formats that are encoded already, e.g. ``{"wav": path}``; publishing moves them away."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where a sample shall be shown."""

    name: str
    """The sound's name or one of its aliases; a sound that does not exist is made."""
    n: int | None = None
    """The slot whose stand-in the sample replaces; any other slot, or None, appends."""
    standin: bool = False
    """True: the sample only holds the place until the wanted one comes."""
    aliases: tuple[str, ...] = ()
    """Further names; one that another sound has is left to that sound."""
    session: str | None = None
    terms: Mapping[str, float] = field(default_factory=dict)
    """Words under which the sound is found, with their weights (tags above prompt words)."""
    spec_id: str | None = None
    """The take to show when nothing new comes in; None means the incoming sample's."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One immutable piece of audio, as made for one spec."""

    sample_id: str
    spec_id: str
    rate: int
    """Hz."""
    channels: int
    frames: int
    bytes: int
    """Size of the master file."""
    facts: dict[str, Any]
    created: float
    """Unix seconds."""


@dataclass(frozen=True, slots=True)
class Slot:
    """One place of a sound; ``n`` is what a pattern writes."""

    n: int
    sample_id: str
    spec_id: str
    standin: bool
    root: Any = None
    """The root note that the sample's facts tell, None for unpitched ones."""


@dataclass(frozen=True, slots=True)
class Sound:
    """A name and its slots."""

    name: str
    aliases: tuple[str, ...]
    slots: tuple[Slot, ...]
    n: int
    """The slot that changed last."""
    facts: dict[str, Any]
    """Facts of slot ``n``; those of the others are ``store.take(slot.spec_id).facts``."""
    revision: int
    """Counts the changes that were announced, from 1."""
    pinned: bool
    session: str | None
    created: float
    """Unix seconds."""
    changed: float
    """Unix seconds."""
    seq: int
    """Number of the event that announced the last change; the cursor of ``store.sounds()``."""

    @property
    def slot(self) -> Slot:
        """The slot that changed last."""
        return self.slots[self.n]


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the numbered log."""

    seq: int
    """1, 2, 3, ... without gaps within one epoch."""
    type: EventType
    data: dict[str, Any]
    """``sound``: name, aliases, n, standin, revision, session, pinned, sample_id, spec_id,
    slots [{sample_id, standin, root}], facts (of slot n). ``sound_removed``: name, aliases, why
    ("deleted", "evicted", "renamed"), and renamed_to. ``job``: what the caller gave, with name and n."""


@dataclass(frozen=True, slots=True)
class Published:
    """What one change did."""

    sounds: tuple[Sound, ...] = ()
    """The sounds concerned, as they are after it (before it, where they were taken away)."""
    slots: tuple[tuple[str, int], ...] = ()
    """(name, n) for each target, in its order."""
    events: tuple[Event, ...] = ()
    sample: Sample | None = None
    """What was published: the incoming sample, or the one that was kept already for the same spec."""
    restorable_until: float | None = None
    """Unix seconds: how long a deleted sound can be restored; None where it cannot be."""

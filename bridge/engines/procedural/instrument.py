"""What an instrument is: a function from a note to a signal, and the words it answers to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import TypeAlias

import numpy as np

from .dsp.signal import Signal


@dataclass(frozen=True, slots=True)
class Knobs:
    """What the words of a prompt turn. 0 is the instrument as it is; about -1..1, a few words may add up to 2."""

    bright: float = 0.0
    """Dark to bright."""
    hard: float = 0.0
    """Soft to hard: attack and touch."""
    drive: float = 0.0
    """Clean to distorted."""
    lofi: float = 0.0
    """Old sampler, tape and dust; only above 0."""
    width: float = 0.0
    """Mono to wide."""
    length: float = 0.0
    """Short to long: one unit is a factor of 2.2."""
    wet: float = 0.0
    """Dry to a large room."""
    speed: float = 0.0
    """Slow to fast: vibrato, movement, density of notes."""
    punch: float = 0.0
    """Round to punchy: pitch drop and transient of drums."""
    pitch: float = 0.0
    """Semitones."""
    age: float = 0.0
    """Modern to vintage: detune, drift and fewer highs."""
    air: float = 0.0
    """Breath and noise of the player."""
    drama: float = 0.0
    """Even to dramatic: how far a part swells from its beginning to its end."""

    def __add__(self, other: Knobs) -> Knobs:
        """Turn the knobs further; each is held within -2..2 (pitch within two octaves)."""
        sums = {f.name: getattr(self, f.name) + getattr(other, f.name) for f in fields(self)}
        limits = {name: 24.0 if name == "pitch" else 2.0 for name in sums}
        return Knobs(**{name: max(-limits[name], min(limits[name], value)) for name, value in sums.items()})

    def scaled(self, factor: float) -> Knobs:
        """The same words said more or less strongly."""
        return Knobs(**{f.name: getattr(self, f.name) * factor for f in fields(self)})


@dataclass(frozen=True, slots=True)
class Note:
    """One event for an instrument."""

    pitch: float
    """Hz."""
    seconds: float
    """How long the key is held; the sound may ring on."""
    velocity: float
    """0..1."""
    knobs: Knobs
    rng: np.random.Generator

    @property
    def stretch(self) -> float:
        """Factor for natural decay times."""
        return float(2.2**self.knobs.length)

    def at(self, pitch: float) -> Note:
        """The same touch at another pitch."""
        return replace(self, pitch=pitch)

    def jitter(self, amount: float) -> float:
        """A factor around 1 that makes two hits differ, sigma ``amount``."""
        return float(np.exp(self.rng.normal(0.0, amount)))


Play: TypeAlias = Callable[[Note], Signal]
"""Plays one note: (frames,) or (2, frames), any level, its tail complete."""

Bed: TypeAlias = Callable[[Note, list[float], int], Signal]
"""Sustains a chord (Hz) for ``count`` frames so that the end runs into the beginning without a seam."""


@dataclass(frozen=True, slots=True)
class Instrument:
    """An entry of the table."""

    name: str
    words: tuple[str, ...]
    """Phrases that mean it, lower case; the longest that is in a prompt wins."""
    play: Play
    role: str = "drum"
    """What it does in a groove: drum, bass, chord, lead, voice or fx."""
    root: float = 0.0
    """MIDI number of the C it is played at when no key is given; 0 = it has a pitch of its own."""
    seconds: float = 0.5
    """How long a single note is held by default."""
    bed: Bed | None = None
    tuned: bool = True
    """Follows a key. A drum with a root is tuned too (an 808)."""
    room: float = 0.0
    """How wet it is by nature, 0..1."""
    chord: bool = False
    """A single sound of it is a chord rather than a note."""

"""What the parts of one request share, and the events they are made of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .genres import Genre
from .instrument import Instrument
from .theory import Chord, Tonality


@dataclass(frozen=True, slots=True)
class Event:
    """One note of one instrument."""

    at: float
    """Seconds from the beginning."""
    instrument: Instrument
    pitch: float
    """Hz."""
    seconds: float
    """How long it is held."""
    velocity: float
    gain: float
    pan: float = 0.0
    variant: int = 0
    """Events with the same variant sound alike."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What all parts of one request share, so that they fit together."""

    genre: Genre
    key: Tonality
    chords: tuple[Chord, ...]
    """One a bar, repeated."""
    step: float
    """Seconds of a sixteenth."""
    bar: int
    """Sixteenths a bar."""
    total: int
    """Sixteenths in all."""
    seed: int

    def rng(self, part: str) -> np.random.Generator:
        """Chance of its own for each part, so that adding one changes no other."""
        return np.random.default_rng([self.seed, *part.encode()])

    def chord(self, step: int) -> Chord:
        """What sounds at a step."""
        return self.chords[(step // self.bar) % len(self.chords)]

    def time(self, step: int, rng: np.random.Generator, human: bool = True) -> float:
        """Seconds of a step, swung and played by a hand."""
        late = self.genre.swing * self.step / 3 if step % 2 else 0.0
        loose = rng.normal(0.0, self.genre.loose) if human and step and self.genre.loose else 0.0
        return max(0.0, step * self.step + late + float(np.clip(loose, -0.02, 0.02)))

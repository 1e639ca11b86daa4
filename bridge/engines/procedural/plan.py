"""What the parts of one request share, and the events they are made of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from .genres import Genre
from .instrument import Instrument
from .theory import Chord, Tonality


@dataclass(frozen=True, slots=True)
class NoteEvent:
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
    meter: str = "4/4"
    speed: float = 0.0
    """What "slow" and "fast" say; the tempo stays, the notes come half or twice as often."""

    def rng(self, part: str) -> np.random.Generator:
        """Chance of its own for each part, so that adding one changes no other."""
        return np.random.default_rng([self.seed, *part.encode()])

    def chord(self, step: float) -> Chord:
        """What sounds at a step."""
        return self.chords[int(step // self.bar) % len(self.chords)]

    def pace(self, free: bool = True) -> float:
        """How often a pattern is played: 2 in double time, 0.5 in half time.

        ``free``: a part that is not the backbone of the groove; it follows moods already, kick and snare follow only
        words for speed. Sixteenths under 55 ms are too many.
        """
        limit = 0.45 if free else 0.8
        if self.speed >= limit:
            return 2.0 if self.step / 2 >= 0.055 else 1.0
        return 0.5 if self.speed <= -limit else 1.0

    def grid(self, pace: float = 1.0) -> Iterator[tuple[float, int]]:
        """(step, place in the pattern) of all notes that a part could play at this pace."""
        for place in range(round(self.total * pace)):
            yield place / pace, place

    def time(self, step: float, rng: np.random.Generator, human: bool = True) -> float:
        """Seconds of a step, swung and played by a hand."""
        late = self.genre.swing * self.step / 3 if step % 2 == 1 else 0.0
        loose = rng.normal(0.0, self.genre.loose) if human and step and self.genre.loose else 0.0
        return max(0.0, step * self.step + late + float(np.clip(loose, -0.02, 0.02)))


def held(line: str, place: int, bar: int) -> int:
    """For how many sixteenths a note of a pattern is held: itself and the "-" after it, within its bar."""
    count = 1
    while place % bar + count < bar and line[(place + count) % bar % len(line)] == "-":
        count += 1
    return count

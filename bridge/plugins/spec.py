# SPDX-License-Identifier: Apache-2.0
"""What an engine is told: the fields of a spec, as ``SampleSpec`` of the package ``prompts`` has them."""

from __future__ import annotations

from typing import Literal, Protocol, TypeAlias

SourceUse: TypeAlias = Literal["melody", "continuation", "variation"]
"""What audio can be to an engine."""
QualityMode: TypeAlias = Literal["draft", "balanced", "high"]
"""Quicker or more exact."""


class Spec(Protocol):
    """What is wanted, complete: ``engine``, ``seed`` and ``kind`` are set. Frozen."""

    @property
    def prompt(self) -> str:
        """What is to be heard, in words: 1 to 500 characters."""
        ...

    @property
    def kind(self) -> str | None:
        """``oneshot``, ``loop``, ``texture``, ``pitched``, ``stem`` or ``raw``."""
        ...

    @property
    def duration(self) -> float | None:
        """Seconds, 0.1 to 120; None: the kind's natural length."""
        ...

    @property
    def bars(self) -> int | None:
        """Bars, 1 to 64; goes before ``duration``."""
        ...

    @property
    def meter(self) -> str | None:
        """Time signature such as ``3/4``; None is 4/4."""
        ...

    @property
    def bpm(self) -> float | None:
        """Quarter notes per minute, 20 to 400."""
        ...

    @property
    def key(self) -> str | None:
        """Key such as ``cm``, ``f#``."""
        ...

    @property
    def chords(self) -> tuple[str, ...]:
        """Chord progression, one name per bar, repeated."""
        ...

    @property
    def seed(self) -> int | None:
        """0 to 4294967295."""
        ...

    @property
    def model(self) -> str | None:
        """The engine's model; None: the engine's own choice."""
        ...

    @property
    def temperature(self) -> float:
        """0 to 2."""
        ...

    @property
    def top_k(self) -> int:
        """0 to 500; 0 = off."""
        ...

    @property
    def top_p(self) -> float:
        """0 to 1; 0 and 1 = off."""
        ...

    @property
    def guidance(self) -> float:
        """0 to 10: how strictly the words are followed."""
        ...

    @property
    def octaves(self) -> tuple[float, ...]:
        """Ten levels in dB under the loudest octave, 31 Hz to 16 kHz, or nothing: the colour to come near to."""
        ...

    @property
    def num_beams(self) -> int:
        """1 to 8 candidates, of which the best one is kept."""
        ...

    @property
    def repetition_penalty(self) -> float:
        """1 to 2."""
        ...

    @property
    def quality_mode(self) -> QualityMode:
        """Quicker or more exact, for engines that know a difference."""
        ...

    @property
    def source_as(self) -> SourceUse | None:
        """What ``source``, the audio that ``stream_from`` gets, is to the sound."""
        ...

    @property
    def seconds(self) -> float | None:
        """Length in seconds; None lets the sound ring as long as it does by nature."""
        ...

    @property
    def beats(self) -> float | None:
        """Length in quarter notes, where the sound has bars or a tempo."""
        ...

    @property
    def bar_beats(self) -> float:
        """Quarter notes per bar."""
        ...

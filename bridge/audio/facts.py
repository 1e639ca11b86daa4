"""What is known of a sample: said here once, for all that tell it.

Events, answers, headers, the command line and provenance each list the names that they show; the values come from here.
A new fact is one field of ``SampleFacts``, given its value in ``bridge/sounds/facts.py``, and its name in each list
that shall show it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class SampleFacts:
    """What is known of a sample. It is kept as JSON; what older versions did not write has its default."""

    __pydantic_config__ = {"use_attribute_docstrings": True}  # noqa: RUF012  read by pydantic in this form

    prompt: str = ""
    """The words that it was made of; empty when they were forgotten."""
    kind: str = "oneshot"
    seconds: float = 0.0
    """As long as it really is."""
    bpm: float | None = None
    """Quarter notes per minute."""
    bars: int | None = None
    beats: float | None = None
    """Quarter notes."""
    key: str | None = None
    meter: str | None = None
    """Time signature such as ``3/4``; null for 4/4."""
    chords: Sequence[str] = field(default_factory=list)
    """One name per bar."""
    root: str | None = None
    """Note at which it sounds as it was made, such as ``c3``; null for unpitched ones."""
    seed: int | None = None
    """The one that made it in the end."""
    engine: str = ""
    revision: str = ""
    """Version of the engine."""
    model: str | None = None
    licence: str = ""
    """SPDX identifier of the sound's licence."""
    commercial: bool = False
    """True when it may be sold."""
    digital_source_type: str = "algorithmicMedia"
    """IPTC's word for how it came to be."""
    recipe: str = ""
    """Engine, its revision and the version of finishing."""
    version: str = ""
    """Version of this program."""
    parents: Sequence[str] = field(default_factory=list)
    """Ids of what it was made from."""
    flags: Sequence[str] = field(default_factory=list)
    """What the quality gate has against it, in stable words."""
    score: float | None = None
    """How good it came out, 0 to 1."""
    measures: Mapping[str, Any] = field(default_factory=dict)
    """What was measured, by name."""
    decisions: Sequence[str] = field(default_factory=list)
    """What finishing did, a sentence each."""
    spec: Mapping[str, Any] = field(default_factory=dict)
    """What was asked for."""
    created_at: str = ""
    """UTC, such as ``2026-11-20T11:27:36Z``."""

    @classmethod
    def of(cls, kept: Mapping[str, Any]) -> SampleFacts:
        """Read facts as they are kept. What an engine remarked under a name of its own goes with them."""
        facts = object.__new__(cls)
        # Not by __init__, which takes ten times as long: a whole library is told at once.
        facts.__dict__.update(_DEFAULTS)
        facts.__dict__.update(kept)
        return facts

    @classmethod
    def found(cls, told: Mapping[str, Any]) -> SampleFacts:
        """Read facts that anybody may have written, as well as they can be had. Raises ValueError or TypeError."""
        known = {name: (value, _DEFAULTS[name]) for name, value in told.items() if value is not None}
        return cls.of({name: value if plain is None else type(plain)(value) for name, (value, plain) in known.items()})

    def but(self, **changes: Any) -> SampleFacts:
        """Build the same facts with some changed."""
        return self.of({**self.__dict__, **changes})

    def some(self, names: Sequence[str]) -> dict[str, Any]:
        """Build a JSON object of some of them, in this order."""
        return {name: self.__dict__[name] for name in names}

    def as_json(self) -> dict[str, Any]:
        """Build the form that is kept."""
        return dict(self.__dict__)


_DEFAULTS: Final = dict(SampleFacts().__dict__)


def filled(shape: type[T], facts: SampleFacts, /, **given: Any) -> T:
    """Build an object of ``shape``, a TypedDict or a dataclass: what is not given is the fact of that name."""
    own = facts.__dict__
    return shape(**{name: given[name] if name in given else own[name] for name in shape.__annotations__})

"""What goes through the chain of finishing: a clip, what was wanted, and what has been found out so far."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from bridge.plugins.clip import Clip
from prompts import Kind, SampleSpec


@dataclass(frozen=True, slots=True)
class Take:
    """A clip on its way to a sample. A step answers a changed copy; the lists are shared and only added to."""

    clip: Clip
    spec: SampleSpec
    rate: int
    """Hz wanted."""
    exact: bool
    """True: the engine makes loops and textures exactly as long as asked, and their ends meet."""
    note: int | None = None
    """MIDI number of the note that a pitched sound is, where the engine knows it."""
    facts: dict[str, Any] = field(default_factory=dict)
    """For the catalogue: ``root`` and the like."""
    measures: dict[str, float] = field(default_factory=dict)
    flags: list[str] = field(default_factory=list)
    decisions: list[str] = field(default_factory=list)
    """What was done, a sentence each."""

    def now(self, clip: Clip, *decisions: str) -> Take:
        """Go on with another clip, and say what was done."""
        self.decisions.extend(decisions)
        return replace(self, clip=clip)

    @property
    def ring(self) -> bool:
        """Does the end go on into the beginning already?"""
        return self.exact and self.spec.kind in {Kind.LOOP, Kind.TEXTURE}

    @property
    def frames(self) -> int | None:
        """How many frames are wanted at the clip's rate; None lets it ring."""
        return None if self.spec.seconds is None else max(1, round(self.clip.rate * self.spec.seconds))


Step: TypeAlias = Callable[[Take], Take]
"""One thing that is done to a sample."""

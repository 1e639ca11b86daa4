# SPDX-License-Identifier: Apache-2.0 (other people's engines import this file; the rest is AGPL-3.0-or-later)
"""What an engine is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, runtime_checkable

from prompts import SampleSpec

if TYPE_CHECKING:  # the server knows engines by what they say, and gets by without numpy
    from bridge.audio.clip import Clip

Report: TypeAlias = Callable[[float], None]
"""Called by an engine with its progress, 0..1; raises ``JobCancelled`` when nobody wants the clip any more."""


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """What an engine says about itself; it crosses the process border as JSON."""

    name: str
    revision: str
    """Changes whenever the same spec would give other audio: part of a sound's identity."""
    rate: int
    """Hz of the clips it makes."""
    channels: int
    max_seconds: float
    """The longest clip it makes in one request."""
    streams: bool
    """True when the first piece comes well before the last."""
    concurrency: int
    """How many requests it works on at the same time."""
    instant: bool
    """True when a sound takes well under a second: no stand-in is needed."""
    generative_model: bool
    """True when a trained model makes the audio (provenance: trainedAlgorithmicMedia)."""
    licence: str
    """Licence of what comes out, as an SPDX identifier or a short sentence."""
    commercial: bool
    """May the sounds be used commercially?"""
    model: str | None = None
    """Hub id or folder of the weights."""
    device: str = "cpu"
    """"cpu" or "cuda"."""
    exact_loops: bool = False
    """True when loops and textures come exactly as long as asked, begin on the bar line, and their ends meet: they are
    asked for without anything around them, and not cut again."""

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


@runtime_checkable
class Engine(Protocol):
    """Makes clips from specs.

    An engine is built by its class or factory with the keyword arguments ``model`` (str or None), ``device``
    ("auto", "cpu", "cuda") and ``data_dir`` (Path: where it may keep what it must keep). Building may load weights.
    It runs in a child process; ``stream`` is called from several threads when ``concurrency`` is above 1.
    """

    @property
    def info(self) -> EngineInfo:
        """What it is, can and costs."""
        ...

    def stream(self, spec: SampleSpec, seconds: float | None, report: Report) -> Iterator[Clip]:
        """Yield the pieces of one clip, in order; an engine that cannot stream yields once.

        ``spec`` is resolved: ``engine``, ``seed`` and ``kind`` are set. ``seconds`` is the length wanted (0.1 to
        ``max_seconds``), which is more than ``spec.seconds`` where finishing needs something around a loop to cut it;
        None lets the instrument ring for its natural length. The same spec and seconds give the same audio.

        Raises EngineError when it cannot, JobCancelled out of ``report``.
        """
        ...

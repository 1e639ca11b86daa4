# SPDX-License-Identifier: Apache-2.0
"""What an engine is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, runtime_checkable

from bridge.plugins.spec import SourceUse, Spec

if TYPE_CHECKING:  # the server knows engines by what they say, and gets by without numpy
    from bridge.plugins.clip import Clip

Report: TypeAlias = Callable[[float], None]
"""Called by an engine with its progress, 0..1; raises ``JobCancelled`` when the clip is no longer wanted."""


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
    conditions: tuple[SourceUse, ...] = ()
    """What audio can be to it, the most telling first: the values of ``spec.source_as`` that it understands. One that
    names any is a ``ConditionedEngine``."""
    qualities: tuple[str, ...] = ()
    """Quality modes that sound different here; without any ``spec.quality_mode`` changes nothing."""
    takes: bool = False
    """True: ``num_beams`` N asks it for N takes at the same time, with N seeds, and the best one is kept."""
    precision: str | None = None
    """What the weights are kept in: float32, bfloat16, int8, ..."""
    kernel: str | None = None
    """Which program computes it, and for which processor."""
    speed: float | None = None
    """Seconds of audio that it makes per second here, measured; None: not measured yet."""
    paid: bool = False
    """True when a request may cost money: one that has been started is never repeated by itself, whatever happens."""

    def __post_init__(self) -> None:
        # JSON has no tuples
        for name in ("conditions", "qualities"):
            object.__setattr__(self, name, tuple(getattr(self, name)))

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

    def stream(self, spec: Spec, seconds: float | None, report: Report) -> Iterator[Clip]:
        """Yield the pieces of one clip, in order; an engine that cannot stream yields once.

        ``spec`` is resolved: ``engine``, ``seed`` and ``kind`` are set. ``seconds`` is the length wanted (0.1 to
        ``max_seconds``), which is more than ``spec.seconds`` where finishing needs something around a loop to cut it;
        None lets the instrument ring for its natural length. The same spec and seconds give the same audio.

        Raises EngineError when it cannot, JobCancelled out of ``report``.
        """
        ...


@runtime_checkable
class ConditionedEngine(Engine, Protocol):
    """An engine whose ``info.conditions`` says that it can be given audio besides the words."""

    def stream_from(self, spec: Spec, seconds: float | None, report: Report, source: Clip) -> Iterator[Clip]:
        """Do as ``stream`` does, with ``source`` as ``spec.source_as`` says.

        ``melody``: its tune is followed. ``continuation``: the clip continues where ``source`` ends; what is yielded is
        new, none of ``source`` is in it. ``variation``: the clip is another version of it.
        """
        ...


@runtime_checkable
class FillingEngine(Engine, Protocol):
    """An engine that can make a part of a clip again: seams of loops are mended with it."""

    def fill(self, spec: Spec, clip: Clip, start: float, end: float, report: Report) -> Clip:
        """Answer ``clip`` with what lies between two seconds made again, to go with the rest and with the words.

        It is as long as it was; what lies outside need not be the same, and is not used.
        """
        ...


in_background: ContextVar[bool] = ContextVar("in_background", default=False)
"""True while no player waits for the work of an engine (pre-generation): a player's request should go before it."""


class Remarks:
    """What an engine says of the clip that it has just made, for those who look into the sound later."""

    def __init__(self) -> None:
        self.decisions: list[str] = []
        """Sentences, which go before those of finishing."""
        self.facts: dict[str, Any] = {}
        """JSON values by name, which go among the sound's facts."""


_remarks: ContextVar[Remarks | None] = ContextVar("remarks", default=None)


def remark(*decisions: str, **facts: Any) -> None:
    """Say something of the clip that ``stream`` is making. Without a listener nothing happens."""
    remarks = _remarks.get()
    if remarks is not None:
        remarks.decisions.extend(decisions)
        remarks.facts.update(facts)


@contextmanager
def heeding() -> Iterator[Remarks]:
    """Collect what the engines say that are asked inside the block, on this thread."""
    remarks = Remarks()
    token = _remarks.set(remarks)
    try:
        yield remarks
    finally:
        _remarks.reset(token)


@runtime_checkable
class KnowsItsNote(Protocol):
    """An engine with one method more: measuring need not guess the octave of an organ, or the root of a chord."""

    def note(self, spec: Spec) -> int | None:
        """Which note a pitched sound of ``spec`` is, as a MIDI number (60 is c4); None: it has to be measured."""
        ...


def note_of(engine: object, spec: Spec) -> int | None:
    """What an engine says about the note of ``spec``; None for one that does not know."""
    return engine.note(spec) if isinstance(engine, KnowsItsNote) else None

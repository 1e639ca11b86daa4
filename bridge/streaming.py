"""Streams: sound without an end, made passage by passage while it plays.

A stream is a chain of passages (bridge/engines/passages.py), each with the next seed, faded over into each other and
cut into chunks. A change of what is wanted is heard from the next chunk on.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, Literal

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError

from bridge.engines import EngineInfo
from bridge.engines.passages import Passage
from bridge.engines.pool import EnginePool
from bridge.errors import BridgeError, EngineError, InvalidRequest, JobCancelled
from bridge.requests import from_validation, generate_order
from bridge.service import SampleService
from prompts import Kind, SampleSpec

logger = logging.getLogger(__name__)

OVERLAP_SECONDS: Final = 0.25
"""Over which one passage becomes the next."""
PASSAGE_SECONDS: Final = 8.0
"""Longest passage: long enough to cost little, short enough to be made while the one before plays."""
_READY_SECONDS = 4.0
"""So long before it is heard a quick engine begins the next passage: later ones do not keep sooner ones waiting."""
_FIRST_SECONDS = 0.5
"""Longest first passage: it is heard as soon as it is made."""
_SEED_STEP = 0x9E3779B1
_SAMPLE_BYTES = 2

Quality = Literal["draft", "balanced", "high"]


class StreamOptions(BaseModel):
    """What a stream takes beside the fields of ``POST /generate``."""

    model_config = ConfigDict(extra="ignore")

    chunk_duration: Annotated[float, Field(ge=0.1, le=10.0, allow_inf_nan=False)] = 1.0
    """Seconds of audio in one chunk."""
    quality_mode: Quality = "balanced"
    """draft is one channel; balanced and high are what the engine makes."""
    duration: float | None = Field(None, validation_alias=AliasChoices("duration", "duration_seconds"))


@dataclass(frozen=True, slots=True)
class Chunk:
    """A part of a stream: interleaved 16-bit little-endian PCM."""

    index: int
    start: float
    """Seconds since the beginning of the stream."""
    duration: float
    rate: int
    channels: int
    pcm: bytes


@dataclass(frozen=True, slots=True)
class _Plan:
    """What is wanted at the moment."""

    spec: SampleSpec
    info: EngineInfo
    engine: EnginePool
    options: StreamOptions
    seconds: float | None
    """How long the whole stream is to be; None: until it is stopped."""


@dataclass
class _Take:
    """A passage that is being made, or has been; all who want the same one share it."""

    key: str
    passage: Passage
    pcm: bytearray = field(default_factory=bytearray)
    rate: int = 0
    channels: int = 0
    done: bool = False
    error: BaseException | None = None
    listeners: int = 0
    grown: asyncio.Condition = field(default_factory=asyncio.Condition)
    work: asyncio.Task[None] | None = None

    @property
    def frame_bytes(self) -> int:
        return _SAMPLE_BYTES * self.channels

    @property
    def overlap_bytes(self) -> int:
        """How much of its end belongs to the passage after it, too."""
        return 0 if self.passage.ends else round(self.passage.overlap * self.rate) * self.frame_bytes

    async def until(self, size: int) -> None:
        """Wait until so many bytes are there, or all there will be. Raises what went wrong."""
        async with self.grown:
            await self.grown.wait_for(lambda: self.done or (self.rate and len(self.pcm) >= size))
        if self.error is not None:
            raise self.error


class Streams:
    """The streams that play, and the passages that they share."""

    def __init__(self, service: SampleService) -> None:
        self._service = service
        self._takes: dict[str, _Take] = {}
        self._playing: dict[str, Stream] = {}
        self._working: set[asyncio.Task[None]] = set()

    async def open(self, session_id: str, request: Any) -> Stream:
        """Begin a stream. Raises InvalidRequest, EngineUnavailable."""
        stream = Stream(self, session_id, await self.plan(request), request)
        self._playing[session_id] = stream
        return stream

    def sessions(self) -> list[dict[str, Any]]:
        """The streams that play, the oldest first."""
        return [stream.as_dict() for stream in self._playing.values()]

    @property
    def takes(self) -> int:
        """How many passages there are, being made or heard."""
        return len(self._takes)

    def forget(self, stream: Stream) -> None:
        """It has ended."""
        if self._playing.get(stream.session_id) is stream:
            del self._playing[stream.session_id]

    async def plan(self, request: Any) -> _Plan:
        """Read what is wanted. Raises InvalidRequest naming the field."""
        if not isinstance(request, Mapping):
            raise InvalidRequest('request: give an object such as {"prompt": "warm pad"}.', field="request")
        present = {name: value for name, value in request.items() if value is not None}
        try:
            options = StreamOptions.model_validate(present)
            order, _ = generate_order(present, guess_kind=True)
        except ValidationError as error:
            raise from_validation(error) from None
        seconds = order.spec.seconds if order.spec.bars is not None else order.spec.duration
        spec, info = await self._service.resolve(order)
        return _Plan(spec, info, self._service.engines.hosted(info.name), options, seconds)

    def take(self, plan: _Plan, spec: SampleSpec, passage: Passage, tail: bytes) -> _Take:
        """Begin a passage, or join the one that others have begun; ``leave`` gives it back."""
        said = [spec.canonical(), passage.as_dict(), plan.info.name, plan.info.revision]
        key = hashlib.sha256(json.dumps(said).encode() + tail).hexdigest()
        take = self._takes.get(key)
        if take is None or take.error is not None:
            take = self._takes[key] = _Take(key, passage)
            take.work = asyncio.create_task(_fill(take, plan.engine, spec, tail))
            self._working.add(take.work)
            take.work.add_done_callback(self._working.discard)
        take.listeners += 1
        return take

    def leave(self, take: _Take) -> None:
        """Nobody of this stream needs it any more; the last one ends the work."""
        take.listeners -= 1
        if take.listeners:
            return
        if self._takes.get(take.key) is take:
            del self._takes[take.key]
        if take.work is not None and not take.work.done():
            take.work.cancel()


async def _fill(take: _Take, engine: EnginePool, spec: SampleSpec, tail: bytes) -> None:
    try:
        async with contextlib.aclosing(engine.stream(spec, take.passage, tail)) as pieces:
            async for piece in pieces:
                async with take.grown:
                    take.rate, take.channels = piece.rate, piece.channels
                    take.pcm += piece.pcm
                    take.grown.notify_all()
    except asyncio.CancelledError:
        take.error = JobCancelled("The stream was ended.")
        raise
    except BridgeError as error:
        take.error = error
    except Exception:
        logger.exception("a passage could not be made")
        take.error = EngineError("The stream broke off; the log has the details. Start it again.")
    finally:
        async with take.grown:
            take.done = True
            take.grown.notify_all()


class Stream:
    """One stream. ``chunk`` gives the next part whenever it is asked for; the pace is the caller's."""

    def __init__(self, streams: Streams, session_id: str, plan: _Plan, request: Mapping[str, Any]) -> None:
        self.session_id = session_id
        self.request = dict(request)
        self.started = time.time()
        self.seconds_sent = 0.0
        self._streams = streams
        self._plan = plan
        self._changed = False
        self._number = 0
        self._index = 0
        self._now: _Take | None = None
        self._next: _Take | None = None
        self._at = 0
        self._begins = 0.0
        """Second of the stream at which the passage that is heard begins."""

    @property
    def options(self) -> StreamOptions:
        """Length of a chunk, quality."""
        return self._plan.options

    @property
    def info(self) -> EngineInfo:
        """The engine that plays."""
        return self._plan.info

    @property
    def channels(self) -> int:
        """Of the next passages."""
        return 1 if self.options.quality_mode == "draft" else self.info.channels

    @property
    def progress(self) -> float | None:
        """0..1; None without an end."""
        whole = self._plan.seconds
        return None if whole is None else min(1.0, round(self.seconds_sent / whole, 4))

    def as_dict(self) -> dict[str, Any]:
        """What ``GET /stream/sessions`` tells of it."""
        return {
            "session_id": self.session_id,
            "prompt": self._plan.spec.prompt,
            "started_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.started)),
            "seconds_sent": round(self.seconds_sent, 3),
            "quality_mode": self.options.quality_mode,
        }

    async def update(self, changes: Any) -> None:
        """Want something else from the next chunk on; what is not named stays. Raises InvalidRequest."""
        if not isinstance(changes, Mapping):
            raise InvalidRequest('request: give an object such as {"prompt": "warm pad"}.', field="request")
        request = {**self.request, **changes}
        self._plan = await self._streams.plan(request)
        self.request = request
        self._changed = True

    async def chunk(self) -> Chunk | None:
        """Make the next chunk; None when the stream has reached its end. Raises EngineError and its kin."""
        out, rate, channels = bytearray(), 0, 0
        while True:
            take = self._heard()
            wanted = self._chunk_bytes(take) - len(out)
            await take.until(self._at + max(wanted, 1) + take.overlap_bytes)
            if out and (rate, channels) != (take.rate, take.channels):
                break
            rate, channels = take.rate, take.channels
            # Known only now for a passage whose first piece was waited for.
            wanted = self._chunk_bytes(take) - len(out)
            there = len(take.pcm) - take.overlap_bytes
            part = bytes(take.pcm[self._at : max(self._at, min(there, self._at + wanted))])
            out += part
            self._at += len(part)
            if self._is_due(take, there):
                self._next = self._begin(bytes(take.pcm[max(0, there) :]), take, max(0, there))
            if len(out) >= self._chunk_bytes(take) or (self._index == 0 and out and take.done):
                break
            if take.done and self._at >= there:
                if take.passage.ends:
                    break
                self._go_on(take, there)
        return self._cut(bytes(out), rate, channels)

    def close(self) -> None:
        """Stop it: what is being made for it alone is made no more."""
        self._streams.forget(self)
        for take in (self._now, self._next):
            if take is not None:
                self._streams.leave(take)
        self._now = self._next = None

    def _cut(self, pcm: bytes, rate: int, channels: int) -> Chunk | None:
        if not pcm:
            return None
        duration = len(pcm) / (rate * channels * _SAMPLE_BYTES)
        chunk = Chunk(self._index, self.seconds_sent, duration, rate, channels, pcm)
        self._index += 1
        self.seconds_sent += duration
        return chunk

    def _chunk_bytes(self, take: _Take) -> int:
        return max(1, round(self.options.chunk_duration * take.rate)) * max(1, take.frame_bytes)

    def _heard(self) -> _Take:
        """The passage that is being heard; another one from here on when something else is wanted."""
        if self._now is not None and self._changed:
            old, at = self._now, self._at
            tail = bytes(old.pcm[at : at + round(OVERLAP_SECONDS * old.rate) * old.frame_bytes])
            self._begins += at / max(1, old.rate * old.frame_bytes)
            for take in (self._next, old):
                if take is not None:
                    self._streams.leave(take)
            self._now, self._next, self._number, self._at = None, None, 0, 0
            self._now = self._begin(tail, old, 0)
        if self._now is None:
            self._now = self._begin(b"", None, 0)
        self._changed = False
        return self._now

    def _is_due(self, take: _Take, there: int) -> bool:
        """Is it time to begin the next passage?"""
        if not take.done or self._next is not None or take.passage.ends:
            return False
        left = (there - self._at) / max(1, take.rate * take.frame_bytes)
        return not self._plan.info.instant or left <= max(_READY_SECONDS, 3 * self.options.chunk_duration)

    def _go_on(self, take: _Take, there: int) -> None:
        self._begins += there / max(1, take.rate * take.frame_bytes)
        self._now, self._next, self._at = self._next, None, 0
        self._streams.leave(take)

    def _begin(self, tail: bytes, before: _Take | None, there: int) -> _Take:
        """Begin the passage after ``before``, of which ``there`` bytes are heard."""
        begins = self._begins + (there / max(1, before.rate * before.frame_bytes) if before else 0.0)
        spec, seconds, skip = self._passage()
        left = None if self._plan.seconds is None else self._plan.seconds - begins
        ends = left is not None and left <= seconds + 1e-6
        passage = Passage(
            seconds=max(0.01, left) if ends and left is not None else seconds,
            overlap=OVERLAP_SECONDS,
            skip=skip,
            ends=ends,
            channels=self.channels,
            tail_rate=before.rate if before and tail else 0,
            tail_channels=before.channels if before and tail else 0,
        )
        self._number += 1
        return self._streams.take(self._plan, spec, passage, tail)

    def _passage(self) -> tuple[SampleSpec, float, float]:
        """The next passage: what the engine is asked for, how long it is heard, how much of it was heard already.

        The first one is short, so that something is heard soon, and the second one continues it; each further one is
        twice as long, so that it is there when the one before has been heard.
        """
        base, number = self._plan.spec, self._number
        seed = ((base.seed or 0) + max(0, number - 1) * _SEED_STEP) % 2**32
        rings = self._plan.info.exact_loops
        longest = min(PASSAGE_SECONDS, self._plan.info.max_seconds - OVERLAP_SECONDS)
        kind = (Kind.TEXTURE if base.kind is Kind.TEXTURE else Kind.LOOP) if rings else Kind.RAW
        bpm = base.bpm or 120.0
        first, unit = (_FIRST_SECONDS, 0.0) if kind is not Kind.LOOP else (60 / bpm, base.bar_beats * 60 / bpm)
        while first > _FIRST_SECONDS + 0.1:
            first /= 2
        if unit:
            bars = max(1, min(int(longest / unit + 1e-6), 2 ** max(0, number - 1)))
            whole = bars * unit
        else:
            whole = min(longest, 2.0 ** min(number, 8)) if rings else longest
        update: dict[str, Any] = {"kind": kind, "seed": seed, "bars": None, "duration": whole, "bpm": base.bpm}
        if unit:
            update |= {"bpm": bpm}
        if number == 0 and rings:
            return base.model_copy(update=update | {"duration": first}), first, 0.0
        skip = first if number == 1 and rings else 0.0
        if unit:
            update |= {"bars": bars, "duration": None}
        return base.model_copy(update=update), whole - skip, skip

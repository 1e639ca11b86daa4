"""One stream: which part of which passage is heard next, and what becomes of it when something else is wanted."""

from __future__ import annotations

import array
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError

from bridge.engines.cloud.spending import work_of
from bridge.engines.hosting.passages import Passage
from bridge.engines.hosting.pool import EnginePool
from bridge.errors import InvalidRequest
from bridge.plugins.engine import EngineInfo
from bridge.rights import Caller, current_caller
from bridge.sounds.orders import from_validation, generate_order
from bridge.sounds.service import SampleService
from bridge.stage.stage import Stage
from prompts import SampleSpec

from .course import CONTEXT_SECONDS, OVERLAP_SECONDS, step
from .passages import SAMPLE_BYTES, SharedPassage, SharedPassages

READY_SECONDS: Final = 8.0
"""So long before it is heard a quick engine begins the next passage: later ones do not keep sooner ones waiting."""
END_SECONDS: Final = 0.02
"""Fade at the end of a stream."""

Quality = Literal["draft", "balanced", "high"]


class StreamOptions(BaseModel):
    """What a stream takes besides the fields of ``POST /generate``."""

    model_config = ConfigDict(extra="ignore")

    chunk_duration: Annotated[float, Field(ge=0.1, le=10.0, allow_inf_nan=False)] = 1.0
    """Seconds of audio in one chunk."""
    quality_mode: Quality = "balanced"
    """draft is one channel; balanced and high are what the engine makes."""
    duration: float | None = Field(None, validation_alias=AliasChoices("duration", "duration_seconds"))


@dataclass(frozen=True, slots=True)
class AudioChunk:
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
class _Heard:
    """A passage in its stream."""

    shared: SharedPassage
    again: int
    """How many rounds it goes after the first."""

    @property
    def there(self) -> int:
        """Where the next one begins; grows until its passage is done."""
        return self.shared.there + self.again * self.shared.round_bytes


class Streams:
    """The streams that play, and the passages that they share."""

    def __init__(self, service: SampleService, stage: Stage) -> None:
        self._service = service
        self._stage = stage
        self.passages = SharedPassages()
        """Passages that are being made, or heard."""
        self._playing: dict[str, Stream] = {}

    async def open(self, session_id: str, request: Any) -> Stream:
        """Begin a stream. Raises InvalidRequest, EngineUnavailable."""
        stream = Stream(self, session_id, await self.plan(request), request)
        self._playing[session_id] = stream
        return stream

    def sessions(self, caller: Caller | None = None) -> list[dict[str, Any]]:
        """The streams that play, the oldest first; with ``caller`` those that it may know of."""
        streams = self._playing.values()
        return [each.as_dict() for each in streams if caller is None or caller.may_see(each.owner)]

    def forget(self, stream: Stream) -> None:
        """It has ended."""
        if self._playing.get(stream.session_id) is stream:
            del self._playing[stream.session_id]

    async def plan(self, request: Any) -> _Plan:
        """Read what is wanted, in the tempo and key of its session. Raises InvalidRequest naming the field."""
        if not isinstance(request, Mapping):
            raise InvalidRequest('request: give an object such as {"prompt": "warm pad"}.', field="request")
        present = {name: value for name, value in request.items() if value is not None}
        try:
            options = StreamOptions.model_validate(present)
            order, _ = generate_order(present, guess_kind=True)
        except ValidationError as error:
            raise from_validation(error) from None
        seconds = order.spec.seconds if order.spec.bars is not None else order.spec.duration
        spec, _, info = await self._service.resolver.first(self._stage.sessions.fill(order))
        return _Plan(spec, info, self._service.engines.hosted(info.name), options, seconds)


class Stream:
    """One stream. ``chunk`` gives the next part whenever it is asked for; the pace is the caller's."""

    def __init__(self, streams: Streams, session_id: str, plan: _Plan, request: Mapping[str, Any]) -> None:
        self.session_id = session_id
        self.request = dict(request)
        self.started = time.time()
        self.seconds_sent = 0.0
        self.owner = current_caller().owner
        self.works: set[str] = set()
        """What its engine was asked for, as the ledger of spending names it."""
        self._streams = streams
        self._plan = plan
        self._changed = False
        self._number = 0
        self._index = 0
        self._now: _Heard | None = None
        self._next: _Heard | None = None
        self._at = 0
        """Byte of the passage that is heard; the rounds it has gone count."""
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

    async def chunk(self, patience: float | None = None) -> AudioChunk | None:
        """Make the next chunk; None when the stream has reached its end. Raises EngineError and its kin.

        ``patience``: seconds until silence. A loop goes round once more rather than keep it waiting for what follows.
        """
        lasts = None if patience is None else time.monotonic() + patience
        out, rate, channels = bytearray(), 0, 0
        while True:
            now = self._heard()
            shared = now.shared
            await shared.until(self._at + max(1, self._wanted(shared) - len(out)) + shared.overlap_bytes)
            if out and (rate, channels) != (shared.rate, shared.channels):
                break
            rate, channels = shared.rate, shared.channels
            wanted = self._wanted(shared)  # not known before the first piece was there
            part = shared.read(self._at, max(0, min(now.there - self._at, wanted - len(out))))
            out += part
            self._at += len(part)
            if self._is_due(now):
                self._next = self._begin(shared.read(now.there, shared.overlap_bytes), shared, now.there)
            if len(out) >= wanted or (self._index == 0 and out and shared.done):
                break
            if shared.done and self._at >= now.there:
                if shared.passage.ends:
                    break
                await self._go_on(now, None if lasts is None else max(0.0, lasts - time.monotonic()))
        return self._cut(out, rate, channels)

    def close(self) -> None:
        """Stop it: what is being made for it alone is made no more."""
        self._streams.forget(self)
        self._leave()

    def _leave(self) -> None:
        for heard in (self._now, self._next):
            if heard is not None:
                self._streams.passages.leave(heard.shared)
        self._now = self._next = None

    def _wanted(self, shared: SharedPassage) -> int:
        """How many bytes the next chunk has: what was asked for, less at the end; 0 behind it."""
        count = max(1, round(self.options.chunk_duration * shared.rate))
        if self._plan.seconds is not None:
            left = max(0, round((self._plan.seconds - self.seconds_sent) * shared.rate))
            # What would be shorter than the fade is not a chunk of its own.
            count = left if left < count + END_SECONDS * shared.rate else count
        return count * max(1, shared.frame_bytes)

    def _cut(self, pcm: bytearray, rate: int, channels: int) -> AudioChunk | None:
        if not pcm:
            return None
        duration = len(pcm) / (rate * channels * SAMPLE_BYTES)
        if self._plan.seconds is not None and self.seconds_sent + duration >= self._plan.seconds - 0.5 / rate:
            _fade_out(pcm, round(END_SECONDS * rate), channels)
        chunk = AudioChunk(self._index, self.seconds_sent, duration, rate, channels, bytes(pcm))
        self._index += 1
        self.seconds_sent += duration
        return chunk

    def _heard(self) -> _Heard:
        """The passage that is being heard; another one from here on when something else is wanted."""
        if self._now is not None and self._changed:
            old, at = self._now.shared, self._at
            tail = old.read(at, round(OVERLAP_SECONDS * old.rate) * old.frame_bytes)
            self._begins += old.seconds(at)
            self._number = 0
            began = self._begin(tail, old, 0)
            self._leave()
            self._now, self._at = began, 0
        if self._now is None:
            self._now = self._begin(b"", None, 0)
        self._changed = False
        return self._now

    def _is_due(self, now: _Heard) -> bool:
        """Is it time to begin the next passage?"""
        shared = now.shared
        if not shared.done or self._next is not None or shared.passage.ends:
            return False
        whole = self._plan.seconds
        if whole is not None and shared.round_bytes and self._begins + shared.seconds(now.there) >= whole:
            return False
        left = shared.seconds(now.there - self._at)
        return not self._plan.info.instant or left <= max(READY_SECONDS, 3 * self.options.chunk_duration)

    async def _go_on(self, now: _Heard, patience: float | None) -> None:
        """What is heard has been heard: to the next passage, or once more round."""
        shared = now.shared
        if self._next is None or (shared.round_bytes and not await self._next.shared.ended(patience)):
            now.again += 1
            return
        self._begins += shared.seconds(now.there)
        self._now, self._next, self._at = self._next, None, 0
        self._streams.passages.leave(shared)

    def _begin(self, tail: bytes, before: SharedPassage | None, there: int) -> _Heard:
        """Begin the passage after ``before``, of which ``there`` bytes are heard."""
        plan, begins = self._plan, self._begins + (before.seconds(there) if before else 0.0)
        wanted = step(plan.spec, plan.info, self._number)
        seconds, ends = wanted.seconds, False
        if plan.seconds is not None and not wanted.round:
            # A passage that repeats is cut where the stream ends; others are made no longer than they are heard.
            left = plan.seconds - begins
            ends = left <= seconds + 1e-6
            seconds = max(0.01, min(left, seconds))
        context = b""
        if before is not None and self._number and plan.spec.source is None and "continuation" in plan.info.conditions:
            frames = min(there // max(1, before.frame_bytes), round(CONTEXT_SECONDS * before.rate))
            context = before.read(there - frames * before.frame_bytes, frames * before.frame_bytes)
        passage = Passage(
            seconds=seconds,
            overlap=OVERLAP_SECONDS,
            skip=wanted.skip,
            ends=ends,
            channels=self.channels,
            tail_rate=before.rate if before and tail else 0,
            tail_channels=before.channels if before and tail else 0,
            context=len(context),
            urgent=wanted.first,
        )
        self._number += 1
        self.works.add(work_of(wanted.spec))
        shared = self._streams.passages.join(plan.engine, plan.info, wanted.spec, passage, context + tail, wanted.round)
        return _Heard(shared, wanted.again)


def _fade_out(pcm: bytearray, frames: int, channels: int) -> None:
    """Fade the end of interleaved 16-bit little-endian PCM, in place."""
    count = min(frames, len(pcm) // (SAMPLE_BYTES * channels))
    begins = len(pcm) - count * channels * SAMPLE_BYTES
    values = array.array("h", pcm[begins:])
    if sys.byteorder == "big":
        values.byteswap()
    for i, value in enumerate(values):
        values[i] = round(value * (1 - (i // channels + 1) / count))
    if sys.byteorder == "big":
        values.byteswap()
    pcm[begins:] = values.tobytes()

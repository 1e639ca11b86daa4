"""Passages that are being made, or heard; streams that want exactly the same one share it."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import logging
from dataclasses import dataclass, field

from bridge.engines.hosting.passages import Passage
from bridge.engines.hosting.pool import EnginePool
from bridge.errors import BridgeError, EngineError, JobCancelled
from bridge.plugins.engine import EngineInfo
from prompts import SampleSpec

logger = logging.getLogger(__name__)

SAMPLE_BYTES = 2


@dataclass
class SharedPassage:
    """A passage that is being made, or has been."""

    key: str
    passage: Passage
    round: float
    """After this many seconds it repeats itself; 0: it does not."""
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
        """Of one frame."""
        return SAMPLE_BYTES * self.channels

    @property
    def overlap_bytes(self) -> int:
        """How much of its end belongs to the passage after it, too."""
        return 0 if self.passage.ends else round(self.passage.overlap * self.rate) * self.frame_bytes

    @property
    def round_bytes(self) -> int:
        """How long one round is; 0: it does not go round."""
        return round(self.round * self.rate) * self.frame_bytes

    @property
    def there(self) -> int:
        """How much of what is there is heard the first time through."""
        return max(0, len(self.pcm) - self.overlap_bytes)

    def seconds(self, size: int) -> float:
        """How long this many bytes last."""
        return size / max(1, self.rate * self.frame_bytes)

    def read(self, at: int, size: int) -> bytes:
        """What is heard from a byte on; behind its end a finished passage that goes round is heard again.

        Its beginning, which the passage before is faded into, is heard only once: the overlap at its end is the same
        part of the loop.
        """
        length = len(self.pcm)
        if at >= length and self.done and self.round_bytes:
            at -= ((at - length) // self.round_bytes + 1) * self.round_bytes
        part = bytes(self.pcm[at : at + size])
        if len(part) < size and self.done and self.round_bytes:
            return part + self.read(length, size - len(part))
        return part

    async def until(self, size: int) -> None:
        """Wait until this many bytes are there, or all there will be. Raises what went wrong."""
        async with self.grown:
            await self.grown.wait_for(lambda: self.done or (self.rate and len(self.pcm) >= size))
        if self.error is not None:
            raise self.error

    async def ended(self, seconds: float | None) -> bool:
        """Wait for its end, at most this long; True when it is there, also when it went wrong."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds), self.grown:
                await self.grown.wait_for(lambda: self.done)
        return self.done


class SharedPassages:
    """All passages that somebody wants."""

    def __init__(self) -> None:
        self._passages: dict[str, SharedPassage] = {}
        self._working: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._passages)

    def join(
        self, engine: EnginePool, info: EngineInfo, spec: SampleSpec, passage: Passage, tail: bytes, round_: float
    ) -> SharedPassage:
        """Begin a passage, or join the one that others have started; ``leave`` gives it back."""
        said = [spec.canonical(), passage.as_dict(), info.name, info.revision]
        key = hashlib.sha256(json.dumps(said).encode() + tail).hexdigest()
        shared = self._passages.get(key)
        if shared is None or shared.error is not None:
            shared = self._passages[key] = SharedPassage(key, passage, round_)
            shared.work = asyncio.create_task(_fill(shared, engine, spec, tail))
            self._working.add(shared.work)
            shared.work.add_done_callback(self._working.discard)
        shared.listeners += 1
        return shared

    def leave(self, shared: SharedPassage) -> None:
        """One of those who wanted it needs it no more; the last one ends the work."""
        shared.listeners -= 1
        if shared.listeners:
            return
        if self._passages.get(shared.key) is shared:
            del self._passages[shared.key]
        if shared.work is not None and not shared.work.done():
            shared.work.cancel()


async def _fill(shared: SharedPassage, engine: EnginePool, spec: SampleSpec, tail: bytes) -> None:
    try:
        async with contextlib.aclosing(engine.stream(spec, shared.passage, tail)) as pieces:
            async for piece in pieces:
                async with shared.grown:
                    shared.rate, shared.channels = piece.rate, piece.channels
                    shared.pcm += piece.pcm
                    shared.grown.notify_all()
    except asyncio.CancelledError:
        shared.error = JobCancelled("The stream was ended.")
        raise
    except BridgeError as error:
        shared.error = error
    except Exception:
        logger.exception("a passage could not be made")
        shared.error = EngineError("The stream broke off; the log has the details. Start it again.")
    finally:
        async with shared.grown:
            shared.done = True
            shared.grown.notify_all()

"""Several processes of one engine behind one door (setting ``workers``)."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence

from bridge.engines.hosting.client import HostedEngine, Made, Piece
from bridge.engines.hosting.passages import Passage
from bridge.errors import EngineError
from bridge.plugins.engine import EngineInfo
from prompts import SampleSpec


class EnginePool:
    """Hands each request to the process that has the least to do; with one member it is that member."""

    def __init__(self, members: Sequence[HostedEngine]) -> None:
        self._members = list(members)
        self._busy = dict.fromkeys(range(len(members)), 0)

    @property
    def size(self) -> int:
        """How many processes there may be."""
        return len(self._members)

    @property
    def info(self) -> EngineInfo | None:
        """What the engine said about itself; None until it was started once."""
        return self._members[0].info

    @property
    def error(self) -> EngineError | None:
        """Why it could not be started the last time, None when it could."""
        return self._members[0].error

    @property
    def note(self) -> str | None:
        """What it does while it starts, None when it does not start."""
        return self._members[0].note

    @property
    def running(self) -> bool:
        """True while a process is there."""
        return any(member.running for member in self._members)

    @property
    def silent(self) -> bool:
        """True while there are processes and none of them answers."""
        running = [member for member in self._members if member.running]
        return bool(running) and all(member.silent for member in running)

    @property
    def restarts(self) -> int:
        """How many processes have ended unasked."""
        return sum(member.restarts for member in self._members)

    @property
    def out_of_memory(self) -> int:
        """How often memory did not suffice."""
        return sum(member.out_of_memory for member in self._members)

    @property
    def pids(self) -> list[int]:
        """Of the processes."""
        return [member.pid for member in self._members if member.pid is not None]

    async def start(self) -> EngineInfo:
        """Start the first process; the others start when there is work for them. Raises EngineUnavailable."""
        return await self._members[0].start()

    async def make(
        self, spec: SampleSpec, on_progress: Callable[[float], None] = lambda _: None, *, background: bool = False
    ) -> Made:
        """Make a finished sample; see HostedEngine.make."""
        number = min(self._busy, key=lambda each: self._busy[each])
        self._busy[number] += 1
        try:
            return await self._members[number].make(spec, on_progress, background=background)
        finally:
            self._busy[number] -= 1

    async def stream(self, spec: SampleSpec, passage: Passage, tail: bytes = b"") -> AsyncGenerator[Piece, None]:
        """Make one passage of a stream; see HostedEngine.stream."""
        number = min(self._busy, key=lambda each: self._busy[each])
        self._busy[number] += 1
        pieces = self._members[number].stream(spec, passage, tail)
        try:
            async for piece in pieces:
                yield piece
        finally:
            self._busy[number] -= 1
            await pieces.aclose()

    async def close(self) -> None:
        """End all processes."""
        for member in self._members:
            await member.close()

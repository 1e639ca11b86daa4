"""Threads for what waits for a disk: a few for each kind of work, so that no kind holds up another.

=========  =======  ==================================================================================
lane       threads  what runs there
=========  =======  ==================================================================================
READS      4        the catalogue's readers, which wait for no writer
SERVING    2        kept files on their way out
WRITES     2        the catalogue's writer and the other databases
ENCODING   2        other formats, made from the masters
FILES      2        deliveries, uploads, stems and other files that are written
=========  =======  ==================================================================================

A disk that hangs keeps the threads of WRITES and FILES. What waits behind them is refused after ``patience`` seconds,
or at once when too much waits, and everything else continues. asyncio's own threads (``asyncio.to_thread``) are left to
aiohttp, which reads the page's files and looks up addresses there.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextvars import copy_context
from functools import partial
from typing import Any, Final, ParamSpec, TypeVar

from bridge.errors import Busy

P = ParamSpec("P")
T = TypeVar("T")

PATIENCE_SECONDS: Final = 10.0
"""How long a call may wait for a thread."""
MOST_WAITING: Final = 256
"""How many calls of one lane may wait for a thread."""
_IDLE_SECONDS: Final = 5.0
"""A thread without work ends after this time."""


class Lane:
    """A few threads for one kind of work, started when they are needed.

    They are daemon threads: one that hangs in the disk does not keep the process from ending.
    """

    def __init__(
        self, name: str, threads: int, *, waiting: int = MOST_WAITING, patience: float = PATIENCE_SECONDS
    ) -> None:
        self.name = name
        self.patience = patience
        self._most = threads
        self._most_waiting = waiting
        self._calls: deque[tuple[Future[Any], Callable[[], Any]]] = deque()
        self._changed = threading.Condition()
        self._alive = 0
        self._idle = 0

    async def run(self, function: Callable[P, T], /, *arguments: P.args, **keywords: P.kwargs) -> T:
        """Call ``function`` in a thread and return what it returns.

        Raises Busy when no thread begins with it in time; it is not called then. A caller that is cancelled leaves a
        call that has started to its end, as ``asyncio.to_thread`` does.
        """
        call = partial(copy_context().run, function, *arguments, **keywords)
        future = self.submit(call)
        impatient = False

        def give_up() -> None:
            nonlocal impatient
            impatient = future.cancel()  # False for a call that has started

        timer = asyncio.get_running_loop().call_later(self.patience, give_up)
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            if impatient:
                raise self.busy() from None
            raise
        finally:
            timer.cancel()

    def submit(self, call: Callable[[], T]) -> Future[T]:
        """Queue a call whose end need not be awaited. Raises Busy when too many wait already."""
        future: Future[T] = Future()
        with self._changed:
            if len(self._calls) >= self._most_waiting:
                self._calls = deque(each for each in self._calls if not each[0].cancelled())
                if len(self._calls) >= self._most_waiting:
                    raise self.busy()
            self._calls.append((future, call))
            if self._idle >= len(self._calls):
                self._changed.notify()
            elif self._alive < self._most:
                self._alive += 1
                threading.Thread(target=self._work, name=self.name, daemon=True).start()
        return future

    def _work(self) -> None:
        while (taken := self._next()) is not None:
            future, call = taken
            if not future.set_running_or_notify_cancel():
                continue
            try:
                result = call()
            except BaseException as error:
                future.set_exception(error)
            else:
                future.set_result(result)
            del taken, future, call  # a thread that waits keeps nothing alive

    def _next(self) -> tuple[Future[Any], Callable[[], Any]] | None:
        """Wait for a call; None when none came for a while, and the thread ends."""
        with self._changed:
            while not self._calls:
                self._idle += 1
                notified = self._changed.wait(_IDLE_SECONDS)
                self._idle -= 1
                if not notified and not self._calls:
                    self._alive -= 1
                    return None
            return self._calls.popleft()

    def busy(self) -> Busy:
        """What a caller is told that waited too long."""
        return Busy(
            "The disk is too slow for the calls that wait for it, so this call was not started. Ask again in a moment.",
            code="disk_busy",
        )


READS: Final = Lane("reads", 4)
SERVING: Final = Lane("serving", 2)
WRITES: Final = Lane("writes", 2)
ENCODING: Final = Lane("encoding", 2)
FILES: Final = Lane("files", 2)

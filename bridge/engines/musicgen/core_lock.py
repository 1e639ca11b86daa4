"""A fair lock on the cores: a decoder's step, a piece of the codec and the encoding of a text each use all of them."""

from __future__ import annotations

import threading
from collections import deque
from types import TracebackType

import numpy as np


class CoreLock:
    """A lock that threads get in the order in which they asked for it: ``with core_lock: compute()``.

    Two computations at the same time on the same cores take much longer than one after the other: a step has some two
    hundred barriers, and each of them waits for a thread whose core computes something else (measured on two cores: a
    step of 13 ms takes 27 to 64 while the codec runs). ``threading.Lock`` does not suffice: a decoder that steps
    without a pause acquires it again before a waiting thread wakes up.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._asked = threading.Condition(self._lock)
        self._taken = False
        self._asks = 0
        self._waiting: deque[threading.Lock] = deque()
        self.wanted = np.zeros(1, dtype=np.int32)
        """(1,): how many threads wait. A thread that computes for long looks at it from time to time."""

    def __enter__(self) -> None:
        with self._lock:
            self._asks += 1
            self._asked.notify_all()
            if not self._taken:
                self._taken = True
                return
            mine = threading.Lock()
            mine.acquire()
            self._waiting.append(mine)
            self.wanted[0] = len(self._waiting)
        mine.acquire()  # released by the thread that held the lock before: in between the lock is never free

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with self._lock:
            if self._waiting:
                self._waiting.popleft().release()
                self.wanted[0] = len(self._waiting)
            else:
                self._taken = False

    def give_way(self, seconds: float) -> None:
        """Let a thread that is about to ask be the next: wait until one asks, for at most ``seconds``."""
        with self._lock:
            asks = self._asks  # a thread that asks may be done before this one wakes up
            self._asked.wait_for(lambda: self._taken or self._asks != asks, seconds)

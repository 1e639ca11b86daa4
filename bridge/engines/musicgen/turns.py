"""Turns on the cores: a step of a decoder, a piece of the codec and the encoding of a text each want all of them."""

from __future__ import annotations

import threading
from collections import deque
from types import TracebackType

import numpy as np


class Turns:
    """A lock that goes to whoever has waited longest: ``with turns: compute()``.

    Two that compute on the same cores at a time take much longer than one after the other: a step's threads meet some
    two hundred times, and each meeting waits for a thread whose core computes something else (measured on two cores:
    beside the codec a step of 13 ms takes 27 to 64). ``threading.Lock`` will not do: a decoder that steps without a
    pause has it again before anybody else is awake.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._came = threading.Condition(self._lock)
        self._taken = False
        self._waiting: deque[threading.Lock] = deque()
        self.wanted = np.zeros(1, dtype=np.int32)
        """(1,): how many wait. Whoever could go on for long looks at it in between."""

    def __enter__(self) -> None:
        with self._lock:
            self._came.notify_all()
            if not self._taken:
                self._taken = True
                return
            mine = threading.Lock()
            mine.acquire()
            self._waiting.append(mine)
            self.wanted[0] = len(self._waiting)
        mine.acquire()  # released by whose turn ends: it is never free in between

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
        """Let somebody who is about to come be the next: wait until one is there, at most so long."""
        with self._lock:
            self._came.wait_for(lambda: self._taken, seconds)

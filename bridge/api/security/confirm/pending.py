"""Calls that wait for a person, and the secret that lets each of them pass once."""

from __future__ import annotations

import secrets
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from bridge.errors import Busy, NotFound

UNTIL_SHOWN_SECONDS = 30.0
UNTIL_DONE_SECONDS = 60.0
"""From the moment the document is handed out: reading it, clicking, and the call itself."""
MOST_ASKED = 32
MOST_SHOWN = 8
MOST_A_MINUTE = 10
"""Documents handed out: code that tries to lure somebody into clicking has few tries."""


@dataclass(frozen=True)
class Question:
    """What a person is asked, in plain words."""

    title: str
    text: str
    yes: str
    """On the button that does it."""
    no: str
    what: str = ""
    """What it is done to, on the same button."""


@dataclass(frozen=True)
class _Waiting:
    call: str
    question: Question
    until: float


class Confirmations:
    """Those of one application. ``call``: a digest of everything that makes a call this one and no other."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._asked: dict[str, _Waiting] = {}
        self._shown: dict[str, _Waiting] = {}
        self._lately: deque[float] = deque(maxlen=MOST_A_MINUTE)

    def ask(self, call: str, question: Question) -> str:
        """Let a call wait; the id leads to its document. The oldest gives way when too many wait.

        Raises Busy when people were asked too often.
        """
        self._check_pace()
        new = secrets.token_urlsafe(18)
        self._keep(self._asked, new, _Waiting(call, question, self._clock() + UNTIL_SHOWN_SECONDS), MOST_ASKED)
        return new

    def show(self, asked: str) -> tuple[Question, str]:
        """Hand out the question and its secret, once. Raises NotFound, Busy."""
        self._check_pace()
        waiting = self._asked.pop(asked, None)
        if waiting is None or waiting.until < self._clock():
            raise NotFound("This question was shown already, or is too old. Ask again.", code="unknown_confirmation")
        self._lately.append(self._clock())
        secret = secrets.token_urlsafe(24)
        until = self._clock() + UNTIL_DONE_SECONDS
        # In a place of its own: whoever asks and asks does not take away what somebody is reading.
        self._keep(self._shown, secret, _Waiting(waiting.call, waiting.question, until), MOST_SHOWN)
        return waiting.question, secret

    def take(self, secret: str, call: str) -> bool:
        """Use a secret up; True when it is for this call, and in time."""
        waiting = self._shown.pop(secret, None)
        return waiting is not None and waiting.call == call and waiting.until >= self._clock()

    def _check_pace(self) -> None:
        if len(self._lately) == MOST_A_MINUTE and self._clock() - self._lately[0] < 60:
            raise Busy(f"The page asks at most {MOST_A_MINUTE} questions a minute. Wait a moment.")

    def _keep(self, table: dict[str, _Waiting], key: str, waiting: _Waiting, most: int) -> None:
        now = self._clock()
        for old in [each for each, known in table.items() if known.until < now]:
            del table[old]
        while len(table) >= most:
            del table[next(iter(table))]
        table[key] = waiting

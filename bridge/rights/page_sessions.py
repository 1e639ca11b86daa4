"""Our page's sessions: what its cookie stands for, so that the key itself lies where no pattern can read it.

They are kept in memory, by digest: a restart ends them all, and so does a change of the keys, which needs a restart.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

SESSION_SECONDS = 12 * 3600
"""How long a session counts."""
MOST_SESSIONS = 1000
"""More than that at a time are not kept: the oldest goes."""


class _Session(NamedTuple):
    name: str
    """Of the key that it was opened with."""
    until: float


class PageSessions:
    """Sessions of one run of the server. ``clock``: seconds that only grow."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._sessions: OrderedDict[str, _Session] = OrderedDict()

    def open(self, name: str) -> str:
        """Begin a session for the key of that name; the answer is its id, which says nothing of the key."""
        session_id = secrets.token_urlsafe(32)
        self._sessions[digest(session_id)] = _Session(name, self._clock() + SESSION_SECONDS)
        while len(self._sessions) > MOST_SESSIONS:
            self._sessions.popitem(last=False)
        return session_id

    def name_of(self, session_digest: str) -> str | None:
        """Name of the key that a session stands for, by the session's digest; None when it does not count any more."""
        session = self._sessions.get(session_digest)
        if session is None:
            return None
        if session.until <= self._clock():
            del self._sessions[session_digest]
            return None
        return session.name

    def end(self, session_digest: str) -> None:
        """Revoke a session; one that is not there is no error."""
        self._sessions.pop(session_digest, None)


def digest(session_id: str) -> str:
    """Digest of a session's id: what is kept, and compared, instead of the id."""
    return hashlib.sha256(session_id.encode("utf-8", "surrogatepass")).hexdigest()

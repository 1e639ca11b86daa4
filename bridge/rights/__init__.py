"""Who calls, and what they may do: one answer for HTTP, Socket.IO, ``/ws`` and ``/ws/stream``.

The guard asks ``Callers`` once per request and handshake; handlers read ``current_caller()``. Which scope a call needs
stands in ``table.py``.
"""

from bridge.rights.caller import (
    CALLER,
    LOCAL_PROGRAM,
    STRANGER,
    Caller,
    Scope,
    calling,
    current_caller,
    require,
)
from bridge.rights.callers import Callers
from bridge.rights.guesses import Guesses
from bridge.rights.page_sessions import PageSessions

__all__ = [
    "CALLER",
    "LOCAL_PROGRAM",
    "STRANGER",
    "Caller",
    "Callers",
    "Guesses",
    "PageSessions",
    "Scope",
    "calling",
    "current_caller",
    "require",
]

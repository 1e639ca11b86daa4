"""From what a request shows to its caller: the one place where keys, sessions and origins are weighed."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable, Mapping
from dataclasses import replace

from bridge.rights.caller import EVERYTHING, MAKES, OWNS, READS, Caller
from bridge.rights.guesses import Guesses
from bridge.rights.keys import is_exposed, key_name
from bridge.rights.page_sessions import PageSessions, digest
from bridge.settings import Settings

_READ_ONLY = (
    "read_only",
    (
        "This server can be reached over the network and has no key, so it only reads. Set BRIDGE_API_KEY where it "
        "runs and send it as X-API-Key."
    ),
)
_KEY_REQUIRED = (
    "key_required",
    (
        "This call needs the server's key: send it as X-API-Key, or as Authorization: Bearer. Open the page with "
        "#token=YOUR_KEY at the end of its address."
    ),
)
_EXPIRED = (
    "session_expired",
    "This page's session has ended. Open the page in a new tab with #token=YOUR_KEY at the end of its address.",
)


class Callers:
    """Knows every credential of one run of the server. ``on_wrong_key``: see Guesses."""

    def __init__(self, settings: Settings, on_wrong_key: Callable[[str], None] = lambda _: None) -> None:
        self.run_key = secrets.token_urlsafe(32)
        """Key of this run, with all scopes; ``server.json`` tells it to this user's commands."""
        self.sessions = PageSessions()
        self.guesses = Guesses(on_wrong=on_wrong_key)
        self._settings = settings
        self._exposed = is_exposed(settings)
        self._keyed = bool(settings.all_keys)

    @property
    def keyed(self) -> bool:
        """Has the server keys?"""
        return self._keyed

    def of(
        self,
        *,
        key: str | None,
        session_id: str | None = None,
        origin: str | None = None,
        own_origin: bool = False,
        own_read: bool = False,
        foreign_read: bool = False,
    ) -> Caller:
        """Build the caller.

        ``key``: what it shows; ``session_id``: its cookie's. ``own_origin``: the Origin is our own page's.
        ``own_read`` and ``foreign_read``: it has no Origin, and the browser says that our own page, or another site,
        asked.
        """
        foreign = foreign_read or (origin is not None and not own_origin)
        caller = self._credited(key, session_id if own_origin or (own_read and origin is None) else None)
        if foreign:
            # A site such as strudel.cc runs code of many people: no key makes it ours.
            caller = replace(caller, scopes=caller.scopes & MAKES, foreign=True, secluded=True)
        return replace(caller, origin=origin.lower() if origin is not None else None)

    def with_token(self, caller: Caller, token: str) -> Caller | None:
        """Build the caller that ``caller`` is once it has shown ``token``; None when the token is not a key."""
        if not self.knows(token):
            return None
        return self.of(key=token, origin=caller.origin, own_origin=caller.is_page)

    def knows(self, key: str) -> bool:
        """Tell whether ``key`` is anybody's. A server without keys takes any word for none."""
        return self._is_run_key(key) or key_name(self._settings, key) is not None

    def is_wrong(self, key: str | None) -> bool:
        """Tell whether a key is shown, where keys are asked for, that is wrong."""
        return key is not None and self._keyed and not self.knows(key)

    def still(self, caller: Caller) -> Caller:
        """Look again at a caller of a connection that has been open for a while: sessions end."""
        if caller.session is None or self.sessions.name_of(caller.session) is not None:
            return caller
        return replace(
            caller, scopes=READS, credential="none", name=None, session=None, secluded=self._exposed, refusal=_EXPIRED
        )

    def _credited(self, key: str | None, session_id: str | None) -> Caller:
        if key is not None and self._is_run_key(key):
            return Caller(EVERYTHING, "run")
        if not self._keyed:
            return Caller(READS, secluded=True, refusal=_READ_ONLY) if self._exposed else Caller(OWNS)
        name = key_name(self._settings, key)
        if name is not None:
            return Caller(OWNS, "key", name)
        if session_id is not None:
            of_session = digest(session_id)
            name = self.sessions.name_of(of_session)
            if name is not None:
                return Caller(OWNS, "session", name, session=of_session)
        refusal = _KEY_REQUIRED if session_id is None or key is not None else _EXPIRED
        return Caller(READS, secluded=self._exposed, refusal=refusal)

    def _is_run_key(self, key: str) -> bool:
        return hmac.compare_digest(key.encode("utf-8", "surrogatepass"), self.run_key.encode())


def cookie_name(port: int) -> str:
    """Name of the session's cookie: cookies know no port, so the name has it."""
    return f"sample_bridge_{port}"


def session_in(cookies: Mapping[str, str], port: int) -> str | None:
    """Find the session's id among a request's cookies."""
    return cookies.get(cookie_name(port)) or None

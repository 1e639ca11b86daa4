"""One caller: who it is, where it stands, and what it may do."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, TypeAlias

from aiohttp import web

from bridge.errors import Forbidden

Credential: TypeAlias = Literal["run", "key", "session", "none"]
"""How a caller showed who it is: this run's key, a key of the settings, our page's session, not at all."""


class Scope(StrEnum):
    """What a credential may do. A scope says nothing of the others: each is given by itself."""

    READ = "read"
    """Maps, names, facts, audio, health."""
    MAKE = "make"
    """New sounds, slices, streams, uploads; taking one's own jobs back."""
    OWN = "own"
    """Change what is kept: rename, pin, delete, restore; set a session's tempo and key."""
    ADMIN = "admin"
    """What cannot be undone, for the whole library: forget, purge."""


READS = frozenset({Scope.READ})
MAKES = frozenset({Scope.READ, Scope.MAKE})
OWNS = frozenset({Scope.READ, Scope.MAKE, Scope.OWN})
EVERYTHING = frozenset(Scope)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks. Computed once per request or handshake; see ``Callers.of``."""

    scopes: frozenset[Scope]
    credential: Credential = "none"
    name: str | None = None
    """Name of the key it showed, or that its session stands for; empty for the one key without a name."""
    origin: str | None = None
    """Origin of the page it is, lower case; None for a program, and for a page's own plain reads."""
    foreign: bool = False
    """True for a page that is not our own: it reads and makes, whatever key it shows."""
    secluded: bool = False
    """True for who sees neither the words of others nor their jobs: foreign pages, and strangers on a network."""
    session: str | None = None
    """Digest of the page's session, to ask whether it still counts."""
    refusal: tuple[str, str] | None = None
    """Code and sentence why it may do no more, where that is not its scopes' ordinary answer."""

    @property
    def is_page(self) -> bool:
        """Is it our own page?"""
        return self.origin is not None and not self.foreign

    @property
    def owner(self) -> str | None:
        """Whose is what this caller asks for: the key's, without keys the foreign page's. None: everybody's here."""
        where = f"origin:{self.origin}" if self.foreign else ""
        who = f"key:{self.name}" if self.name is not None else ""
        return " ".join(filter(None, (who, where))) or None

    def may(self, scope: Scope) -> bool:
        """Tell whether it has a scope."""
        return scope in self.scopes

    def may_see(self, owner: str | None) -> bool:
        """Tell whether it may know of a job of ``owner``."""
        return not self.secluded or (self.owner is not None and owner == self.owner)

    def may_cancel(self, owner: str | None) -> bool:
        """Tell whether it may take a job of ``owner`` back: its own, and one without an owner."""
        if self.may(Scope.ADMIN) or owner == self.owner:
            return True
        if self.secluded:
            return False
        # Nobody's, and on a server without keys also what another page asked for: there is one person.
        return owner is None or self.name is None or owner.startswith(f"key:{self.name} ")


LOCAL_PROGRAM = Caller(OWNS)
"""A program on this machine, where the server has no keys."""
STRANGER = Caller(READS, secluded=True)
"""Somebody on the network who shows no key."""

CALLER = web.RequestKey("caller", Caller)
"""Who a request is from; inside its handler ``current_caller()`` says the same."""

_SERVER = Caller(EVERYTHING, "run")
_caller: ContextVar[Caller] = ContextVar("caller", default=_SERVER)


def current_caller() -> Caller:
    """Who asked for the work at hand; the server itself where no caller did."""
    return _caller.get()


@contextlib.contextmanager
def calling(caller: Caller) -> Iterator[None]:
    """Everything inside is asked for by ``caller``; tasks that are started inside keep it."""
    token = _caller.set(caller)
    try:
        yield
    finally:
        _caller.reset(token)


def require(caller: Caller, scope: Scope) -> None:
    """Raise Forbidden, with a code and what to do, unless ``caller`` has ``scope``."""
    if caller.may(scope):
        return
    if caller.foreign and scope in (Scope.OWN, Scope.ADMIN):
        raise Forbidden(
            "Pages of other sites may read and make sounds here, but not change or delete what is kept. Do this on the "
            "bridge's own page, or with a program on this machine.",
            code="foreign_readonly",
        )
    if caller.refusal is not None:
        raise Forbidden(caller.refusal[1], code=caller.refusal[0])
    if scope is Scope.ADMIN:
        raise Forbidden(
            "This cannot be undone, so no page and no key may do it. Type `sample-bridge forget` on the machine where "
            "the bridge runs: it sends the key of this run.",
            code="admin_only",
        )
    raise Forbidden(f"This key may not do that: it needs the scope '{scope}'.", code="scope_required", scope=str(scope))

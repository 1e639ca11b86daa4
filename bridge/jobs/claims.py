"""What travels with a job: what is to be made, and what each asker wants besides the audio.

Both are frozen, and plain JSON where they cross to the disk or to another process. The keys of that JSON are those of
journals that earlier versions wrote.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from prompts import SampleSpec

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Work:
    """What a job makes."""

    specs: tuple[SampleSpec, ...] = ()
    """One, or several takes that are ranked among themselves; empty where nothing has to be made."""

    def as_json(self) -> dict[str, Any]:
        """Return plain JSON values; an empty object where nothing has to be made."""
        if not self.specs:
            return {}
        spec, *others = (each.model_dump(mode="json") for each in self.specs)
        return {"spec": spec, "others": others} if others else {"spec": spec}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Work:
        """Read what ``as_json`` wrote. What this version cannot read becomes an empty work, and the log says so."""
        if not document:
            return cls()
        try:
            return cls(tuple(map(SampleSpec.model_validate, (document["spec"], *document.get("others", ())))))
        except (ValidationError, KeyError, TypeError) as error:
            logger.warning("what a job of an earlier run was to make cannot be read: %s", error)
            return cls()


@dataclass(frozen=True, slots=True)
class Standin:
    """What plays in a slot until the wanted sound takes its place."""

    n: int
    """The slot."""
    sample_id: str
    root: str | None
    """Note name of a pitched sample."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What one asker wants besides the audio, and who it is."""

    name: str
    """The sound to register."""
    prompt: str = ""
    """The asker's own words."""
    numbered: bool = False
    """Registers ``<name>_<k>``, too, as contract A says."""
    aliases: tuple[str, ...] = ()
    session: str | None = None
    """Name of the players' session."""
    rank: int = 0
    """Which of several takes, 0 is the best."""
    is_standin: bool = False
    """True for a sound that only plays until a better one is there."""
    standin: Standin | None = None
    """What plays meanwhile."""
    request_id: str | None = None
    who: str | None = None
    """Name of the asker's key."""
    owner: str | None = None
    """Whose the ticket is; None: everybody's. See ``bridge.rights.Caller.owner``."""

    @property
    def n(self) -> int | None:
        """The slot that is known already, because something stands in for the sound there."""
        return self.standin.n if self.standin else None

    def as_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        document = {
            "name": self.name,
            "numbered": self.numbered,
            "aliases": list(self.aliases),
            "session": self.session,
            "prompt": self.prompt,
            "request_id": self.request_id,
            "who": self.who,
            "owner": self.owner,
            "rank": self.rank,
        }
        if self.is_standin:
            document["standin"] = True
        if self.standin is not None:
            document |= {
                "n": self.standin.n,
                "standin_id": self.standin.sample_id,
                "standin_root": self.standin.root,
            }
        return document

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Claim:
        """Read what ``as_json`` wrote, also of an earlier version. Raises TypeError, ValueError, AttributeError."""
        standin_id = document.get("standin_id")
        return cls(
            name=str(document.get("name", "")),
            prompt=str(document.get("prompt", "")),
            numbered=bool(document.get("numbered", False)),
            aliases=tuple(map(str, document.get("aliases", ()))),
            session=document.get("session"),
            rank=int(document.get("rank", 0)),
            is_standin=bool(document.get("standin", False)),
            standin=Standin(int(document["n"]), str(standin_id), document.get("standin_root")) if standin_id else None,
            request_id=document.get("request_id"),
            who=document.get("who"),
            owner=document.get("owner"),
        )

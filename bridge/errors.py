"""Everything that can go wrong, as one tree.

::

    BridgeError                     code
    ├── InvalidRequest              invalid_request     the caller can mend it
    │   ├── MalformedBody           malformed_body      not JSON at all
    │   ├── InvalidKeywords         invalid_keywords    a path that is not word:count,word:count
    │   ├── UnsupportedMedia        unsupported_media_type
    │   └── TooLarge                too_large
    ├── NotFound                    not_found
    ├── Conflict                    conflict            not in this state (not ready, already finished, name taken)
    ├── Forbidden                   forbidden           the guard says no
    ├── ConfirmationRequired        confirmation_required   a person has to confirm it in our page
    ├── Misdirected                 misdirected         a Host we do not answer to
    ├── Busy                        busy                try again later
    ├── TooMany                     too_many            this caller asks too often
    ├── StorageFull                 storage_full
    ├── DiskFailed                  store_failed        the disk is read-only, failing or hanging
    ├── StorageUnavailable          storage_unavailable the place for finished files refuses or is down
    ├── EngineError                 engine_failed       the engine could not make it
    │   ├── EngineUnavailable       engine_unavailable  not installed, no weights, unknown name
    │   ├── EngineCrashed           engine_crashed      its process ended in the middle
    │   ├── EngineTimeout           engine_timeout      it did not answer in time
    │   └── BadAudio                bad_audio           NaN, silence or the wrong shape
    ├── JobCancelled                cancelled
    └── StartupError                startup_failed      the command cannot run; exit code 2

Each carries a stable ``code`` for programs and a sentence for the player that says what to do. HTTP statuses are no
business of this module: they stand in one table, ``bridge/api/errors.py``.
"""

from __future__ import annotations

from typing import Any, ClassVar

PASSING = frozenset({"engine_out_of_memory", "engine_unreachable"})
"""Codes worth retrying after a pause."""
LOST = "answer_lost"
"""Code of work that a provider has started, and may want to be paid for: nothing begins it again by itself."""


class BridgeError(Exception):
    """Root of the tree.

    ``code``: a more exact stable code than the class's own. ``details``: facts for programs (the field, the nearest
    names); they become members of the JSON error object.
    """

    default_code: ClassVar[str] = "internal"

    def __init__(self, message: str, *, code: str | None = None, **details: Any) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self.default_code
        self.details = details

    @classmethod
    def named(cls, name: str, message: str, code: str) -> BridgeError:
        """Build the error of the class of that name in this tree, the root for a name that is none."""
        waiting: list[type[BridgeError]] = [cls]
        while waiting:
            kind = waiting.pop()
            if kind.__name__ == name:
                return kind(message, code=code)
            waiting += kind.__subclasses__()
        return cls(message, code=code)


class InvalidRequest(BridgeError):
    """A value is missing, has the wrong type or lies outside its range."""

    default_code = "invalid_request"


class MalformedBody(InvalidRequest):
    """The body cannot be read as JSON."""

    default_code = "malformed_body"


class InvalidKeywords(InvalidRequest):
    """The words in a path cannot be read, or ask for too much."""

    default_code = "invalid_keywords"


class UnsupportedMedia(InvalidRequest):
    """The body is of a content type that this call does not take."""

    default_code = "unsupported_media_type"


class TooLarge(InvalidRequest):
    """The body is larger than this call takes."""

    default_code = "too_large"


class NotFound(BridgeError):
    """Nothing has that name or id."""

    default_code = "not_found"


class Conflict(BridgeError):
    """The thing is there, but not in a state that allows this."""

    default_code = "conflict"


class Forbidden(BridgeError):
    """The guard refuses this caller."""

    default_code = "forbidden"


class ConfirmationRequired(BridgeError):
    """Our own page asks for what takes something away, and a person has not confirmed it."""

    default_code = "confirmation_required"


class Misdirected(BridgeError):
    """The request names a host that this server does not answer for."""

    default_code = "misdirected"


class Busy(BridgeError):
    """Too much is waiting already."""

    default_code = "busy"


class TooMany(BridgeError):
    """This caller asks too often."""

    default_code = "too_many"


class StorageFull(BridgeError):
    """The data folder cannot take another sound."""

    default_code = "storage_full"


class DiskFailed(BridgeError):
    """The disk of the data folder cannot be written, fails, or does not answer."""

    default_code = "store_failed"


class StorageUnavailable(BridgeError):
    """The place where finished files are to lie refuses, or does not answer."""

    default_code = "storage_unavailable"


class EngineError(BridgeError):
    """The engine could not make the sound."""

    default_code = "engine_failed"


class EngineUnavailable(EngineError):
    """The engine is unknown, not installed, or its weights are missing."""

    default_code = "engine_unavailable"


class EngineCrashed(EngineError):
    """The engine's process ended while it was working."""

    default_code = "engine_crashed"


class EngineTimeout(EngineError):
    """The engine did not answer in time."""

    default_code = "engine_timeout"


class BadAudio(EngineError):
    """The engine answered something that is not sound: NaN, silence, or the wrong shape."""

    default_code = "bad_audio"


class JobCancelled(BridgeError):
    """The sound is no longer wanted."""

    default_code = "cancelled"


class StartupError(BridgeError):
    """A command cannot start; the process ends with exit code 2."""

    default_code = "startup_failed"


def first_line(error: BaseException) -> str:
    """Shorten what a library says to one line of at most 200 characters; an error without words gives its type."""
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]


_HOPELESS = frozenset({"unknown_engine", "unknown_model", "server_lost", "key_required", "read_only"})


def is_hopeless(error: BridgeError) -> bool:
    """Would whatever is asked next fail in the same way? Then there is no point in continuing with a list."""
    return isinstance(error, EngineUnavailable | StorageFull | StartupError) or error.code in _HOPELESS

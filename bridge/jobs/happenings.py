"""What happens while sounds are made, as one stream: each part tells it once, and everybody who listens gets all of it.

Here, below everything that tells or listens: the queue tells of jobs, the service of asks, the library of what the
catalogue has numbered.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from bridge.jobs.job import Job, Ticket
from cache import Event

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Asked:
    """Somebody has been given a ticket."""

    ticket: Ticket
    kept: bool
    """True when the sound was there already, so that no job was needed."""


@dataclass(frozen=True, slots=True)
class AskEnded:
    """A ticket has ended, once for each: its sound is there, its job failed, or it was taken back."""

    ticket: Ticket


@dataclass(frozen=True, slots=True)
class Begun:
    """A job's work has started, once for each job: one that gave way and is started again is not told again."""

    job: Job


@dataclass(frozen=True, slots=True)
class Progressed:
    """A job that goes on has another state, or has come further; of one state at most five times per second."""

    job: Job
    tickets: tuple[Ticket, ...]
    """Those that wait for it."""


@dataclass(frozen=True, slots=True)
class Ended:
    """A job has ended; ``AskEnded`` follows for each of its tickets.

    A job that the next start takes up again has not ended when the bridge stops.
    """

    job: Job
    tickets: tuple[Ticket, ...]
    """Those that waited for it."""


@dataclass(frozen=True, slots=True)
class Numbered:
    """The catalogue has numbered an event; told in the order of the numbers, when its transaction is done."""

    event: Event


@dataclass(frozen=True, slots=True)
class SoundPublished(Numbered):
    """A sound has a new or a better sample."""


@dataclass(frozen=True, slots=True)
class SoundRemoved(Numbered):
    """A sound is gone; ``event.data["why"]`` says why."""


@dataclass(frozen=True, slots=True)
class EndLogged(Numbered):
    """How a ticket ended is in the event log; of a sound that was made in the transaction that published it."""


Happening: TypeAlias = Asked | AskEnded | Begun | Progressed | Ended | SoundPublished | SoundRemoved | EndLogged
Consumer: TypeAlias = Callable[[Happening], None]


class Happenings:
    """The stream of one service, for one event loop."""

    def __init__(self) -> None:
        self._consumers: list[Consumer] = []

    def subscribe(self, consumer: Consumer) -> None:
        """Call ``consumer`` with everything that happens from now on, in order, while it happens."""
        self._consumers.append(consumer)

    def tell(self, happening: Happening) -> None:
        """Tell everybody. A consumer that raises keeps neither the others nor the caller from going on."""
        for consumer in self._consumers:
            try:
                consumer(happening)
            except Exception:
                logger.exception("a consumer of %s failed", type(happening).__name__)

"""What a job queue is; a distributed one has to pass the same tests as the embedded one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any, Protocol, TypeAlias

from bridge.jobs.claims import Claim, Work
from bridge.jobs.job import Job, State, Ticket


class RunningJob(Protocol):
    """A job at work, as its runner sees it. Others may join it until the runner has returned."""

    @property
    def job(self) -> Job:
        """How it stands now."""
        ...

    def report(self, fraction: float) -> None:
        """Say how far it is, 0..1."""
        ...

    async def waiting(self) -> tuple[Ticket, ...]:
        """The tickets that have not been given anything yet, in the order of their asking."""
        ...

    async def give(self, outcomes: Mapping[str, Any]) -> None:
        """Say what came of it for some tickets, by their ids."""
        ...


Run: TypeAlias = Callable[[RunningJob], Awaitable[None]]
"""Does a job's work, and gives each of its tickets what came of it."""


class JobQueue(Protocol):
    """Accepts work, does each key once at a time, most urgent first, and tells a stream of happenings how it goes.

    Jobs and tickets that it answers are values of the moment: ask again to know how things stand.
    """

    async def check_room(self, key: str, count: int) -> None:
        """Raise Busy when this many tickets for ``key`` would be refused: a request for several gets all or none."""
        ...

    async def submit(self, key: str, lane: str, work: Work, *, priority: int, claim: Claim) -> Ticket:
        """Take a ticket for ``key``. A queued or running job of that key is joined, and becomes as urgent as asked.

        Raises Busy when too much waits already.
        """
        ...

    async def settle(self, key: str, lane: str, claim: Claim, outcome: Any) -> Ticket:
        """Hand out a ticket for something that is there already: its job is completed, and no listener is told."""
        ...

    async def keep(self, ticket_id: str) -> None:
        """Write down how a settled ticket came out, so that it is still known after a restart."""
        ...

    async def resume(self) -> list[Ticket]:
        """Take up what was promised before a restart and is not done; once, at the start. Answers those tickets."""
        ...

    async def repeated(self, idempotency_key: str) -> tuple[str, list[str]] | None:
        """The fingerprint and the ticket ids of an earlier request with that key."""
        ...

    async def remember(self, idempotency_key: str, fingerprint: str, ticket_ids: list[str]) -> None:
        """Bind an idempotency key to what was asked and to its tickets."""
        ...

    async def forget(self, keys: Collection[str] | None, names: Collection[str] = ()) -> None:
        """Drop what is remembered of ended tickets of these keys, or that asked for a sound of one of these names.

        None drops all that have ended. They cannot be asked about any more; what waits or runs is left alone.
        """
        ...

    async def cancel(self, ticket_id: str) -> Ticket:
        """Withdraw one ticket; the last one cancels the job, whose work has stopped when this returns.

        Raises NotFound, and Conflict when the job has already ended.
        """
        ...

    async def ticket(self, ticket_id: str) -> Ticket:
        """Look a ticket up, also of an ended job while it is kept. Raises NotFound."""
        ...

    async def tickets(self, states: Sequence[State] = ()) -> list[Ticket]:
        """All kept tickets, newest first, of any of the given states."""
        ...

    async def wait(self, ticket_id: str) -> Ticket:
        """Return when the ticket's state is terminal. Hanging up here does not cancel the job. Raises NotFound."""
        ...

    async def count(self, state: State) -> int:
        """How many jobs are in a state that has not ended."""
        ...

    async def close(self) -> None:
        """Stop running work and accept no more."""
        ...

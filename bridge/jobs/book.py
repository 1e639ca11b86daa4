"""The queue's side of the journal: tickets in, tickets out, one writer thread so that the order of events is kept."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Collection, Mapping
from typing import Any

from bridge.errors import BridgeError, Busy
from bridge.jobs._job import Job, Progress, State, Ticket
from bridge.jobs.journal import Entry, Journal
from bridge.threads import Lane

logger = logging.getLogger(__name__)


class Book:
    """Writes tickets down and reads them back.

    ``to_plain`` and ``from_plain`` turn a ticket's outcome into JSON values and back; the latter answers None for an
    outcome that is not there any more.
    """

    def __init__(
        self,
        journal: Journal,
        *,
        to_plain: Callable[[Any], Any] = lambda outcome: outcome,
        from_plain: Callable[[Any], Any] = lambda plain: plain,
    ) -> None:
        self._journal = journal
        self._to_plain = to_plain
        self._from_plain = from_plain
        self._writer = Lane("journal", 1, waiting=10_000)

    async def accept(self, ticket: Ticket, priority: int) -> None:
        """Write a promise down; it holds when this returns."""
        await self._writer.run(self._journal.accept, self._entry(ticket, priority))

    def settled(self, ticket: Ticket) -> None:
        """Write down a ticket on something that was there already."""
        self._later(self._journal.accept, self._entry(ticket, ticket.job.priority))

    def moved(self, job: Job, state: State) -> None:
        """Note that a job's work has begun, or waits again without having failed."""
        self._later(self._journal.moved, list(job.tickets), state, job.started)

    def ended(self, ticket: Ticket) -> None:
        """Note how a ticket ended."""
        job = ticket.job
        error = job.error if ticket.state is not State.COMPLETED else None
        self._later(
            self._journal.ended, ticket.id, ticket.state, job.ended, _plain_error(error), self._to_plain(ticket.outcome)
        )

    async def reopen(self) -> tuple[list[Ticket], list[Ticket]]:
        """Unfinished and ended tickets of earlier runs, oldest first; each has a job of its own."""
        unfinished, ended = await self._writer.run(self._journal.reopen)
        return [self._ticket(entry) for entry in unfinished], [self._ticket(entry) for entry in ended]

    async def repeated(self, idempotency_key: str) -> tuple[str, list[str]] | None:
        """The fingerprint and the tickets of an earlier request with that key."""
        return await self._writer.run(self._journal.repeated, idempotency_key)

    async def remember(self, idempotency_key: str, fingerprint: str, ticket_ids: list[str]) -> None:
        """Bind a key to what was asked and to its tickets."""
        await self._writer.run(self._journal.remember, idempotency_key, fingerprint, ticket_ids)

    async def forget(self, keys: Collection[str] | None, names: Collection[str]) -> None:
        """Drop ended tickets; see JobQueue."""
        await self._writer.run(self._journal.forget, keys, names)

    async def close(self) -> None:
        """Finish writing and close the file."""
        try:
            # One thread: when this is called, everything before it has been written.
            await self._writer.run(self._journal.close)
        except Busy:
            logger.warning("the journal could not be written to its end: the disk does not answer")

    def _later(self, write: Callable[..., None], *arguments: Any) -> None:
        try:
            self._writer.submit(functools.partial(write, *arguments)).add_done_callback(_log_failure)
        except Busy as error:
            logger.warning("the journal cannot be written: %s", error)

    def _entry(self, ticket: Ticket, priority: int) -> Entry:
        job = ticket.job
        return Entry(
            id=ticket.id,
            key=job.key,
            lane=job.lane,
            work=job.work,
            asked=ticket.asked,
            priority=priority,
            state=ticket.state,
            attempts=0,
            error=_plain_error(job.error),
            outcome=self._to_plain(ticket.outcome),
            created=ticket.created,
            started=job.started,
            ended=job.ended,
        )

    def _ticket(self, entry: Entry) -> Ticket:
        withdrawn = entry.state is State.CANCELLED
        job = Job(entry.key, entry.lane, entry.work, entry.priority, state=entry.state, created=entry.created)
        job.started, job.ended = entry.started, entry.ended
        job.progress = Progress(1.0 if entry.state is State.COMPLETED else 0.0, None)
        if entry.error:
            job.error = BridgeError.named(entry.error["type"], entry.error["message"], entry.error["code"])
        ticket = Ticket(job, entry.asked, id=entry.id, created=entry.created, withdrawn=withdrawn)
        ticket.attempts = entry.attempts
        ticket.outcome = None if entry.outcome is None else self._from_plain(entry.outcome)
        return ticket


def _plain_error(error: BridgeError | None) -> Mapping[str, Any] | None:
    return None if error is None else {"type": type(error).__name__, "code": error.code, "message": error.message}


def _log_failure(future: Any) -> None:
    if future.exception() is not None:
        logger.error("the journal cannot be written: %s", future.exception())

"""The queue's side of the journal: tickets in, tickets out, one writer thread so that the order of events is kept."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from bridge.errors import BridgeError, Busy
from bridge.jobs.job import Job, Progress, State, Ticket
from bridge.jobs.journal import Entry, Journal
from bridge.system.ledgers import LedgerDamaged, failure
from bridge.system.threads import Lane

logger = logging.getLogger(__name__)

T = TypeVar("T")


MOST_WAITING: Final = 10_000
"""So many writes may wait for a slow disk; above it, tickets on what was kept already are not written down."""


@dataclass(frozen=True, slots=True)
class _Write:
    """Something the writer does, and what came of it."""

    call: Callable[..., Any]
    arguments: tuple[Any, ...]
    answer: Future[Any]


class Book:
    """Writes tickets down and reads them back.

    ``to_plain`` and ``from_plain`` turn a ticket's outcome into JSON values and back; the latter answers None for an
    outcome that is not there any more. It is called in the writer's thread.
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
        self._writer = Lane("journal", 1)
        self._alone = threading.Lock()
        self._waiting: deque[_Write] = deque()
        self._complained = False

    async def accept(self, ticket: Ticket, priority: int) -> None:
        """Write a promise down; it holds when this returns. Raises StorageFull, DiskFailed, Busy."""
        await self._now(self._journal.accept, self._entry(ticket, priority))

    def settled(self, ticket: Ticket) -> None:
        """Write down a ticket on something that was there already, unless the disk is too slow for that."""
        if len(self._waiting) < MOST_WAITING:
            self._later(self._journal.accept, self._entry(ticket, ticket.job.priority))

    def moved(self, ticket_ids: Sequence[str], state: State, started: float | None) -> None:
        """Note that the work for these tickets has started, or waits again without having failed."""
        self._later(self._journal.moved, ticket_ids, state, started)

    def ended(self, ticket: Ticket) -> None:
        """Note how a ticket ended."""
        job = ticket.job
        error = _plain_error(job.error if ticket.state is not State.COMPLETED else None)
        # Of a ticket that is withdrawn the job may continue.
        ended = time.time() if job.ended is None else job.ended
        outcome = self._to_plain(ticket.outcome)
        self._later(self._journal.ended, ticket.id, ticket.state, ended, error, outcome)

    async def reopen(self, newest: int) -> tuple[list[Ticket], list[Ticket]]:
        """Unfinished tickets of earlier runs, and this many of the newest ended; oldest first, each with its job."""

        def read() -> tuple[list[Ticket], list[Ticket]]:
            unfinished, ended = _twice(self._journal.reopen, newest)
            return [self._ticket(entry) for entry in unfinished], [self._ticket(entry) for entry in ended]

        found = await self._writer.run(read)
        self._writer.submit(self._tidy)
        return found

    async def repeated(self, idempotency_key: str) -> tuple[str, list[str]] | None:
        """The fingerprint and the tickets of an earlier request with that key. Raises as ``accept``."""
        return await self._now(self._journal.repeated, idempotency_key)

    async def remember(self, idempotency_key: str, fingerprint: str, ticket_ids: list[str]) -> None:
        """Bind a key to what was asked and to its tickets. Raises as ``accept``."""
        await self._now(self._journal.remember, idempotency_key, fingerprint, ticket_ids)

    async def forget(self, keys: Collection[str] | None, names: Collection[str]) -> None:
        """Drop ended tickets; see JobQueue. Raises as ``accept``."""
        await self._writer.run(_twice, self._journal.forget, keys, names)

    async def close(self) -> None:
        """Finish writing and close the file."""
        try:
            # One thread: when this is called, everything before it has been written.
            await self._writer.run(self._journal.close)
        except Busy:
            logger.warning("the journal could not be written to its end: the disk does not answer")

    async def _now(self, call: Callable[..., T], *arguments: Any) -> T:
        """Let the writer do something and wait for it. Raises Busy when the disk keeps it waiting for too long."""
        answer = self._submit(call, *arguments)
        impatient = False

        def give_up() -> None:
            nonlocal impatient
            impatient = answer.cancel()  # False for what has started

        timer = asyncio.get_running_loop().call_later(self._writer.patience, give_up)
        try:
            return await asyncio.wrap_future(answer)
        except asyncio.CancelledError:
            if impatient:
                raise self._writer.busy() from None
            raise
        finally:
            timer.cancel()

    def _later(self, call: Callable[..., None], *arguments: Any) -> None:
        """Let the writer do something; nobody waits for it."""
        try:
            self._submit(call, *arguments).add_done_callback(self._note)
        except Busy as error:
            logger.warning("the journal of jobs cannot be written: %s", error.message)

    def _submit(self, call: Callable[..., T], *arguments: Any) -> Future[T]:
        """Hand something to the writer: what waits together is one transaction, and waits for the disk once."""
        write = _Write(call, arguments, Future())
        with self._alone:
            self._waiting.append(write)
            if len(self._waiting) == 1:
                try:
                    self._writer.submit(self._write_all)
                except Busy:
                    self._waiting.clear()
                    raise
        return write.answer

    def _write_all(self) -> None:
        with self._alone:
            writes = list(self._waiting)
            self._waiting.clear()
        writes = [write for write in writes if write.answer.set_running_or_notify_cancel()]
        answers: list[Any] = []
        try:
            with self._journal.together():
                answers += [write.call(*write.arguments) for write in writes]
        except Exception:  # each for itself, so that one that cannot be written fails alone
            for write in writes:
                try:
                    write.answer.set_result(_twice(write.call, *write.arguments))
                except Exception as error:
                    write.answer.set_exception(error)
            return
        for write, answer in zip(writes, answers, strict=True):
            write.answer.set_result(answer)

    def _tidy(self) -> None:
        """Remove what an older version has left, piece by piece: others write in between."""
        try:
            if self._journal.tidy():
                self._writer.submit(self._tidy)
        except BridgeError as error:  # the bridge is being stopped: the rest goes after the next start
            logger.info("the journal of jobs is not tidied now: %s", failure(error))

    def _note(self, answer: Future[Any]) -> None:
        if answer.cancelled():
            return
        error = answer.exception()
        if error is not None and not self._complained:
            logger.error(
                "the journal of jobs cannot be written; what ends now is not known after a restart: %s", failure(error)
            )
        self._complained = error is not None

    def _entry(self, ticket: Ticket, priority: int) -> Entry:
        job = ticket.job
        return Entry(
            id=ticket.id,
            key=job.key,
            lane=job.lane,
            work=job.work,
            claim=ticket.claim,
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
        error = entry.error
        job = Job(
            key=entry.key,
            lane=entry.lane,
            work=entry.work,
            priority=entry.priority,
            state=entry.state,
            progress=Progress(1.0 if entry.state is State.COMPLETED else 0.0, None),
            error=BridgeError.named(error["type"], error["message"], error["code"]) if error else None,
            created=entry.created,
            started=entry.started,
            ended=entry.ended,
        )
        return Ticket(
            id=entry.id,
            job=job,
            claim=entry.claim,
            created=entry.created,
            withdrawn=entry.state is State.CANCELLED,
            attempts=entry.attempts,
            outcome=None if entry.outcome is None else self._outcome(entry.outcome),
        )

    def _outcome(self, plain: Any) -> Any:
        try:
            return self._from_plain(plain)
        except Exception as error:  # a catalogue that is damaged in one place does not keep the server from starting
            logger.warning("where a sound of an earlier run went cannot be read: %s", failure(error))
            return None


def _plain_error(error: BridgeError | None) -> Mapping[str, Any] | None:
    return None if error is None else {"type": type(error).__name__, "code": error.code, "message": error.message}


def _twice(call: Callable[..., T], *arguments: Any) -> T:
    """Call, and once more when the file was damaged and has been replaced by a new one."""
    try:
        return call(*arguments)
    except LedgerDamaged:
        return call(*arguments)

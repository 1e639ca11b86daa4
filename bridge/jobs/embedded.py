"""The queue that lives in the server process: one priority heap per lane, nothing to install."""

from __future__ import annotations

import asyncio
import functools
import heapq
import itertools
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from bridge.errors import (
    LOST,
    PASSING,
    BridgeError,
    Busy,
    Conflict,
    EngineCrashed,
    EngineError,
    EngineTimeout,
    JobCancelled,
    NotFound,
)
from bridge.jobs.book import Book
from bridge.jobs.claims import Claim, Work
from bridge.jobs.happenings import AskEnded, Begun, Ended, Happenings, Progressed
from bridge.jobs.job import AT_ITS_BEGINNING, TERMINAL, Job, Priority, Progress, State, Ticket
from bridge.jobs.queue import Run
from bridge.jobs.records import JobRecord, TicketRecord

logger = logging.getLogger(__name__)

MAX_ATTEMPTS = 3
"""A job that was running at this many unclean ends of the server is given up: it may well be their cause."""
MOST_TICKETS = 1024
"""So many may wait for one job: a thousand players may ask for one sound in the same moment."""
TICKETS_PER_JOB = 16
"""As many as one request can ask for."""
RETRY_PAUSES = (1.0, 4.0)
"""Seconds before the second and the third try of what failed for a passing reason."""
PROGRESS_SECONDS = 0.2
"""Progress of one job is told at most five times per second."""
_STOPPING = "stopping"
"""Code of a job that waits for the next start."""
_POISON = (
    f"The server ended {MAX_ATTEMPTS} times while it made this sound, so it is not tried again. Ask for another one."
)
_UNSURE = (
    "The bridge ended while a provider made this sound. It may have been paid, so it is not made again automatically. "
    "Ask again."
)


class EmbeddedQueue:
    """Runs jobs as tasks on the event loop; ``run`` awaits the engine's process.

    ``capacity(lane)``: how many jobs of a lane may run at once. ``gives_way(lane)``: is a running pre-generation
    stopped, to be started again later, when somebody more urgent would have to wait for it? ``repeatable(lane)``: may
    what was running when the server ended be started again at the next one? ``estimate(job)``: expected seconds of the
    whole job, None when unknown. ``limit``: how many jobs may wait; ``MOST_TICKETS`` for one job and
    ``TICKETS_PER_JOB`` times ``limit`` for all say how many may wait for them. ``job_seconds``: deadline of one job.
    ``kept``: how many tickets are remembered, half as many ended ones at the least. ``book``: where promises are
    written down; without one they end with the process. ``happenings``: who is told how the jobs go.
    """

    def __init__(
        self,
        run: Run,
        *,
        capacity: Callable[[str], int] = lambda _: 1,
        gives_way: Callable[[str], bool] = lambda _: False,
        repeatable: Callable[[str], bool] = lambda _: True,
        estimate: Callable[[Job], float | None] = lambda _: None,
        limit: int = 200,
        job_seconds: float = 600.0,
        kept: int = 1000,
        book: Book | None = None,
        happenings: Happenings | None = None,
    ) -> None:
        self._run = run
        self._capacity = capacity
        self._gives_way = gives_way
        self._repeatable = repeatable
        self._estimate = estimate
        self._limit = limit
        self._job_seconds = job_seconds
        self._kept = kept
        self._book = book
        self._happenings = happenings or Happenings()
        self._order = itertools.count()
        self._waiting: dict[str, list[tuple[int, int, JobRecord]]] = {}
        self._running: dict[str, dict[JobRecord, asyncio.Task[None]]] = {}
        self._alive: dict[str, JobRecord] = {}
        self._tickets: OrderedDict[str, TicketRecord] = OrderedDict()
        self._over: dict[str, None] = {}
        """Ids of tickets that have ended, in the order of their ends."""
        self._repeats: OrderedDict[str, tuple[str, list[str]]] = OrderedDict()
        self._queued: set[JobRecord] = set()
        self._giving_way: set[JobRecord] = set()
        self._closed = False

    async def check_room(self, key: str, count: int) -> None:
        """Raise Busy when this many tickets for a key would be refused; see JobQueue."""
        job = self._alive.get(key)
        if job is None:
            if self._count(State.QUEUED) >= self._limit:
                raise Busy(
                    f"{self._limit} sounds are waiting to be made already. Ask again in a moment.", code="queue_full"
                )
            return
        most = max(MOST_TICKETS, TICKETS_PER_JOB * self._limit)
        if len(job.tickets) + count > MOST_TICKETS or self._asked() + count > most:
            raise Busy(
                "Very many requests are waiting for this sound already. Ask again in a moment.", code="queue_full"
            )

    async def submit(self, key: str, lane: str, work: Work, *, priority: int, claim: Claim) -> Ticket:
        """Take a ticket; see JobQueue."""
        if self._closed:
            raise Busy("The bridge is being stopped. Ask again in a moment.")
        await self.check_room(key, 1)
        job = self._alive.setdefault(key, JobRecord(Job(key, lane, work, priority)))
        ticket = TicketRecord(job, claim, joined=bool(job.tickets))
        job.tickets[ticket.id] = ticket
        self._tickets[ticket.id] = ticket
        if self._book and priority < Priority.PREGENERATION:
            try:
                await self._book.accept(ticket.value(), priority)
            except BaseException:
                self._forget(ticket)
                # Perhaps it was written all the same.
                ticket.withdrawn = True
                self._book.ended(ticket.value())
                raise
        self._hurry(job, priority)
        return ticket.value()

    async def resume(self) -> list[Ticket]:
        """Take up what the book says was promised and not kept, and remember what has ended; once, at the start."""
        if self._book is None:
            return []
        unfinished, ended = await self._book.reopen(self._kept)
        for each in ended:
            ticket = self._tickets[each.id] = TicketRecord.of(each, JobRecord(each.job))
            self._finish(ticket)
        for each in unfinished:
            job = self._alive.setdefault(each.job.key, JobRecord(each.job))
            ticket = job.tickets[each.id] = self._tickets[each.id] = TicketRecord.of(each, job)
            if ticket.attempts and not self._repeatable(job.now.lane):
                self._alive.pop(job.now.key, None)
                self._end(job, State.FAILED, error=EngineError(_UNSURE, code=LOST))
            elif ticket.attempts >= MAX_ATTEMPTS:
                self._alive.pop(job.now.key, None)
                self._end(job, State.FAILED, error=EngineCrashed(_POISON, code="poison"))
        for job in list(self._alive.values()):
            self._hurry(job, job.now.priority)
        return unfinished

    async def settle(self, key: str, lane: str, claim: Claim, outcome: Any) -> Ticket:
        """Hand out a ticket for something that is there already."""
        now = time.time()
        done = Progress(1.0, 0.0)
        job = Job(key, lane, Work(), priority=0, state=State.COMPLETED, progress=done, started=now, ended=now)
        ticket = TicketRecord(JobRecord(job), claim, outcome=outcome)
        self._tickets[ticket.id] = ticket
        self._finish(ticket)
        return ticket.value()

    async def repeated(self, idempotency_key: str) -> tuple[str, list[str]] | None:
        """The fingerprint and ticket ids of an earlier request; see JobQueue."""
        found = self._repeats.get(idempotency_key)
        if found is not None or self._book is None:
            return found
        try:
            return await self._book.repeated(idempotency_key)
        except BridgeError as error:  # better made twice than not answered
            logger.warning("whether a request came before cannot be read: %s", error.message)
            return None

    async def remember(self, idempotency_key: str, fingerprint: str, ticket_ids: list[str]) -> None:
        """Bind a key to what was asked and to its tickets; see JobQueue."""
        self._repeats[idempotency_key] = (fingerprint, ticket_ids)
        while len(self._repeats) > self._kept:
            self._repeats.popitem(last=False)
        if self._book is None:
            return
        try:
            await self._book.remember(idempotency_key, fingerprint, ticket_ids)
        except BridgeError as error:  # the tickets are taken, and have to be answered
            logger.warning("a repeated request is not known after a restart: %s", error.message)

    async def keep(self, ticket_id: str) -> None:
        """Write down how a settled ticket came out."""
        if self._book and (ticket := self._tickets.get(ticket_id)) is not None:
            self._book.settled(ticket.value())

    async def forget(self, keys: Collection[str] | None, names: Collection[str] = ()) -> None:
        """Drop ended tickets; see JobQueue."""
        for ticket in await self.tickets(tuple(TERMINAL)):
            if keys is None or ticket.job.key in keys or ticket.claim.name in names:
                self._drop(ticket.id)
        for key, (_, ticket_ids) in list(self._repeats.items()):
            if not all(ticket_id in self._tickets for ticket_id in ticket_ids):
                del self._repeats[key]
        if self._book:
            await self._book.forget(keys, names)

    async def cancel(self, ticket_id: str) -> Ticket:
        """Withdraw a ticket; see JobQueue."""
        ticket = self._found(ticket_id)
        if (state := ticket.value().state) in TERMINAL:
            raise Conflict(f"That job is {state} already.", code="already_finished")
        job = ticket.job
        ticket.withdrawn = True
        self._finish(ticket)
        del job.tickets[ticket_id]
        if self._book:
            self._book.ended(ticket.value())
        try:
            if not job.tickets:
                await self._give_up(job)
        finally:
            self._happenings.tell(AskEnded(ticket.value()))
        return ticket.value()

    async def ticket(self, ticket_id: str) -> Ticket:
        """Look a ticket up; see JobQueue."""
        return self._found(ticket_id).value()

    async def tickets(self, states: Sequence[State] = ()) -> list[Ticket]:
        """All kept tickets, newest first."""
        every = (ticket.value() for ticket in reversed(self._tickets.values()))
        return [ticket for ticket in every if not states or ticket.state in states]

    async def wait(self, ticket_id: str) -> Ticket:
        """Return when the ticket's state is terminal."""
        ticket = self._found(ticket_id)
        await ticket.finished.wait()
        return ticket.value()

    async def count(self, state: State) -> int:
        """How many living jobs are in a state."""
        return self._count(state)

    async def close(self) -> None:
        """Stop running work and accept no more."""
        self._closed = True
        tasks = [task for lane in self._running.values() for task in lane.values()]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        for job in list(self._alive.values()):
            self._end(job, State.CANCELLED, error=self._stopped())
        if self._book:
            await self._book.close()

    def _found(self, ticket_id: str) -> TicketRecord:
        try:
            return self._tickets[ticket_id]
        except KeyError:
            raise NotFound(f"No job has the id '{ticket_id[:80]}'.", code="unknown_job") from None

    def _count(self, state: State) -> int:
        return sum(job.now.state is state for job in self._alive.values())

    async def _give_up(self, job: JobRecord) -> None:
        """End a job for which no ticket waits."""
        # A request from now on gets a new job: this one cannot be saved any more.
        self._alive.pop(job.now.key, None)
        task = self._running.get(job.now.lane, {}).get(job)
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
        elif job.now.state is State.QUEUED:
            self._end(job, State.CANCELLED, error=JobCancelled("Cancelled before it was started."))

    def _asked(self) -> int:
        """How many tickets wait."""
        return sum(len(job.tickets) for job in self._alive.values())

    def _stopped(self) -> BridgeError:
        if self._book:
            # Promised is promised: the book still has it as unfinished.
            return Busy("The bridge is being stopped; it makes the sound after its next start.", code=_STOPPING)
        return JobCancelled("The bridge was stopped.")

    def _hurry(self, job: JobRecord, priority: int) -> None:
        """Queue a job, or move it up, and start what can start."""
        urgent = priority < job.now.priority
        job.change(priority=min(job.now.priority, priority))
        if job.now.state is State.QUEUED and (urgent or job not in self._queued):
            # An old, less urgent entry stays in the heap; it is passed over once the job runs.
            self._enqueue(job)
        self._dispatch(job.now.lane)
        if job.now.state is State.QUEUED and priority < Priority.PREGENERATION:
            self._make_way(job.now.lane)

    def _forget(self, ticket: TicketRecord) -> None:
        job = ticket.job
        job.tickets.pop(ticket.id, None)
        self._drop(ticket.id)
        if not job.tickets and job.now.state is State.QUEUED and self._alive.get(job.now.key) is job:
            del self._alive[job.now.key]
            job.change(state=State.CANCELLED)

    def _enqueue(self, job: JobRecord) -> None:
        self._queued.add(job)
        heapq.heappush(self._waiting.setdefault(job.now.lane, []), (job.now.priority, next(self._order), job))

    def _dispatch(self, lane: str) -> None:
        waiting, running = self._waiting.get(lane, []), self._running.setdefault(lane, {})
        while waiting and len(running) < self._capacity(lane) and not self._closed:
            _, _, job = heapq.heappop(waiting)
            if job.now.state is not State.QUEUED or job in running:
                continue
            self._queued.discard(job)
            job.change(state=State.RUNNING, started=time.time())
            if self._book:
                self._book.moved(list(job.tickets), State.RUNNING, job.now.started)
            running[job] = asyncio.create_task(self._work(job), name=f"job {job.now.key}")
            # A callback, not a `finally`: a task cancelled before its first step runs none of its code.
            running[job].add_done_callback(functools.partial(self._after_work, job))

    def _make_way(self, lane: str) -> None:
        """Stop one pre-generation of a full lane; it is queued again."""
        if not self._gives_way(lane):
            return
        for job, task in self._running.get(lane, {}).items():
            if job.now.priority >= Priority.PREGENERATION and job not in self._giving_way:
                self._giving_way.add(job)
                task.cancel()
                return

    async def _work(self, job: JobRecord) -> None:
        try:
            if job.told is None:
                self._happenings.tell(Begun(job.now))
            self._report(job, 0.0)
            async with asyncio.timeout(self._job_seconds * max(len(job.now.work.specs), 1)):
                await self._patiently(job)
        except TimeoutError:
            message = f"It was not made within {self._job_seconds:.0f} s. Ask for something shorter."
            self._end(job, State.FAILED, error=EngineTimeout(message))
        except BridgeError as error:
            self._end(job, State.FAILED, error=error)
        except Exception:
            logger.exception("job %s failed", job.now.key)
            self._end(job, State.FAILED, error=BridgeError("Something broke in the bridge; its log has the details."))
        else:
            self._end(job, State.COMPLETED)

    async def _patiently(self, job: JobRecord) -> None:
        """Do the work; try again, after a pause, when it failed for a reason that may pass."""
        for pause in (*RETRY_PAUSES, None):
            try:
                return await self._run(_Running(job, lambda fraction: self._report(job, fraction)))
            except BridgeError as error:
                if pause is None or error.code not in PASSING:
                    raise
                logger.info("job %s: %s Trying again in %g s.", job.now.key, error.message, pause)
                await asyncio.sleep(pause)
        raise AssertionError("the last try raises or returns")

    def _after_work(self, job: JobRecord, task: asyncio.Task[None]) -> None:
        del self._running[job.now.lane][job]
        gave_way = job in self._giving_way and bool(job.tickets) and not self._closed
        self._giving_way.discard(job)
        if task.cancelled() and gave_way:
            job.change(state=State.QUEUED, progress=AT_ITS_BEGINNING, started=None)
            self._enqueue(job)
            self._tell_progress(job)
        elif task.cancelled() and self._closed and job.tickets and not self._repeatable(job.now.lane):
            self._end(job, State.FAILED, error=EngineError(_UNSURE, code=LOST))
        elif task.cancelled():
            error = self._stopped() if self._closed and job.tickets else JobCancelled("Cancelled.")
            self._end(job, State.CANCELLED, error=error)
        self._dispatch(job.now.lane)

    def _report(self, job: JobRecord, fraction: float) -> None:
        if job.now.state is not State.RUNNING:
            return  # a late word from work that has ended or given way
        # in this order a NaN changes nothing
        fraction = max(job.now.progress.fraction, min(fraction, 1.0))
        job.change(progress=Progress(fraction, self._eta(job, fraction)))
        self._tell_progress(job)

    def _tell_progress(self, job: JobRecord) -> None:
        state, told = job.told or (None, 0.0)
        now = time.monotonic()
        if state is not job.now.state or now - told >= PROGRESS_SECONDS:
            job.told = (job.now.state, now)
            self._happenings.tell(Progressed(job.now, job.values()))

    def _eta(self, job: JobRecord, fraction: float) -> float | None:
        passed = time.time() - (job.now.started or time.time())
        if fraction > 0.05:
            return round(passed * (1 - fraction) / fraction, 2)
        expected = self._estimate(job.now)
        return None if expected is None else round(max(expected - passed, 0.0), 2)

    def _end(self, job: JobRecord, state: State, *, error: BridgeError | None = None) -> None:
        fraction = 1.0 if state is State.COMPLETED else job.now.progress.fraction
        job.change(state=state, error=error, ended=time.time(), progress=Progress(fraction, 0.0))
        if self._alive.get(job.now.key) is job:
            del self._alive[job.now.key]
        if self._book and error and error.code == _STOPPING:  # it continues at the next start: this is not its end
            self._book.moved(list(job.tickets), State.QUEUED, job.now.started)
            for ticket in job.tickets.values():
                self._finish(ticket)
            return
        ended = job.values()
        self._happenings.tell(Ended(job.now, ended))
        for ticket, value in zip([*job.tickets.values()], ended, strict=True):
            self._finish(ticket)
            if self._book:
                self._book.ended(value)
            self._happenings.tell(AskEnded(value))

    def _finish(self, ticket: TicketRecord) -> None:
        """Wake the callers that wait for a ticket that has ended, and forget the one that ended long ago."""
        ticket.finished.set()
        if ticket.id not in self._tickets:
            return
        self._over[ticket.id] = None
        # However many wait, what has just ended can be asked about.
        while len(self._tickets) > self._kept and len(self._over) > self._kept // 2:
            self._drop(next(iter(self._over)))

    def _drop(self, ticket_id: str) -> None:
        self._tickets.pop(ticket_id, None)
        self._over.pop(ticket_id, None)


class _Running:
    """A job at work; see RunningJob."""

    def __init__(self, record: JobRecord, report: Callable[[float], None]) -> None:
        self._record = record
        self.report = report

    @property
    def job(self) -> Job:
        """How it stands now."""
        return self._record.now

    async def waiting(self) -> tuple[Ticket, ...]:
        """The tickets that have not been given anything yet. No ticket joins between this answer and the job's end."""
        return tuple(ticket for ticket in self._record.values() if ticket.outcome is None)

    async def give(self, outcomes: Mapping[str, Any]) -> None:
        """Say what came of it for some tickets; one that was withdrawn meanwhile keeps nothing."""
        for ticket_id, outcome in outcomes.items():
            if (ticket := self._record.tickets.get(ticket_id)) is not None:
                ticket.outcome = outcome

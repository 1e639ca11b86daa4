"""What the embedded queue itself remembers of jobs and tickets; everybody else gets frozen values of them."""

from __future__ import annotations

import asyncio
import secrets
import time
from dataclasses import dataclass, field
from typing import Any

from bridge.errors import BridgeError
from bridge.jobs.claims import Claim, Work
from bridge.jobs.job import Job, Progress, State, Ticket


@dataclass(eq=False, slots=True)
class JobRecord:
    """A job while it continues, and after its end while somebody may ask about it."""

    key: str
    lane: str
    work: Work
    priority: int
    state: State = State.QUEUED
    progress: Progress = field(default_factory=lambda: Progress(0.0, None))
    error: BridgeError | None = None
    tickets: dict[str, TicketRecord] = field(default_factory=dict)
    """Those still waiting for it."""
    created: float = field(default_factory=time.time)
    started: float | None = None
    ended: float | None = None
    told: tuple[State, float] | None = None
    """The state that was told last, and when (monotonic seconds)."""

    def value(self) -> Job:
        """How it stands now."""
        return Job(
            key=self.key,
            lane=self.lane,
            work=self.work,
            priority=self.priority,
            state=self.state,
            progress=self.progress,
            error=self.error,
            created=self.created,
            started=self.started,
            ended=self.ended,
        )

    def values(self) -> tuple[Ticket, ...]:
        """How the tickets that wait for it stand now, in the order of their asking."""
        job = self.value()
        return tuple(ticket.value(job) for ticket in self.tickets.values())


@dataclass(eq=False, slots=True)
class TicketRecord:
    """One asker's claim."""

    job: JobRecord
    claim: Claim
    id: str = field(default_factory=lambda: "gen_" + secrets.token_hex(6))
    created: float = field(default_factory=time.time)
    joined: bool = False
    withdrawn: bool = False
    attempts: int = 0
    outcome: Any = None
    finished: asyncio.Event = field(default_factory=asyncio.Event, repr=False)
    """Set when the state has become terminal for this asker."""

    def value(self, job: Job | None = None) -> Ticket:
        """How it stands now; ``job``: the value of its job, where the caller has it already."""
        return Ticket(
            id=self.id,
            job=job or self.job.value(),
            claim=self.claim,
            created=self.created,
            joined=self.joined,
            withdrawn=self.withdrawn,
            attempts=self.attempts,
            outcome=self.outcome,
        )

    @classmethod
    def of(cls, ticket: Ticket, job: JobRecord) -> TicketRecord:
        """Take up a ticket of an earlier run."""
        record = cls(job, ticket.claim, id=ticket.id, created=ticket.created, withdrawn=ticket.withdrawn)
        record.attempts, record.outcome = ticket.attempts, ticket.outcome
        return record


def job_record(job: Job) -> JobRecord:
    """Take up a job of an earlier run."""
    return JobRecord(
        key=job.key,
        lane=job.lane,
        work=job.work,
        priority=job.priority,
        state=job.state,
        progress=job.progress,
        error=job.error,
        created=job.created,
        started=job.started,
        ended=job.ended,
    )

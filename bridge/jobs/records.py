"""What the embedded queue itself remembers of jobs and tickets; everybody else gets frozen values of them."""

from __future__ import annotations

import asyncio
import secrets
import time
from dataclasses import dataclass, field, replace
from typing import Any

from bridge.jobs.claims import Claim
from bridge.jobs.job import Job, State, Ticket


@dataclass(eq=False, slots=True)
class JobRecord:
    """A job while it continues, and after its end while somebody may ask about it."""

    now: Job
    """How it stands now."""
    tickets: dict[str, TicketRecord] = field(default_factory=dict)
    """Those still waiting for it."""
    told: tuple[State, float] | None = None
    """The state that was told last, and when (monotonic seconds)."""

    def change(self, **values: Any) -> None:
        """Set fields of the job."""
        self.now = replace(self.now, **values)

    def values(self) -> tuple[Ticket, ...]:
        """How the tickets that wait for it stand now, in the order of their asking."""
        return tuple(ticket.value() for ticket in self.tickets.values())


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

    def value(self) -> Ticket:
        """How it stands now."""
        return Ticket(
            id=self.id,
            job=self.job.now,
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

"""What a job is, in a small closed vocabulary of frozen values: how things stood when somebody asked."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import Any

from bridge.errors import BridgeError
from bridge.jobs.claims import Claim, Work


class State(StrEnum):
    """Where a job stands."""

    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


TERMINAL = frozenset({State.COMPLETED, State.FAILED, State.CANCELLED})


class Priority(IntEnum):
    """Smaller numbers go first."""

    PLAYER = 0
    BATCH = 10
    PREGENERATION = 20


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a running job is."""

    fraction: float
    """0..1"""
    eta_s: float | None
    """Estimated seconds until it ends, None while nothing is known."""


AT_ITS_BEGINNING = Progress(0.0, None)


@dataclass(frozen=True, slots=True)
class Job:
    """The making of one thing, known by its key."""

    key: str
    """Two submissions of one key share one job."""
    lane: str
    """Jobs of one lane share its capacity: the engine's name."""
    work: Work
    priority: int
    state: State = State.QUEUED
    progress: Progress = AT_ITS_BEGINNING
    error: BridgeError | None = None
    created: float = field(default_factory=time.time)
    """Unix seconds, like ``started`` and ``ended``."""
    started: float | None = None
    ended: float | None = None


@dataclass(frozen=True, slots=True)
class Ticket:
    """One asker's claim on a job; task_id, job_id and generation_id of the contracts are tickets."""

    id: str
    job: Job
    claim: Claim
    created: float
    joined: bool = False
    """True when somebody else had asked for the same job before, and it had not ended."""
    withdrawn: bool = False
    """True when this asker cancelled, whatever became of the job."""
    attempts: int = 0
    """Unclean ends of the server that found this ticket's job running."""
    outcome: Any = None
    """What came of it for this asker, as the code that did the work has given it: the slot its sound went to."""

    @property
    def state(self) -> State:
        """The job's state as this asker sees it."""
        if self.withdrawn:
            return State.CANCELLED
        # Of several variations one may fail: the asker who got another one keeps it.
        return State.COMPLETED if self.outcome is not None and self.job.state is State.FAILED else self.job.state

"""What a job is, in a small closed vocabulary."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import Any

from bridge.errors import BridgeError


class State(StrEnum):
    """Where a job stands."""

    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


TERMINAL = frozenset({State.COMPLETED, State.FAILED, State.CANCELLED})


class Priority(IntEnum):
    """Who goes first: smaller numbers do."""

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


@dataclass(eq=False)
class Job:
    """The making of one thing, known by its key."""

    key: str
    """Two submissions of one key share one job."""
    lane: str
    """Jobs of one lane share its capacity: the engine's name."""
    work: Mapping[str, Any]
    """What is to be made; plain JSON values, so that it can cross to another machine. ``count``: how many things, when
    there are several; each has its own share of the deadline."""
    priority: int
    state: State = State.QUEUED
    progress: Progress = Progress(0.0, None)
    error: BridgeError | None = None
    result: Any = None
    tickets: dict[str, Ticket] = field(default_factory=dict)
    """Those still waiting for it."""
    created: float = field(default_factory=time.time)
    """Unix seconds, like ``started`` and ``ended``."""
    started: float | None = None
    ended: float | None = None


@dataclass(eq=False)
class Ticket:
    """One asker's claim on a job; task_id, job_id and generation_id of the contracts are tickets."""

    job: Job
    asked: Mapping[str, Any]
    """What this asker wants beside the audio: the name to register, the session."""
    id: str = field(default_factory=lambda: "gen_" + secrets.token_hex(6))
    created: float = field(default_factory=time.time)
    withdrawn: bool = False
    """True when this asker cancelled, whatever became of the job."""
    attempts: int = 0
    """Unclean ends of the server that found this ticket's job running."""
    outcome: Any = None
    """What came of it for this asker, set by whoever does the work: the slot its sound went to."""
    finished: asyncio.Event = field(default_factory=asyncio.Event, repr=False)
    """Set when the state has become terminal for this asker."""

    @property
    def state(self) -> State:
        """The job's state as this asker sees it."""
        if self.withdrawn:
            return State.CANCELLED
        # Of several variations one may fail: who has got another one has got it.
        return State.COMPLETED if self.outcome is not None and self.job.state is State.FAILED else self.job.state

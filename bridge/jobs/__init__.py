"""Jobs: the making of one spec, waited for by any number of tickets."""

from bridge.jobs.book import Book
from bridge.jobs.claims import Claim, Standin, Work
from bridge.jobs.embedded import EmbeddedQueue
from bridge.jobs.job import TERMINAL, Job, Priority, Progress, State, Ticket
from bridge.jobs.journal import Journal
from bridge.jobs.queue import JobQueue, Run, RunningJob

__all__ = [
    "TERMINAL",
    "Book",
    "Claim",
    "EmbeddedQueue",
    "Job",
    "JobQueue",
    "Journal",
    "Priority",
    "Progress",
    "Run",
    "RunningJob",
    "Standin",
    "State",
    "Ticket",
    "Work",
]

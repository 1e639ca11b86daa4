"""Jobs: the making of one spec, waited for by any number of tickets."""

from bridge.jobs._job import TERMINAL, Job, Priority, Progress, State, Ticket
from bridge.jobs._queue import JobQueue, Run, Watch
from bridge.jobs.embedded import EmbeddedQueue

__all__ = ["TERMINAL", "EmbeddedQueue", "Job", "JobQueue", "Priority", "Progress", "Run", "State", "Ticket", "Watch"]

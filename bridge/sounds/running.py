"""The body of every job: make the takes, then publish them for all who wait."""

from __future__ import annotations

import logging
import time

from bridge.errors import LOST, EngineError, JobCancelled
from bridge.jobs import Priority, RunningJob
from bridge.logs import working_for
from bridge.settings import Settings
from bridge.sounds.making import TakeMaker
from bridge.sounds.placing import Placer
from bridge.system.disk import on_disk

logger = logging.getLogger(__name__)


class JobRunner:
    """Does what the queue hands over."""

    def __init__(self, settings: Settings, maker: TakeMaker, placer: Placer) -> None:
        self._data_dir = settings.data_dir
        self._maker = maker
        self._placer = placer

    async def run(self, running: RunningJob) -> None:
        """Make a job's takes, and give each ticket its own; see Run. Raises BridgeError."""
        request_id = next((ticket.claim.request_id for ticket in await running.waiting()), None)
        with working_for(request_id), on_disk(self._data_dir, perhaps=True):
            await self._make(running)

    async def _make(self, running: RunningJob) -> None:
        job = running.job
        if not job.work.specs:
            raise EngineError("This version cannot read what was asked for. Ask for the sound again.", code=LOST)
        started = time.monotonic()
        background = job.priority >= Priority.PREGENERATION
        takes, error = await self._maker.takes(job.lane, job.work.specs, running.report, background=background)
        took = time.monotonic() - started
        if not takes:
            raise error or JobCancelled("Nothing was made.")
        seconds = sum(take.frames / take.rate for take in takes)
        askers = ", ".join(ticket.id for ticket in await running.waiting())
        await self._placer.place_ranked(running, takes)
        if error is not None:
            raise error  # for those tickets that are left without a sound
        level = logging.INFO if running.job.priority < Priority.PREGENERATION else logging.DEBUG
        logger.log(level, "made for %s: %.1f s of sound in %.2f s by %s", askers, seconds, took, job.lane)

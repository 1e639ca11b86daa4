"""Making: an order's specs go to their engine and come back as finished takes, the best first."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence

from bridge.audio.facts import SampleFacts
from bridge.engines.hosting.client import Made
from bridge.engines.hosting.engines import EngineRoom
from bridge.errors import LOST, PASSING, BridgeError, EngineError
from bridge.jobs import Job
from bridge.plugins.engine import EngineInfo
from bridge.settings import Settings
from bridge.sounds.facts import facts_of, recipe_of
from bridge.sounds.placing import remove_takes
from cache import NewSample, Sample
from prompts import SampleSpec


class TakeMaker:
    """Has takes made, and learns from each how long the next will take."""

    def __init__(self, settings: Settings, engines: EngineRoom) -> None:
        self._settings = settings
        self._engines = engines
        self._speed: dict[str, float] = {}
        """Seconds of work per second of sound, by engine."""

    def capacity(self, lane: str) -> int:
        """How many jobs of an engine may run at once."""
        return min(self._engines.capacity(lane), self._settings.max_concurrent_jobs)

    def gives_way(self, lane: str) -> bool:
        """Would a player wait long for a pre-generation of this engine?"""
        info = self._engines.known(lane)
        return info is not None and not info.instant and not info.paid

    def repeatable(self, lane: str) -> bool:
        """May work of this engine that was started be started again? Not where it may have been paid already."""
        return not self._engines.is_paid(lane)

    def estimate(self, job: Job) -> float | None:
        """Expected seconds of a job, None before the engine has made anything."""
        speed = self._speed.get(job.lane)
        return None if speed is None else speed * sum(spec.seconds or 1.0 for spec in job.work.specs)

    async def takes(
        self, lane: str, specs: Sequence[SampleSpec], report: Callable[[float], None], *, background: bool = False
    ) -> tuple[list[NewSample], BridgeError | None]:
        """Make a take of each spec, the best score first; and what went wrong with one that could not be made.

        ``background``: no player waits for them.
        """
        hosted, started = self._engines.hosted(lane), time.monotonic()
        info = await hosted.start()
        at_once, progress = asyncio.Semaphore(max(1, self.capacity(lane))), [0.0] * len(specs)
        takes: dict[int, NewSample] = {}
        errors: list[BridgeError] = []

        async def make(index: int, spec: SampleSpec) -> None:
            def heard(fraction: float) -> None:
                progress[index] = fraction
                report(sum(progress) / len(progress))

            async with at_once:
                try:
                    made = await hosted.make(spec, heard, background=background)
                except BridgeError as error:
                    errors.append(error)
                else:
                    takes[index] = self._new_sample(spec, info, made)

        try:
            async with asyncio.TaskGroup() as making:
                for index, spec in enumerate(specs):
                    making.create_task(make(index, spec))
        except BaseException:
            await remove_takes(takes.values())
            raise
        seconds = sum(take.frames / take.rate for take in takes.values())
        if takes:
            self._speed[lane] = (time.monotonic() - started) / max(seconds, 0.1)
        ranked = sorted(takes, key=lambda index: (-score(takes[index]), index))
        error = errors[0] if errors else None
        if error is not None and info.paid and error.code in PASSING and (takes or error.code != "engine_unreachable"):
            # The queue would repeat all of it, with what has been made and paid.
            error = EngineError(error.message, code=LOST)
        return [takes[index] for index in ranked], error

    def _new_sample(self, spec: SampleSpec, info: EngineInfo, made: Made) -> NewSample:
        rate = self._settings.sample_rate
        return NewSample(
            sample_id=made.sample_id,
            spec_id=spec.spec_id(recipe_of(info, rate)),
            master=made.master,
            deliveries=made.deliveries,
            rate=made.rate,
            channels=made.channels,
            frames=made.frames,
            facts=facts_of(spec, info, made, rate).as_json(),
        )


def score(take: Sample | NewSample) -> float:
    """What the quality gate says of a take, 0..1; one that it flags comes behind all that it does not."""
    facts = SampleFacts.of(take.facts)
    score = 1.0 if facts.score is None else float(facts.score)
    return score - 1.0 if facts.flags else score

"""Best of N: several takes of one spec at the same time, each with its own seed, of which one is kept.

``num_beams`` asks for it. MusicGen's reference has no beam search; a beam would prefer what the model finds likely,
while this prefers what is measured of the finished sound: the score of ``bridge.audio.finishing.gate.judge`` (half the
mean of all marks of its kind, half the worst one), whatever carries a flag behind everything that carries none.
"""

from __future__ import annotations

import contextvars
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from bridge.audio.finishing.chains import Finished
from bridge.errors import BridgeError, JobCancelled
from bridge.plugins.engine import Report
from prompts import SampleSpec


def best_of_takes(
    spec: SampleSpec, make: Callable[[SampleSpec, Report], Finished], report: Report
) -> tuple[Finished, int]:
    """Make ``spec.num_beams`` takes at the same time; return the best one and its seed.

    One that fails is passed over. Raises what the first one raised when all fail, JobCancelled out of ``report``.
    """
    seeds = [spec.seed_of_take(number) for number in range(spec.num_beams)]
    progress = [0.0] * len(seeds)

    def take(number: int) -> Finished:
        def heard(fraction: float) -> None:
            progress[number] = max(progress[number], fraction)
            report(sum(progress) / len(progress))

        return make(spec.model_copy(update={"seed": seeds[number]}), heard)

    with ThreadPoolExecutor(len(seeds), thread_name_prefix="take") as threads:
        works: list[Future[Finished]] = [
            threads.submit(contextvars.copy_context().run, take, number) for number in range(len(seeds))
        ]
    takes: dict[int, Finished] = {}
    errors: list[BridgeError] = []
    for number, work in enumerate(works):
        try:
            takes[number] = work.result()
        except JobCancelled:
            raise
        except BridgeError as error:
            errors.append(error)
    if not takes:
        raise errors[0]
    best = max(takes, key=lambda number: (not takes[number].quality.flags, takes[number].quality.score, -number))
    scores = ", ".join(f"{take.quality.score:.3f}" for take in takes.values())
    takes[best].decisions.insert(0, f"kept the best of {len(takes)} takes by the quality gate (scores {scores})")
    return takes[best], seeds[best]

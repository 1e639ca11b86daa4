"""Several engines make the same sound, and the one that the quality gate likes best is kept.

The score is that of ``bridge.audio.finishing.gate.judge``, of the finished sound: half the mean of all marks of its
kind, half the worst one; what carries a flag comes behind everything that carries none. Of equals the engine named
first wins.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from bridge.audio.finishing.chains import RATE, Finished, finish, needed_seconds
from bridge.audio.finishing.resample import resample, resample_ring
from bridge.engines import registry
from bridge.errors import BadAudio, EngineError, EngineUnavailable
from bridge.plugins.clip import Clip
from bridge.plugins.engine import Engine, EngineInfo, Report, heeding, remark
from prompts import Kind, SampleSpec

logger = logging.getLogger(__name__)

_MOST: Final = 8
_SET = "Set BRIDGE_ENSEMBLE to the engines to ask, such as procedural,musicgen."


@dataclass(frozen=True, slots=True)
class Candidate:
    """What one engine made, finished and judged."""

    engine: str
    model: str | None
    finished: Finished

    @property
    def worth(self) -> tuple[bool, float]:
        """More is better: first nothing flagged, then the score."""
        return not self.finished.quality.flags, self.finished.quality.score


class EnsembleEngine:
    """Asks each engine that ``model`` names (separated by commas), one after the other.

    One that cannot start is left out, with a word in the log. Raises EngineUnavailable when none is left.
    """

    def __init__(
        self,
        model: str | None = None,
        device: str = "auto",
        data_dir: Path | None = None,
        build: Callable[..., Engine] = registry.build,
    ) -> None:
        names = list(dict.fromkeys((model or "").replace(",", " ").replace("+", " ").split()))[:_MOST]
        if not names:
            raise EngineUnavailable(_SET, engine="ensemble")
        if "ensemble" in names:
            raise EngineUnavailable("An ensemble cannot ask itself. " + _SET, engine="ensemble")
        self._members: list[Engine] = []
        lacks = []
        for name in names:
            try:
                self._members.append(build(name, model=None, device=device, data_dir=data_dir))
            except EngineUnavailable as error:
                lacks.append(f"{name}: {error.message}")
                logger.warning("the ensemble continues without %s", lacks[-1])
        if not self._members:
            raise EngineUnavailable(f"No engine of the ensemble can start. {' '.join(lacks)}", engine="ensemble")
        self._info = _combined([member.info for member in self._members])

    @staticmethod
    def missing(model: str | None = None, data_dir: Path | None = None) -> str | None:
        """What has to be set before this engine works, as a sentence; None when nothing is missing."""
        del data_dir
        return None if model else _SET

    @property
    def info(self) -> EngineInfo:
        """What it is, can and costs: as careful as its most careful member."""
        return self._info

    def stream(self, spec: SampleSpec, seconds: float | None, report: Report) -> Iterator[Clip]:
        """Yield the best answer, finished: 44.1 kHz.

        An engine that fails is passed over. Raises EngineError when all do; JobCancelled out of ``report``.
        """
        if seconds is not None and spec.seconds is not None and abs(seconds - spec.seconds) > 1e-6:
            spec = spec.model_copy(update={"duration": seconds, "bars": None})
        candidates: list[Candidate] = []
        errors: dict[str, str] = {}
        for number, member in enumerate(self._members):
            heard = _share(report, number, len(self._members))
            heard(0.0)
            try:
                candidates.append(self._candidate(member, spec, heard))
            except EngineError as error:
                errors[member.info.name] = error.message
        failed = [f"{name}: {message}" for name, message in errors.items()]
        if not candidates:
            raise EngineError(f"No engine of the ensemble could make it. {' '.join(failed)}")
        best = max(candidates, key=lambda each: each.worth)
        said = ", ".join(f"{each.engine} {each.finished.quality.score:.3f}" for each in candidates)
        logger.info("the ensemble keeps the sound of %s (%s)", best.engine, said)
        remark(
            f"kept what {best.engine} made, of {said}",
            *(f"got nothing from {each}" for each in failed),
            *best.finished.decisions,
            ensemble={
                "engine": best.engine,
                "model": best.model,
                "scores": {each.engine: round(each.finished.quality.score, 4) for each in candidates},
                "flags": {each.engine: list(each.finished.quality.flags) for each in candidates},
                "failed": errors,
            },
        )
        report(1.0)
        yield _at_rate(best.finished.clip, spec)

    def _candidate(self, member: Engine, spec: SampleSpec, report: Report) -> Candidate:
        info = member.info
        # Effects belong to the sound that is kept: the chain adds them to that one.
        own = spec.model_copy(update={"engine": info.name, "model": info.model, "effects": ()})
        wanted = needed_seconds(own, exact_loops=info.exact_loops, longest=info.max_seconds)
        try:
            with heeding() as remarks:  # those of the losing members are dropped
                clip = Clip.join(member.stream(own, wanted, report))
        except ValueError as error:
            raise BadAudio(f"what it made does not fit together ({error})") from None
        finished = finish(clip, own, rate=RATE, exact_loops=info.exact_loops)
        finished.decisions[:0] = remarks.decisions
        return Candidate(info.name, info.model, finished)


def _share(report: Report, number: int, count: int) -> Report:
    """Progress of one of ``count``, which does not go back when the next one begins."""

    def heard(fraction: float) -> None:
        report((number + min(max(fraction, 0.0), 1.0)) / count)

    return heard


def _at_rate(clip: Clip, spec: SampleSpec) -> Clip:
    return resample_ring(clip, RATE) if spec.kind in {Kind.LOOP, Kind.TEXTURE} else resample(clip, RATE)


def _combined(members: Sequence[EngineInfo]) -> EngineInfo:
    mark = hashlib.sha256(" ".join(f"{each.name}/{each.revision}" for each in members).encode()).hexdigest()[:12]
    return replace(
        members[0],
        name="ensemble",
        revision=f"1:{mark}",
        rate=RATE,
        channels=2,
        max_seconds=min(each.max_seconds for each in members),
        streams=False,
        concurrency=1,
        instant=False,
        generative_model=any(each.generative_model for each in members),
        licence=" or ".join(dict.fromkeys(each.licence for each in members)),
        commercial=all(each.commercial for each in members),
        model="+".join(each.name for each in members),
        device="cuda" if any(each.device == "cuda" for each in members) else "cpu",
        exact_loops=True,  # they come finished
        conditions=(),  # words alone: what they could do with audio differs
        qualities=tuple(dict.fromkeys(mode for each in members for mode in each.qualities)),
        takes=False,
        precision=None,
        kernel=None,
        speed=None,
        paid=any(each.paid for each in members),
    )

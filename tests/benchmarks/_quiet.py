"""Timing on a machine that others use, too: a block of work counts only when nobody else took much of the processor.

Each kind of work is done in blocks, in turn with the others, so that all meet the same hours of the machine. A block
counts when other processes (and other guests of the host: stolen time) took less than 8 % of the processor meanwhile.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.benchmarks._figure import median

OTHERS = 0.08
"""Largest share of the processor that others may take during a block."""
_TICK = os.sysconf("SC_CLK_TCK")
_LOOK_SECONDS = 0.25


@dataclass(frozen=True, slots=True)
class Block:
    """What one block measured."""

    value: float
    others: float
    """Share of the processor that other processes took, 0..1."""
    probe: float | None = None
    """What the probe said around it: the mean of before and after."""


@dataclass
class Blocks:
    """All blocks of one kind of work."""

    all: list[Block] = field(default_factory=list)

    @property
    def quiet(self) -> list[Block]:
        """Those that count."""
        return [block for block in self.all if block.others < OTHERS]

    @property
    def best(self) -> list[Block]:
        """The quiet ones; when there are fewer than two, the three that were disturbed least."""
        quiet = self.quiet
        return quiet if len(quiet) > 1 else sorted(self.all, key=lambda block: block.others)[:3]

    @property
    def value(self) -> float:
        """Median of the best."""
        return median([block.value for block in self.best])

    @property
    def note(self) -> str:
        """How far the median can be trusted."""
        if len(self.quiet) > 1:
            return f"median of {len(self.quiet)} quiet blocks"
        worst = max(block.others for block in self.best)
        return f"NOISY: others took up to {worst:.0%} of the processor"

    def as_dict(self) -> dict[str, object]:
        """Plain JSON values."""
        probes = [block.probe for block in self.best if block.probe is not None]
        return {"value": self.value, "note": self.note, "probe": median(probes) if probes else None}


def ratio(above: Blocks, below: Blocks) -> float:
    """Median of what one work took against another in the same round; see ``Blocks.best`` for which rounds count."""
    rounds = [
        Block(one.value / other.value, max(one.others, other.others))
        for one, other in zip(above.all, below.all, strict=True)
    ]
    return Blocks(rounds).value


class Watch:
    """Says what share of the processor others have taken since it was made."""

    def __init__(self, pids: Sequence[int] = ()) -> None:
        self._pids = (os.getpid(), *pids)
        self._busy, self._own, self._began = _busy(), self._used(), time.perf_counter()

    def others(self, born: Sequence[int] = ()) -> float:
        """0..1; ``born``: processes that were started since, and belong to the work."""
        took = max(time.perf_counter() - self._began, 1e-3) * (os.cpu_count() or 1)
        own = self._used() - self._own + sum(_process_seconds(pid) for pid in born)
        return max(0.0, (_busy() - self._busy) - own) / took

    def _used(self) -> float:
        return sum(_process_seconds(pid) for pid in self._pids)


def measured(
    works: Mapping[str, Callable[[], float]],
    *,
    blocks: int = 5,
    most_seconds: float = 60.0,
    probe: Callable[[], float | None] | None = None,
    pids: Sequence[int] = (),
) -> dict[str, Blocks]:
    """Do each work in turn until all have ``blocks`` quiet ones, or the time is over.

    A work returns its own measure (it may prepare something first that is not to count). ``probe`` is asked before and
    after each block. ``pids``: other processes that belong to the work.
    """
    done = {name: Blocks() for name in works}
    began = time.monotonic()
    while any(len(each.quiet) < blocks for each in done.values()):
        for name, work in works.items():
            wait_for_quiet(pids=pids)
            watch = Watch(pids)
            before = probe() if probe else None
            value = work()
            after = probe() if probe else None
            mean = (before + after) / 2 if before is not None and after is not None else None
            done[name].all.append(Block(value, watch.others(), mean))
        if time.monotonic() - began > most_seconds:
            break
    return done


def wait_for_quiet(most_seconds: float = 4.0, pids: Sequence[int] = ()) -> None:
    """Return when others leave the processor alone, or after ``most_seconds``."""
    deadline = time.monotonic() + most_seconds
    while time.monotonic() < deadline:
        watch = Watch(pids)
        time.sleep(_LOOK_SECONDS)
        if watch.others() < OTHERS:
            return


def _busy() -> float:
    """Seconds that the processors have worked since the start of the machine, stolen time counted."""
    fields = [int(each) for each in Path("/proc/stat").read_text("ascii").split("\n", 1)[0].split()[1:9]]
    return (sum(fields) - fields[3] - fields[4]) / _TICK


def _process_seconds(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(int(each) for each in fields[11:15]) / _TICK  # own and waited-for children, user and system

"""How many threads the step uses on this machine."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

MOST: Final = 16
"""More threads do not read faster from one memory. The small model has as many heads, the largest units of work."""
_TOPOLOGY: Final = Path("/sys/devices/system/cpu")


def default_threads() -> int:
    """Return one thread per core, less one for the player when there are more than two."""
    cores = _cores(_allowed())
    return max(1, min(cores - 1 if cores > 2 else cores, MOST))


def _allowed() -> set[int]:
    """Processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return os.sched_getaffinity(0)
    return set(range(os.cpu_count() or 1))


def _cores(processors: set[int]) -> int:
    """Count the cores: two processors of one core share its memory access, so a second thread gains nothing."""
    siblings = set()
    for processor in processors:
        try:
            siblings.add((_TOPOLOGY / f"cpu{processor}" / "topology" / "thread_siblings_list").read_text())
        except OSError:
            return len(processors)
    return len(siblings)

"""How fast a model is on this machine: measured, kept in the data folder, and read without loading anything.

A speed is a real-time factor: seconds of audio made per second, of one sound alone, from its words to its audio. What
is told is the median of the last measurements, since the machine is now and then busy with something else.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import platform
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Final

FILE: Final = "musicgen-speed.json"
"""In the data folder."""
_MOST: Final = 32
"""Models whose speeds are kept, the youngest."""
_RECENT: Final = 5
"""Measurements of one model that count."""
_WHAT: Final = ("device", "precision", "kernel")


@dataclass(frozen=True, slots=True)
class Speed:
    """What was measured, and of what."""

    factor: float
    device: str
    precision: str
    kernel: str

    @property
    def sentence(self) -> str:
        """For people."""
        return (
            f"MusicGen makes {self.factor:.1f} s of audio per second here ({self.device}, {self.precision}, "
            f"{self.kernel})"
        )


def kept(data_dir: Path, weights: str) -> Speed | None:
    """What was measured of the weights named ``weights`` on this machine, None when nothing was."""
    entry: Any = _read(data_dir).get(_key(weights))
    try:
        return Speed(median(entry["factors"]), *(str(entry[name]) for name in _WHAT))
    except (KeyError, TypeError, ValueError):  # StatisticsError is a ValueError
        return None


def keep(data_dir: Path, weights: str, speed: Speed) -> None:
    """Keep a measurement next to the ones before, if those are of the same device, precision and kernel.

    A folder that cannot be written keeps nothing.
    """
    document, what = _read(data_dir), {name: getattr(speed, name) for name in _WHAT}
    before = document.pop(_key(weights), None)
    same = isinstance(before, dict) and {name: before.get(name) for name in _WHAT} == what
    factors = list(before["factors"]) if same and isinstance(before.get("factors"), list) else []
    document[_key(weights)] = {**what, "factors": [*factors, speed.factor][-_RECENT:]}
    youngest = dict(list(document.items())[-_MOST:])
    part = data_dir / f"{FILE}.{os.getpid()}.part"
    with contextlib.suppress(OSError):
        part.touch(mode=0o600)
        part.write_text(json.dumps(youngest, indent=1), "utf-8")
        part.replace(data_dir / FILE)


def forget(data_dir: Path) -> None:
    """Let everything be measured again."""
    with contextlib.suppress(OSError):
        (data_dir / FILE).unlink()


def _read(data_dir: Path) -> dict[str, Any]:
    try:
        document = json.loads((data_dir / FILE).read_text("utf-8")) if (data_dir / FILE).is_file() else None
    except (OSError, ValueError):
        return {}
    return document if isinstance(document, dict) else {}


def _key(weights: str) -> str:
    return f"{weights}@{_machine()}"


def _machine() -> str:
    """Name this machine's processors and GPUs: a data folder that moves with its owner measures again."""
    model = platform.processor() or platform.machine()
    with contextlib.suppress(OSError, StopIteration):
        lines = Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines()
        model = next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    gpus = []
    for information in sorted(Path("/proc/driver/nvidia/gpus").glob("*/information")):
        with contextlib.suppress(OSError):
            gpus.append(information.read_text("utf-8", "replace").partition("\n")[0])
    return hashlib.sha256(repr((model, os.cpu_count(), gpus)).encode()).hexdigest()[:12]

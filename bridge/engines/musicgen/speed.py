"""How fast a model is on this machine: measured, kept in the data folder, and read without loading anything.

A speed is a real-time factor: seconds of audio made in a second, of one sound alone, from its words to its audio.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import platform
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

FILE: Final = "musicgen-speed.json"
"""In the data folder."""
_MOST: Final = 32
"""Measurements that are kept, the youngest."""


@dataclass(frozen=True, slots=True)
class Speed:
    """One measurement, and what was measured."""

    factor: float
    device: str
    precision: str
    kernel: str

    @property
    def sentence(self) -> str:
        """For people."""
        return (
            f"MusicGen makes {self.factor:.1f} s of audio in a second here ({self.device}, {self.precision}, "
            f"{self.kernel})"
        )


def kept(data_dir: Path, weights: str) -> Speed | None:
    """What was measured last of the weights named ``weights`` on this machine, None when nothing was."""
    try:
        return Speed(**_read(data_dir)[_key(weights)])
    except (KeyError, TypeError):
        return None


def keep(data_dir: Path, weights: str, speed: Speed) -> None:
    """Keep a measurement in the place of the one before. A folder that cannot be written keeps nothing."""
    document = _read(data_dir)
    document.pop(_key(weights), None)
    document[_key(weights)] = asdict(speed)
    youngest = dict(list(document.items())[-_MOST:])
    part = data_dir / f"{FILE}.{os.getpid()}.part"
    with contextlib.suppress(OSError):
        part.write_text(json.dumps(youngest, indent=1), "utf-8")
        part.replace(data_dir / FILE)


def forget(data_dir: Path) -> None:
    """Let everything be measured anew."""
    with contextlib.suppress(OSError):
        (data_dir / FILE).unlink()


def _read(data_dir: Path) -> dict[str, Any]:
    try:
        document = json.loads((data_dir / FILE).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return document if isinstance(document, dict) else {}


def _key(weights: str) -> str:
    return f"{weights}@{_machine()}"


def _machine() -> str:
    """Name this machine's processors and GPUs: a data folder that moves with its owner measures anew."""
    model = platform.processor() or platform.machine()
    with contextlib.suppress(OSError, StopIteration):
        lines = Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines()
        model = next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    gpus = []
    for information in sorted(Path("/proc/driver/nvidia/gpus").glob("*/information")):
        with contextlib.suppress(OSError):
            gpus.append(information.read_text("utf-8", "replace").partition("\n")[0])
    return hashlib.sha256(repr((model, os.cpu_count(), gpus)).encode()).hexdigest()[:12]

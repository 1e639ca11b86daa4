"""What a figure was measured on: a number comes with its hardware."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]


def machine() -> dict[str, Any]:
    """Processor, memory, system and versions. No host name: it would say nothing."""
    return {
        "cpu": _cpu(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "system": f"{platform.system()} {platform.release().partition('-')[0]}",
        "python": platform.python_version(),
        "aiohttp": version("aiohttp"),
        "python-socketio": version("python-socketio"),
    }


def load() -> float:
    """Processes that wanted to run, on average over the last minute: above 1 the figures are upper bounds."""
    return round(os.getloadavg()[0], 2)


def machine_line(facts: dict[str, Any]) -> str:
    """One line for people."""
    return (
        f"{facts['cpu']}, {facts['cores']} cores, {facts['memory_gib']} GiB, {facts['system']}, "
        f"Python {facts['python']}, aiohttp {facts['aiohttp']}, python-socketio {facts['python-socketio']}"
    )


def _cpu() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()

"""Load from wrk."""

from __future__ import annotations

import asyncio
import re
import shutil
from dataclasses import dataclass

from tests.benchmarks._figure import Skipped

CONNECTIONS = 16
SECONDS = 4

_UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3, "m": 6e4}


@dataclass(frozen=True, slots=True)
class Load:
    """What one run of wrk found."""

    rate: float
    """Answers in a second."""
    p99: float
    """99th percentile of the latency, milliseconds."""


async def wrk(url: str, *, seconds: int = SECONDS) -> Load:
    """Ask for one URL over 16 connections from one thread. Raises Skipped without wrk, RuntimeError for bad answers."""
    program = shutil.which("wrk")
    if program is None:
        raise Skipped("wrk is not installed. On Debian and Ubuntu: apt install wrk.")
    command = (program, "--threads", "1", "--connections", str(CONNECTIONS), "--duration", f"{seconds}s", "--latency")
    process = await asyncio.create_subprocess_exec(*command, url, stdout=asyncio.subprocess.PIPE)
    output = (await process.communicate())[0].decode()
    rate = re.search(r"Requests/sec:\s+([\d.]+)", output)
    p99 = re.search(r"99%\s+([\d.]+)(us|ms|s|m)\b", output)
    bad = re.search(r"(Non-2xx.*|Socket errors.*)", output)
    if process.returncode or bad or not rate or not p99:
        raise RuntimeError(f"wrk {url}: {bad[0] if bad else output}")
    return Load(float(rate[1]), float(p99[1]) * _UNITS[p99[2]])

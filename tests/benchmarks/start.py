"""From an empty checkout to sound, and what the idle server weighs.

``make run`` is timed from a fresh clone of the last commit, with whatever pip and npm have in their caches, until
/health answers. The starts of the server itself are medians; its folder is empty, or holds 10,000 kept sounds.
Memory is what the server process has resident once its engine runs and nothing is left to do.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path

from prompts import common_stems
from tests.benchmarks._bridge import (
    Bridge,
    answers,
    clean_environment,
    ended_with_children,
    free_port,
    running_bridge,
)
from tests.benchmarks._figure import Figure, median, skipped
from tests.benchmarks._kept import fill
from tests.benchmarks._report import ROOT

KEPT = 10_000
RUNS = 3
IMPORTS = 7
QUIET_SECONDS = 2.0


async def measure() -> dict[str, Figure]:
    """Every line about starting, and memory."""
    figures = {"make run, fresh checkout": await _checkout()}
    seconds = median([await _import("bridge.cli") for _ in range(IMPORTS)])
    figures["import bridge.cli"] = Figure(seconds, "s", 0.7, note=f"median of {IMPORTS}, Python's own start included")
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        for count in (0, KEPT):
            figures |= await _kept(Path(folder, str(count)), count)
    return figures | await _first_sounds()


async def _checkout() -> Figure:
    name, bar = "s", 60.0
    if not (ROOT / ".git").exists() or shutil.which("git") is None:
        return skipped(name, "this is no git checkout", bar)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        clone, port = Path(folder, "clone"), free_port()
        await _call("git", "clone", "--quiet", str(ROOT), str(clone))
        begun = time.monotonic()
        process = await asyncio.create_subprocess_exec(
            *("make", "run", f"PORT={port}", f"ARGS=--data-dir {folder}/data"),
            cwd=clone,
            env=clean_environment(),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )
        with ended_with_children(process):
            done = asyncio.create_task(process.wait())
            up = asyncio.create_task(answers(f"http://127.0.0.1:{port}/health", seconds=600))
            await asyncio.wait((done, up), return_when=asyncio.FIRST_COMPLETED)
            if not up.done():
                up.cancel()
                raise RuntimeError(f"make run ended with exit code {done.result()} in a fresh checkout.")
            took = up.result() - begun
        await done
    return Figure(took, name, bar, note="last commit, warm pip and npm caches, no torch, one run")


async def _call(*command: str) -> None:
    process = await asyncio.create_subprocess_exec(*command, env=clean_environment())
    if await process.wait():
        raise RuntimeError(f"{' '.join(command)} failed.")


async def _import(module: str) -> float:
    begun = time.monotonic()
    await _call(sys.executable, "-P", "-c", f"import {module}")
    return time.monotonic() - begun


async def _kept(folder: Path, count: int) -> dict[str, Figure]:
    await asyncio.to_thread(fill, folder, count)
    times, memory, hosts = [], [], []
    for _ in range(RUNS):
        async with _idle(folder) as (bridge, seconds):
            times.append(seconds)
            memory.append(bridge.memory_mb)
            hosts.append(bridge.hosts_memory_mb)
    note = f"median of {RUNS}"
    return {
        f"/health with {count:,} kept": Figure(median(times), "s", 1.0, note=note),
        f"memory with {count:,} kept": Figure(max(memory), "MB", 120.0, note=f"largest of {RUNS}"),
        f"engine host with {count:,} kept": Figure(max(hosts), "MB"),
    }


@contextlib.asynccontextmanager
async def _idle(folder: Path) -> AsyncIterator[tuple[Bridge, float]]:
    """Run a server until it has nothing left to do; with it comes after how many seconds it answered first."""
    async with running_bridge("--no-pregenerate", data_dir=folder) as bridge:
        seconds = await answers(f"{bridge.url}/health") - bridge.started
        await answers(f"{bridge.url}/health/ready")
        await asyncio.sleep(QUIET_SECONDS)
        yield bridge, seconds


async def _first_sounds() -> dict[str, Figure]:
    ready, stem, memory = [], [], []
    count = len(common_stems())
    for _ in range(RUNS):
        async with running_bridge() as bridge:
            at_ready, at_stem = await asyncio.gather(
                answers(f"{bridge.url}/health/ready"), answers(f"{bridge.url}/strudel.json", bool)
            )
            ready.append(at_ready - bridge.started)
            stem.append(at_stem - bridge.started)
            if len(ready) == RUNS:
                await answers(f"{bridge.url}/health", lambda health: health["sounds"] >= count, seconds=120)
                await asyncio.sleep(QUIET_SECONDS)
                memory.append(bridge.memory_mb)
    note = f"median of {RUNS}, from the start of the process"
    return {
        "ready": Figure(median(ready), "s", 2.0, note=note),
        "first stem": Figure(median(stem), "s", 2.0, note=note),
        "memory after all common stems": Figure(memory[0], "MB", 120.0),
    }

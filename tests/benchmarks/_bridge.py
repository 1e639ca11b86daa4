"""A real server process to measure, and what it says of itself."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import psutil  # type: ignore[import-untyped]

POLL_SECONDS = 0.01


@dataclass(frozen=True, slots=True)
class Bridge:
    """A running server."""

    url: str
    pid: int
    data_dir: Path
    started: float
    """When its process was made, on the clock of ``time.monotonic``."""

    @property
    def age(self) -> float:
        """Seconds since its process was made."""
        return time.monotonic() - self.started

    @property
    def memory_mb(self) -> float:
        """Resident memory of the server process alone, in MB of 10^6 bytes."""
        return float(psutil.Process(self.pid).memory_info().rss) / 1e6

    @property
    def processor_seconds(self) -> float:
        """Processor time of the server process so far."""
        times = psutil.Process(self.pid).cpu_times()
        return float(times.user + times.system)

    @property
    def hosts_memory_mb(self) -> float:
        """Resident memory of its child processes, the engines."""
        children = psutil.Process(self.pid).children(recursive=True)
        return sum(float(child.memory_info().rss) for child in children) / 1e6


@contextlib.asynccontextmanager
async def running_bridge(*arguments: str, data_dir: Path | None = None) -> AsyncIterator[Bridge]:
    """Start ``sample-bridge serve`` on a free port and an empty or given folder; end it afterwards.

    Yields when the process is made, not when it answers: see ``answers``.
    """
    with contextlib.ExitStack() as stack:
        folder = data_dir or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")), "data")
        port = free_port()
        log = stack.enter_context(tempfile.TemporaryFile())
        started = time.monotonic()
        process = await asyncio.create_subprocess_exec(
            *(
                sys.executable,
                "-P",
                "-m",
                "bridge",
                "serve",
                "--port",
                str(port),
                "--data-dir",
                str(folder),
                *arguments,
            ),
            env=clean_environment(),
            stdout=log,
            stderr=log,
        )
        try:
            yield Bridge(f"http://127.0.0.1:{port}", process.pid, folder, started)
            if process.returncode is not None:
                raise RuntimeError("The server ended while it was measured.")
        except Exception as error:
            log.seek(0)
            error.add_note(f"The server's last words:\n{log.read().decode(errors='replace')[-2000:]}")
            raise
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            await process.wait()


async def answers(url: str, until: Callable[[Any], bool] = lambda _: True, *, seconds: float = 60.0) -> float:
    """Ask until the answer is 200 and its JSON is as wanted; return when that was, on the monotonic clock."""
    deadline = time.monotonic() + seconds
    async with aiohttp.ClientSession() as client:
        while time.monotonic() < deadline:
            with contextlib.suppress(aiohttp.ClientError, OSError):
                async with client.get(url) as response:
                    if response.status == 200 and until(await response.json()):
                        return time.monotonic()
            await asyncio.sleep(POLL_SECONDS)
    raise TimeoutError(f"{url} did not answer as wanted within {seconds:g} s.")


@contextlib.contextmanager
def ended_with_children(process: asyncio.subprocess.Process) -> Iterator[None]:
    """End a process that leads a process group of its own, with everything that it started."""
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)


def free_port() -> int:
    """Take a TCP port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def clean_environment() -> dict[str, str]:
    """Leave out what would change the server or an inner make."""
    mine = re.compile(r"(BRIDGE|MUSICGEN|MAKE|GENERATION|MFLAGS|PYTHON)", re.ASCII)
    return {name: value for name, value in os.environ.items() if not mine.match(name)}

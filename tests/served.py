"""A server in a process of its own, for tests that measure it or kill it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path

import psutil

from tests.servers import until


class Served:
    """A server process on one data folder, started as often as needed; ``children`` are all that it ever had."""

    def __init__(
        self, folder: Path, *options: str, environment: Mapping[str, str] | None = None, pregenerate: bool = False
    ) -> None:
        folder.mkdir(mode=0o700, exist_ok=True)
        self.folder = folder
        self.url = ""
        self.children: set[psutil.Process] = set()
        self._options = options if pregenerate else ("--no-pregenerate", *options)
        self._environment = {**os.environ, "BRIDGE_LOG_LEVEL": "error", **(environment or {})}
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start it, and wait until it says where it is."""
        announced = self.folder / "server.json"
        announced.unlink(missing_ok=True)
        command = [sys.executable, "-P", "-m", "bridge", "serve", "--port", "0", "--data-dir", str(self.folder)]
        self._process = await asyncio.create_subprocess_exec(
            *command, *self._options, env=self._environment, stdout=asyncio.subprocess.DEVNULL
        )
        await until(announced.exists, seconds=60)
        self.url = json.loads(announced.read_text())["url"]

    async def kill(self) -> None:
        """Send SIGKILL, whatever it does."""
        if self._process is None:
            return
        self.children |= set(self.processes()[1:])
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()

    def orphans(self) -> list[psutil.Process]:
        """Children of killed servers that have not ended. By the moment of their birth, too: numbers come again."""
        return [child for child in self.children if _lives(child)]

    def processes(self) -> list[psutil.Process]:
        """The server, then its children."""
        assert self._process is not None
        with contextlib.suppress(psutil.NoSuchProcess):
            server = psutil.Process(self._process.pid)
            return [server, *server.children(recursive=True)]
        return []

    def megabytes(self) -> float:
        """Memory of all its processes, what they share counted once (PSS), MiB."""
        return sum(process.memory_full_info().pss for process in self.processes()) / 2**20

    def cpu_seconds(self) -> float:
        """Processor time of all its processes, s."""
        return sum(times.user + times.system for times in (process.cpu_times() for process in self.processes()))


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False

"""Forty sounds are queued and the plug is pulled: all forty are there after the next start, none twice."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import aiohttp

SOUNDS = 40


async def reach(session: aiohttp.ClientSession, url: str) -> None:
    async with asyncio.timeout(30):
        while True:
            try:
                async with session.get(f"{url}/health/ready") as response:
                    if response.status == 200:
                        return
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.05)


def start(folder: Path, port: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-P", "-m", "bridge", "serve", "--port", str(port), "--data-dir", str(folder)]
    return subprocess.Popen([*command, "--engine", "tone", "--no-pregenerate"], stderr=subprocess.DEVNULL)


async def test_forty_queued_sounds_survive_a_kill(tmp_path: Path, unused_tcp_port: int) -> None:
    port = unused_tcp_port
    url = f"http://127.0.0.1:{port}"
    server = start(tmp_path / "data", port)
    try:
        async with aiohttp.ClientSession() as session:
            await reach(session, url)
            ids = []
            for number in range(SOUNDS):
                body = {"prompt": f"tone {300 + number} hz", "duration": 1, "wait": False, "name": f"forty_{number}"}
                async with session.post(f"{url}/generate", json=body) as response:
                    ids.append((await response.json())["task_id"])
            os.kill(server.pid, signal.SIGKILL)
            server.wait()
            server = start(tmp_path / "data", port)
            await reach(session, url)
            states = set()
            for task_id in ids:
                async with asyncio.timeout(60):
                    while True:
                        async with session.get(f"{url}/generate/{task_id}") as response:
                            assert response.status == 200, task_id
                            state = (await response.json())["status"]
                        if state not in ("queued", "running"):
                            break
                        await asyncio.sleep(0.05)
                states.add(state)
            assert states == {"completed"}
            async with session.get(f"{url}/sounds?limit=100") as response:
                sounds = (await response.json())["sounds"]
            assert sorted(sound["name"] for sound in sounds) == sorted(f"forty_{number}" for number in range(SOUNDS))
            assert {len(sound["urls"]) for sound in sounds} == {1}, "none was made twice"
    finally:
        server.kill()
        server.wait()

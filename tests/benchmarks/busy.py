"""Cached answers while the engine makes sounds at full load.

More loops of eight seconds are queued than can be made in the time, all different, so the engine's process is never
idle. Meanwhile one client asks in turn for a kept WAV of 320 KB by its URL, for the best match of its words, and with
POST /generate for a sound that was made before, a hundredth of a second after each answer.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import aiohttp
import psutil  # type: ignore[import-untyped]

from tests.benchmarks._bridge import Bridge, answers, running_bridge
from tests.benchmarks._figure import Figure, percentile
from tests.benchmarks._kept import fill

WAV_SIZE = 320_000
SECONDS = 20.0
QUEUED = 180
PAUSE_SECONDS = 0.01
WORDS = ("techno loop", "lofi hip hop beat", "acid bass line", "deep house groove", "warm pad", "string quartet")
KEPT = {"prompt": "short click", "kind": "oneshot", "duration": 0.5, "seed": 1}


async def measure() -> dict[str, Figure]:
    """Latency of three kinds of cached answers."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        data_dir = Path(folder, "data")
        (path,) = fill(data_dir, 1, wav_size=WAV_SIZE)
        async with running_bridge("--no-pregenerate", data_dir=data_dir) as bridge, aiohttp.ClientSession() as client:
            await answers(f"{bridge.url}/health/ready")
            await _fetch(client, "POST", f"{bridge.url}/generate", json=KEPT)
            for number in range(QUEUED):
                body = {"prompt": WORDS[number % len(WORDS)], "kind": "loop", "bars": 4, "bpm": 120.0, "seed": number}
                await _fetch(client, "POST", f"{bridge.url}/generate", json={**body, "wait": False})
            before, began = _engine_seconds(bridge), time.monotonic()
            latencies = await _ask(client, bridge.url, path)
            load = (_engine_seconds(bridge) - before) / (time.monotonic() - began)
            health = await _fetch(client, "GET", f"{bridge.url}/health")
    if not any(health["jobs"].values()):
        raise RuntimeError("All loops were made before the end: queue more of them.")
    figures = {}
    for name, each in latencies.items():
        note = f"{len(each)} requests, median {1000 * percentile(each, 50):.2f} ms"
        figures[f"{name}, 99 %"] = Figure(1000 * percentile(each, 99), "ms", 25.0, note=note)
    return {**figures, "engine meanwhile": Figure(load, "cores")}


async def _ask(client: aiohttp.ClientSession, url: str, path: str) -> dict[str, list[float]]:
    latencies: dict[str, list[float]] = defaultdict(list)
    ends = time.monotonic() + SECONDS
    while time.monotonic() < ends:
        for name, method, address, body in (
            ("WAV by its URL", "GET", path, None),
            ("best match of words", "GET", "/sounds/kept?format=json", None),
            ("POST /generate of a kept sound", "POST", "/generate", KEPT),
        ):
            begun = time.perf_counter()
            async with client.request(method, url + address, json=body) as response:
                await response.read()
            latencies[name].append(time.perf_counter() - begun)
            if response.status != 200:
                raise RuntimeError(f"{method} {address} answered {response.status}.")
            await asyncio.sleep(PAUSE_SECONDS)
    return latencies


async def _fetch(client: aiohttp.ClientSession, method: str, url: str, **given: Any) -> Any:
    async with client.request(method, url, **given) as response:
        response.raise_for_status()
        return await response.json()


def _engine_seconds(bridge: Bridge) -> float:
    """Processor time of the engine's process."""
    times = (child.cpu_times() for child in psutil.Process(bridge.pid).children(recursive=True))
    return float(sum(each.user + each.system for each in times))

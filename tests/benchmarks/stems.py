"""All common stems made in the background, while the server answers.

From the start of the process on an otherwise empty folder. Meanwhile one client asks for a kept WAV of 320 KB again and
again, a hundredth of a second after each answer.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path

import aiohttp

from prompts import common_stems
from tests.benchmarks._bridge import Bridge, answers, running_bridge
from tests.benchmarks._figure import Figure, percentile
from tests.benchmarks._kept import fill

WAV_SIZE = 320_000
PAUSE_SECONDS = 0.01


async def measure() -> dict[str, Figure]:
    """Seconds for all stems, and the latency of cached answers meanwhile."""
    count = len(common_stems())
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        data_dir = Path(folder, "data")
        (path,) = fill(data_dir, 1, wav_size=WAV_SIZE)
        async with running_bridge(data_dir=data_dir) as bridge:
            await answers(f"{bridge.url}/health")
            busy = asyncio.Event()
            asking = asyncio.create_task(_ask(bridge, path, busy))
            finished = await answers(
                f"{bridge.url}/health", lambda health: health["sounds"] > count and not any(health["jobs"].values())
            )
            busy.set()
            latencies = await asking
    note = f"{len(latencies)} requests"
    return {
        f"all {count} common stems": Figure(finished - bridge.started, "s", 10.0, note="from the start of the process"),
        "cached 320 KB WAV meanwhile, 99 %": Figure(percentile(latencies, 99) * 1000, "ms", 25.0, note=note),
        "cached 320 KB WAV meanwhile, median": Figure(percentile(latencies, 50) * 1000, "ms"),
    }


async def _ask(bridge: Bridge, path: str, enough: asyncio.Event) -> list[float]:
    latencies = []
    async with aiohttp.ClientSession() as client:
        while not enough.is_set():
            begun = time.perf_counter()
            async with client.get(bridge.url + path) as response:
                body = await response.read()
            latencies.append(time.perf_counter() - begun)
            if response.status != 200 or abs(len(body) - WAV_SIZE) > 1:
                raise RuntimeError(f"{path} answered {response.status} with {len(body)} bytes.")
            await asyncio.sleep(PAUSE_SECONDS)
    return latencies

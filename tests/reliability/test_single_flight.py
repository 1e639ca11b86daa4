"""A thousand ask for one sound in the same moment: it is made once, and all hear it."""

from __future__ import annotations

import asyncio
import hashlib
import os

import aiohttp
import pytest

from tests.reliability.results import note
from tests.served import Served

FULL = os.environ.get("RELIABILITY") == "full"
REQUESTS = 1000 if FULL else 100

pytestmark = pytest.mark.reliability


@pytest.mark.timeout(600)
async def test_many_parallel_requests_for_one_sound_are_one_generation(served: Served) -> None:
    timeout = aiohttp.ClientTimeout(total=300)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=timeout) as session:

        async def ask(number: int) -> str:
            body = {"prompt": "tone slow 440 hz", "duration": 2.0, "seed": 1}
            async with session.post(f"{served.url}/generate", json=body) as response:
                assert response.status == 200, await response.text()
                return hashlib.sha256((await response.json())["audio_base64"].encode()).hexdigest()

        answers = await asyncio.gather(*(ask(number) for number in range(REQUESTS)))
        async with session.get(f"{served.url}/metrics") as response:
            lines = (await response.text()).splitlines()
        async with session.get(f"{served.url}/sounds") as response:
            sounds = (await response.json())["sounds"]
    counted = dict(line.rsplit(" ", 1) for line in lines if line.startswith("bridge_"))
    made = sum(float(value) for name, value in counted.items() if name.startswith("bridge_job_results_total"))
    joined = float(counted["bridge_single_flight_joined_total"])
    kept = float(counted["bridge_cache_hits_total"])
    assert len(answers) == REQUESTS
    assert len(set(answers)) == 1, "all hear the same"
    assert made == 1
    assert [len(sound["urls"]) for sound in sounds] == [1]
    note(
        "parallel requests for one sound",
        f"{REQUESTS} requests: {made:.0f} generation, {len(answers)} answers; {joined:.0f} joined it while it was "
        f"made, {kept:.0f} came after.",
    )

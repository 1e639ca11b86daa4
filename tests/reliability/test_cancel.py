"""Sounds are cancelled at random moments: each ends at once, its work stops, and no file is left."""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections import Counter
from typing import Any

import aiohttp
import psutil
import pytest

from tests.reliability.results import note
from tests.served import Served
from tests.servers import until

FULL = os.environ.get("RELIABILITY") == "full"
CANCELS = 100 if FULL else 10
STOPPED_SECONDS = 2.0
WATCHED_SECONDS = 0.3
"""So long no engine's process may work after a cancel was answered."""
ENGINES = ("tone", "procedural")
# What is asked for, and about how long it takes: one that waits, one that computes, a quick one, one that hangs.
WORK: tuple[tuple[dict[str, Any], float, float], ...] = (
    ({"prompt": "tone slow", "engine": "tone", "duration": 1.0}, 1.2, 0.4),
    ({"prompt": "dark ambient drone", "engine": "procedural", "kind": "texture", "duration": 110.0}, 2.0, 0.4),
    ({"prompt": "tone", "engine": "tone", "duration": 0.5}, 0.1, 0.15),
    ({"prompt": "tone hang", "engine": "tone", "duration": 0.5}, 0.5, 0.05),
)

pytestmark = pytest.mark.reliability


def worked(served: Served) -> dict[int, float]:
    """Processor time that each engine's process has used, s."""
    used = {}
    for process in served.processes()[1:]:
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        used[process.pid] = times.user + times.system
    return used


@pytest.mark.timeout(1800)
async def test_a_cancelled_sound_stops_whenever_it_is_cancelled_and_leaves_nothing(served: Served) -> None:
    seed = random.SystemRandom().randrange(2**32) if FULL else 3
    dice = random.Random(seed)
    ended: Counter[str] = Counter()
    answered = []
    async with aiohttp.ClientSession() as session:

        async def call(method: str, path: str, status: tuple[int, ...], **given: Any) -> tuple[int, Any]:
            async with session.request(method, served.url + path, **given) as response:
                document = await response.json()
                assert response.status in status, document
                return response.status, document

        async def start_engines(seed: int) -> None:
            """So that nobody takes their start for work."""
            for engine in ENGINES:
                body = {"prompt": "tone", "engine": engine, "duration": 0.1, "seed": seed}
                await call("POST", "/generate", (200,), json=body)

        await start_engines(CANCELS)
        for number in range(CANCELS):
            ((work, span, _),) = dice.choices(WORK, [share for *_, share in WORK])
            body = {**work, "seed": number, "wait": False, "name": f"cancel_{number}"}
            _, document = await call("POST", "/generate", (202,), json=body)
            await asyncio.sleep(dice.uniform(0.0, span))
            asked = time.monotonic()
            status, _ = await call("DELETE", f"/api/v1/jobs/{document['task_id']}", (200, 409))
            answered.append(time.monotonic() - asked)
            while True:
                _, task = await call("GET", f"/generate/{document['task_id']}", (200,))
                if status == 200 or task["status"] != "running":
                    break  # 409 is also said of what is being published in that moment
            assert task["status"] == ("cancelled" if status == 200 else "completed"), (number, seed, work)
            ended[task["status"]] += 1
            before = worked(served)
            await asyncio.sleep(WATCHED_SECONDS)
            after = worked(served)
            busy = {pid: used - before[pid] for pid, used in after.items() if pid in before}
            assert all(used < WATCHED_SECONDS / 2 for used in busy.values()), (number, seed, work, busy)
            assert list((served.folder / "incoming").iterdir()) == []
            _, sounds = await call("GET", f"/sounds?q=cancel_{number}&limit=200", (200,))
            kept = [sound["name"] for sound in sounds["sounds"] if sound["name"] == f"cancel_{number}"]
            assert kept == ([] if status == 200 else [f"cancel_{number}"]), (number, seed, work)
            if len(after) < len(ENGINES):
                ended["processes"] += 1
                await start_engines(number)
        async with session.get(f"{served.url}/metrics") as response:
            lines = (await response.text()).splitlines()
        assert {'bridge_jobs{state="queued"} 0.0', 'bridge_jobs{state="running"} 0.0'} <= set(lines)
        await until(lambda: not list((served.folder / "incoming").iterdir()))
    answered.sort()
    note(
        "cancel",
        f"{CANCELS} cancels at random moments: {ended['cancelled']} cancelled, {ended['completed']} were made already; "
        f"work stopped after {1000 * answered[len(answered) // 2]:.0f} ms (median), {answered[-1]:.2f} s at most "
        f"({ended['processes']} processes that did not stop when asked were ended), no file left. Seed {seed}.",
    )
    assert answered[-1] < 2 * STOPPED_SECONDS, "two seconds, and as long again for a machine that does other things"

"""A thousand WebSocket clients get one event of 1 KB.

The clients live in a process of their own on the same cores. The clock starts before the sound is asked for: finding
the kept sample, the transaction that numbers the event, and the sending are all in it. Memory is the server process's,
after the last push.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

from tests.benchmarks._bridge import Bridge, answers, clean_environment, running_bridge
from tests.benchmarks._figure import Figure, median, percentile
from tests.benchmarks._socketio import Listener, listening

CLIENTS = 1000
PUSHES = 20
PAUSE_SECONDS = 0.25
WORDS = "tone 440 hz " + "with a long and winding description of every overtone " * 8
"""Makes the event about 1 KB."""


async def measure() -> dict[str, Figure]:
    """Latency over all clients and pushes, and memory."""
    async with running_bridge("--no-pregenerate", "--engine", "tone") as bridge:
        await answers(f"{bridge.url}/health/ready")
        async with listening(bridge.url) as listener:
            await _ask(listener, "gen_first")
            await listener.sound("gen_first")
            before = bridge.memory_mb
            sent, heard, memory, busy = await _push(bridge, listener)
    latencies = [1000 * (moment - sent[name]) for name, moments in heard.items() if name in sent for moment in moments]
    missed = CLIENTS * PUSHES - len(latencies)
    last = median(1000 * (max(heard[name]) - sent[name]) for name in sent)
    note = f"{PUSHES} pushes, {len(latencies):,} arrivals"
    return {
        "99 % of arrivals": Figure(percentile(latencies, 99), "ms", 100.0, note=note),
        "half of arrivals": Figure(percentile(latencies, 50), "ms"),
        "last client, median push": Figure(last, "ms"),
        "server's processor time a push": Figure(1000 * busy / PUSHES, "ms"),
        "missed": Figure(missed, "", 1),
        f"memory with {CLIENTS:,} clients": Figure(memory, "MB", 95.0),
        "memory without": Figure(before, "MB"),
    }


async def _push(bridge: Bridge, listener: Listener) -> tuple[dict[str, float], dict[str, list[float]], float, float]:
    """Return when each sound was asked for and heard, the server's memory afterwards, and its processor time."""
    port = bridge.url.rpartition(":")[2]
    crowd = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "tests.benchmarks._crowd", port, str(CLIENTS)),
        env=clean_environment(),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=2**26,
    )
    assert crowd.stdin is not None
    assert crowd.stdout is not None
    try:
        if await crowd.stdout.readline() != b"ready\n":
            raise RuntimeError(f"{CLIENTS:,} clients could not connect.")
        sent, before = {}, bridge.processor_seconds
        for number in range(PUSHES):
            name = f"gen_pushed_{number}"
            sent[name] = time.monotonic()
            await _ask(listener, name)
            await listener.sound(name)
            await asyncio.sleep(PAUSE_SECONDS)
        memory, busy = bridge.memory_mb, bridge.processor_seconds - before
        crowd.stdin.close()
        heard = json.loads(await crowd.stdout.readline())
    finally:
        crowd.stdin.close()
        await crowd.wait()
    return sent, heard, memory, busy


async def _ask(listener: Listener, name: str) -> None:
    """Ask for the one sound of this benchmark, under a new name: it is kept, so it is announced at once."""
    await listener.call("generate", {"prompt": WORDS, "engine": "tone", "duration": 0.5, "name": name})

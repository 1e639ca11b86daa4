"""Streams against the clock: the first sound soon, many clients without a gap, memory flat."""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import time
import urllib.request
from pathlib import Path

import aiohttp
import pytest

from tests.reliability.results import note
from tests.served import Served
from tests.servers import until

FULL = os.environ.get("RELIABILITY") == "full"
CLIENTS, SECONDS = (20, 60.0) if FULL else (4, 6.0)
JOINING_SECONDS = 5.0 if FULL else 0.5
"""Over which the clients come, one after the other."""
HELD_SECONDS = 0.25
"""What every player holds before it begins."""
WORDS = (
    "ocean waves", "warm pad", "rain", "techno loop 120 bpm", "dusty vinyl break, 92 bpm", "ambient drone in d minor",
    "jazz piano trio", "lofi hip hop beat", "acid bass line 130 bpm", "choir", "string quartet",
    "drum and bass break 174 bpm", "wind chimes", "deep house groove", "funk guitar", "ethereal synth",
    "birds in a forest", "heavy metal riff", "church organ", "marimba melody",
)  # fmt: skip

pytestmark = pytest.mark.reliability


class Listener:
    """Plays by its clock: a gap is a chunk that comes after what was there has been heard."""

    def __init__(self) -> None:
        self.first = self.gaps = self.heard = 0.0

    async def listen(self, session: aiohttp.ClientSession, url: str, request: dict, seconds: float) -> None:
        async with session.ws_connect(url, max_msg_size=0) as socket:
            asked = time.monotonic()
            await socket.send_json({"type": "start_streaming", "request": request})
            began = 0.0
            while not began or time.monotonic() - began < seconds:
                event = json.loads(await socket.receive_str(timeout=30))
                assert event["type"] != "error", event
                if event["type"] != "chunk":
                    continue
                await socket.receive_bytes(timeout=30)
                now = time.monotonic()
                if not began:
                    began, self.first = now, now - asked
                late = now - began - self.heard
                if late > HELD_SECONDS:
                    self.gaps += late
                    began += late
                self.heard += event["duration"]


def idle(url: str) -> bool:
    """Has everything been made that was asked for?"""
    with urllib.request.urlopen(f"{url}/health") as answer:
        return not any(json.load(answer)["jobs"].values())


def milliseconds(listeners: list[Listener]) -> str:
    """First audio: median and worst."""
    first = [1000 * listener.first for listener in listeners]
    slowest = WORDS[first.index(max(first)) % len(WORDS)]
    return f"first audio median {statistics.median(first):.0f} ms, worst {max(first):.0f} ms ({slowest})"


@pytest.mark.timeout(300)
async def test_many_clients_hear_streams_without_a_gap_and_memory_stays(tmp_path: Path) -> None:
    # as on stage: the common stems are made at the start
    served = Served(tmp_path / "data", "--engine", "procedural", pregenerate=FULL)
    await served.start()

    async def listen(listener: Listener, number: int, seconds: float, seed: int, wait: float = 0.0) -> None:
        await asyncio.sleep(wait)
        request = {"prompt": WORDS[number % len(WORDS)], "seed": seed, "chunk_duration": 0.5}
        await listener.listen(session, f"{served.url}/ws/stream/c{number}-{seed}", request, seconds)

    try:
        async with aiohttp.ClientSession() as session:
            await listen(Listener(), 0, 1.0, 7)  # starts the engine
            await until(lambda: idle(served.url), seconds=60)
            alone = [Listener() for _ in range(CLIENTS)]
            for number, listener in enumerate(alone):
                await listen(listener, number, 0.1, 500 + number)
            listeners = [Listener() for _ in range(CLIENTS)]
            busy = served.cpu_seconds()
            playing = [
                asyncio.create_task(listen(one, number, SECONDS, number, number * JOINING_SECONDS / CLIENTS))
                for number, one in enumerate(listeners)
            ]
            memory = []
            while not any(task.done() for task in playing):
                memory.append(served.megabytes())
                await asyncio.wait(playing, timeout=SECONDS / 20, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.gather(*playing)
            busy = (served.cpu_seconds() - busy) / sum(listener.heard for listener in listeners)
        gaps = sum(listener.gaps for listener in listeners)
        # By the middle all passages that a stream holds at a time are there.
        grown = memory[-1] - memory[len(memory) // 2]
        note(
            "streams",
            f"{CLIENTS} clients with other words and seeds, {SECONDS:g} s: {gaps:.3f} s of gaps; one at a time "
            f"{milliseconds(alone)}; while others play {milliseconds(listeners)}; {1000 * busy:.1f} ms of processor a "
            f"second of audio; server and engine {memory[-1]:.0f} MiB, {grown:+.0f} MiB in the second half.",
        )
    finally:
        await served.kill()
    assert gaps == 0
    assert grown < 16 + CLIENTS

"""Streams against the clock: the first sound soon, many clients without a gap, memory flat."""

from __future__ import annotations

import asyncio
import json
import os
import time
from pathlib import Path

import aiohttp
import psutil
import pytest

from bridge.app import create_app
from bridge.service import open_service
from bridge.settings import Settings
from tests.servers import until

FULL = os.environ.get("RELIABILITY") == "full"
CLIENTS, SECONDS = (20, 60.0) if FULL else (4, 6.0)
WORDS = ("ocean waves", "warm pad", "rain", "techno loop 120 bpm", "dusty vinyl break, 92 bpm")

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
                if late > 0.25:  # what every player holds before it begins
                    self.gaps += late
                    began += late
                self.heard += event["duration"]


@pytest.mark.timeout(300)
async def test_many_clients_hear_streams_without_a_gap_and_memory_stays(tmp_path: Path, aiohttp_server) -> None:
    settings = Settings(data_dir=tmp_path / "data", engine="procedural", pregenerate=False)
    async with open_service(settings) as service:
        server = await aiohttp_server(create_app(service))
        service.begin()
        await until(lambda: service.ready)
        async with aiohttp.ClientSession() as session:
            warm = [Listener() for _ in WORDS]
            for number, listener in enumerate(warm):
                url = str(server.make_url(f"/ws/stream/warm{number}"))
                await listener.listen(session, url, {"prompt": WORDS[number], "chunk_duration": 0.5}, 0.1)
            print("first audio, ms:", [round(1000 * listener.first) for listener in warm])
            before = psutil.Process().memory_info().rss
            listeners = [Listener() for _ in range(CLIENTS)]
            await asyncio.gather(
                *(
                    listener.listen(
                        session,
                        str(server.make_url(f"/ws/stream/client{number}")),
                        {"prompt": WORDS[number % len(WORDS)], "seed": number, "chunk_duration": 0.5},
                        SECONDS,
                    )
                    for number, listener in enumerate(listeners)
                )
            )
            grown = (psutil.Process().memory_info().rss - before) / 2**20
            first = sorted(1000 * listener.first for listener in listeners)
            print(f"{CLIENTS} clients, {SECONDS:g} s: gaps {sum(x.gaps for x in listeners):.3f} s, "
                  f"first audio median {first[len(first) // 2]:.0f} ms, memory +{grown:.0f} MiB")  # fmt: skip
    assert sum(listener.gaps for listener in listeners) == 0
    assert grown < 20 + 4 * CLIENTS

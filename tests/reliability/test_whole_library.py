"""One client that asks for the whole library again and again: others are answered, and the memory comes back."""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from pathlib import Path

import aiohttp
import pytest

from tests.benchmarks._kept import fill
from tests.reliability.results import note
from tests.served import Served

FULL = os.environ.get("RELIABILITY") == "full"
SOUNDS = 20_000 if FULL else 1_000
HELLOS, MAPS = 20, 30
READY_MADE = os.environ.get("WHOLE_LIBRARY")
"""A folder with so many sounds, where one lies ready: to fill it takes minutes."""


async def probe(url: str, rate: float, ended: asyncio.Event) -> list[float]:
    """Ask until it is ended; milliseconds of each answer, sorted."""
    times = []
    async with aiohttp.ClientSession() as session:
        while not ended.is_set():
            begun = time.perf_counter()
            async with session.get(url) as answer:
                assert answer.status == 200
                await answer.read()
            times.append((time.perf_counter() - begun) * 1000)
            await asyncio.sleep(1 / rate)
    return sorted(times)


def at(times: list[float], share: float) -> float:
    return times[min(len(times) - 1, int(len(times) * share))]


@pytest.mark.reliability
@pytest.mark.timeout(1200)
async def test_who_asks_for_everything_again_and_again_makes_nobody_wait(tmp_path: Path) -> None:  # noqa: C901 - one story
    folder = tmp_path / "data"
    if READY_MADE:
        shutil.copytree(READY_MADE, folder)
    else:
        fill(folder, SOUNDS, wav_size=200)
    served = Served(folder, "--engine", "tone")
    await served.start()
    server = served.processes()[0]
    async with aiohttp.ClientSession() as session:
        async with session.get(served.url + "/sounds?limit=1") as answer:
            sample = (await answer.json())["sounds"][0]["urls"][0]
        socket = await session.ws_connect(served.url + "/socket.io/?EIO=4&transport=websocket", max_msg_size=0)
        await socket.receive_str()
        await socket.send_str("40")
        await socket.receive_str()

        async def hello(number: int) -> int:
            await socket.send_str(f'42{number}["hello",{{}}]')
            while not (said := await socket.receive_str()).startswith("43"):
                await socket.send_str("3")
            return len(said)

        begun = time.perf_counter()
        size = await hello(0)
        first = (time.perf_counter() - begun) * 1000
        begun = time.perf_counter()
        await hello(1)
        second = (time.perf_counter() - begun) * 1000
        before = server.memory_info().rss
        ended = asyncio.Event()
        paths = {"keyword": ("/sounds/word5?format=json", 5), "sample": (sample, 20), "health": ("/health", 2)}
        probes = {
            name: asyncio.create_task(probe(served.url + path, rate, ended)) for name, (path, rate) in paths.items()
        }
        await asyncio.sleep(0.5)
        most = before

        async def watch() -> None:
            nonlocal most
            while not ended.is_set():
                most = max(most, server.memory_info().rss)
                await asyncio.sleep(0.05)

        async def read_map(number: int) -> None:
            async with session.get(f"{served.url}/strudel.json?{number}") as answer:
                assert answer.status == 200
                await answer.read()

        watching = asyncio.create_task(watch())
        begun = time.perf_counter()
        for number in range(HELLOS):
            await socket.send_str(f'42{number + 2}["hello",{{}}]')
        maps = asyncio.gather(*(read_map(number) for number in range(MAPS)))
        answered = 0
        while answered < HELLOS:
            said = await socket.receive_str()
            answered += said.startswith("43")
            if said == "2":
                await socket.send_str("3")
        await maps
        took = time.perf_counter() - begun
        ended.set()
        await watching
        times = {name: await task for name, task in probes.items()}
        await socket.close()
    await asyncio.sleep(2)
    after = server.memory_info().rss
    await served.kill()
    grew, kept = (most - before) / 2**20, (after - before) / 2**20
    note(
        "whole-library answers",
        f"{SOUNDS} sounds; {HELLOS} hellos of {size / 2**20:.1f} MiB and {MAPS} maps of one client took {took:.1f} s; "
        f"meanwhile, 99 % of keyword reads within {at(times['keyword'], 0.99):.0f} ms, cached samples "
        f"{at(times['sample'], 0.99):.0f} ms, /health {at(times['health'], 0.99):.0f} ms. One hello {second:.0f} ms, "
        f"the first after a start {first:.0f} ms. Memory +{grew:.0f} MiB, {kept:+.0f} MiB afterwards.",
    )
    assert grew < 100
    if FULL:
        assert at(times["keyword"], 0.99) < 5000, "nobody waits for the whole library"

"""One client that asks for the whole library again and again: others are answered, and the memory comes back."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
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
BURSTS = 10 if FULL else 1
ROOT = str(Path(__file__).parents[2])
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


async def greedy(url: str) -> None:
    """One client that asks for everything again and again, in a process of its own: it has to read it all, too.

    Prints milliseconds of the first hello, of the second one, their size, and seconds of each burst, as JSON.
    """
    async with aiohttp.ClientSession() as session:
        socket = await session.ws_connect(url + "/socket.io/?EIO=4&transport=websocket", max_msg_size=0)
        await socket.receive_str()
        await socket.send_str("40")
        await socket.receive_str()
        number = 0

        async def hellos(count: int) -> int:
            nonlocal number
            for _ in range(count):
                number += 1
                await socket.send_str(f'42{number}["hello",{{}}]')
            answered = size = 0
            while answered < count:
                said = await socket.receive_str()
                if said.startswith("43"):
                    answered, size = answered + 1, len(said)
                elif said == "2":
                    await socket.send_str("3")
            return size

        async def read_map(number: int) -> None:
            async with session.get(f"{url}/strudel.json?{number}") as answer:
                assert answer.status == 200
                await answer.read()

        took = []
        for _ in range(2):
            begun = time.perf_counter()
            size = await hellos(1)
            took.append((time.perf_counter() - begun) * 1000)
        print(json.dumps({"first": took[0], "second": took[1], "size": size}), flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        bursts = []
        for _ in range(BURSTS):
            begun = time.perf_counter()
            await asyncio.gather(hellos(HELLOS), *(read_map(number) for number in range(MAPS)))
            bursts.append(time.perf_counter() - begun)
        print(json.dumps(bursts), flush=True)
        await socket.close()


def at(times: list[float], share: float) -> float:
    return times[min(len(times) - 1, int(len(times) * share))]


@pytest.mark.reliability
@pytest.mark.timeout(1200)
async def test_who_asks_for_everything_again_and_again_makes_nobody_wait(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    if READY_MADE:
        shutil.copytree(READY_MADE, folder)
    else:
        fill(folder, SOUNDS, wav_size=200)
    served = Served(folder, "--engine", "tone")
    await served.start()
    server = served.processes()[0]
    async with aiohttp.ClientSession() as session, session.get(served.url + "/sounds?limit=1") as answer:
        sample = (await answer.json())["sounds"][0]["urls"][0]
    code = (
        "import asyncio, sys; from tests.reliability import test_whole_library as test; "
        "asyncio.run(test.greedy(sys.argv[1]))"
    )
    pipe = asyncio.subprocess.PIPE
    client = await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-c", code, served.url, stdin=pipe, stdout=pipe, env={**os.environ, "PYTHONPATH": ROOT}
    )
    assert client.stdin is not None
    assert client.stdout is not None
    hello = json.loads(await client.stdout.readline())
    before = most = server.memory_info().rss
    ended = asyncio.Event()
    paths = {"keyword": ("/sounds/word5?format=json", 10), "sample": (sample, 20), "health": ("/health", 10)}
    probes = {name: asyncio.create_task(probe(served.url + path, rate, ended)) for name, (path, rate) in paths.items()}

    async def watch() -> None:
        nonlocal most
        while not ended.is_set():
            most = max(most, server.memory_info().rss)
            await asyncio.sleep(0.05)

    watching = asyncio.create_task(watch())
    client.stdin.write(b"go on\n")
    bursts = json.loads(await client.stdout.readline())
    ended.set()
    await watching
    times = {name: await task for name, task in probes.items()}
    assert await client.wait() == 0
    await asyncio.sleep(2)
    after = server.memory_info().rss
    await served.kill()
    grew, kept = (most - before) / 2**20, (after - before) / 2**20
    note(
        "whole-library answers",
        f"{SOUNDS} sounds; {BURSTS} times {HELLOS} hellos of {hello['size'] / 2**20:.1f} MiB and {MAPS} maps of one "
        f"client, which took {min(bursts):.1f} to {max(bursts):.1f} s each; meanwhile, 99 % of keyword reads within "
        f"{at(times['keyword'], 0.99):.0f} ms, cached samples {at(times['sample'], 0.99):.0f} ms, /health "
        f"{at(times['health'], 0.99):.0f} ms ({sum(map(len, times.values()))} reads). "
        f"One hello {hello['second']:.0f} ms, "
        f"the first after a start {hello['first']:.0f} ms. Memory +{grew:.0f} MiB, {kept:+.0f} MiB afterwards.",
    )
    assert grew < 100
    if FULL:
        assert at(times["keyword"], 0.99) < 5000, "nobody waits for the whole library"

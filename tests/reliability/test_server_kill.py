"""The whole server is killed at random moments while sounds are queued: all are made, none twice, nothing is left."""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import random
import shutil
import sqlite3
import time
import wave
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from cache import SampleStore
from tests.reliability.results import note
from tests.served import Served
from tests.servers import until

FULL = os.environ.get("RELIABILITY") == "full"
PARTS = 4 if FULL else 1
"""Each with a folder of its own, so that they may run side by side."""
KILLS = 25 if FULL else 10
SOUNDS = 40
SECONDS = 0.2

pytestmark = pytest.mark.reliability


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    served = Served(tmp_path / "data", "--engine", "tone")
    yield served
    await served.kill()


class Client:
    """Queues forty sounds; what was not answered is asked for again with the same key."""

    def __init__(self, session: aiohttp.ClientSession, number: int) -> None:
        self._session = session
        self._number = number
        self.names = [f"kill{number}_{each}" for each in range(SOUNDS)]
        self.tickets: dict[str, str] = {}

    async def post_missing(self, url: str) -> None:
        """Raises ClientError when the server goes."""
        await asyncio.gather(*(self._post(url, name) for name in self.names if name not in self.tickets))

    async def _post(self, url: str, name: str) -> None:
        each = self.names.index(name)
        pitch = 200 + 0.25 * (SOUNDS * self._number + each)
        # Every second one takes half a second, so that a kill finds some queued, some being made and some done.
        body = {"prompt": f"tone {'slow ' * (each % 2)}{pitch} hz", "duration": SECONDS, "wait": False, "name": name}
        async with self._session.post(f"{url}/generate", json=body, headers={"Idempotency-Key": name}) as response:
            document = await response.json()
            assert response.status == 202, document
            self.tickets[name] = document["task_id"]

    async def states(self, url: str) -> list[str]:
        """How each of the forty stands, after it has ended."""
        return [await self._state(url, name) for name in self.names]

    async def _state(self, url: str, name: str) -> str:
        async with asyncio.timeout(120):
            while True:
                async with self._session.get(f"{url}/generate/{self.tickets[name]}") as response:
                    document = await response.json()
                    assert response.status == 200, (name, document)
                if document["status"] not in {"queued", "running"}:
                    return str(document["status"])
                await asyncio.sleep(0.05)


def unfinished(folder: Path, scratch: Path) -> int:
    """How many accepted sounds the killed server had not made yet, as its journal has it."""
    scratch.mkdir()
    for file in folder.glob("jobs.sqlite3*"):  # copies: looking must not repair anything
        shutil.copy(file, scratch)
    with contextlib.closing(sqlite3.connect(scratch / "jobs.sqlite3")) as connection:
        (count,) = connection.execute("SELECT count(*) FROM tickets WHERE ended IS NULL").fetchone()
    shutil.rmtree(scratch)
    return int(count)


async def every_sound(session: aiohttp.ClientSession, url: str) -> list[dict[str, Any]]:
    """All that is kept."""
    sounds: list[dict[str, Any]] = []
    cursor = ""
    while cursor is not None:
        async with session.get(f"{url}/sounds?limit=200{cursor and f'&cursor={cursor}'}") as response:
            page = await response.json()
        sounds += page["sounds"]
        cursor = page.get("next")
    return sounds


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("part", range(PARTS))
async def test_a_server_that_is_killed_makes_every_queued_sound_once(served: Served, tmp_path: Path, part: int) -> None:
    seed = random.SystemRandom().randrange(2**32) if FULL else 5
    dice = random.Random(seed)
    unanswered, broken_off, idle = 0, 0, 0
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=8)) as session:
        await served.start()
        clients = [Client(session, 0)]
        # Nobody kills it the first time: so long it is busy, and the kills come somewhere within.
        began = time.monotonic()
        await clients[0].post_missing(served.url)
        assert await clients[0].states(served.url) == ["completed"] * SOUNDS
        busy = time.monotonic() - began
        for number in range(1, KILLS + 1):
            client = Client(session, number)
            posting = asyncio.create_task(client.post_missing(served.url))
            await asyncio.sleep(dice.uniform(0.0, busy))
            await served.kill()
            with contextlib.suppress(aiohttp.ClientError):
                await posting
            unanswered += SOUNDS - len(client.tickets)
            left = unfinished(served.folder, tmp_path / "journal")
            broken_off += left
            idle += not left and len(client.tickets) == SOUNDS
            # An engine that was just being started ends when it gets to see that its server has gone.
            await until(lambda: not served.orphans(), seconds=120)
            await served.start()
            await client.post_missing(served.url)
            assert await client.states(served.url) == ["completed"] * SOUNDS, f"kill {number}, seed {seed}"
            clients.append(client)
        sounds = await every_sound(session, served.url)
        assert sorted(sound["name"] for sound in sounds) == sorted(name for one in clients for name in one.names)
        for sound in sounds:
            assert len(sound["urls"]) == 1, ("made twice", sound)
            async with session.get(served.url + sound["urls"][0]) as response:
                with wave.open(io.BytesIO(await response.read())) as file:
                    assert file.getnframes() == round(SECONDS * file.getframerate())
    await served.kill()
    await until(lambda: not served.orphans(), seconds=120)
    with SampleStore.open(served.folder) as store:
        assert store.verify() == {}
        assert list(store.incoming.iterdir()) == []
        placed = [event.data["name"] for event in store.events_since(0) if event.type == "sound"]
    assert sorted(placed) == sorted(name for client in clients for name in client.names), "none was placed twice"
    note(
        f"kill -9 of the server, part {part + 1} of {PARTS}",
        f"{KILLS} kills at random moments of {busy:.1f} s, {SOUNDS} sounds queued each time: {len(sounds)} made, "
        f"0 lost, 0 twice, 0 corrupt, {len(served.children)} engine processes, none left. At the kills "
        f"{broken_off} sounds were accepted and not made yet, {unanswered} requests not answered (repeated with their "
        f"key); everything was done already at {idle} of them. Seed {seed}.",
    )

"""A server that has promised stems is killed at random moments; every request is finished and called back."""

from __future__ import annotations

import asyncio
import os
import random
from collections import defaultdict
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from tests.reliability.results import note
from tests.served import Served
from tests.servers import until

FULL = os.environ.get("RELIABILITY") == "full"
KILLS = 30 if FULL else 3
REQUESTS = 4
STEMS = ["drums", "bass", "guitar"]


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Served]:
    server = Served(tmp_path / "data", "--engine", "tone", environment={"BRIDGE_CALLBACK_HOSTS": "127.0.0.1"})
    yield server
    await server.kill()


@pytest.fixture
async def documents(aiohttp_server) -> dict[str, list[tuple[str, dict[str, Any]]]]:
    """What came back, by request: the key and the document of each call; ``url`` says where to."""
    came: dict[str, Any] = defaultdict(list)

    async def take(request: web.Request) -> web.Response:
        document = await request.json()
        came[document["generation_request_id"]].append((request.headers["Idempotency-Key"], document))
        return web.Response()

    app = web.Application()
    app.router.add_post("/", take)
    came["url"] = str((await aiohttp_server(app)).make_url("/"))
    return came


async def post(session: aiohttp.ClientSession, url: str, body: dict[str, Any]) -> None:
    """Ask; on a slow machine more is promised than is made between two kills, and the queue is full for a while."""
    while True:
        async with session.post(url, json=body) as response:
            if response.status != 503:
                assert response.status == 200, await response.text()
                return
            assert (await response.json())["error"]["code"] == "queue_full"
            await asyncio.sleep(float(response.headers["Retry-After"]))


@pytest.mark.reliability
@pytest.mark.timeout(3600)
async def test_every_promised_request_is_finished_and_called_back_whatever_is_killed_when(server, documents) -> None:
    seed = random.SystemRandom().randrange(2**32) if FULL else 7
    dice = random.Random(seed)
    print(f"seed {seed}, {KILLS} kills")
    url, promised = documents.pop("url"), []
    await server.start()
    async with aiohttp.ClientSession() as session:
        for number in range(KILLS):
            for each in range(REQUESTS):
                name = f"{number}/{each}"
                body = {
                    "generation_request_id": name, "audio_file_id": "song", "target_stems": STEMS, "callback_url": url,
                    "parameters": {
                        "prompt": "tone slow", "duration_seconds": 0.3, "key": "c", "random_seed": 9 * number + each,
                    },
                }  # fmt: skip
                await post(session, f"{server.url}/generate", body)
                promised.append(name)
            await asyncio.sleep(dice.uniform(0.0, 2.0))
            await server.kill()
            await server.start()
        await until(lambda: set(documents) == set(promised), seconds=1500)
        for name in promised:
            document = documents[name][-1][1]
            assert (document["status"], len(document["generated_stems"])) == ("completed", 3), document
            assert len({key for key, _ in documents[name]}) == 1
            for stem in document["generated_stems"]:
                path = stem["blob_url"].partition("/stems/")[2]
                async with session.get(f"{server.url}/stems/{path}") as response:
                    assert len(await response.read()) == stem["file_size_bytes"]
        async with session.get(f"{server.url}/sounds?limit=500") as response:
            sounds = (await response.json())["sounds"]
    # A sound for each stem type, in it a slot for each request: nothing was made or placed twice.
    assert [len(sound["urls"]) for sound in sounds] == [len(promised)] * len(STEMS)
    await server.kill()
    await until(lambda: not server.orphans())
    note(
        "kill -9 while stems are made",
        f"{KILLS} kills at random moments, {REQUESTS} requests of {len(STEMS)} stems each time: all {len(promised)} "
        f"finished and called back in {sum(map(len, documents.values()))} calls, nothing made twice. Seed {seed}.",
    )

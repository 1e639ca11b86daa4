"""Many pages that come and go while sounds are pushed: nobody misses one, nobody hears one twice."""

from __future__ import annotations

import asyncio
import os
import random
from pathlib import Path

import pytest

from bridge.app import create_app
from bridge.sounds.opening import open_service
from tests.reliability.results import note
from tests.servers import Listener, order, settings_for, until

FULL = os.environ.get("RELIABILITY") == "full"
PAGES = 200 if FULL else 20
PUSHES = 200 if FULL else 20
AWAY = 0.3
"""Share of the moments in which a page hangs up for a while."""


async def come_and_go(page: Listener, dice: random.Random, ended: asyncio.Event) -> None:
    """Hang up at random moments, and come back with the last number known."""
    while not ended.is_set():
        await asyncio.sleep(dice.uniform(0.0, 0.3))
        if dice.random() < AWAY:
            await page.leave()
            await asyncio.sleep(dice.uniform(0.0, 0.1))
            await page.connect()


@pytest.mark.reliability
@pytest.mark.timeout(600)
async def test_pages_that_come_and_go_miss_nothing_and_hear_nothing_twice(tmp_path: Path, aiohttp_server):
    seed = random.randrange(2**32)
    dice = random.Random(seed)
    print(f"seed {seed}, {PAGES} pages, {PUSHES} pushes")
    async with open_service(settings_for(tmp_path / "data")) as service:
        server = await aiohttp_server(create_app(service))
        pages = [Listener(f"http://127.0.0.1:{server.port}") for _ in range(PAGES)]
        for page in pages:
            await page.connect()
        ended = asyncio.Event()
        wandering = [asyncio.create_task(come_and_go(page, random.Random(dice.random()), ended)) for page in pages]
        for number in range(PUSHES):
            await service.make(order(f"tone {100 + number} hz", duration=0.1))
            await asyncio.sleep(dice.uniform(0.0, 0.03))
        ended.set()
        await asyncio.gather(*wandering)
        head = service.library._store.head()
        assert head == 2 * PUSHES
        await until(lambda: all(page.since == head for page in pages), seconds=60)
        kept = [(event.seq, event.type) for event in service.library._store.events_since(0)]
        for page in pages:
            assert [(event["seq"], event["type"]) for event in page.events] == kept
            assert page.resets == 1, "only the first hello brought everything"
            numbered = [message["seq"] for _, message in page.pushed if "seq" in message]
            assert numbered == sorted(set(numbered)), "also over the wire in order, each once"
            await page.leave()
        await until(lambda: service.pages() == 0)
    note(
        "pages that come and go",
        f"{PAGES} pages, {PUSHES} sounds: each page heard each event once, in order. Seed {seed}.",
    )

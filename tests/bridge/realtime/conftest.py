"""A served application and its clients."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from bridge.app import create_app
from bridge.settings import Settings
from bridge.sounds.opening import open_service
from bridge.sounds.service import SampleService
from tests.servers import Listener, settings_for

Connect = Callable[..., Awaitable[Listener]]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_for(tmp_path / "data")


@pytest.fixture
async def service(settings: Settings) -> AsyncIterator[SampleService]:
    async with open_service(settings) as service:
        yield service


@pytest.fixture
async def bridge_url(service: SampleService, aiohttp_server) -> str:
    server = await aiohttp_server(create_app(service))
    return f"http://127.0.0.1:{server.port}"


@pytest.fixture
async def connect(bridge_url: str) -> AsyncIterator[Connect]:
    """``await connect()`` gives a client that has said hello."""
    listeners: list[Listener] = []

    async def connected(**hello: object) -> Listener:
        listeners.append(Listener(bridge_url, **hello))
        await listeners[-1].connect()
        return listeners[-1]

    yield connected
    for each in listeners:
        await each.leave()

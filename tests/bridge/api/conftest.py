"""A real application over a real store and the tone engine's real process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp.test_utils import TestClient

from bridge.app import create_app
from bridge.settings import Settings
from bridge.sounds.opening import open_service
from bridge.sounds.service import SampleService


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data", engine="tone", pregenerate=False)


@pytest.fixture
async def service(settings: Settings) -> AsyncIterator[SampleService]:
    async with open_service(settings) as service:
        yield service


@pytest.fixture
async def client(service: SampleService, aiohttp_client) -> TestClient:
    return await aiohttp_client(create_app(service))

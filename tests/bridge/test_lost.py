"""What is lost is told by the first answer of /health."""

from __future__ import annotations

import shutil
from pathlib import Path

from aiohttp.test_utils import TestClient, TestServer

from bridge.app import create_app
from bridge.sounds.opening import open_service
from tests.servers import settings_for


async def test_the_first_health_tells_of_lost_audio_until_it_is_made_again(
    tmp_path: Path,
) -> None:
    settings = settings_for(tmp_path / "data")
    body = {"prompt": "tone one", "duration": 0.1, "name": "gen_one"}
    async with open_service(settings) as service, TestClient(TestServer(create_app(service))) as client:
        assert (await client.post("/generate", json=body)).status == 200
    shutil.rmtree(tmp_path / "data" / "masters")
    async with open_service(settings) as service, TestClient(TestServer(create_app(service))) as client:
        health = await (await client.get("/health")).json()
        assert health["status"] == "degraded"
        assert any("gen_one" in each and "sample-bridge rebuild" in each for each in health["warnings"])
        assert (await client.get("/sounds/gen_one")).status == 404
        assert (await client.post("/generate", json=body)).status == 200
        health = await (await client.get("/health")).json()
        assert (health["status"], health["warnings"]) == ("healthy", [])
        assert (await client.get("/sounds/gen_one")).status == 200

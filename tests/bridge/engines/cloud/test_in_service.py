"""Cloud engines behind the service: settings reach their process, costs are kept, a cancel reaches the provider."""

from __future__ import annotations

import asyncio
import base64
from pathlib import Path

import pytest

from bridge.engines.cloud.keys import VARIABLE, environment
from bridge.errors import JobCancelled
from bridge.settings import Settings
from bridge.sounds.opening import open_service
from bridge.sounds.orders import generate_order
from tests.provider import Stage, hang, say, wav

ASKED = {"prompt": "warm pad", "duration": 0.5}


def settings(stage: Stage, tmp_path: Path) -> Settings:
    return Settings(
        data_dir=tmp_path, engine="endpoint", endpoint_url=f"{stage.url}/make", hf_token="hf_secret", pregenerate=False
    )


async def test_a_sound_comes_from_the_endpoint_that_is_set(stage: Stage, tmp_path: Path) -> None:
    stage.script = [say(json={"audio_base64": base64.b64encode(wav(1.0)).decode()})]
    async with open_service(settings(stage, tmp_path)) as service:
        placed = await service.make(generate_order(ASKED)[0])
        assert placed.sample.facts["engine"] == "endpoint"
        again = await service.make(generate_order(ASKED)[0])
        assert again.cached
    assert len(stage.got) == 1
    assert stage.got[0].headers["Authorization"] == "Bearer hf_secret"


async def test_a_cancel_reaches_the_provider(stage: Stage, tmp_path: Path) -> None:
    stage.script = [hang]
    async with open_service(settings(stage, tmp_path)) as service:
        (ticket,) = await service.ask(generate_order(ASKED)[0])
        while not stage.got:
            await asyncio.sleep(0.02)
        gone = await service.cancel(ticket.id)
        with pytest.raises(JobCancelled):
            service.placed(gone)
        assert await asyncio.to_thread(stage.left.wait, 5)


def test_tokens_go_to_the_engine_that_needs_them_and_no_other(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, hf_token="hf_secret", replicate_token="r8_secret")
    assert environment(settings, ["procedural"]) == {}
    assert "r8_secret" not in environment(settings, ["endpoint"])[VARIABLE]
    assert "hf_secret" not in environment(settings, ["replicate"])[VARIABLE]

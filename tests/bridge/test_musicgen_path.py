"""A tiny MusicGen with random weights goes the whole way: words over HTTP, host process, finishing, store, download."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
import pytest
import soundfile

from bridge.app import create_app
from bridge.service import open_service
from bridge.settings import Settings

pytestmark = pytest.mark.torch


@pytest.fixture(scope="module")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tests.tiny_musicgen import build_tiny_musicgen

    return build_tiny_musicgen(tmp_path_factory.mktemp("weights") / "tiny")


async def test_words_become_a_playable_sound_whose_facts_name_the_model(
    tmp_path: Path, tiny_folder: Path, aiohttp_client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    settings = Settings(data_dir=tmp_path / "data", model=str(tiny_folder), pregenerate=False)
    assert settings.engine == "musicgen"
    async with open_service(settings) as service:
        client = await aiohttp_client(create_app(service))
        answer = await (await client.post("/generate", json={"prompt": "angelic choir", "duration": 1})).json()
        assert answer["success"], answer
        assert (answer["engine"], answer["model"], answer["sampling_rate"]) == ("musicgen", str(tiny_folder), 32000)
        audio, rate = soundfile.read(io.BytesIO(base64.b64decode(answer["audio_base64"])), always_2d=True)
        assert (len(audio), rate) == (32000, 32000)
        assert float(np.sqrt(np.mean(audio**2))) > 0.01
        again = await (await client.post("/generate", json={"prompt": "angelic choir", "duration": 1})).json()
        assert (again["cached"], again["n"]) == (True, 0)
        loop = {"prompt": "angelic choir", "kind": "loop", "bpm": 120, "bars": 1}
        finished = await (await client.post("/generate", json=loop)).json()
        assert (finished["sampling_rate"], finished["duration"]) == (44100, 2.0)
        health = await (await client.get("/health")).json()
        assert (health["services"]["musicgen"], health["services"]["mode"]) == ("available", "musicgen")
        facts = (await (await client.get(f"/sounds/{answer['name']}?format=json")).json())["samples"][0]["facts"]
        assert facts["digital_source_type"] == "trainedAlgorithmicMedia"
        assert facts["commercial"] is False
    async with open_service(settings) as service:
        kept = await service.library.sound(answer["name"])
        assert len(kept.slots) == 2
        assert service.engines.known("musicgen") is not None, "a kept sound is found without loading the model"


async def test_a_folder_without_weights_is_a_503_with_a_sentence_and_kept_sounds_play_on(
    tmp_path: Path, aiohttp_client
) -> None:
    (tmp_path / "empty").mkdir()
    settings = Settings(data_dir=tmp_path / "data", model=str(tmp_path / "empty"), pregenerate=False)
    async with open_service(settings) as service:
        client = await aiohttp_client(create_app(service))
        tone = await client.post("/generate", json={"prompt": "tone 440 hz", "engine": "tone", "duration": 0.2})
        assert tone.status == 200
        response = await client.post("/generate", json={"prompt": "choir", "duration": 1})
        error = (await response.json())["error"]
        assert (response.status, error["code"]) == (503, "engine_unavailable")
        assert str(tmp_path / "empty") in error["message"]
        health = await (await client.get("/health")).json()
        assert health["status"] == "degraded"
        assert (await client.get("/health/ready")).status == 503
        assert (await client.get("/sounds/gen_tone_440_hz")).status == 200

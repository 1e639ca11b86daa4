"""A tiny MusicGen with random weights goes the whole way: words over HTTP, host process, finishing, store, download."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
import pytest
import soundfile
from aiohttp import FormData, WSMsgType
from aiohttp.test_utils import TestClient

from bridge.app import create_app
from bridge.settings import Settings
from bridge.sounds.opening import open_service

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


async def test_audio_like_an_upload_goes_on_from_it_and_names_it_as_its_parent(
    tmp_path: Path, tiny_folder: Path, aiohttp_client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    settings = Settings(data_dir=tmp_path / "data", model=str(tiny_folder), pregenerate=False)
    seconds = np.arange(2 * 22_050) / 22_050
    ids = []
    async with open_service(settings) as service:
        client = await aiohttp_client(create_app(service))
        for pitch in (220.0, 1760.0):
            file = io.BytesIO()
            soundfile.write(file, 0.4 * np.sin(2 * np.pi * pitch * seconds), 22_050, format="WAV")
            form = FormData()
            form.add_field("file", file.getvalue(), filename="tone.wav")
            upload = await (await client.post("/api/upload", data=form)).json()
            answer = await client.post(f"/api/generate/{upload['audio_id']}", json={"duration": 5, "seed": 3})
            accepted = await answer.json()
            assert answer.status == 200, accepted
            placed = service.placed(await service.queue.wait(accepted["generation_id"]))
            facts = placed.sample.facts
            assert facts["parents"] == [upload["audio_id"]]
            assert facts["spec"]["source_as"] == "continuation"
            assert (placed.sample.frames, placed.sample.rate) == (5 * 32_000, 32_000)
            ids.append(placed.sample.sample_id)
            # a kept sound can be gone on from as well
            more = {"prompt": "warm pad", "duration": 0.5, "source": placed.sample.sample_id}
            assert (await client.post("/generate", json=more)).status == 200
        assert len(set(ids)) == 2
        health = await (await client.get("/health")).json()
        assert (health["precision"], health["speed"] > 0) == ("int8", True)
        assert health["kernel"]
        assert health["engine_reason"].endswith(
            f"CPU, int8, {health['kernel']}, {health['speed']:.1f} s of audio per second."
        )


async def test_audio_that_cannot_be_used_is_said_before_any_work(
    tmp_path: Path, tiny_folder: Path, aiohttp_client
) -> None:
    settings = Settings(data_dir=tmp_path / "data", engine="tone", model=str(tiny_folder), pregenerate=False)
    nobodys = {"source": "0" * 32}
    async with open_service(settings) as service:
        client = await aiohttp_client(create_app(service))
        for fields, expected in (
            (nobodys, (422, "cannot_use_source", "source")),
            ({"source": "../../etc/passwd"}, (422, "invalid_request", "source")),
            (nobodys | {"engine": "musicgen"}, (404, "unknown_audio", "source")),
            (nobodys | {"engine": "musicgen", "source_as": "melody"}, (422, "cannot_use_source", "source_as")),
        ):
            answer = await client.post("/generate", json={"prompt": "warm pad", "duration": 0.5, **fields})
            error = (await answer.json())["error"]
            assert (answer.status, error["code"], error["field"]) == expected, error


async def test_a_stream_is_heard_while_it_is_made_in_every_quality_and_follows_an_update(
    tmp_path: Path, tiny_folder: Path, aiohttp_client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    settings = Settings(data_dir=tmp_path / "data", model=str(tiny_folder), pregenerate=False)
    async with open_service(settings) as service:
        client = await aiohttp_client(create_app(service))
        for quality in ("draft", "balanced", "high"):
            heard = await _streamed(client, quality)
            assert abs(len(heard) / 2 - 2.0 * 32_000) < 16_000
            samples = np.frombuffer(heard, "<i2").astype(np.float32) / 32767
            assert float(samples.std()) > 0.01


async def _streamed(client: TestClient, quality: str) -> bytes:
    """Two seconds of one-channel PCM, in which something else is wanted after the first chunk."""
    heard, updated = b"", False
    async with client.ws_connect(f"/ws/stream/{quality}") as socket:
        wanted = {"prompt": "warm pad", "chunk_duration": 0.5, "duration": 2.0, "quality_mode": quality}
        await socket.send_json({"type": "start_streaming", "request": wanted})
        async for message in socket:
            if message.type is WSMsgType.BINARY:
                heard += message.data
                if not updated:
                    updated = True
                    await socket.send_json({"type": "update", "request": {"prompt": "dusty drum"}})
                continue
            event = message.json()
            assert event["type"] != "error", event
            if event["type"] == "completed":
                break
    return heard

"""Contract E over HTTP: upload, features, new audio that is like the upload."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from aiohttp import FormData
from aiohttp.test_utils import TestClient

from bridge.api.similar import NO_EMBEDDING
from bridge.app import create_app
from bridge.audio.clip import Clip
from bridge.audio.features import octave_levels
from bridge.audio.key import mirex_score
from bridge.engines.procedural import ProceduralEngine
from bridge.service import SampleService, open_service
from bridge.settings import Settings
from prompts import SampleSpec

RATE = 44_100
PLAYED: dict[str, dict[str, Any]] = {
    "beat": {"prompt": "house beat, drums", "bpm": 124.0},
    "keys": {"prompt": "electric piano chords", "bpm": 90.0, "key": "c minor"},
    "pad": {"prompt": "dark pad", "key": "f minor"},
}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        data_dir=tmp_path / "data", engine="procedural", pregenerate=False, max_upload_bytes=4 << 20,
        max_upload_duration=20.0,
    )  # fmt: skip


@pytest.fixture
async def service(settings: Settings) -> AsyncIterator[SampleService]:
    async with open_service(settings) as service:
        yield service


@pytest.fixture
async def client(service: SampleService, aiohttp_client) -> TestClient:
    return await aiohttp_client(create_app(service))


def played(name: str) -> Clip:
    spec = SampleSpec(**PLAYED[name], kind="raw", duration=8.0, seed=3).resolved("procedural")
    return next(iter(ProceduralEngine().stream(spec, 8.0, lambda _: None)))


def encoded(clip: Clip, container: str = "WAV", subtype: str | None = None) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, clip.samples.T, clip.rate, format=container, subtype=subtype)
    return file.getvalue()


def form(data: bytes, name: str = "file", filename: str = "loop.wav") -> FormData:
    fields = FormData()
    fields.add_field("note", "mine")
    fields.add_field(name, io.BytesIO(data), filename=filename, content_type="application/octet-stream")
    return fields


def heard(clip: Clip) -> Any:
    """The octaves that matter, against their mean."""
    levels = np.maximum(octave_levels(clip.samples.mean(axis=0), clip.rate), -40.0)
    return levels - levels.mean()


async def uploaded(client: TestClient, data: bytes) -> dict[str, Any]:
    answer = await client.post("/api/upload", data=form(data))
    document = await answer.json()
    assert answer.status == 200, document
    return document


async def made(client: TestClient, audio_id: str, **body: Any) -> tuple[str, Clip]:
    answer = await client.post(f"/api/generate/{audio_id}", json=body)
    document = await answer.json()
    assert answer.status == 200, document
    generation_id = document["generation_id"]
    while True:
        status = await (await client.get(f"/api/status/{generation_id}")).json()
        assert 0 <= status["progress"] <= 100
        if status["status"] not in {"queued", "running"}:
            break
        await asyncio.sleep(0.05)
    assert (status["status"], status["progress"]) == ("completed", 100), status
    audio = await client.get(status["audio_url"])
    assert (audio.status, audio.content_type) == (200, "audio/wav")
    samples, rate = soundfile.read(io.BytesIO(await audio.read()), dtype="float32", always_2d=True)
    return generation_id, Clip.of(samples.T, rate)


async def refusal(client: TestClient, data: Any, **more: Any) -> tuple[int, str]:
    answer = await client.post("/api/upload", data=data, **more)
    document = await answer.json()
    assert document["success"] is False
    assert document["error"]["message"] == document["detail"]
    return answer.status, document["error"]["code"]


@pytest.fixture(scope="module")
def keys() -> bytes:
    return encoded(played("keys"))


async def test_an_upload_is_measured(client: TestClient, keys: bytes) -> None:
    document = await uploaded(client, keys)
    assert set(document) == {
        "audio_id", "duration", "sample_rate", "channels", "format", "tempo", "key", "features",
    }  # fmt: skip
    assert document["duration"] == pytest.approx(8.0)
    assert (document["sample_rate"], document["channels"], document["format"]) == (RATE, 2, "wav")
    assert document["tempo"] == pytest.approx(90.0, abs=1.0)
    assert mirex_score(document["key"], "cm") >= 0.3  # the relative key has the same notes
    assert -30 < document["features"]["loudness"]["lufs"] < -3
    assert len(document["features"]["spectrum"]["octaves_db"]) == 10
    assert (await uploaded(client, keys))["audio_id"] == document["audio_id"]


@pytest.mark.parametrize(("container", "subtype"), [("FLAC", None), ("OGG", "VORBIS"), ("MP3", None), ("WAV", "FLOAT")])
async def test_every_promised_format_is_taken(client: TestClient, container: str, subtype: str | None) -> None:
    document = await uploaded(client, encoded(played("beat"), container, subtype))
    assert document["format"] == container.lower()
    assert document["tempo"] == pytest.approx(124.0, abs=1.5)


async def test_what_is_made_is_a_wav_of_32_khz_in_the_tempo_and_key_of_the_upload(
    client: TestClient, service: SampleService, keys: bytes
) -> None:
    document = await uploaded(client, keys)
    generation_id, clip = await made(
        client, document["audio_id"], duration=6, cfg_coef=8, temperature=0.7, top_k=100, top_p=0.5
    )
    assert clip.rate == 32_000
    assert clip.seconds == pytest.approx(6.0, abs=0.001)
    facts = service.placed(service.queue.ticket(generation_id)).sample.facts
    assert facts["bpm"] == pytest.approx(90.0, abs=1.0)
    assert facts["key"] == document["key"]
    measured = await uploaded(client, encoded(clip))
    assert measured["tempo"] == pytest.approx(90.0, abs=1.5)
    # The status and download paths of the contracts take any id.
    job = await (await client.get(f"/api/v1/status/{generation_id}")).json()
    assert job["status"] == "completed"
    part = await client.get(f"/api/download/{generation_id}", headers={"Range": "bytes=0-3"})
    assert (part.status, await part.read()) == (206, b"RIFF")


@pytest.mark.parametrize("name", PLAYED)
async def test_the_more_guidance_the_closer_the_colour(client: TestClient, name: str) -> None:
    source = played(name)
    audio_id = (await uploaded(client, encoded(source)))["audio_id"]
    apart = []
    for cfg_coef in (1, 4, 10):
        _, clip = await made(client, audio_id, duration=5, cfg_coef=cfg_coef, seed=5)
        apart.append(float(np.abs(heard(clip) - heard(source)).mean()))
    assert apart == sorted(apart, reverse=True), apart
    assert apart[-1] < 0.8 * apart[0], apart


async def test_words_of_the_asker_go_first(client: TestClient, service: SampleService, keys: bytes) -> None:
    audio_id = (await uploaded(client, keys))["audio_id"]
    generation_id, _ = await made(client, audio_id, prompt="vibraphone in the rain", duration=5)
    facts = service.placed(service.queue.ticket(generation_id)).sample.facts
    assert facts["prompt"].startswith("vibraphone in the rain, ")


async def test_an_embedding_is_promised_for_later(client: TestClient, keys: bytes) -> None:
    audio_id = (await uploaded(client, keys))["audio_id"]
    answer = await client.get(f"/api/embedding/{audio_id}")
    assert answer.status == 503
    assert (await answer.json())["detail"] == NO_EMBEDDING
    assert answer.headers["Retry-After"].isdigit()

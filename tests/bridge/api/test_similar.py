"""Contract E over HTTP: upload, features, new audio that is like the upload."""

from __future__ import annotations

import asyncio
import io
import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from aiohttp import FormData
from aiohttp.test_utils import TestClient

from bridge.app import create_app
from bridge.audio.analysis.features import octave_levels
from bridge.audio.analysis.key import mirex_score
from bridge.audio.files.incoming.tempo import stated
from bridge.engines.procedural import ProceduralEngine
from bridge.exchange.likeness import NO_EMBEDDING
from bridge.plugins.clip import Clip
from bridge.settings import Settings
from bridge.sounds.opening import open_service
from bridge.sounds.service import SampleService
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
    answer = await client.post("/api/upload", data=data, skip_auto_headers=() if data else {"Content-Type"}, **more)
    document = await answer.json()
    assert document["success"] is False
    assert document["error"]["message"] == document["detail"]
    return answer.status, document["error"]["code"]


@pytest.fixture(scope="module")
def keys() -> bytes:
    return encoded(played("keys"))


async def test_loops_of_ours_come_back_at_their_own_tempo(client: TestClient) -> None:
    """What a listener cannot tell, 60 from 120, the file states: in every format, at most one octave wrong of 21."""
    tempi = [40, 45, 50, 55, 60, 65, 66, 72, 80, 90, 100, 110, 120, 130, 140, 150, 174, 190, 200, 220, 240]
    octaves, right = [], 0
    for number, bpm in enumerate(tempi):
        kind = ("wav", "flac", "ogg", "mp3")[number % 4]
        made = await client.post("/generate", json={"prompt": "drum loop", "kind": "loop", "bpm": bpm, "bars": 1,
                                                    "format": kind})  # fmt: skip
        data = await made.read()
        found = stated(data, 240.0 / bpm)
        assert found is not None, (bpm, kind)
        right += abs(found.bpm / bpm - 1) < 0.01
        octaves += [bpm] if min(abs(found.bpm / bpm - 2), abs(found.bpm / bpm - 0.5)) < 0.02 else []
    assert (right / len(tempi) >= 0.95, octaves) == (True, [])


@pytest.mark.parametrize("kind", ["audio/wav", "audio/mpeg", "application/octet-stream"])
async def test_audio_as_the_body_is_taken_like_a_form(client: TestClient, keys: bytes, kind: str) -> None:
    def sent() -> dict[str, Any]:
        return {"data": io.BytesIO(keys), "headers": {"Content-Type": kind}}

    answer = await client.post("/api/upload", **sent())
    assert (answer.status, (await answer.json())["audio_id"]) == (200, (await uploaded(client, keys))["audio_id"])
    assert (await client.post("/generate", **sent())).status == 415
    measured = await (await client.post("/evaluate", **sent())).json()
    assert (measured["results"][0]["name"], measured["results"][0]["scaled_db"]) == ("file 1", None)


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
    facts = service.placed(await service.queue.ticket(generation_id)).sample.facts
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
    facts = service.placed(await service.queue.ticket(generation_id)).sample.facts
    assert facts["prompt"].startswith("vibraphone in the rain, ")


async def test_an_embedding_is_promised_for_later(client: TestClient, keys: bytes) -> None:
    audio_id = (await uploaded(client, keys))["audio_id"]
    answer = await client.get(f"/api/embedding/{audio_id}")
    assert answer.status == 503
    assert (await answer.json())["detail"] == NO_EMBEDDING
    assert answer.headers["Retry-After"].isdigit()


BAD_BODIES = {
    "too short": {"duration": 4.9},
    "too long": {"duration": 121},
    "not a number": {"duration": "8"},
    "cold": {"temperature": 0.05},
    "hot": {"temperature": 2.1},
    "negative k": {"top_k": -1},
    "large k": {"top_k": 501},
    "large p": {"top_p": 1.1},
    "no guidance": {"cfg_coef": 0.9},
    "much guidance": {"cfg_coef": 10.1},
    "no words": {"prompt": ""},
    "too many words": {"prompt": "x" * 501},
    "two values": {"duration": 8, "duration_seconds": 9},
    "true": {"cfg_coef": True},
    "a list": [],
}


async def test_what_cannot_be_meant_is_422_and_says_of_which_field(client: TestClient, keys: bytes) -> None:
    audio_id = (await uploaded(client, keys))["audio_id"]
    for what, body in BAD_BODIES.items():
        answer = await client.post(f"/api/generate/{audio_id}", json=body)
        document = await answer.json()
        assert answer.status == 422, (what, document)
        if isinstance(body, dict) and len(body) == 1:
            assert document["error"]["field"] == next(iter(body)), (what, document)
    broken = await client.post(f"/api/generate/{audio_id}", data=b"{", headers={"Content-Type": "application/json"})
    assert broken.status == 400


async def test_null_means_absent_and_an_empty_body_asks_for_eight_seconds(
    client: TestClient, service: SampleService, keys: bytes
) -> None:
    audio_id = (await uploaded(client, keys))["audio_id"]
    answer = await client.post(f"/api/generate/{audio_id}", json={"duration": None, "prompt": None, "unknown": 1})
    empty = await client.post(f"/api/generate/{audio_id}", skip_auto_headers={"Content-Type"})
    ids = [(await each.json())["generation_id"] for each in (answer, empty)]
    placed = [service.placed(await service.queue.wait(each)) for each in ids]
    assert len(set(ids)) == 2
    assert placed[0].sample == placed[1].sample
    assert placed[0].sample.facts["seconds"] == pytest.approx(8.0, abs=0.001)
    assert placed[0].sample.facts["spec"]["guidance"] == 3.0


async def test_unknown_ids_are_404(client: TestClient) -> None:
    for method, path in (
        ("GET", "/api/embedding/nothing"),
        ("GET", f"/api/embedding/{'0' * 32}"),
        ("POST", f"/api/generate/{'0' * 32}"),
        ("POST", "/api/generate/..%2F..%2Fjobs"),
        ("GET", "/api/status/gen_000000000000"),
        ("GET", "/api/download/gen_000000000000"),
    ):
        answer = await client.request(method, path, skip_auto_headers={"Content-Type"})
        assert answer.status == 404, path
        assert (await answer.json())["error"]["code"], path


async def test_a_download_before_it_is_made_is_409_with_the_status(
    client: TestClient, service: SampleService, keys: bytes
) -> None:
    audio_id = (await uploaded(client, keys))["audio_id"]
    answer = await client.post(f"/api/generate/{audio_id}", json={"duration": 60})
    generation_id = (await answer.json())["generation_id"]
    early = await client.get(f"/api/download/{generation_id}")
    document = await early.json()
    assert early.status == 409
    assert document["error"]["status"] in {"queued", "running"}
    await service.cancel(generation_id)
    status = await (await client.get(f"/api/status/{generation_id}")).json()
    assert (status["status"], status["audio_url"]) == ("cancelled", None)


async def test_an_upload_that_is_no_audio_is_refused(client: TestClient, keys: bytes, settings: Settings) -> None:
    assert await refusal(client, form(b"GIF89a" + bytes(50))) == (415, "unsupported_media_type")
    assert await refusal(client, form(keys, name="audio")) == (422, "invalid_request")
    assert await refusal(client, None) == (422, "invalid_request")
    assert await refusal(client, form(b"")) == (422, "empty_file")
    assert await refusal(client, b"{}", headers={"Content-Type": "application/json"}) == (
        415, "unsupported_media_type",
    )  # fmt: skip
    too_large = b"RIFF\x00\x00\x00\x00WAVE" + bytes(settings.max_upload_bytes)
    assert await refusal(client, form(too_large)) == (413, "too_large")
    long = encoded(Clip.of(np.zeros(RATE * 21), RATE), "FLAC")
    assert await refusal(client, form(long)) == (422, "too_long")
    assert list((settings.data_dir / "uploads").iterdir()) == []


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", "multipart/form-data"),
        (b"rubbish", "multipart/form-data; boundary=x"),
        (b"--x\r\nContent-Disposition: form-data; name=file\r\n\r\nRIFF", "multipart/form-data; boundary=x"),
        (b"--x\r\nno colon\r\n\r\n\r\n--x--", "multipart/form-data; boundary=x"),
        (b"--x\r\n\r\nRIFF\r\n--x--", "multipart/form-data; boundary=x"),
        (b"--x\r\nContent-Type: multipart/mixed; boundary=y\r\n\r\n--y--\r\n--x--", "multipart/form-data; boundary=x"),
        (b"--x--", "multipart/form-data; boundary=x"),
    ],
)
async def test_a_broken_form_is_refused(client: TestClient, body: bytes, kind: str) -> None:
    status, _ = await refusal(client, body, headers={"Content-Type": kind})
    assert status in {400, 415, 422}


async def test_a_large_upload_is_never_held_in_memory(aiohttp_client, tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data", engine="tone", pregenerate=False)
    file = tmp_path / "long.wav"
    soundfile.write(file, np.zeros((RATE * 280, 2), dtype=np.int16), RATE)  # 49 MB
    async with open_service(settings) as service:
        client = await aiohttp_client(create_app(service))
        with file.open("rb") as body:
            fields = FormData()
            fields.add_field("file", body, filename="long.wav")
            tracemalloc.start()
            try:
                answer = await client.post("/api/upload", data=fields)
                most = tracemalloc.get_traced_memory()[1]
            finally:
                tracemalloc.stop()
        assert answer.status == 200, await answer.text()
        assert (await answer.json())["duration"] == pytest.approx(280.0)
    assert most < 12 << 20

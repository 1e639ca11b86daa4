"""A disk that fails while the server runs: kept sounds play on, new ones are refused with a sentence, and it heals."""

from __future__ import annotations

import asyncio
import io
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from aiohttp import FormData
from aiohttp.test_utils import TestClient

from bridge.app import create_app
from bridge.sounds.opening import open_service
from bridge.sounds.service import SampleService
from bridge.system import threads
from bridge.system.disk import _watch
from tests.faults import FaultyDisk
from tests.servers import Listener, settings_for

CODES = {
    "read_only": (503, "store_not_writable"),
    "forbidden": (503, "store_not_writable"),
    "failing": (503, "store_failed"),
    "full": (507, "storage_full"),
}


STEMS = {
    "generation_request_id": "11111111-1111-4111-8111-111111111111",
    "audio_file_id": "11111111-1111-4111-8111-111111111112",
    "target_stems": ["drums"],
    "parameters": {"bpm": 120, "key": "C"},
}
WRITES = (
    ("POST", "/generate", {"json": {"prompt": "hat"}, "headers": {"Idempotency-Key": "k"}}),
    ("POST", "/generate", {"json": {"prompt": "kick", "variations": 3, "duration": 0.3}}),
    ("POST", "/generate_stem", {"json": {"type": "drums", "duration": 0.3}}),
    ("POST", "/api/v1/generate", {"json": {"prompt": "bass", "duration": 1}}),
    ("GET", "/gen/bd:2,sd:1.json", {"json": None}),
    ("POST", "/generate", {"json": STEMS}),
    ("POST", "/api/upload", {}),
    ("POST", "/evaluate", {}),
    ("PATCH", "/sounds/gen_kick", {"json": {"name": "gen_other"}}),
    ("PATCH", "/sounds/gen_kick", {"json": {"pinned": True}}),
    ("DELETE", "/sounds/gen_kick", {"json": None}),
)


def form() -> FormData:
    """A file to upload."""
    audio = io.BytesIO()
    soundfile.write(audio, 0.5 * np.sin(np.arange(4410) / 20), 44100, format="WAV")
    made = FormData()
    made.add_field("file", audio.getvalue(), filename="a.wav", content_type="audio/wav")
    return made


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FaultyDisk:
    monkeypatch.setattr(_watch, "FRESH_SECONDS", 0.0)  # what was seen a moment ago is not believed
    return FaultyDisk(tmp_path / "data", monkeypatch)


@pytest.fixture
async def service(disk: FaultyDisk) -> AsyncIterator[SampleService]:
    async with open_service(settings_for(Path(disk.folder))) as service:
        yield service


@pytest.fixture
async def client(service: SampleService, aiohttp_client) -> TestClient:
    return await aiohttp_client(create_app(service))


async def make(client: TestClient, prompt: str, **fields: object) -> tuple[int, dict]:
    body = {"prompt": prompt, "duration": 0.3, "format": "base64", **fields}
    async with client.post("/generate", json=body) as response:
        return response.status, await response.json()


async def kept_sounds_play(client: TestClient, url: str) -> None:
    for path in (url, url.replace(".wav", ".mp3"), "/sounds/kick", "/sounds", "/strudel.json", "/health/live"):
        async with client.get(path) as response:
            assert response.status == 200, path
            await response.read()
    assert (await make(client, "kick"))[0] == 200
    page = Listener(str(client.make_url("/")))
    assert (await page.connect())["sounds"]
    await page.leave()


async def ready(client: TestClient) -> tuple[int, str | None]:
    async with client.get("/health/ready") as response:
        return response.status, (await response.json()).get("error", {}).get("reason")


async def comes_to_be(client: TestClient, wanted: tuple[int, str | None]) -> None:
    async with asyncio.timeout(20):
        while await ready(client) != wanted:
            await asyncio.sleep(0.05)


async def is_ready_again(client: TestClient) -> None:
    await comes_to_be(client, (200, None))
    async with client.get("/health") as response:
        document = await response.json()
        assert (document["status"], document["warnings"]) == ("healthy", [])


@pytest.mark.parametrize("fault", sorted(CODES))
async def test_a_disk_that_takes_nothing_is_told_and_forgiven(client, disk, caplog, fault):
    url = (await make(client, "kick"))[1]["audio_url"]
    caplog.clear()
    with disk.fails(fault):
        status, document = await make(client, "snare")
        assert (status, document["error"]["code"]) == CODES[fault]
        assert any(word in document["error"]["message"] for word in ("disk", "data folder"))
        await comes_to_be(client, (503, CODES[fault][1]))
        async with client.get("/health") as response:
            health = await response.json()
        assert (health["status"], health["sounds"]) == ("degraded", 1)
        assert any(word in health["engine_reason"] for word in ("disk", "data folder"))
        assert health["warnings"] == [health["engine_reason"]]
        await kept_sounds_play(client, url)
        for method, path, body in WRITES:
            async with client.request(method, path, **(body if "json" in body else {"data": form()})) as response:
                code = (await response.json())["error"]["code"]
                if code == "ledger_failed":  # the ledger of stems says it of itself
                    assert body["json"] is STEMS
                    code = CODES[fault][1]
                assert (response.status, code) == CODES[fault], path
    await is_ready_again(client)
    assert (await make(client, "snare"))[0] == 200
    assert not [record for record in caplog.records if record.exc_info or record.levelno > logging.ERROR]


async def test_a_disk_that_hangs_stops_nothing_but_what_it_has_to_keep(client, disk, monkeypatch):
    monkeypatch.setattr(_watch, "HANGS_SECONDS", 0.3)
    for lane in (threads.WRITES, threads.FILES, threads.READS, threads.SERVING, threads.ENCODING):
        monkeypatch.setattr(lane, "patience", 1.0)
    url = (await make(client, "kick"))[1]["audio_url"]
    with disk.fails("frozen"):
        writers = [asyncio.create_task(make(client, f"tone {number} hz")) for number in range(200, 210)]
        pins = [asyncio.create_task(client.patch("/sounds/gen_kick", json={"pinned": True})) for _ in range(6)]
        await asyncio.sleep(0.1)
        for _ in range(3):
            await kept_sounds_play(client, url)
        assert await ready(client) in [(200, None), (503, "disk_not_answering")]
        await comes_to_be(client, (503, "disk_not_answering"))
        status, document = await make(client, "snare")
        assert (status, document["error"]["code"]) == (503, "disk_not_answering")
        async with client.get("/health") as response:
            assert "does not answer" in (await response.json())["engine_reason"]
        assert disk.loop_waited == []
    for status, document in await asyncio.gather(*writers):
        assert status == 200 or (status, document["error"]["code"]) in [(503, "disk_busy"), (503, "disk_not_answering")]
    assert {(await pin).status for pin in pins} <= {200, 503}
    await is_ready_again(client)
    assert (await make(client, "snare"))[0] == 200


async def test_asking_whether_it_is_ready_writes_nothing(client, disk):
    await make(client, "kick")
    await asyncio.sleep(0.5)  # what was made is written down to its end
    tree = {path: path.stat().st_mtime_ns for path in Path(disk.folder).rglob("*")}
    before = disk.writes
    for _ in range(5):
        assert (await ready(client))[0] == 200
        await asyncio.sleep(0.06)
    assert disk.writes - before == 5, "a look opens one file; it was made five times"
    assert {path: path.stat().st_mtime_ns for path in Path(disk.folder).rglob("*")} == tree


async def test_a_data_folder_that_goes_and_comes_back_is_told_and_used_again(client, service, tmp_path):
    url = (await make(client, "kick"))[1]["audio_url"]
    folder, away = service.settings.data_dir, tmp_path / "away"
    folder.rename(away)
    await comes_to_be(client, (503, "data_folder_gone"))
    status, document = await make(client, "snare")
    assert (status, document["error"]["code"]) == (503, "data_folder_gone")
    for path in (url, "/sounds/kick", "/sounds", "/strudel.json", "/health"):
        async with client.get(path) as response:
            assert response.status in (200, 404, 503), path
            assert response.status != 404 or path == "/sounds/kick"
    away.rename(folder)
    await is_ready_again(client)
    assert (await make(client, "snare"))[0] == 200
    async with client.get(url) as response:
        assert response.status == 200


@pytest.mark.parametrize(("place", "sentence"), [("masters", "sound files"), ("catalogue.sqlite3", "catalogue")])
async def test_masters_and_catalogue_that_go_are_told_of_by_their_own_names(client, service, tmp_path, place, sentence):
    await make(client, "kick")
    there = service.settings.data_dir / place
    there.rename(tmp_path / "away")
    await comes_to_be(client, (503, "data_folder_gone"))
    async with client.get("/health") as response:
        health = await response.json()
    assert health["status"] == "degraded"
    assert any(sentence in each and str(there) in each for each in health["warnings"])
    (tmp_path / "away").rename(there)
    await is_ready_again(client)

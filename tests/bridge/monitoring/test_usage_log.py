"""The log of who asked for what, and what it cost."""

from __future__ import annotations

import json
import resource
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from bridge.app import create_app
from bridge.monitoring import usage_log
from bridge.monitoring.usage_log import FILE
from bridge.settings import Settings
from bridge.sounds.opening import open_service
from tests.provider import Stage, say, stage, wav  # noqa: F401  a fixture
from tests.servers import Listener, until


async def lines(tmp_path: Path, bodies: list[dict[str, Any]], **fields: Any) -> list[dict[str, Any]]:
    """Ask for each, one after the other, and read the log when the server has ended."""
    fields = {"engine": "tone", **fields}
    settings = Settings(data_dir=tmp_path, pregenerate=False, api_key="k3y", **fields)
    async with open_service(settings) as service, TestClient(TestServer(create_app(service))) as client:
        for number, body in enumerate(bodies):
            headers = {"X-Request-ID": f"ask-{number}", "X-API-Key": "k3y"}
            await (await client.post("/generate", json=body, headers=headers)).read()
    file = tmp_path / FILE
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


ASK = {"prompt": "tone of a secret garden", "duration": 0.2, "session": "club"}


async def test_every_request_that_ended_has_a_line(tmp_path: Path) -> None:
    made, kept, failed = await lines(tmp_path, [ASK, ASK, {**ASK, "prompt": "tone fail"}])
    assert made["state"] == kept["state"] == "completed"
    assert (made["request_id"], made["session"], made["engine"]) == ("ask-0", "club", "tone")
    assert made["seconds"] == 0.2
    assert (made["cached"], kept["cached"]) == (False, True)
    assert (failed["state"], failed["error"]) == ("failed", "engine_failed")
    assert made["cost"] == kept["cost"] == failed["cost"] == 0


async def test_words_and_keys_are_not_in_it_unless_words_are_wanted(tmp_path: Path) -> None:
    (line,) = await lines(tmp_path, [ASK])
    assert "prompt" not in line
    assert "k3y" not in (tmp_path / FILE).read_text()
    line = (await lines(tmp_path, [ASK], usage_prompts=True))[-1]
    assert line["prompt"] == ASK["prompt"]
    assert (tmp_path / FILE).stat().st_mode & 0o077 == 0


async def test_it_says_what_a_provider_was_paid(tmp_path: Path, stage: Stage) -> None:  # noqa: F811
    prediction = {"id": "a1", "status": "succeeded", "output": f"{stage.url}/f.wav", "metrics": {"predict_time": 20.0}}
    stage.script = [say(json=prediction), say(body=wav())]
    fields = {
        "replicate_model": "meta/musicgen",
        "replicate_url": stage.url,
        "replicate_token": "r8",
        "cloud_price": 0.01,
    }
    (line,) = await lines(tmp_path, [ASK], engine="replicate", **fields)
    assert line["cost"] == pytest.approx(0.2)


async def test_it_does_not_grow_for_ever_and_can_be_switched_off(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text('{"name": "gen_x"}\n' * (2**20 // 18) + '{"a": "bcde"}\n')
    (line,) = await lines(tmp_path, [ASK], usage_log_mb=1)
    assert line["request_id"] == "ask-0"
    assert (tmp_path / "usage.1.jsonl").stat().st_size > 2**20 - 18
    (tmp_path / FILE).unlink()
    assert await lines(tmp_path, [ASK], usage_log_mb=0) == []


async def test_a_log_that_cannot_be_written_stops_no_sound(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    settings = Settings(data_dir=tmp_path, engine="tone", pregenerate=False)
    async with open_service(settings) as service, TestClient(TestServer(create_app(service))) as client:
        assert (await client.post("/generate", json=ASK)).status == 200
        await until((tmp_path / FILE).exists)
        (tmp_path / FILE).unlink()
        (tmp_path / FILE).mkdir()
        (tmp_path / "usage.1.jsonl").mkdir()
        for _ in range(2):
            assert (await client.post("/generate", json=ASK)).status == 200
    assert caplog.text.count("usage log cannot be written") == 1


async def test_it_says_whose_key_it_was_whichever_door_was_taken(tmp_path: Path) -> None:
    settings = Settings(
        data_dir=tmp_path, engine="tone", pregenerate=False, api_key="k0", api_keys="ana=k=1, studio = k2,"
    )
    async with open_service(settings) as service, TestClient(TestServer(create_app(service))) as client:
        for number, key in enumerate(("k0", "k=1", "k2")):
            body = {**ASK, "prompt": f"tone {number}"}
            assert (await client.post("/generate", json=body, headers={"X-API-Key": key})).status == 200
        assert (await client.post("/generate", json=ASK, headers={"X-API-Key": "k3"})).status == 403
        async with client.ws_connect("/ws/stream/one", headers={"Authorization": "Bearer k2"}) as socket:
            await socket.send_json({"type": "start_streaming", "request": {"prompt": "tone", "duration": 0.2}})
            while '"completed"' not in str((await socket.receive()).data):
                pass
        listener = Listener(str(client.make_url("/")))
        await listener.connect()
        try:
            assert (await listener.ask("generate", ASK))["error"]["code"] == "key_required"
            await listener.hello(token="k=1")
            await listener.ask("generate", {**ASK, "prompt": "tone 9"})
            await until(lambda: [event for event in listener.of("sound") if event["prompt"] == "tone 9"])
        finally:
            await listener.leave()
    found = [json.loads(line) for line in (tmp_path / FILE).read_text().splitlines()]
    assert [line["who"] for line in found] == [None, "ana", "studio", "studio", "ana"]
    assert "k=1" not in (tmp_path / FILE).read_text()


def test_a_disk_that_fills_up_within_a_line_leaves_whole_lines(tmp_path: Path) -> None:
    file = tmp_path / FILE
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        usage_log._append(file, b"a" * 399 + b"\n")
        usage_log._append(file, b"b" * 399 + b"\n")
        with pytest.raises(OSError, match="too large"):
            usage_log._append(file, b"c" * 399 + b"\n")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert file.read_bytes() == b"a" * 399 + b"\n" + b"b" * 399 + b"\n"

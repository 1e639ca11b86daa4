"""``/ws`` of contract C, over a real WebSocket."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import ClientWebSocketResponse, WSMsgType, WSServerHandshakeError
from aiohttp.test_utils import TestClient

from bridge.app import create_app
from bridge.realtime import job_socket
from bridge.sounds.opening import open_service
from bridge.sounds.service import SampleService
from tests.servers import settings_for


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[SampleService]:
    async with open_service(settings_for(tmp_path / "data")) as service:
        yield service


@pytest.fixture
async def client(service: SampleService, aiohttp_client) -> TestClient:
    return await aiohttp_client(create_app(service))


async def begin(client: TestClient, **body: object) -> str:
    answer = await client.post("/api/v1/generate", json={"prompt": "tone 330 hz", "duration": 0.2, **body})
    return (await answer.json())["job_id"]


async def hear(socket: ClientWebSocketResponse) -> dict:
    return await socket.receive_json(timeout=20)


async def until_ended(socket: ClientWebSocketResponse, job_id: str) -> list[dict]:
    heard = []
    while not heard or heard[-1]["status"] not in ("completed", "failed", "cancelled"):
        event = await hear(socket)
        if event.get("job_id") == job_id:
            heard.append(event)
    return heard


async def test_every_job_is_told_until_its_end(client) -> None:
    async with client.ws_connect("/ws") as socket:
        job_id = await begin(client)
        heard = await until_ended(socket, job_id)
        assert {event["type"] for event in heard} == {"job"}
        assert heard[-1]["status"] == "completed"
        status = await (await client.get(f"/api/v1/status/{job_id}")).json()
        assert heard[-1] == {"type": "job", **status}


async def test_what_was_kept_already_is_told_too(client) -> None:
    async with client.ws_connect("/ws") as socket:
        await until_ended(socket, await begin(client))
        assert (await until_ended(socket, await begin(client)))[-1]["status"] == "completed"


async def test_a_failed_and_a_cancelled_job_are_told_too(client) -> None:
    async with client.ws_connect("/ws") as socket:
        assert (await until_ended(socket, await begin(client, prompt="tone fail")))[-1]["error"][
            "code"
        ] == "engine_failed"
        job_id = await begin(client, prompt="tone slow", duration=60)
        await client.delete(f"/api/v1/jobs/{job_id}")
        assert (await until_ended(socket, job_id))[-1]["status"] == "cancelled"


async def test_who_subscribes_hears_of_that_job_alone_and_at_once(client) -> None:
    async with client.ws_connect("/ws") as socket:
        wanted = await begin(client)
        await until_ended(socket, wanted)
        await socket.send_json({"type": "subscribe", "job_id": wanted})
        while (event := await hear(socket))["job_id"] != wanted:
            pass
        assert event["status"] == "completed"
        await client.post("/generate", json={"prompt": "tone 500 hz", "duration": 0.2})
        await socket.send_json({"type": "ping"})
        assert await hear(socket) == {"type": "pong"}
        await socket.send_json({"type": "subscribe"})
        other = await begin(client, prompt="tone 600 hz")
        assert await until_ended(socket, other)


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ("hello", "invalid_request"),
        ("[]", "invalid_request"),
        ("{}", "invalid_request"),
        ("[" * 4000, "invalid_request"),
        ('{"type": 7}', "invalid_request"),
        ('{"type": "subscribe", "job_id": 7}', "invalid_request"),
        ('{"type": "subscribe", "job_id": "gen_000000000000"}', "unknown_job"),
        (b"\x00\xff", "invalid_request"),
    ],
)
async def test_garbage_is_answered_with_a_sentence(client, said: str | bytes, code: str) -> None:
    async with client.ws_connect("/ws") as socket:
        await (socket.send_bytes(said) if isinstance(said, bytes) else socket.send_str(said))
        answer = await hear(socket)
        assert answer["type"] == "error"
        assert answer["error"]["code"] == code
        await socket.send_json({"type": "ping"})
        assert await hear(socket) == {"type": "pong"}


async def test_who_never_makes_sense_is_shown_out(client) -> None:
    async with client.ws_connect("/ws") as socket:
        for _ in range(10):
            await socket.send_str("?")
        while (message := await socket.receive(timeout=20)).type is WSMsgType.TEXT:
            pass
        assert message.type is WSMsgType.CLOSE
        assert message.data == 1008


async def test_a_plain_get_is_told_to_speak_websocket(client) -> None:
    answer = await client.get("/ws")
    assert answer.status == 422
    assert "ws://" in (await answer.json())["detail"]


async def test_a_client_that_stops_reading_is_dropped_and_the_others_go_on(client, monkeypatch) -> None:
    monkeypatch.setattr(job_socket, "SEND_SECONDS", 0.3)
    deaf = await client.ws_connect("/ws", max_msg_size=0)
    deaf._conn.protocol.pause_reading()
    async with client.ws_connect("/ws") as socket:
        # Its answers fill what the kernel holds for it: the same long list of its own mistakes would close it sooner.
        pings = json.dumps({"type": "ping"})
        sender = asyncio.create_task(flood(deaf, pings))
        job_id = await begin(client)
        assert (await until_ended(socket, job_id))[-1]["status"] == "completed"
        await asyncio.wait_for(sender, 30)
        await socket.send_json({"type": "ping"})
        while (await hear(socket)) != {"type": "pong"}:
            pass


async def flood(socket: ClientWebSocketResponse, text: str) -> None:
    """Say something until the connection is cut."""
    with contextlib.suppress(ConnectionError):
        while True:
            await socket.send_str(text)


async def test_no_more_may_listen_than_are_allowed(tmp_path, aiohttp_client) -> None:
    async with open_service(settings_for(tmp_path / "data", max_clients=1)) as service:
        client = await aiohttp_client(create_app(service))
        async with client.ws_connect("/ws"):
            with pytest.raises(WSServerHandshakeError) as refused:
                await client.ws_connect("/ws")
            assert refused.value.status == 503
        async with client.ws_connect("/ws") as again:
            await again.send_json({"type": "ping"})
            assert await hear(again) == {"type": "pong"}


async def test_who_takes_back_a_shared_sound_hears_of_it_and_the_other_hears_the_end(client) -> None:
    async with client.ws_connect("/ws") as socket:
        mine = await begin(client, prompt="tone slow", duration=0.5)
        theirs = await begin(client, prompt="tone slow", duration=0.5)
        await client.delete(f"/api/v1/jobs/{mine}")
        ends: dict[str, str] = {}
        while len(ends) < 2:
            event = await hear(socket)
            if event["status"] in ("completed", "cancelled"):
                ends[event["job_id"]] = event["status"]
        assert ends == {mine: "cancelled", theirs: "completed"}


async def test_who_listens_is_told_when_the_server_stops(service, aiohttp_client) -> None:
    client = await aiohttp_client(create_app(service))
    async with client.ws_connect("/ws") as socket:
        stopping = asyncio.create_task(client.server.close())
        assert (await socket.receive(timeout=20)).data == 1001
        await stopping

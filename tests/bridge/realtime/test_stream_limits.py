"""What a stream needs besides its words: a place, a key where there is one, and a line in the usage log."""

from __future__ import annotations

import asyncio
import base64
import json
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientWebSocketResponse, WSMsgType, WSServerHandshakeError

from bridge.app import create_app
from bridge.monitoring.usage_log import FILE
from bridge.sounds.opening import open_service
from tests.servers import settings_for

TONE = {"type": "start_streaming", "request": {"prompt": "tone 300 hz", "chunk_duration": 0.1, "session": "club"}}
KEY = "k3y ?ä/~"


async def until(socket: ClientWebSocketResponse, kind: str) -> dict[str, Any]:
    """The next event of a kind; audio and other events are passed over."""
    async with asyncio.timeout(20):
        while True:
            message = await socket.receive()
            if message.type is WSMsgType.TEXT and (event := json.loads(message.data))["type"] == kind:
                return event
            assert message.type in (WSMsgType.TEXT, WSMsgType.BINARY), message


async def test_one_stream_too_many_is_told_so_and_may_begin_when_another_has_ended(tmp_path, aiohttp_client) -> None:
    async with open_service(settings_for(tmp_path / "data", max_streams=1)) as service:
        client = await aiohttp_client(create_app(service))
        async with client.ws_connect("/ws/stream/one") as one, client.ws_connect("/ws/stream/two") as two:
            await one.send_json(TONE)
            await until(one, "started")
            await two.send_json(TONE)
            assert (await until(two, "error"))["error"]["code"] == "too_many_streams"
            await one.send_json({"type": "stop"})
            await until(one, "completed")
            await two.send_json(TONE)
            await until(two, "started")


async def test_of_many_that_begin_in_the_same_moment_no_more_play_than_may(tmp_path, aiohttp_client) -> None:
    async with open_service(settings_for(tmp_path / "data", max_streams=2)) as service:
        client = await aiohttp_client(create_app(service))
        sockets = [await client.ws_connect(f"/ws/stream/s{number}") for number in range(5)]
        await asyncio.gather(*(socket.send_json(TONE) for socket in sockets))
        first = [json.loads((await socket.receive(20)).data)["type"] for socket in sockets]
        assert first.count("started") <= 2
        assert first.count("started") + first.count("error") == 5
        for socket in sockets:
            await socket.close()


def protocols(key: str) -> tuple[str, str]:
    coded = base64.urlsafe_b64encode(key.encode()).decode().rstrip("=")
    return "sample-bridge", f"sample-bridge.key.{coded}"


async def test_a_page_shows_the_key_as_a_subprotocol(tmp_path, aiohttp_client) -> None:
    async with open_service(settings_for(tmp_path / "data", api_key=KEY)) as service:
        client = await aiohttp_client(create_app(service))
        async with client.ws_connect("/ws/stream/one", protocols=protocols(KEY)) as socket:
            assert socket.protocol == "sample-bridge", "a browser hangs up where none of its protocols is chosen"
            await socket.send_json(TONE)
            await until(socket, "started")


@pytest.mark.parametrize(
    "offered",
    [(), ("sample-bridge",), protocols("wrong"), protocols(""), ("sample-bridge.key.é!",), ("sample-bridge.key._w",)],
)
async def test_without_the_right_key_no_stream_is_opened(tmp_path, aiohttp_client, offered) -> None:
    async with open_service(settings_for(tmp_path / "data", api_key=KEY)) as service:
        client = await aiohttp_client(create_app(service))
        with pytest.raises(WSServerHandshakeError) as caught:
            await client.ws_connect("/ws/stream/one", protocols=offered)
        assert caught.value.status == 403


async def heard(tmp_path: Path, aiohttp_client, *messages: dict[str, Any], **fields: Any) -> list[dict[str, Any]]:
    """Start streams one after the other in one connection, then hang up; answers the usage log's lines."""
    async with open_service(settings_for(tmp_path, **fields)) as service:
        client = await aiohttp_client(create_app(service))
        async with client.ws_connect("/ws/stream/mine", headers={"X-Request-Id": "ask-1"}) as socket:
            for message in messages:
                await socket.send_json(message)
                await until(
                    socket, {"start_streaming": "progress", "stop": "completed", "wait": "error"}[message["type"]]
                )
        await client.close()
    return [json.loads(line) for line in (tmp_path / FILE).read_text().splitlines()]


async def test_a_stream_that_was_stopped_has_a_line_with_what_was_heard(tmp_path, aiohttp_client) -> None:
    (line,) = await heard(tmp_path, aiohttp_client, TONE, {"type": "stop"})
    assert (line["request_id"], line["session"], line["stream"]) == ("ask-1", "club", "mine")
    assert (line["state"], line["engine"], line["cost"]) == ("completed", "tone", 0)
    assert line["seconds"] >= 1.0
    assert line["played_s"] >= 0
    assert "prompt" not in line


async def test_a_stream_whose_client_went_was_cancelled(tmp_path, aiohttp_client) -> None:
    (line,) = await heard(tmp_path, aiohttp_client, TONE, usage_prompts=True)
    assert (line["state"], line["prompt"]) == ("cancelled", "tone 300 hz")


async def test_a_stream_that_broke_off_says_why(tmp_path, aiohttp_client) -> None:
    async with open_service(settings_for(tmp_path)) as service:
        client = await aiohttp_client(create_app(service))
        async with client.ws_connect("/ws/stream/mine") as socket:
            await socket.send_json({"type": "start_streaming", "request": {"prompt": "tone fail"}})
            await until(socket, "error")
        await client.close()
    (line,) = [json.loads(line) for line in (tmp_path / FILE).read_text().splitlines()]
    assert (line["state"], line["error"], line["seconds"]) == ("failed", "engine_failed", 0)

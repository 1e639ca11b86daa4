"""``/ws/stream/{session_id}`` of contract B, over a real WebSocket and an engine's real process."""

from __future__ import annotations

import asyncio
import json
import socket as sockets
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
from aiohttp import ClientWebSocketResponse, WSMsgType, WSServerHandshakeError
from aiohttp.test_utils import TestClient

from bridge.app import create_app
from bridge.realtime import streams
from bridge.settings import Settings
from bridge.sounds.opening import open_service
from bridge.sounds.service import SampleService


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[SampleService]:
    settings = Settings(data_dir=tmp_path / "data", engine="procedural", pregenerate=False)
    async with open_service(settings) as service:
        yield service


@pytest.fixture
async def client(service: SampleService, aiohttp_client) -> TestClient:
    return await aiohttp_client(create_app(service))


class Player:
    """A client of one stream that keeps all it hears."""

    def __init__(self, socket: ClientWebSocketResponse) -> None:
        self.socket = socket
        self.events: list[dict] = []
        self.audio: list[np.ndarray] = []

    async def say(self, kind: str, request: object = None) -> None:
        await self.socket.send_json({"type": kind, **({"request": request} if request is not None else {})})

    async def hear(self) -> dict:
        event = json.loads(await self.socket.receive_str(timeout=30))
        if event["type"] == "chunk":
            pcm = await self.socket.receive_bytes(timeout=30)
            self.audio.append(np.frombuffer(pcm, dtype="<i2").reshape(-1, event["channels"]))
        self.events.append(event)
        return event

    async def until(self, kind: str, count: int = 1) -> dict:
        event: dict = {}
        while count:
            event = await self.hear()
            count -= event["type"] == kind
        return event

    @property
    def chunks(self) -> list[dict]:
        return [event for event in self.events if event["type"] == "chunk"]


async def test_a_stream_with_a_duration_is_told_heard_and_completed(client) -> None:
    async with client.ws_connect("/ws/stream/one") as socket:
        player = Player(socket)
        await player.say(
            "start_streaming", {"prompt": "ocean waves", "duration": 2.5, "chunk_duration": 0.5, "quality_mode": "high"}
        )
        completed = await player.until("completed")
    started = player.events[0]
    assert started["type"] == "started"
    assert (started["sample_rate"], started["channels"]) == (44100, 2)
    assert [chunk["index"] for chunk in player.chunks] == list(range(len(player.chunks)))
    at = 0.0
    for chunk, pcm in zip(player.chunks, player.audio, strict=True):
        assert chunk["start"] == pytest.approx(at, abs=1e-5)
        assert len(pcm) == round(chunk["duration"] * 44100)
        at += len(pcm) / 44100
    assert at == pytest.approx(2.5, abs=1e-3)
    assert completed == {"type": "completed", "session_id": "one", "seconds_sent": 2.5, "reason": "finished"}
    whole = np.concatenate(player.audio)
    assert np.abs(whole).max() > 1000
    assert np.abs(whole[-1]).max() < 50, "it ends without a click"


async def test_without_a_duration_it_goes_on_until_stop_and_can_be_started_again(client) -> None:
    async with client.ws_connect("/ws/stream/one") as socket:
        player = Player(socket)
        await player.say("start_streaming", {"prompt": "ocean waves", "chunk_duration": 0.2})
        await player.until("chunk", 4)
        await player.say("stop")
        assert (await player.until("completed"))["reason"] == "stopped"
        await player.say("start_streaming", {"prompt": "ocean waves", "duration": 0.3})
        assert (await player.until("completed"))["reason"] == "finished"


async def test_what_plays_is_listed_with_what_was_sent(client) -> None:
    async with client.ws_connect("/ws/stream/mine") as socket:
        player = Player(socket)
        assert (await (await client.get("/stream/sessions")).json()) == {"sessions": []}
        await player.say("start_streaming", {"prompt": "ocean waves", "chunk_duration": 0.2, "quality_mode": "draft"})
        await player.until("chunk", 2)
        (listed,) = (await (await client.get("/stream/sessions")).json())["sessions"]
        assert set(listed) == {"session_id", "prompt", "started_at", "seconds_sent", "quality_mode"}
        assert (listed["session_id"], listed["prompt"], listed["quality_mode"]) == ("mine", "ocean waves", "draft")
        assert listed["seconds_sent"] >= 0.4
        assert player.chunks[0]["channels"] == 1, "a draft is one channel"
        await player.say("stop")
        await player.until("completed")
        assert (await (await client.get("/stream/sessions")).json()) == {"sessions": []}


async def test_a_change_is_heard_from_the_next_chunk_on_without_a_step(client) -> None:
    async with client.ws_connect("/ws/stream/one") as socket:
        player = Player(socket)
        await player.say("start_streaming", {"prompt": "sine tone 223.3 hz", "engine": "tone", "chunk_duration": 0.31})
        await player.until("chunk", 2)
        await player.say("update", {"prompt": "sine tone 880 hz"})
        await player.until("progress")
        before = len(player.chunks)
        await player.until("chunk", 5)
        await player.say("stop")
        await player.until("completed")
    assert pitch(player.audio[0]) == pytest.approx(223.3, abs=8)
    assert pitch(player.audio[before + 3]) == pytest.approx(880, abs=8)
    whole = np.concatenate(player.audio).astype(float)[:, 0] / 32767
    steepest = 0.5 * 2 * np.pi * 880 / 44100
    assert np.abs(np.diff(whole)).max() < 1.6 * steepest, "nothing clicks where they change places"


def pitch(pcm: np.ndarray) -> float:
    wave = pcm[:, 0].astype(float)
    return float(np.abs(np.fft.rfft(wave * np.hanning(len(wave)))).argmax() * 44100 / len(wave))


async def test_it_goes_over_the_ends_of_its_passages_without_a_step_or_a_hole(client, monkeypatch) -> None:
    monkeypatch.setattr("bridge.streaming.course.PASSAGE_SECONDS", 1.0)
    async with client.ws_connect("/ws/stream/one") as socket:
        player = Player(socket)
        await player.say(
            "start_streaming",
            {"prompt": "sine tone 111.3 hz", "engine": "tone", "chunk_duration": 0.3, "duration": 3.7},
        )
        await player.until("completed")
    whole = np.concatenate(player.audio).astype(float)[:, 0] / 32767
    assert len(whole) == pytest.approx(3.7 * 44100, abs=2)
    assert np.abs(np.diff(whole)).max() < 3 * 0.5 * 2 * np.pi * 111.3 / 44100
    quiet = whole[2000:-2000].reshape(-1)[: len(whole) // 4410 * 4410 - 8820].reshape(-1, 4410)
    assert np.sqrt(np.square(quiet).mean(axis=1)).min() > 0.02


async def test_a_second_start_is_refused_and_the_first_goes_on(client) -> None:
    async with client.ws_connect("/ws/stream/one") as socket:
        player = Player(socket)
        for _ in range(2):
            await player.say("start_streaming", {"prompt": "ocean waves", "chunk_duration": 0.2})
        assert (await player.until("error"))["error"]["code"] == "already_streaming"
        await player.until("chunk", 3)


@pytest.mark.parametrize(
    ("request_", "named"),
    [
        (None, "request"),
        ([], "request"),
        ({}, "prompt"),
        ({"prompt": ""}, "prompt"),
        ({"prompt": "x", "chunk_duration": 0}, "chunk_duration"),
        ({"prompt": "x", "chunk_duration": "long"}, "chunk_duration"),
        ({"prompt": "x", "quality_mode": "best"}, "quality_mode"),
        ({"prompt": "x", "duration": 1000}, "duration"),
        ({"prompt": "x", "bpm": 90, "tempo": 120}, "bpm"),
        ({"prompt": "x", "engine": "no_such"}, "engine"),
    ],
)
async def test_a_request_that_is_not_right_is_answered_with_its_field(client, request_, named) -> None:
    async with client.ws_connect("/ws/stream/one") as socket:
        player = Player(socket)
        await socket.send_json({"type": "start_streaming", "request": request_})
        error = (await player.hear())["error"]
        assert named in error["message"]
        await player.say("start_streaming", {"prompt": "ocean waves", "duration": 0.2})
        await player.until("completed")


@pytest.mark.parametrize("kind", ["stop", "update"])
async def test_what_does_not_play_cannot_be_stopped_or_changed(client, kind: str) -> None:
    async with client.ws_connect("/ws/stream/one") as socket:
        player = Player(socket)
        await player.say(kind, {})
        assert (await player.hear())["error"]["code"] == "not_streaming"


async def test_garbage_is_answered_and_too_much_of_it_ends_the_connection(client) -> None:
    async with client.ws_connect("/ws/stream/one") as socket:
        for number in range(streams.MAX_MISTAKES):
            await (socket.send_bytes(b"\xff\x00") if number % 2 else socket.send_str("{" * 5))
            assert (await socket.receive_json(timeout=10))["type"] == "error"
        assert (await socket.receive(timeout=10)).type is WSMsgType.CLOSE


async def test_who_says_nothing_is_told_so_and_let_go(client, monkeypatch) -> None:
    monkeypatch.setattr(streams, "IDLE_SECONDS", 0.2)
    async with client.ws_connect("/ws/stream/one") as socket:
        assert (await socket.receive_json(timeout=10))["error"]["code"] == "idle"
        assert (await socket.receive(timeout=10)).type is WSMsgType.CLOSE


async def test_a_session_that_is_connected_cannot_be_connected_again(client) -> None:
    async with client.ws_connect("/ws/stream/one"):
        with pytest.raises(WSServerHandshakeError) as refused:
            await client.ws_connect("/ws/stream/one")
        assert refused.value.status == 409


async def test_a_plain_request_and_an_odd_id_are_422(client) -> None:
    assert (await client.get("/ws/stream/one")).status == 422
    with pytest.raises(WSServerHandshakeError) as refused:
        await client.ws_connect("/ws/stream/o%20ne")
    assert refused.value.status == 422


async def test_an_engine_that_fails_ends_the_stream_with_a_sentence(client) -> None:
    async with client.ws_connect("/ws/stream/one") as socket:
        player = Player(socket)
        for trouble, code in (("fail", "engine_failed"), ("nan", "bad_audio"), ("crash", "engine_crashed")):
            await player.say("start_streaming", {"prompt": f"tone {trouble}", "engine": "tone"})
            assert (await player.until("error"))["error"]["code"] == code
        await player.say("start_streaming", {"prompt": "tone 200 hz", "engine": "tone", "duration": 0.3})
        await player.until("completed")


async def test_who_goes_takes_the_work_along(client, service: SampleService) -> None:
    app_streams = client.app[next(key for key in client.app if "streams" in str(key))]
    async with client.ws_connect("/ws/stream/one") as socket:
        player = Player(socket)
        await player.say("start_streaming", {"prompt": "tone slow", "engine": "tone", "chunk_duration": 0.2})
        await player.until("started")
    while app_streams.sessions() or app_streams.passages:
        await asyncio.sleep(0.02)
    await service.engines.hosted("tone").start()
    assert service.engines.hosted("tone").restarts == 0, "it stopped when asked"


async def test_two_who_want_the_same_share_the_work(client) -> None:
    app_streams = client.app[next(key for key in client.app if "streams" in str(key))]
    async with client.ws_connect("/ws/stream/a") as first, client.ws_connect("/ws/stream/b") as second:
        players = [Player(first), Player(second)]
        for player in players:
            await player.say("start_streaming", {"prompt": "tone slow 200 hz", "engine": "tone", "duration": 1})
        for player in players:
            await player.until("started")
        assert len(app_streams.passages) <= 1
        for player in players:
            await player.until("completed")
    assert np.array_equal(np.concatenate(players[0].audio), np.concatenate(players[1].audio))


async def test_a_client_that_stops_reading_is_dropped(client, service, monkeypatch) -> None:
    monkeypatch.setattr(streams, "SEND_SECONDS", 0.3)
    monkeypatch.setattr(streams, "AHEAD_SECONDS", 1000.0)  # no clock: as fast as the line takes it
    address = client.server.host, client.server.port
    stuck = sockets.socket()
    stuck.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4096)
    stuck.connect(address)
    stuck.sendall(
        b"GET /ws/stream/stuck HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    )
    said = json.dumps({"type": "start_streaming", "request": {"prompt": "ocean waves"}}).encode()
    stuck.sendall(bytes([0x81, 0x80 | len(said), 0, 0, 0, 0]) + said)
    app_streams = client.app[next(key for key in client.app if "streams" in str(key))]
    while not app_streams.sessions():
        await asyncio.sleep(0.02)
    while app_streams.sessions():
        await asyncio.sleep(0.05)
    stuck.close()

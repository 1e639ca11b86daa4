"""Connections that stop in the middle are ended; slow ones that go on, and everybody else, are not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from bridge.api.security import reaper
from bridge.api.security.connection import Runner
from bridge.app import create_app
from bridge.exchange.uploads import MOST_RECEIVED

HALF = b"POST /generate HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 400\r\n\r\n{"
UPLOAD = (
    b"POST /api/upload HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=b\r\n"
    b'Content-Length: 90000\r\n\r\n--b\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\nRIFF'
)


@pytest.fixture
async def address(service, monkeypatch) -> AsyncIterator[tuple[str, int]]:
    monkeypatch.setattr(reaper, "LOOK_SECONDS", 0.1)
    monkeypatch.setattr(reaper, "BODY_SECONDS", 1.5)
    monkeypatch.setattr("bridge.api.security.connection.HEADER_SECONDS", 1.5)
    runner = Runner(create_app(service), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield runner.addresses[0][:2]
    await runner.cleanup()


async def is_ended(reader: asyncio.StreamReader) -> bool:
    try:
        return await asyncio.wait_for(reader.read(), 20) is not None
    except ConnectionError:
        return True


async def asked(address: tuple[str, int], path: str = "/health/live") -> bytes:
    reader, writer = await asyncio.open_connection(*address)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    answer = await asyncio.wait_for(reader.read(), 20)
    writer.close()
    return answer.split()[1]


@pytest.mark.parametrize(
    "begun",
    [
        b"",
        b"GET / HTTP/1.1\r\nHost: loc",
        HALF,
        UPLOAD,
        b"GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n",
        b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\nGET /health/live HT",
    ],
)
async def test_what_stops_in_the_middle_is_ended(address, begun: bytes) -> None:
    connections = [await asyncio.open_connection(*address) for _ in range(20)]
    for _, writer in connections:
        writer.write(begun)
    assert await asked(address) == b"200"
    assert all(await asyncio.gather(*(is_ended(reader) for reader, _ in connections)))
    assert await asked(address) == b"200"
    for _, writer in connections:
        writer.close()


async def test_a_slow_body_that_goes_on_passes(address) -> None:
    body = b'{"prompt": "tone 200 hz", "duration": 0.1, "format": "wav"}'
    reader, writer = await asyncio.open_connection(*address)
    writer.write(
        HALF.removesuffix(b"{")
        .replace(b"400", str(len(body)).encode())
        .replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    )
    for start in range(0, len(body), 10):
        writer.write(body[start : start + 10])
        await asyncio.sleep(0.6)
    assert (await asyncio.wait_for(reader.read(), 30)).split()[1] == b"200"
    writer.close()


async def test_half_sent_uploads_give_way_to_whole_ones(address, monkeypatch) -> None:
    monkeypatch.setattr(reaper, "BODY_SECONDS", 600.0)
    monkeypatch.setattr("bridge.exchange.uploads.STALLED_SECONDS", 0.2)
    held = [await asyncio.open_connection(*address) for _ in range(MOST_RECEIVED)]
    for _, writer in held:
        writer.write(UPLOAD)
    await asyncio.sleep(1.0)
    reader, writer = await asyncio.open_connection(*address)
    whole = UPLOAD.partition(b"\r\n\r\n")[2] + b"no WAVE at all\r\n--b--\r\n"
    head = UPLOAD.partition(b"\r\n\r\n")[0].replace(b"90000", str(len(whole)).encode())
    writer.write(head + b"\r\nConnection: close\r\n\r\n" + whole)
    answer = await asyncio.wait_for(reader.read(), 30)
    assert answer.split()[1] == b"415", "it was read, and is no audio"
    for _, each in (*held, (reader, writer)):
        each.close()


async def test_where_files_run_out_the_oldest_idle_connection_gives_way(address, monkeypatch) -> None:
    monkeypatch.setattr("bridge.api.security.connection.most_connections", lambda: 10)
    held = [await asyncio.open_connection(*address) for _ in range(30)]
    for _ in range(5):
        assert await asked(address) == b"200"
    for _, writer in held:
        writer.close()

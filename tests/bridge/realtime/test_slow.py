"""Clients that stop reading are dropped; those that are merely slow are not."""

from __future__ import annotations

import asyncio
import os
import socket
from contextlib import suppress

import psutil
import pytest
import socketio
from aiohttp import web

from bridge.realtime import slow
from bridge.realtime.driver import use_our_driver
from bridge.realtime.fanout import fan_out
from tests.servers import until

PATH = "/socket.io/?EIO=4&transport=websocket"
ROOM = "everybody"


@pytest.fixture
def sio() -> socketio.AsyncServer:
    server = socketio.AsyncServer(async_mode="aiohttp", transports=["websocket"], cors_allowed_origins="*")
    use_our_driver(server)

    async def connect(sid: str, *_: object) -> None:
        await server.enter_room(sid, ROOM)

    server.on("connect", connect)
    return server


@pytest.fixture
async def watched(sio: socketio.AsyncServer, aiohttp_server):
    """A server that drops slow clients."""
    app = web.Application()
    sio.attach(app)
    server = await aiohttp_server(app)
    dropping = asyncio.create_task(slow.drop_slow_clients(sio))
    yield server
    dropping.cancel()
    with suppress(asyncio.CancelledError):
        await dropping


async def join(server) -> socket.socket:
    """Connect with a small receive buffer, and read nothing after that."""
    loop = asyncio.get_running_loop()
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.setblocking(False)
    await loop.sock_connect(client, ("127.0.0.1", server.port))
    request = f"GET {PATH} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    request += "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    await loop.sock_sendall(client, request.encode())
    await loop.sock_recv(client, 4096)
    await loop.sock_sendall(client, b"\x81\x82\0\0\0\x0040")
    return client


async def test_who_stops_reading_is_dropped_within_5_seconds_and_costs_no_memory(sio, watched):
    loop = asyncio.get_running_loop()
    with await join(watched):
        await until(lambda: ROOM in sio.manager.rooms.get("/", {}))
        message = {"prompt": "x" * 100_000}
        process = psutil.Process(os.getpid())
        for _ in range(20):
            await fan_out(sio, ROOM, "sound", message)
        begun, before = loop.time(), process.memory_info().rss
        while sio.eio.sockets:
            assert loop.time() - begun < 7, "5 s, and some for a busy machine"
            await fan_out(sio, ROOM, "sound", message)
            await asyncio.sleep(0.1)
        for _ in range(300):
            await fan_out(sio, ROOM, "sound", message)
        assert process.memory_info().rss - before < 60_000_000, "300 of them would be 30 MB for each one forgotten"


async def test_who_stops_reading_small_news_is_dropped_as_soon_as_they_pile_up(sio, watched):
    """Long before anything of ours would wait for it."""
    with await join(watched):
        await until(lambda: ROOM in sio.manager.rooms.get("/", {}))
        (connection,) = sio.eio.sockets.values()
        while not connection.queue.transport.get_write_buffer_size():
            await fan_out(sio, ROOM, "sound", {"prompt": "x" * 1000})
        await until(lambda: not sio.eio.sockets, seconds=8)


async def test_who_is_slow_but_reads_is_left_alone(sio, watched):
    """One big answer over a thin line, and small news that wait behind it."""
    loop = asyncio.get_running_loop()
    with await join(watched) as client:
        await until(lambda: ROOM in sio.manager.rooms.get("/", {}))
        size = 3_000_000
        await fan_out(sio, ROOM, "everything", {"prompt": "x" * size})
        received, begun = 0, loop.time()
        while received < size:
            received += len(await loop.sock_recv(client, 65536))
            assert sio.eio.sockets, f"dropped after {loop.time() - begun:.1f} s and {received} bytes"
            await fan_out(sio, ROOM, "sound", {"seq": received})
            # slowly enough to be at it for longer than a deaf client would be suffered
            await asyncio.sleep(min(0.3, max(0.0, begun + received / size * 6.5 - loop.time())))
        assert loop.time() - begun > slow.STUCK_SECONDS + 1
        assert len(sio.eio.sockets) == 1


async def test_one_that_is_far_behind_is_dropped_even_if_it_reads(sio, watched, monkeypatch):
    monkeypatch.setattr(slow, "MAX_QUEUED", 20)
    with await join(watched):
        await until(lambda: ROOM in sio.manager.rooms.get("/", {}))
        for number in range(100):
            await fan_out(sio, ROOM, "sound", {"seq": number, "prompt": "x" * 60_000})
        await until(lambda: not sio.eio.sockets, seconds=4)

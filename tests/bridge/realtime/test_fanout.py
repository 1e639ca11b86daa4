"""One message to many clients, over real WebSockets."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
import pytest
import socketio
from aiohttp import web
from engineio import packet as engine_packet
from pytest_aiohttp.plugin import AiohttpServer

from bridge.realtime.driver import use_our_driver
from bridge.realtime.fanout import Outbox, fan_out

PATH = "/socket.io/?EIO=4&transport=websocket"
ROOM = "everybody"


@pytest.fixture
def sio() -> socketio.AsyncServer:
    """A Socket.IO server with our driver, which puts everybody into one room."""
    server = socketio.AsyncServer(async_mode="aiohttp", transports=["websocket"], cors_allowed_origins="*")
    use_our_driver(server)

    async def connect(sid: str, *_: Any) -> None:
        await server.enter_room(sid, ROOM)

    server.on("connect", connect)
    return server


Join = Callable[[], Awaitable[aiohttp.ClientWebSocketResponse]]


@pytest.fixture
async def url(sio: socketio.AsyncServer, aiohttp_server: AiohttpServer) -> str:
    """Where the server listens."""
    app = web.Application()
    sio.attach(app)
    server = await aiohttp_server(app)
    return f"http://{server.host}:{server.port}{PATH}"


@pytest.fixture
async def join(url: str) -> AsyncIterator[Join]:
    """``await join()`` gives a client that is in the room."""
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(aiohttp.ClientSession())

        async def joined() -> aiohttp.ClientWebSocketResponse:
            client = await stack.enter_async_context(session.ws_connect(url, max_msg_size=0))
            await client.receive_str()
            await client.send_str("40")
            await client.receive_str()
            return client

        yield joined


def outbox(sio: socketio.AsyncServer) -> Outbox:
    """The outbox of the only client."""
    (connection,) = sio.eio.sockets.values()
    assert isinstance(connection.queue, Outbox)
    return connection.queue


async def heard(client: aiohttp.ClientWebSocketResponse) -> Any:
    """The next event, as [name, data]."""
    text = await client.receive_str()
    assert text.startswith("42"), text
    return json.loads(text[2:])


async def test_everybody_hears_every_message_in_order(sio: socketio.AsyncServer, join: Join) -> None:
    clients = [await join() for _ in range(3)]
    for number in range(200):
        await fan_out(sio, ROOM, "sound", {"seq": number})
    for client in clients:
        assert [await heard(client) for _ in range(200)] == [["sound", {"seq": number}] for number in range(200)]


@pytest.mark.parametrize("size", [25, 125, 126, 127, 128, 2000, 65_535, 65_536, 70_000])
async def test_a_message_of_any_length_arrives_whole(sio: socketio.AsyncServer, join: Join, size: int) -> None:
    client = await join()
    text = "x" * (size - len('42["sound",{"prompt":""}]'))
    await fan_out(sio, ROOM, "sound", {"prompt": text})
    assert await heard(client) == ["sound", {"prompt": text}]


async def test_what_waits_already_goes_out_first(sio: socketio.AsyncServer, join: Join) -> None:
    client = await join()
    outbox(sio).put_nowait(engine_packet.Packet(engine_packet.MESSAGE, '2["first",{}]'))
    await fan_out(sio, ROOM, "second", {})
    assert [(await heard(client))[0], (await heard(client))[0]] == ["first", "second"]


async def test_what_a_task_has_taken_out_of_the_queue_still_goes_first(sio: socketio.AsyncServer, join: Join) -> None:
    client = await join()
    waiting = outbox(sio)
    waiting.put_nowait(engine_packet.Packet(engine_packet.MESSAGE, '2["first",{}]'))
    while waiting.qsize():
        await asyncio.sleep(0)
    await fan_out(sio, ROOM, "second", {})
    assert [(await heard(client))[0], (await heard(client))[0]] == ["first", "second"]


async def test_an_idle_client_is_written_to_without_its_queue(sio: socketio.AsyncServer, join: Join) -> None:
    client = await join()
    await fan_out(sio, ROOM, "sound", {"seq": 1})
    assert outbox(sio).unsent == 0
    assert await heard(client) == ["sound", {"seq": 1}]


async def test_messages_for_a_client_that_does_not_read_wait_in_its_queue(sio: socketio.AsyncServer, url: str) -> None:
    loop = asyncio.get_running_loop()
    address = url.split("/")[2]
    host, port = address.split(":")
    with socket.socket() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.setblocking(False)
        await loop.sock_connect(deaf, (host, int(port)))
        request = f"GET {PATH} HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        request += "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        await loop.sock_sendall(deaf, request.encode())
        await loop.sock_recv(deaf, 4096)
        await loop.sock_sendall(deaf, b"\x81\x82\0\0\0\x0040")
        while ROOM not in sio.manager.rooms.get("/", {}):
            await asyncio.sleep(0)
        for _ in range(300):
            await fan_out(sio, ROOM, "sound", {"prompt": "x" * 60_000})
            await asyncio.sleep(0)
        transport = outbox(sio).transport
        assert transport is not None
        assert outbox(sio).qsize() > 100
        assert transport.get_write_buffer_size() < 1_000_000
        transport.abort()


async def test_a_client_that_left_is_passed_over(sio: socketio.AsyncServer, join: Join) -> None:
    gone, stays = await join(), await join()
    await gone.close()
    await fan_out(sio, ROOM, "sound", {"seq": 1})
    assert await heard(stays) == ["sound", {"seq": 1}]


async def test_an_outbox_is_joined_when_all_that_was_taken_is_done() -> None:
    box = Outbox()
    for item in "ab":
        box.put_nowait(item)
    joining = asyncio.create_task(box.join())
    assert [await box.get(), box.get_nowait()] == ["a", "b"]
    with pytest.raises(asyncio.QueueEmpty):
        box.get_nowait()
    box.task_done()
    await asyncio.sleep(0)
    assert not joining.done()
    box.task_done()
    await joining


async def test_an_outbox_keeps_what_came_after_its_reader_gave_up() -> None:
    box = Outbox()
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(box.get(), timeout=0.001)
    box.put_nowait("late")
    assert await asyncio.wait_for(box.get(), timeout=10) == "late"


async def test_an_outbox_wakes_its_reader() -> None:
    box = Outbox()
    reading = box.get()
    await box.put("now")
    assert await reading == "now"
    assert box.qsize() == 0


async def test_nobody_there_is_no_error(sio: socketio.AsyncServer) -> None:
    await fan_out(sio, ROOM, "sound", {"seq": 1})

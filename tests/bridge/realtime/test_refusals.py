"""What costs memory or places and means nothing here: refused in the driver, at once."""

from __future__ import annotations

import asyncio
import contextlib
import resource

import aiohttp
import pytest

from bridge.app import create_app
from bridge.realtime import hub as hub_module
from bridge.sounds.opening import open_service
from tests.servers import settings_for, until

WEBSOCKET = "/socket.io/?EIO=4&transport=websocket"


async def opened(session: aiohttp.ClientSession, url: str, **options: object) -> aiohttp.ClientWebSocketResponse:
    """A connection of the default namespace, before any hello."""
    socket = await session.ws_connect(url + WEBSOCKET, **options)  # type: ignore[arg-type]
    await socket.receive_str()
    await socket.send_str("40")
    return socket


async def ended(socket: aiohttp.ClientWebSocketResponse) -> bool:
    while True:
        message = await asyncio.wait_for(socket.receive(), 20)
        if message.type not in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY):
            return True


@pytest.mark.parametrize(
    "message",
    [
        '45100000-["hello",{"_placeholder":true,"num":0}]',
        '451-["hello",{"_placeholder":true,"num":0}]',
        '450-["hello"]',
        '461-1[{"_placeholder":true,"num":0}]',
        '451-/other,["hello"]',
        "bAAAA",
        b"x" * 60_000,
        b"",
    ],
)
async def test_binary_data_ends_the_connection(bridge_url: str, message: str | bytes) -> None:
    async with aiohttp.ClientSession() as session:
        socket = await opened(session, bridge_url)
        await (socket.send_bytes(message) if isinstance(message, bytes) else socket.send_str(message))
        assert await ended(socket)


@pytest.mark.parametrize("message", ["42[1]", '42[""', "42[null]", "42{}", "4", "49", "42"])
async def test_a_packet_that_cannot_be_read_ends_the_connection_without_a_traceback(
    bridge_url: str, message: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with aiohttp.ClientSession() as session:
        socket = await opened(session, bridge_url)
        await socket.send_str(message)
        assert await ended(socket)
    assert [record for record in caplog.records if record.exc_info or record.levelname == "ERROR"] == []


async def test_floods_of_what_means_nothing_cost_no_memory(bridge_url: str, service) -> None:
    async with aiohttp.ClientSession() as session:
        socket = await opened(session, bridge_url)
        floods = (
            "43{}[1]",
            "40/space{},",
            '42/space{},["hello"]',
            '42["{}' + "x" * 2000 + '"]',
            "41/space{}",
            "6",
            "3",
        )
        await socket.send_str('421["session",{"session":"a"}]')
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        with contextlib.suppress(ConnectionError):
            for text in floods:
                for number in range(500):
                    await socket.send_str(text.format(number))
        await socket.close()
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 30 * 1024, "KiB"
    await until(lambda: service.pages() == 0)


async def test_who_never_says_hello_is_closed_and_who_did_is_not(bridge_url: str, monkeypatch) -> None:
    monkeypatch.setattr(hub_module, "SILENT_SECONDS", 0.8)
    async with aiohttp.ClientSession() as session:
        silent, speaks = await opened(session, bridge_url), await opened(session, bridge_url)
        bare = await session.ws_connect(bridge_url + WEBSOCKET)
        await speaks.send_str('421["hello",{}]')
        assert await ended(silent)
        assert await ended(bare)
        await asyncio.sleep(2)
        await speaks.send_str('422["session",{"session":"a"}]')
        while not (await asyncio.wait_for(speaks.receive_str(), 20)).startswith("432"):
            pass


async def test_one_host_without_a_key_cannot_take_all_places(tmp_path, aiohttp_server) -> None:
    settings = settings_for(tmp_path / "data", host="0.0.0.0", api_key="a-key-of-length-20-or-so", max_clients=8)
    async with open_service(settings) as service, aiohttp.ClientSession() as session:
        server = await aiohttp_server(create_app(service))
        url = f"http://127.0.0.1:{server.port}"
        crowd = [await opened(session, url) for _ in range(12)]
        answers = [await asyncio.wait_for(socket.receive_str(), 20) for socket in crowd]
        assert sum(answer.startswith("40") for answer in answers) <= hub_module.KEYLESS_SHARE
        for _ in range(8):
            page = await opened(session, url, headers={"X-API-Key": "a-key-of-length-20-or-so"})
            assert (await asyncio.wait_for(page.receive_str(), 20)).startswith("40"), "with the key there is a place"
            crowd.append(page)
        for socket in crowd:
            await socket.close()

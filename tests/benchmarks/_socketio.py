"""One raw client of the live connection: Socket.IO over a WebSocket, without a client library's own cost."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import aiohttp

PATH = "/socket.io/?EIO=4&transport=websocket"


class Listener:
    """Sends events, takes their answers, and notes when each event came."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._numbers = itertools.count()
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._came: dict[str, asyncio.Future[float]] = {}

    async def call(self, event: str, data: dict[str, Any]) -> Any:
        """Send an event and wait for its answer. Raises RuntimeError when that is an error."""
        number = next(self._numbers)
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        await self._socket.send_str(f"42{number}{json.dumps([event, data])}")
        document = await answer
        if isinstance(document, dict) and "error" in document:
            raise RuntimeError(f"{event}: {document['error']}")
        return document

    def sound(self, name: str) -> asyncio.Future[float]:
        """When the sound of that name was announced, Unix seconds."""
        if name not in self._came:
            self._came[name] = asyncio.get_running_loop().create_future()
        return self._came[name]

    async def read(self) -> None:
        """Handle what comes until the connection ends."""
        async for message in self._socket:
            text = str(message.data)
            if text == "2":
                await self._socket.send_str("3")
            elif text.startswith("43"):
                number, bracket, rest = text[2:].partition("[")
                self._answers.pop(int(number)).set_result(json.loads(bracket + rest)[0])
            elif text.startswith('42["sound",'):
                now = time.time()
                came = self.sound(json.loads(text[2:])[1]["name"])
                if not came.done():
                    came.set_result(now)


@contextlib.asynccontextmanager
async def listening(url: str) -> AsyncIterator[Listener]:
    """Connect to a bridge and say hello."""
    async with aiohttp.ClientSession() as client, client.ws_connect(url + PATH, max_msg_size=0) as socket:
        await socket.receive_str()
        await socket.send_str("40")
        await socket.receive_str()
        listener = Listener(socket)
        reading = asyncio.create_task(listener.read())
        await listener.call("hello", {})
        yield listener
        reading.cancel()

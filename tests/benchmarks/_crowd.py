"""A thousand connected pages in one process: ``python -P -m tests.benchmarks._crowd PORT COUNT``.

Prints ``ready`` when all have said hello; at the end of its input it prints, as one JSON object, when each sound was
heard: name -> moments on the clock of ``time.monotonic``, which all processes of a machine share. The frames are read
by hand, so that the time measured is the server's and not that of a thousand client objects.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
import time
from collections import defaultdict

from tests.benchmarks._socketio import PATH

AT_ONCE = 50
SECONDS = 20
"""Time for each fifty to connect."""

_SOUND = b'42["sound",'
_NAME = b'"name":"'


class Page(asyncio.Protocol):
    """One WebSocket; ``greeted`` is done when the bridge has answered its hello."""

    def __init__(self, port: int, heard: list[tuple[float, bytes]]) -> None:
        self.greeted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._port = port
        self._heard = heard
        self._buffer = b""
        self._upgraded = False
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the upgrade."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        lines = (
            f"GET {PATH} HTTP/1.1",
            f"Host: 127.0.0.1:{self._port}",
            "Connection: Upgrade",
            "Upgrade: websocket",
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
        )
        transport.write("\r\n".join((*lines, "", "")).encode())

    def data_received(self, data: bytes) -> None:
        """Cut what came into frames; the server does not mask them."""
        now = time.monotonic()
        self._buffer += data
        if not self._upgraded:
            head, end, rest = self._buffer.partition(b"\r\n\r\n")
            if not end:
                return
            if b" 101 " not in head.split(b"\r\n", 1)[0]:
                self._fail(head.decode(errors="replace"))
                return
            self._upgraded, self._buffer = True, rest
        while frame := self._frame():
            self._take(frame, now)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  asyncio's name
        """Nobody is to be dropped."""
        self._fail("The bridge dropped a client.")

    def _fail(self, why: str) -> None:
        if not self.greeted.done():
            self.greeted.set_exception(ConnectionError(why))

    def _frame(self) -> bytes | None:
        buffer = self._buffer
        if len(buffer) < 2:
            return None
        size, start = buffer[1] & 127, 2
        if size >= 126:
            start = 4 if size == 126 else 10
            if len(buffer) < start:
                return None
            size = int.from_bytes(buffer[2:start], "big")
        if len(buffer) < start + size:
            return None
        self._buffer = buffer[start + size :]
        return buffer[start : start + size]

    def _take(self, text: bytes, now: float) -> None:
        if text.startswith(_SOUND):
            self._heard.append((now, text))
        elif text == b"2":
            self._send(b"3")
        elif text.startswith(b"0"):
            self._send(b"40")
        elif text.startswith(b"40"):
            self._send(b'420["hello",{}]')
        elif text.startswith(b"430") and not self.greeted.done():
            self.greeted.set_result(None)

    def _send(self, text: bytes) -> None:
        # A mask of zeros is a mask, too.
        self._transport.write(bytes((0x81, 0x80 | len(text))) + b"\0\0\0\0" + text)


async def main(port: int, count: int) -> None:
    """Connect, say hello, listen, tell."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    loop = asyncio.get_running_loop()
    heard: list[tuple[float, bytes]] = []
    pages: list[Page] = []
    for start in range(0, count, AT_ONCE):
        made = [
            loop.create_connection(lambda: Page(port, heard), "127.0.0.1", port)
            for _ in range(min(AT_ONCE, count - start))
        ]
        async with asyncio.timeout(SECONDS):
            new = [page for _, page in await asyncio.gather(*made)]
            await asyncio.gather(*(page.greeted for page in new))
        pages += new
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    moments = defaultdict(list)
    for when, text in heard:
        moments[text.partition(_NAME)[2].partition(b'"')[0].decode()].append(when)
    print(json.dumps(moments), flush=True)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))

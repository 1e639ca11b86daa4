"""Answers of many megabytes over Socket.IO, sent in fragments of one WebSocket message.

python-socketio would encode such an answer in one go on the event loop, and engineio would copy it three times. Here
the bytes come in parts that are made already, and a client waits for one part at most. Until it is sent, whatever
else goes to the client waits in its outbox.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import struct
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from typing import Any

import socketio
from engineio import packet as engine_packet

from bridge.realtime.slow import cut

logger = logging.getLogger(__name__)

_TEXT, _CONTINUATION, _FINAL = 0x01, 0x00, 0x80
MOST_AT_ONCE = 64
"""Messages of one client that are answered at the same time."""
_REST_SECONDS = 0.02
_LOOK_SECONDS = 1.0
"""How often it is looked whether a client that takes nothing has gone."""
_THE_SERVERS_OWN = frozenset({"connect", "disconnect", "connect_error"})
"""Names of events that the server tells itself."""


class LargeAnswer:
    """What a handler gives back instead of the answer itself."""

    def __init__(
        self, turn: Callable[[], AbstractAsyncContextManager[None]], parts: Callable[[], Awaitable[Iterator[bytes]]]
    ) -> None:
        self.turn = turn
        """Waits until this client may have another large answer."""
        self.parts = parts
        """The answer's JSON, asked for when its turn has come."""


class LargePacket:
    """An entry of a client's outbox, in the place of an engineio packet."""

    packet_type = engine_packet.MESSAGE

    def __init__(self, parts: Iterator[bytes]) -> None:
        self.parts = parts
        self.done = asyncio.Event()

    def encode(self) -> LargePacket:
        """Our driver sends it itself."""
        return self


class Server(socketio.AsyncServer):  # type: ignore[misc]
    """Socket.IO's server, which also knows large answers, and how much of one client it does at a time."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._handling: Counter[str] = Counter()

    async def _handle_eio_message(self, eio_sid: str, data: Any) -> None:
        try:
            await super()._handle_eio_message(eio_sid, data)
        except Exception as error:
            # engineio would write a traceback into the log for each such packet, as often as the client likes.
            logger.debug("a client sent a packet that cannot be read: %r", error)
            cut(self, eio_sid)

    async def _handle_event(self, eio_sid: str, namespace: str | None, id: int | None, data: Any) -> None:  # noqa: A002
        if not isinstance(data, list) or not data or not isinstance(data[0], str):
            raise ValueError("an event is a list that begins with its name")
        if data[0] in _THE_SERVERS_OWN:
            return  # else a client could tell the hub that it has gone, and stay
        while self._handling[eio_sid] >= MOST_AT_ONCE and not self._is_gone(eio_sid):  # noqa: ASYNC110 - rare, and it ends with many
            # Nothing more is read of this client meanwhile: what it has sent waits at its own end.
            await asyncio.sleep(_REST_SECONDS)
        await super()._handle_event(eio_sid, namespace, id, data)

    async def _handle_event_internal(self, server: Any, sid: str, eio_sid: str, *rest: Any) -> None:
        self._handling[eio_sid] += 1
        try:
            await super()._handle_event_internal(server, sid, eio_sid, *rest)
        finally:
            self._handling[eio_sid] -= 1
            if not self._handling[eio_sid]:
                del self._handling[eio_sid]

    async def _send_packet(self, eio_sid: str, pkt: socketio.packet.Packet) -> None:
        answer = pkt.data[0] if isinstance(pkt.data, list) and len(pkt.data) == 1 else None
        if not isinstance(answer, LargeAnswer):
            await super()._send_packet(eio_sid, pkt)
            return
        async with answer.turn():
            if self._is_gone(eio_sid):
                return  # the client has gone: nothing is read and nothing is made
            parts = await answer.parts()
            if self._is_gone(eio_sid):
                return
            packet = LargePacket(_acknowledgement(pkt.id, parts))
            self.eio.sockets[eio_sid].queue.put_nowait(packet)
            while not packet.done.is_set() and not self._is_gone(eio_sid):
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(packet.done.wait(), _LOOK_SECONDS)

    def _is_gone(self, eio_sid: str) -> bool:
        connection = self.eio.sockets.get(eio_sid)
        return connection is None or connection.closed or connection.closing or connection.queue.transport is None


def fragments(parts: Iterator[bytes]) -> Iterator[bytes]:
    """WebSocket frames of one text message (RFC 6455, 5.4), the last one empty."""
    kind = _TEXT
    for part in parts:
        yield _head(kind, len(part)) + part
        kind = _CONTINUATION
    yield _head(kind | _FINAL, 0)


def _acknowledgement(number: int, parts: Iterator[bytes]) -> Iterator[bytes]:
    """The parts inside of engineio's MESSAGE and Socket.IO's ACK of the default namespace."""
    yield f"{engine_packet.MESSAGE}{socketio.packet.ACK}{number}[".encode()
    yield from parts
    yield b"]"


def _head(first: int, size: int) -> bytes:
    if size < 126:
        return struct.pack("!BB", first, size)
    if size < 2**16:
        return struct.pack("!BBH", first, 126, size)
    return struct.pack("!BBQ", first, 127, size)

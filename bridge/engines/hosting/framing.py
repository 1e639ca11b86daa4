"""Frames between the server and an engine's process: a JSON head and, where audio travels, bytes.

On the wire: two unsigned 32-bit big-endian lengths (head, body), then both parts. The parent sends ``submit`` and
``cancel``; a ``submit`` with a ``passage`` asks for a part of a stream and has as its body what it continues. The child
says ``alive`` every second and ``starting`` (a sentence) while the engine is built, then ``described`` or
``unavailable`` once, and for each request ``progress``, ``piece`` (of a passage, with 16-bit PCM as its body), and
exactly one of ``done``, ``played`` (a passage), ``failed``, ``cancelled``.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from dataclasses import dataclass
from typing import Any

_LENGTHS = struct.Struct(">II")
MAX_HEAD = 1 << 20
MAX_BODY = 1 << 28


class BrokenFrame(Exception):
    """The other side does not speak this protocol."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One message: ``head["type"]`` says what it is."""

    head: dict[str, Any]
    body: bytes = b""

    def encode(self) -> bytes:
        """Bytes for the socket."""
        head = json.dumps(self.head, allow_nan=False).encode()
        return _LENGTHS.pack(len(head), len(self.body)) + head + self.body


def read_blocking(connection: socket.socket) -> Frame | None:
    """Read one frame in a thread; None at end of file."""
    prefix = _exactly(connection, _LENGTHS.size)
    if prefix is None:
        return None
    head_length, body_length = _lengths(prefix)
    head = _exactly(connection, head_length)
    body = _exactly(connection, body_length)
    return None if head is None or body is None else _frame(head, body)


async def read(reader: asyncio.StreamReader) -> Frame | None:
    """Read one frame on the event loop; None at end of file."""
    try:
        head_length, body_length = _lengths(await reader.readexactly(_LENGTHS.size))
        head = await reader.readexactly(head_length)
        body = await reader.readexactly(body_length)
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    return _frame(head, body)


def _lengths(prefix: bytes) -> tuple[int, int]:
    head_length, body_length = _LENGTHS.unpack(prefix)
    if head_length > MAX_HEAD or body_length > MAX_BODY:
        raise BrokenFrame(f"a frame of {head_length} + {body_length} bytes is not ours")
    return head_length, body_length


def _frame(head: bytes, body: bytes) -> Frame:
    try:
        parsed = json.loads(head)
    except ValueError as error:
        raise BrokenFrame("a frame's head is not JSON") from error
    if not isinstance(parsed, dict) or "type" not in parsed:
        raise BrokenFrame("a frame's head has no type")
    return Frame(parsed, body)


def _exactly(connection: socket.socket, count: int) -> bytes | None:
    parts = bytearray()
    while len(parts) < count:
        part = connection.recv(count - len(parts))
        if not part:
            return None
        parts += part
    return bytes(parts)

"""Malformed requests, messages and files by the thousand: each gets an answer with a code, and the server goes on."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import os
import random
import re
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest
import soundfile

from tests.reliability.results import note
from tests.served import Served

FULL = os.environ.get("RELIABILITY") == "full"
COUNT = 10_000 if FULL else 300
IN_A_FORM = {"Content-Type": "multipart/form-data; boundary=x"}
AT_ONCE = 50
UPLOADS_AT_ONCE = 4
"""Fewer than the bridge has places for, so that none is refused as busy."""
PATIENCE = 2.0
"""Seconds that a client waits for an answer to a request that is not whole; then it hangs up."""
MEGABYTES = 40
"""How much larger the server may be afterwards: what its caches and allocator keep."""

pytestmark = pytest.mark.reliability

ODD_TEXTS = (
    "", " ", "\0", "\ud800", "é" * 300, "a" * 5000, "../../etc/passwd", "%00", "💥", "'; DROP TABLE sounds; --",
    "__proto__", "-1", "1e999", "<script>", "\r\nX: y", "\u202e", "٣",
)  # fmt: skip
ODD_VALUES: tuple[Any, ...] = (
    None, True, 0, -1, 2**63, 10**400, 1e308, -0.0, [], {}, [[]], [None] * 200, {"a": {"b": {}}}, *ODD_TEXTS,
)  # fmt: skip
FIELDS = (
    "prompt", "duration", "kind", "bars", "bpm", "tempo", "key", "seed", "name", "engine", "model", "variations",
    "session", "format", "type", "style", "mood", "chords", "effects", "source", "roots", "temperature", "top_k",
    "top_p", "num_beams", "target_stems", "generation_request_id", "audio_file_id", "callback_url", "wait", "fresh",
)  # fmt: skip
POSTS = (
    "/generate", "/generate_stem", "/forget", "/evaluate", "/api/upload", "/api/generate/none", "/api/v1/generate",
    "/api/v1/prompt/build", "/sounds/kick/slices", "/sounds/kick/restore",
)  # fmt: skip
GETS = (
    "/", "/sounds", "/sounds/kick", "/strudel.json", "/gen/kick.json", "/samples/0000000000000000.wav", "/generate/x",
    "/download/x", "/api/v1/jobs", "/api/v1/status/x", "/api/status/x", "/api/embedding/x", "/stream/sessions",
    "/health", "/health/ready", "/metrics", "/docs", "/openapi.json", "/assets/x.js", "/ws", "/socket.io/",
)  # fmt: skip

HEADERS = (
    b"Range", b"Accept", b"Prefer", b"If-None-Match", b"X-Request-Id", b"Idempotency-Key", b"Expect",
    b"Transfer-Encoding", b"Upgrade", b"Cookie", b"Origin", b"X-API-Key", b"Content-Encoding", b"bad header",
    b"Content-Length",
)  # fmt: skip
HEADER_VALUES = (
    b"bytes=0-", b"bytes=9-1", b"*/*", b"audio/wav", b"respond-async", b"x" * 500, b"100-continue", b"chunked",
    b"websocket", b"null", b"gzip", b"\xe9\xff", b"",
)  # fmt: skip


class Outcome:
    """What the answers were."""

    def __init__(self) -> None:
        self.statuses: Counter[str] = Counter()
        self.wrong: list[str] = []

    def add(self, status: int, body: str, what: object) -> None:
        """Note an answer. One of 500 and above needs a code that is not the one for a broken bridge."""
        self.statuses[f"{status // 100}xx"] += 1
        if status >= 500:
            found = re.search(r'"code":\s*"(\w+)"', body)
            if found is None or found[1] == "internal":
                self.wrong.append(f"{status} {body[:200]!r} for {what!r}"[:600])

    def __str__(self) -> str:
        return ", ".join(f"{count} x {status}" for status, count in sorted(self.statuses.items()))


async def flood(count: int, one: Callable[[int], Awaitable[None]], at_once: int) -> None:
    places = asyncio.Semaphore(at_once)

    async def in_place(number: int) -> None:
        async with places:
            await one(number)

    await asyncio.gather(*(in_place(number) for number in range(count)))


async def grown(served: Served, seed: int, one: Callable[[int], Awaitable[None]], *, at_once: int = AT_ONCE) -> float:
    """Warm up with a tenth, then do the rest: MiB that the server has grown by in the rest."""
    await flood(COUNT // 10, one, at_once)
    before = served.processes()[0].memory_full_info().pss
    await flood(COUNT, one, at_once)
    server = served.processes()
    assert server, f"the server has ended, seed {seed}"
    return float(server[0].memory_full_info().pss - before) / 2**20


async def still_works(served: Served) -> None:
    async with aiohttp.ClientSession() as session:
        async with session.get(f"{served.url}/health") as response:
            assert response.status == 200
            assert (await response.json())["status"] == "healthy"
        body = {"prompt": "tone 440 hz", "duration": 0.2}
        async with session.post(f"{served.url}/generate", json=body) as response:
            assert response.status == 200, await response.text()


# ---------------------------------------------------------------- HTTP


def odd_body(rng: random.Random) -> bytes:
    kind = rng.randrange(6)
    if kind == 0:
        return rng.randbytes(rng.randrange(400))
    document = {rng.choice(FIELDS): rng.choice(ODD_VALUES) for _ in range(rng.randrange(1, 8))}
    document.setdefault("prompt", "tone 440 hz")
    document["duration"] = rng.choice([0.1, *ODD_VALUES])
    text = json.dumps(document)
    if kind == 1:
        text = text[: rng.randrange(len(text))]
    elif kind == 2:
        text = "[" * rng.randrange(1, 3000) + text
    elif kind == 3:
        text = text.replace(":", rng.choice([":", "", ": NaN,", "::", ":\0"]), 1)
    return text.encode("utf-8", "surrogatepass")


def odd_path(rng: random.Random) -> bytes:
    path = rng.choice(GETS + POSTS).encode()
    kind = rng.randrange(7)
    if kind == 0:
        return path + b"/" + rng.choice(ODD_TEXTS).encode("utf-8", "surrogatepass").replace(b" ", b"%20")
    if kind == 1:
        return path + b"?" + b"&".join(
            rng.choice((b"q", b"n", b"limit", b"cursor", b"format", b"bpm", b"key", b"wait", b"kind")) + b"="
            + "".join(f"%{byte:02x}" for byte in rng.randbytes(rng.randrange(12))).encode()
            for _ in range(rng.randrange(1, 4))
        )  # fmt: skip
    if kind == 2:
        return path + b"a" * rng.choice((255, 256, 300, 5000, 9000))
    if kind == 3:
        return path.replace(b"/", rng.choice((b"//", b"/./", b"/../", b"%2f", b"\\")))
    if kind == 4:
        return rng.randbytes(rng.randrange(1, 40)).replace(b"\r", b"").replace(b"\n", b"").replace(b" ", b"") or b"/"
    return path


def odd_request(rng: random.Random) -> bytes:
    method = rng.choice(
        (b"GET", b"GET", b"POST", b"POST", b"POST", b"PUT", b"PATCH", b"DELETE", b"HEAD", b"OPTIONS", b"get", b"X" * 50)
    )
    version = b"HTTP/1.1" if rng.random() < 0.95 else rng.choice((b"HTTP/1.0", b"HTTP/9.9", b"HTTP", b""))
    body = odd_body(rng) if method in (b"POST", b"PUT", b"PATCH") or rng.random() < 0.1 else b""
    headers = [b"Host: 127.0.0.1", b"Connection: close"]
    if body or rng.random() < 0.2:
        length = len(body) if rng.random() < 0.8 else rng.choice((0, 1, len(body) - 1, -1, 10**20))
        headers.append(b"Content-Length: %d" % length)
        headers.append(
            b"Content-Type: "
            + rng.choice(
                (
                    b"application/json",
                    b"application/json",
                    b"text/plain",
                    b"multipart/form-data; boundary=x",
                    b"application/json; charset=utf-7",
                    b"\xff",
                )
            )
        )
    for _ in range(rng.randrange(3)):
        headers.append(rng.choice(HEADERS) + b": " + rng.choice(HEADER_VALUES))
    return method + b" " + odd_path(rng) + b" " + version + b"\r\n" + b"\r\n".join(headers) + b"\r\n\r\n" + body


@pytest.mark.timeout(1800)
async def test_malformed_requests_get_a_code_and_leave_nothing_behind(served: Served) -> None:
    seed = random.randrange(2**32)
    host, port = served.url.removeprefix("http://").split(":")
    outcome = Outcome()

    async def one(number: int) -> None:
        request = odd_request(random.Random(seed + number))
        reader, writer = await asyncio.open_connection(host, int(port))
        try:
            writer.write(request)
            with contextlib.suppress(ConnectionError):
                await writer.drain()
            # No end of file: aiohttp closes a connection whose client has ended its half, and answers nothing.
            answer = b""
            with contextlib.suppress(TimeoutError, ConnectionError):
                async with asyncio.timeout(PATIENCE):
                    answer = await reader.read(65536)
                    while len(answer) < 2**20 and (more := await reader.read(65536)):
                        answer += more
        finally:
            writer.close()
        found = re.match(rb"HTTP/1\.[01] (\d{3})", answer)
        if found is None:
            outcome.statuses["closed"] += 1
        else:
            outcome.add(int(found[1]), answer.decode("latin-1"), request)

    more = await grown(served, seed, one)
    note("malformed HTTP", f"{COUNT} requests: {outcome}; memory {more:+.1f} MiB. Seed {seed}.")
    assert outcome.wrong == []
    assert more < MEGABYTES
    await still_works(served)


# ---------------------------------------------------------------- Socket.IO


def odd_packets(rng: random.Random) -> list[str | bytes]:
    """What one client sends after it has connected."""
    sent: list[str | bytes] = ["40"] if rng.random() < 0.8 else []
    for _ in range(rng.randrange(1, 4)):
        event = rng.choice(
            ("hello", "generate", "cancel", "session", "sound", "disconnect", "connect_error", "", "x" * 300)
        )
        data = {rng.choice((*FIELDS, "epoch", "since", "token", "job_id")): rng.choice(ODD_VALUES) for _ in range(4)}
        text = json.dumps([event, rng.choice([data, data, *ODD_VALUES])], ensure_ascii=rng.random() < 0.9)
        packet = rng.choice(
            ("42", "42", "42", "420", "42999999999999999999", "41", "43", "44", "45", "46", "4", "47", "42/x,", "40/y,")
        )
        sent.append(packet + (text if rng.random() < 0.8 else text[: rng.randrange(len(text))]))
        if rng.random() < 0.2:
            sent.append(
                rng.choice(
                    (
                        "",
                        "2",
                        "3",
                        "5",
                        "6",
                        "9",
                        "\0",
                        "4" * 500,
                        "42[",
                        '42["hello",{}',
                        '451-["hello",{"_placeholder":true,"num":0}]',
                    )
                )
            )
        if rng.random() < 0.1:
            sent.append(rng.randbytes(rng.randrange(1, 200)))
    return [each.encode("utf-8", "replace").decode() if isinstance(each, str) else each for each in sent]


async def listen(socket: aiohttp.ClientWebSocketResponse, answered: asyncio.Event) -> None:
    """Answer the pings of a client that behaves, and note when its hello is answered."""
    async for message in socket:
        if message.data == "2":
            await socket.send_str("3")
        elif str(message.data).startswith("431"):
            answered.set()


@pytest.mark.timeout(1800)
async def test_malformed_socket_messages_harm_nobody_else(served: Served) -> None:
    seed = random.randrange(2**32)
    outcome: Counter[str] = Counter()
    wrong: list[str] = []
    address = f"{served.url}/socket.io/?EIO=4&transport=websocket"

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        neighbour = await session.ws_connect(address)
        await neighbour.receive_str()
        await neighbour.send_str("40")
        await neighbour.receive_str()
        answered = asyncio.Event()
        listening = asyncio.create_task(listen(neighbour, answered))

        async def one(number: int) -> None:
            rng = random.Random(seed + number)
            try:
                async with asyncio.timeout(PATIENCE), session.ws_connect(address) as socket:
                    for packet in odd_packets(rng):
                        await (socket.send_bytes(packet) if isinstance(packet, bytes) else socket.send_str(packet))
                    await socket.send_str('427["hello",{}]')
                    async for message in socket:
                        if message.type is not aiohttp.WSMsgType.TEXT:
                            continue
                        if '"internal"' in message.data:
                            wrong.append(message.data[:300])
                        if message.data.startswith("437"):
                            outcome["answered to the end"] += 1
                            return
                    outcome["closed"] += 1
            except (TimeoutError, aiohttp.ClientError):
                outcome["left alone"] += 1

        more = await grown(served, seed, one)
        await neighbour.send_str('421["hello",{}]')
        async with asyncio.timeout(30):
            await answered.wait()
        listening.cancel()
        await neighbour.close()
    shown = ", ".join(f"{count} {what}" for what, count in sorted(outcome.items()))
    note("malformed Socket.IO", f"{COUNT} clients: {shown}; memory {more:+.1f} MiB. Seed {seed}.")
    assert wrong == []
    assert more < MEGABYTES
    await still_works(served)


# ---------------------------------------------------------------- uploads


def whole_files() -> list[bytes]:
    """A fifth of a second of noise in every format that is taken."""
    noise = np.random.default_rng(1).uniform(-0.5, 0.5, (4410, 2)).astype(np.float32)
    files = []
    for name, kind in (
        ("WAV", "PCM_16"),
        ("WAV", "FLOAT"),
        ("WAV", "IMA_ADPCM"),
        ("FLAC", "PCM_16"),
        ("OGG", "VORBIS"),
        ("MP3", "MPEG_LAYER_III"),
    ):
        buffer = io.BytesIO()
        soundfile.write(buffer, noise if kind != "IMA_ADPCM" else noise[:, :1], 22050, format=name, subtype=kind)
        files.append(buffer.getvalue())
    return files


def in_a_form(name: str, data: bytes) -> bytes:
    head = f'--x\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'
    return head.encode() + data + b"\r\n--x--\r\n"


def damaged(rng: random.Random, whole: bytes) -> bytes:
    data = bytearray(whole)
    kind = rng.randrange(5)
    if kind == 0:
        return bytes(data[: rng.randrange(len(data))])
    if kind == 1:
        at = rng.randrange(min(len(data), 64))
        data[at : at + 4] = rng.choice((b"\xff\xff\xff\xff", b"\0\0\0\0", b"\xff\xff\xff\x7f", rng.randbytes(4)))
    elif kind == 2:
        for _ in range(rng.randrange(1, 40)):
            data[rng.randrange(len(data))] = rng.randrange(256)
    elif kind == 3:
        at = rng.randrange(len(data))
        data[at:at] = rng.randbytes(rng.randrange(1, 300))
    else:
        return rng.randbytes(rng.randrange(400))
    return bytes(data)


@pytest.mark.timeout(3600)
async def test_damaged_uploads_are_taken_or_refused_with_a_code(served: Served, tmp_path: Path) -> None:
    seed = random.randrange(2**32)
    files = whole_files()
    outcome = Outcome()

    async with aiohttp.ClientSession() as session:

        async def one(number: int) -> None:
            rng = random.Random(seed + number)
            data = damaged(rng, rng.choice(files))
            name = rng.choice(("a.wav", "../a.wav", "a" * 300, "a.mp3", ""))
            whole = number % 3 == 0  # a process reads what comes in a whole form, which takes a second
            form = in_a_form(name, data) if whole else damaged(rng, in_a_form(name, b""))
            async with session.post(f"{served.url}/api/upload", data=form, headers=IN_A_FORM) as response:
                body = await response.text()
            outcome.add(response.status, body, (number, data[:32]))

        more = await grown(served, seed, one, at_once=UPLOADS_AT_ONCE)
    incoming = list((served.folder / "incoming").iterdir())
    note("damaged uploads", f"{COUNT} files: {outcome}; memory {more:+.1f} MiB. Seed {seed}.")
    assert outcome.wrong == []
    assert more < MEGABYTES
    assert incoming == []
    await still_works(served)

"""Callbacks: who may be called, what is sent, and what receivers do to us; against real servers on this machine."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import re
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from bridge.errors import InvalidRequest
from bridge.exchange import callbacks as module
from bridge.exchange.callbacks import ATTEMPTS, CallbackFailed, Callbacks, signature, wait_before

BODY = b'{"status": "completed"}'


class Receiver:
    """A program that is called back; the path says how it behaves."""

    def __init__(self) -> None:
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.url = ""
        self.sent = 0
        self.hanging = asyncio.Event()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.got.append(({name.lower(): value for name, value in request.headers.items()}, await request.read()))
        match request.path:
            case "/redirect":
                raise web.HTTPTemporaryRedirect(f"{self.url}/ok")
            case "/hang":
                await self.hanging.wait()
            case "/gigabyte" | "/gigabyte500":
                response = web.StreamResponse(status=500 if request.path.endswith("500") else 200)
                await response.prepare(request)
                try:
                    for _ in range(1024):
                        await response.write(b"x" * (1 << 20))
                        self.sent += 1 << 20
                except ConnectionError:
                    pass
                return response
            case path if path[1:].isdigit():
                return web.Response(status=int(path[1:]))
        return web.Response()


@pytest.fixture
async def receiver(aiohttp_server) -> AsyncIterator[Receiver]:
    receiver = Receiver()
    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", receiver.answer)
    server = await aiohttp_server(app)
    receiver.url = f"http://127.0.0.1:{server.port}"
    yield receiver
    receiver.hanging.set()


@pytest.fixture
def callbacks() -> Callbacks:
    return Callbacks(("127.0.0.1",), "the secret")


@pytest.mark.parametrize(
    "url",
    [
        "", "nonsense", "ftp://8.8.8.8/", "file:///etc/passwd", "http://", "http:///x", "https://8.8.8.8:99999/",
        "http://user:password@8.8.8.8/", "http://8.8.8.8/ x", "http://8.8.8.8/\r\nHost: x", "http://[::1", "//8.8.8.8/",
        "http://127.0.0.1:6379/", "http://localhost/", "http://LOCALHOST./", "http://2130706433/", "http://0x7f000001/",
        "http://0177.0.0.1/", "http://127.1/", "http://0.0.0.0/", "http://[::1]/", "http://[::ffff:127.0.0.1]/",
        "http://[::ffff:7f00:1]/", "http://169.254.169.254/latest/meta-data/", "http://api:5000/done", "http://db/",
        "http://10.0.0.1/", "http://[::1%25lo]/", "http://[fec0::1]/", "http://[::127.0.0.1]/", "http://[64:ff9b:1::1]/",
        "http://192.88.99.1/", "http://a.localhost/", "https://8.8.8.8/" + "x" * 2048,
    ],
)  # fmt: skip
async def test_an_address_that_is_not_of_the_internet_is_refused_before_any_work(url: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await Callbacks().check(url)
    assert (caught.value.code, caught.value.details["field"]) == ("callback_refused", "callback_url")


@pytest.mark.parametrize("url", ["https://8.8.8.8/done?x=1", "http://1.1.1.1:8080/", "https://[2606:4700:4700::1111]/"])
async def test_an_address_of_the_internet_is_taken(url: str) -> None:
    await Callbacks().check(url)


async def test_listed_hosts_are_taken_by_name_or_with_their_port() -> None:
    listed = Callbacks(("API", "127.0.0.1:9999"))
    await listed.check("http://api:5000/done")
    await listed.check("http://127.0.0.1:9999/")
    with pytest.raises(InvalidRequest):
        await listed.check("http://127.0.0.1:9998/")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "127.1", "[::ffff:127.0.0.1]", "0.0.0.0"])
async def test_the_guard_is_on_the_connected_socket_too(receiver: Receiver, host: str) -> None:
    # as if the name had led elsewhere when it was checked
    with pytest.raises(CallbackFailed, match="not reached"):
        await Callbacks().send(receiver.url.replace("127.0.0.1", host), BODY, "key")
    assert receiver.got == []


async def test_a_name_that_leads_elsewhere_by_then_is_not_called(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = int(receiver.url.rpartition(":")[2])
    addresses = iter(["8.8.8.8"])

    async def resolve(self, host: str, port: int, **_: object) -> list[tuple]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (next(addresses, "127.0.0.1"), port))]

    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", resolve)
    callbacks = Callbacks()
    await callbacks.check(f"http://rebinding.example:{port}/")
    with pytest.raises(CallbackFailed, match="not reached"):
        await callbacks.send(f"http://rebinding.example:{port}/", BODY, "key")
    assert receiver.got == []


async def test_a_name_with_one_private_address_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    async def resolve(self, host: str, port: int, **_: object) -> list[tuple]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in ("8.8.8.8", "10.0.0.1")]

    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", resolve)
    with pytest.raises(InvalidRequest, match="private network"):
        await Callbacks().check("http://two-faced.example/")


async def test_a_name_that_nobody_knows_yet_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    async def resolve(self, host: str, port: int, **_: object) -> list[tuple]:
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", resolve)
    await Callbacks().check("http://tomorrow.example/")


async def test_what_is_sent_is_signed_json_with_a_key(receiver: Receiver, callbacks: Callbacks) -> None:
    await callbacks.send(f"{receiver.url}/ok?from=bridge", BODY, "a" * 32)
    ((headers, body),) = receiver.got
    assert body == BODY
    assert headers["content-type"] == "application/json"
    assert headers["idempotency-key"] == "a" * 32
    assert "cookie" not in headers
    parts = dict(part.split("=") for part in headers["x-bridge-signature"].split(","))
    expected = hmac.new(b"the secret", parts["t"].encode() + b"." + body, hashlib.sha256).hexdigest()
    assert parts["v1"] == expected
    assert headers["x-bridge-signature"] == signature("the secret", int(parts["t"]), BODY)


def test_the_documents_recipe_for_receivers_knows_ours_from_others() -> None:
    page = (Path(__file__).parents[3] / "docs" / "stems.md").read_text("utf-8")
    (recipe,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    names: dict[str, Any] = {}
    exec(recipe, names)
    is_genuine, ours = names["is_genuine"], signature("secret", 1000, BODY)
    assert is_genuine(ours, BODY, "secret", 1010.0)
    assert not is_genuine(ours, BODY, "other", 1010.0)
    assert not is_genuine(ours, BODY + b" ", "secret", 1010.0)
    assert not is_genuine(ours, BODY, "secret", 5000.0)
    assert not is_genuine(ours.replace("t=1000", "t=5000"), BODY, "secret", 5000.0)


async def test_without_a_secret_nothing_is_signed(receiver: Receiver) -> None:
    await Callbacks(("127.0.0.1",)).send(receiver.url, BODY, "key")
    assert "x-bridge-signature" not in receiver.got[0][0]


@pytest.mark.parametrize("status", [200, 201, 202, 204])
async def test_any_2xx_takes_it(receiver: Receiver, callbacks: Callbacks, status: int) -> None:
    await callbacks.send(f"{receiver.url}/{status}", BODY, "key")


@pytest.mark.parametrize("status", [304, 400, 404, 410, 429, 500, 503])
async def test_anything_else_does_not(receiver: Receiver, callbacks: Callbacks, status: int) -> None:
    with pytest.raises(CallbackFailed, match=str(status)):
        await callbacks.send(f"{receiver.url}/{status}", BODY, "key")


async def test_a_redirect_is_not_followed(receiver: Receiver, callbacks: Callbacks) -> None:
    with pytest.raises(CallbackFailed, match="307, a redirect"):
        await callbacks.send(f"{receiver.url}/redirect", BODY, "key")
    assert len(receiver.got) == 1


async def test_a_receiver_that_hangs_has_failed(
    receiver: Receiver, callbacks: Callbacks, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert module.ANSWER_SECONDS == 5.0
    monkeypatch.setattr(module, "ANSWER_SECONDS", 0.2)
    with pytest.raises(CallbackFailed, match="no answer within"):
        await callbacks.send(f"{receiver.url}/hang", BODY, "key")


@pytest.mark.parametrize(("path", "taken"), [("/gigabyte", True), ("/gigabyte500", False)])
async def test_of_a_gigabyte_nothing_is_read(receiver: Receiver, callbacks: Callbacks, path: str, taken: bool) -> None:
    try:
        await callbacks.send(receiver.url + path, BODY, "key")
        assert taken
    except CallbackFailed:
        assert not taken
    assert receiver.sent < 64 << 20  # what the kernel's buffers on both sides hold


async def test_a_receiver_that_is_not_there_or_speaks_no_http_has_failed(callbacks: Callbacks) -> None:
    async def garbage(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-OpenSSH_9.2\r\n")
        writer.close()

    server = await asyncio.start_server(garbage, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        with pytest.raises(CallbackFailed):
            await callbacks.send(f"http://127.0.0.1:{port}/", BODY, "key")
    with pytest.raises(CallbackFailed):
        await callbacks.send(f"http://127.0.0.1:{port}/", BODY, "key")


def test_it_waits_longer_each_time_and_gives_up_after_hours() -> None:
    waits = [wait_before(attempt) for attempt in range(1, ATTEMPTS)]
    assert 1.8 <= waits[0] <= 2.2
    assert waits[:6] == sorted(waits[:6])
    assert max(waits) <= 3960
    assert 5 * 3600 < sum(waits) < 9 * 3600

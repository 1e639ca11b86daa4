"""The guard, over real sockets: who gets in, who does not, and what every answer carries."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeAlias

import aiohttp
import pytest
import socketio
from aiohttp import web
from aiohttp.test_utils import TestClient

from bridge.api.errors import answer_errors
from bridge.api.security.guard import check_key, exposure_notice, guard, is_exposed
from bridge.settings import Settings

Client: TypeAlias = TestClient[web.Request, web.Application]
Connect: TypeAlias = Callable[..., Awaitable[Client]]

EVIL = "https://evil.example"
STRUDEL = "https://strudel.cc"
SAMPLE = b"RIFF sample"


async def work(request: web.Request) -> web.Response:
    """Stands for every call that makes something; says what it was given."""
    return web.json_response({"length": len(await request.read())})


async def read(request: web.Request) -> web.Response:
    return web.json_response({"sounds": []}, headers={"Vary": "Accept"} if request.path == "/strudel.json" else None)


async def page(request: web.Request) -> web.Response:
    return web.Response(text="<p>", content_type="text/html", headers={"Content-Security-Policy": "default-src 'self'"})


async def elsewhere(request: web.Request) -> web.Response:
    raise web.HTTPFound("/sounds")


async def websocket(request: web.Request) -> web.WebSocketResponse:
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    await socket.send_str("welcome")
    await socket.close()
    return socket


def application(settings: Settings, folder: Path) -> web.Application:
    app = web.Application(middlewares=[guard(settings), answer_errors])
    (folder / "kick.wav").write_bytes(SAMPLE)

    async def sample(request: web.Request) -> web.FileResponse:
        return web.FileResponse(folder / "kick.wav")

    app.add_routes(
        [
            web.get("/", page),
            web.get("/sounds", read),
            web.get("/strudel.json", read),
            web.get("/samples/{file}", sample),
            web.get("/gen/{words}", read),
            web.get("/elsewhere", elsewhere),
            web.get("/ws", websocket),
            web.get("/ws/stream/{session_id}", websocket),
            web.post("/generate", work),
            web.patch("/sounds/{keyword}", work),
            web.delete("/sounds/{keyword}", work),
        ]
    )
    socketio.AsyncServer(async_mode="aiohttp", transports=["websocket"], cors_allowed_origins="*").attach(app)
    return app


@pytest.fixture
def connect(aiohttp_client: Any, tmp_path: Path) -> Connect:
    async def to_server(**settings: Any) -> Client:
        client: Client = await aiohttp_client(application(Settings(data_dir=tmp_path, **settings), tmp_path))
        return client

    return to_server


async def ask(client: Client, method: str, path: str, **options: Any) -> aiohttp.ClientResponse:
    if method == "POST" and "data" not in options:
        options.setdefault("json", {})
    return await client.request(method, path, allow_redirects=False, **options)


async def raw(client: Client, request: str) -> str:
    """Send bytes no honest client would send; answer the status line and everything after it."""
    reader, writer = await asyncio.open_connection(client.host, client.port)
    writer.write(request.encode())
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer.decode(errors="replace")


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("localhost:5001", 200),
        ("LOCALHOST:5001", 200),
        ("localhost.:5001", 200),
        ("localhost:", 200),
        ("localhost:1", 200),  # a container's port is published under another number
        ("127.0.0.1:99999", 200),
        ("app.localhost", 200),
        ("[::1]:5001", 200),
        ("[::1]", 200),
        ("[0:0:0:0:0:0:0:1]:80", 200),
        ("192.168.1.20:5001", 200),
        ("[fe80::1]:5001", 200),
        ("bridge", 200),  # a compose service
        ("bridge:5001", 200),
        ("my_bridge-2:5001", 200),
        ("studio.example.org", 200),  # listed
        ("STUDIO.example.org.:8080", 200),
        ("sounds.example.org", 200),  # the public address
        ("evil.example", 421),
        ("evil.example:5001", 421),
        ("localhost.evil.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("evillocalhost.example", 421),
        ("x.evillocalhost", 421),
        ("studio.example.org.evil.example", 421),
        ("notstudio.example.org", 421),
        ("localhost:5001@evil.example", 421),
        ("evil.example@localhost", 421),
        ("localhost:80:80", 421),
        ("localhost:http", 421),
        ("localhost/evil.example", 421),
        ("localhost, evil.example", 421),
        ("127.1.2", 421),
        ("[::1].evil.example", 421),
        ("[evil.example]", 421),
        ("[127.0.0.1]", 421),
        ("::1", 421),
        ("[::1", 421),
        ("]", 421),
        (".", 421),
        ("..", 421),
        (":5001", 421),
        ("*", 421),
    ],
)
async def test_a_host_is_known_by_its_name_whatever_its_port(connect: Connect, host: str, status: int) -> None:
    client = await connect(allowed_hosts="studio.example.org", public_url="https://sounds.example.org/bridge")
    for path in ("/sounds", "/samples/kick.wav", "/nothing"):
        answer = await raw(client, f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")
        expected = 404 if (status, path) == (200, "/nothing") else status
        got = int(answer.split()[1])
        # what aiohttp itself finds malformed never reaches the guard
        assert got == expected or (status, got) == (421, 400), (host, path, answer[:200])


async def test_a_foreign_host_is_told_what_to_do_in_the_one_error_shape(connect: Connect) -> None:
    client = await connect()
    answer = await ask(client, "GET", "/sounds", headers={"Host": "evil.example"})
    body = await answer.json()
    assert (answer.status, body["error"]["code"], body["success"]) == (421, "misdirected", False)
    assert "BRIDGE_ALLOWED_HOSTS" in body["detail"]
    assert "evil.example" in body["detail"]


@pytest.mark.parametrize(
    "head",
    [
        "GET /sounds HTTP/1.1\r\nHost: localhost\r\nHost: evil.example",
        "GET /sounds HTTP/1.1\r\nHost: localhost\r\nHost: localhost",
        "GET /sounds HTTP/1.0",
        "GET /sounds HTTP/1.1\r\nHost:",
        "GET http://evil.example/sounds HTTP/1.1\r\nHost: localhost",
        "GET http://evil.example:5001/sounds HTTP/1.1\r\nHost: localhost",
    ],
)
async def test_a_request_that_names_no_host_or_two_is_refused(connect: Connect, head: str) -> None:
    client = await connect()
    answer = await raw(client, f"{head}\r\nConnection: close\r\n\r\n")
    assert answer.split()[1] in {"400", "421"}, answer[:200]


@pytest.mark.parametrize("host", ["studio.example.org", "studio"])
async def test_the_name_it_is_bound_to_is_a_host(connect: Connect, host: str) -> None:
    client = await connect(host=host, api_key="k")
    assert (await ask(client, "GET", "/sounds", headers={"Host": f"{host}:5001"})).status == 200


OWN = "http://127.0.0.1:5001"
ORIGINS = [
    (None, True),
    (OWN, True),
    ("https://127.0.0.1:5001", True),
    (STRUDEL, True),
    ("http://localhost:3000", True),
    ("https://localhost", True),
    ("http://127.0.0.1:8080", True),
    ("http://[::1]:5173", True),
    ("HTTP://LOCALHOST:3000", True),
    ("https://studio.example.org", True),  # listed
    ("https://sounds.example.org", True),  # the public address
    ("null", False),
    ("", False),
    (EVIL, False),
    ("http://strudel.cc", False),
    ("https://strudel.cc:8443", False),
    ("https://strudel.cc.evil.example", False),
    ("https://www.strudel.cc", False),
    ("https://evilstrudel.cc", False),
    ("http://localhost.evil.example", False),
    ("http://localhost:3000@evil.example", False),
    ("http://localhost:3000.evil.example", False),
    ("http://evil.example@localhost", False),
    ("http://localhost:3000/x", False),
    ("http://localhost:x", False),
    ("http://127.0.0.1.evil.example", False),
    ("http://[::1].evil.example", False),
    ("http://studio.example.org", False),
    ("https://studio.example.org:444", False),
    ("file://", False),
    ("file://localhost", False),
    ("ftp://localhost", False),
    ("chrome-extension://localhost", False),
    ("localhost:3000", False),
    ("*", False),
    ("https://strudel.cc https://evil.example", False),
]


@pytest.mark.parametrize(("origin", "allowed"), ORIGINS)
async def test_an_origin_is_our_own_loopback_strudel_or_listed(
    connect: Connect, origin: str | None, allowed: bool
) -> None:
    client = await connect(allowed_origins="https://studio.example.org", public_url="https://Sounds.example.org/bridge")
    headers = {"Host": "127.0.0.1:5001"} | ({} if origin is None else {"Origin": origin})
    ours = origin in (None, OWN, OWN.replace("http", "https"), "https://sounds.example.org")
    for method, path in [
        ("GET", "/sounds"),
        ("GET", "/strudel.json"),
        ("GET", "/gen/kick.json"),
        ("GET", "/"),
        ("POST", "/generate"),
        ("DELETE", "/sounds/kick"),
        ("GET", "/nothing"),
    ]:
        answer = await ask(client, method, path, headers=headers)
        changes = method == "DELETE" and not ours
        expected = 403 if not allowed or changes else 404 if path == "/nothing" else 200
        assert answer.status == expected, (method, path)
        echoed = answer.headers.get("Access-Control-Allow-Origin")
        assert echoed == (origin if allowed else None)
        assert "Origin" in answer.headers["Vary"]


async def test_a_page_on_a_lan_name_is_our_own_only_under_that_name_and_port(connect: Connect) -> None:
    client = await connect()
    for origin, status in [("http://studio:5001", 200), ("http://studio:9000", 403), ("http://other:5001", 403)]:
        headers = {"Host": "studio:5001", "Origin": origin}
        assert (await ask(client, "POST", "/generate", headers=headers)).status == status


async def test_two_origins_are_refused(connect: Connect) -> None:
    client = await connect()
    head = (
        f"GET /sounds HTTP/1.1\r\nHost: localhost\r\nOrigin: {STRUDEL}\r\nOrigin: {EVIL}\r\nConnection: close\r\n\r\n"
    )
    for _ in range(2):  # the second time the verdict is remembered
        assert (await raw(client, head)).split()[1] in {"400", "403"}


async def test_an_origin_allowed_under_one_host_is_not_remembered_for_another(connect: Connect) -> None:
    client = await connect()
    origin = "http://studio:5001"
    assert (await ask(client, "GET", "/sounds", headers={"Host": "studio:5001", "Origin": origin})).status == 200
    assert (await ask(client, "GET", "/sounds", headers={"Host": "localhost:5001", "Origin": origin})).status == 403


@pytest.mark.parametrize("origin", [None, "null", EVIL, STRUDEL])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_samples_may_be_read_by_everybody(connect: Connect, origin: str | None, method: str) -> None:
    client = await connect()
    answer = await ask(client, method, "/samples/kick.wav", headers={} if origin is None else {"Origin": origin})
    assert (answer.status, await answer.read()) == (200, SAMPLE if method == "GET" else b"")
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert answer.headers["Cross-Origin-Resource-Policy"] == "cross-origin"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
async def test_samples_are_public_for_reading_only(connect: Connect, method: str) -> None:
    client = await connect()
    assert (await ask(client, method, "/samples/kick.wav", headers={"Origin": EVIL}, json={})).status == 403


@pytest.mark.parametrize(
    ("path", "origin", "status", "echoed"),
    [
        ("/generate", STRUDEL, 204, STRUDEL),
        ("/generate", "http://localhost:3000", 204, "http://localhost:3000"),
        ("/strudel.json", STRUDEL, 204, STRUDEL),
        ("/samples/kick.wav", EVIL, 204, "*"),
        ("/samples/kick.wav", "null", 204, "*"),
        ("/generate", EVIL, 403, None),
        ("/generate", "null", 403, None),
    ],
)
async def test_a_preflight_is_answered_for_allowed_pages(
    connect: Connect, path: str, origin: str, status: int, echoed: str | None
) -> None:
    client = await connect()
    headers = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    answer = await ask(client, "OPTIONS", path, headers=headers)
    assert answer.status == status
    assert answer.headers.get("Access-Control-Allow-Origin") == echoed
    allowed = answer.headers.get("Access-Control-Allow-Methods", "")
    assert ("POST" in allowed) == (status == 204 and not path.startswith("/samples/"))
    if "POST" in allowed:
        assert {"Content-Type", "X-API-Key"} <= set(answer.headers["Access-Control-Allow-Headers"].split(", "))


async def test_options_that_is_no_preflight_goes_to_the_router(connect: Connect) -> None:
    client = await connect()
    assert (await ask(client, "OPTIONS", "/generate")).status == 405


@pytest.mark.parametrize(
    ("content_type", "body", "status"),
    [
        ("application/json", b"{}", 200),
        ("application/json; charset=utf-8", b"{}", 200),
        ("Application/JSON", b"{}", 200),
        ("multipart/form-data; boundary=x", b"--x--\r\n", 200),
        (None, b"", 200),
        ("text/plain", b"{}", 415),
        ("application/x-www-form-urlencoded", b"prompt=x", 415),
        ("application/x-www-form-urlencoded", b"", 415),
        ("text/plain; application/json", b"{}", 415),
        ("application/jsonx", b"{}", 415),
        ("application/octet-stream", b"{}", 415),
        (None, b"{}", 415),
        ("", b"{}", 415),
    ],
)
async def test_a_body_is_json_or_multipart(
    connect: Connect, content_type: str | None, body: bytes, status: int
) -> None:
    client = await connect()
    for method, path in [("POST", "/generate"), ("PATCH", "/sounds/kick")]:
        head = [f"{method} {path} HTTP/1.1", "Host: localhost", "Connection: close", f"Content-Length: {len(body)}"]
        if content_type is not None:
            head.append(f"Content-Type: {content_type}")
        answer = await raw(client, "\r\n".join([*head, "", body.decode()]))
        assert int(answer.split()[1]) == status
        if status == 415:
            assert "application/json" in json.loads(answer.partition("\r\n\r\n")[2])["error"]["message"]


async def test_a_chunked_body_without_a_type_is_refused(connect: Connect) -> None:
    client = await connect()
    head = "POST /generate HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert (await raw(client, head + "2\r\n{}\r\n0\r\n\r\n")).split()[1] == "415"


@pytest.mark.parametrize("content_type", ["multipart/form-data; boundary=x", "application/json"])
@pytest.mark.parametrize("origin", [EVIL, "null"])
async def test_a_foreign_page_sends_neither_form_nor_json(connect: Connect, content_type: str, origin: str) -> None:
    client = await connect()
    headers = {"Origin": origin, "Content-Type": content_type}
    assert (await ask(client, "POST", "/generate", headers=headers, data=b"--x--")).status == 403


@pytest.mark.parametrize(
    ("site", "origin", "host", "status"),
    [
        (None, None, "localhost:5001", 200),  # curl
        ("none", None, "localhost:5001", 200),  # typed into the address bar
        ("same-origin", None, "localhost:5001", 200),  # our own page
        ("same-site", None, "localhost:5001", 200),  # a page on another port of this machine
        ("same-site", None, "app.localhost:5001", 200),
        ("cross-site", STRUDEL, "localhost:5001", 200),  # fetch() from strudel.cc
        ("cross-site", None, "localhost:5001", 403),  # <img>, <script>, a link, a form
        ("same-site", None, "bridge:5001", 403),  # a sibling name that is not us
        ("cross-site", EVIL, "localhost:5001", 403),
        ("cross-site", "null", "localhost:5001", 403),
        ("something-new", None, "localhost:5001", 403),
    ],
)
async def test_another_site_starts_no_work(
    connect: Connect, site: str | None, origin: str | None, host: str, status: int
) -> None:
    client = await connect()
    given = {"Host": host, "Sec-Fetch-Site": site, "Origin": origin}
    headers = {name: value for name, value in given.items() if value is not None}
    for method, path in [("GET", "/gen/kick:4.json"), ("GET", "/%67en/kick.json"), ("POST", "/generate")]:
        assert (await ask(client, method, path, headers=headers)).status == status, path


async def test_another_site_may_still_follow_a_link_to_the_page(connect: Connect) -> None:
    client = await connect()
    headers = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    headers["Accept"] = "text/html,*/*"
    for path in ("/", "/samples/kick.wav"):
        assert (await ask(client, "GET", path, headers=headers)).status == 200


@pytest.mark.parametrize("path", ["/ws", "/ws/stream/one", "/socket.io/?EIO=4&transport=websocket"])
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, None),
        ({"Origin": STRUDEL}, None),
        ({"Origin": "http://localhost:3000"}, None),
        ({"Origin": EVIL}, 403),
        ({"Origin": "null"}, 403),
        ({"Host": "evil.example"}, 421),
        ({"Host": "evil.example", "Origin": "http://evil.example"}, 421),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
    ],
)
async def test_a_websocket_obeys_the_same_rules(
    connect: Connect, path: str, headers: dict[str, str], status: int | None
) -> None:
    client = await connect()
    if status is None:
        async with client.ws_connect(path, headers=headers) as socket:
            assert isinstance((await socket.receive()).data, str)
    else:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refusal:
            await client.ws_connect(path, headers=headers)
        assert refusal.value.status == status


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "192.168.1.20", "studio.example.org"])
async def test_an_exposed_server_without_a_key_only_reads(connect: Connect, host: str) -> None:
    settings = Settings(host=host)
    assert is_exposed(settings)
    assert "BRIDGE_API_KEY" in (exposure_notice(settings) or "")
    assert not check_key(settings, None)
    assert not check_key(settings, "")
    client = await connect(host=host)
    for path in ("/", "/sounds", "/strudel.json", "/samples/kick.wav"):
        assert (await ask(client, "GET", path)).status == 200
    for method, path in [("POST", "/generate"), ("DELETE", "/sounds/kick"), ("GET", "/gen/kick.json")]:
        answer = await ask(client, method, path, headers={"X-API-Key": "guess"})
        body = await answer.json()
        assert (answer.status, body["error"]["code"]) == (403, "read_only")
        assert "BRIDGE_API_KEY" in body["error"]["message"]
    with pytest.raises(aiohttp.WSServerHandshakeError):
        await client.ws_connect("/ws/stream/one")
    async with client.ws_connect("/ws") as socket:
        assert (await socket.receive()).data == "welcome"


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.53", "localhost", "::1", "LOCALHOST"])
def test_on_loopback_no_key_is_needed_and_nothing_is_said(host: str) -> None:
    settings = Settings(host=host)
    assert not is_exposed(settings)
    assert exposure_notice(settings) is None
    assert check_key(settings, None)


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 403),
        ({"X-API-Key": "wrong"}, 403),
        ({"X-API-Key": ""}, 403),
        ({"X-API-Key": "geheim-ü"}, 200),
        ({"Authorization": "Bearer geheim-ü"}, 200),
        ({"Authorization": "bearer geheim-ü"}, 200),
        ({"Authorization": "Basic geheim-ü"}, 403),
        ({"Authorization": "Bearer"}, 403),
    ],
)
async def test_a_set_key_is_asked_for_everywhere_but_for_reading(
    connect: Connect, host: str, headers: dict[str, str], status: int
) -> None:
    assert exposure_notice(Settings(host=host, api_key="geheim-ü")) is None
    client = await connect(host=host, api_key="geheim-ü")
    for method, path in [("POST", "/generate"), ("DELETE", "/sounds/kick"), ("GET", "/gen/kick.json")]:
        answer = await ask(client, method, path, headers=headers)
        assert answer.status == status, path
        if status == 403:
            assert (await answer.json())["error"]["code"] == "key_required"
    for path in ("/", "/sounds", "/samples/kick.wav"):
        assert (await ask(client, "GET", path, headers=headers)).status == 200


async def test_socket_io_is_asked_for_the_key_later(connect: Connect) -> None:
    client = await connect(host="0.0.0.0", api_key="k")
    async with client.ws_connect("/socket.io/?EIO=4&transport=websocket") as socket:
        assert (await socket.receive()).data.startswith("0")
    with pytest.raises(aiohttp.WSServerHandshakeError):
        await client.ws_connect("/ws/stream/one")


async def test_the_key_opens_no_door_to_a_foreign_page(connect: Connect) -> None:
    client = await connect(host="0.0.0.0", api_key="k")
    assert (await ask(client, "POST", "/generate", headers={"X-API-Key": "k", "Origin": EVIL})).status == 403


async def test_a_key_that_is_no_utf8_is_just_wrong(connect: Connect) -> None:
    client = await connect(api_key="k")
    reader, writer = await asyncio.open_connection(client.host, client.port)
    writer.write(b"DELETE /sounds/kick HTTP/1.1\r\nHost: localhost\r\nX-API-Key: \xff\xfe\r\nConnection: close\r\n\r\n")
    assert (await reader.read()).split()[1] == b"403"
    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize("path", ["/", "/sounds", "/samples/kick.wav", "/nothing", "/elsewhere", "/generate"])
async def test_every_answer_carries_the_security_headers(connect: Connect, path: str) -> None:
    client = await connect()
    for headers in ({}, {"Host": "evil.example"}, {"Origin": STRUDEL}):
        answer = await ask(client, "GET", path, headers=headers)
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        policies = answer.headers.getall("Content-Security-Policy")
        page_answered = path == "/" and answer.status == 200
        assert len(policies) == 1
        assert policies[0].startswith("default-src 'self'" if page_answered else "default-src 'none'")


async def test_what_an_answer_already_varies_by_is_kept(connect: Connect) -> None:
    client = await connect()
    answer = await ask(client, "GET", "/strudel.json")
    assert [part.strip() for part in answer.headers["Vary"].split(",")] == ["Accept", "Origin"]


async def test_a_flood_of_made_up_names_is_forgotten_again(connect: Connect) -> None:
    client = await connect()
    for number in range(1100):
        headers = {"Host": f"h{number}.localhost", "Origin": f"https://h{number}.example"}
        assert (await ask(client, "GET", "/sounds", headers=headers)).status == 403
    assert (await ask(client, "GET", "/sounds", headers={"Host": "evil.example"})).status == 421
    assert (await ask(client, "GET", "/sounds", headers={"Origin": STRUDEL})).status == 200


async def test_a_refused_page_is_named_once_in_the_log(connect: Connect, caplog: pytest.LogCaptureFixture) -> None:
    client = await connect()
    for _ in range(3):
        await ask(client, "GET", "/sounds", headers={"Origin": EVIL})
    warnings = [record.getMessage() for record in caplog.records if record.name == "bridge.api.security.guard"]
    assert len(warnings) == 1
    assert EVIL in warnings[0]
    assert "BRIDGE_ALLOWED_ORIGINS" in warnings[0]

"""Who may do what: foreign pages, strangers on a network, keys, this run's key and the page's session."""

from __future__ import annotations

import contextlib
import json
import re
import stat
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient
from pydantic import ValidationError

from bridge.api.keys import CALLERS, SERVICE
from bridge.api.security.hosts import Hosts
from bridge.app import create_app
from bridge.client.server_file import NAME, announced, run_key
from bridge.errors import StartupError
from bridge.rights import Callers, Guesses, PageSessions, Scope
from bridge.rights.guesses import MOST_HELD, MOST_SECONDS
from bridge.rights.keys import check_key_lengths
from bridge.rights.page_sessions import SESSION_SECONDS
from bridge.rights.table import MESSAGES, RIGHTS
from bridge.settings import Settings
from bridge.sounds.opening import open_service
from tests.servers import Listener, order, settings_for, until

Client: TypeAlias = TestClient[web.Request, web.Application]
Start: TypeAlias = Callable[..., Awaitable[Client]]

STRUDEL = {"Origin": "https://strudel.cc"}
OTHER_PORT = {"Origin": "http://localhost:3000"}
LISTED = {"Origin": "https://studio.example.org"}
WORDS = "tone 440 hz of a quiet evening"


@pytest.fixture
async def start(tmp_path: Path, aiohttp_client: Any) -> AsyncIterator[Start]:
    """``await start(api_key=...)`` serves an application with one sound, ``secret``, made of WORDS."""
    contexts = []

    async def started(**settings: Any) -> Client:
        context = open_service(
            settings_for(tmp_path / "data", allowed_origins="https://studio.example.org", **settings)
        )
        service = await context.__aenter__()
        contexts.append(context)
        client: Client = await aiohttp_client(create_app(service))
        await service.make(order(WORDS, name="secret"))
        return client

    yield started
    for context in contexts:
        await context.__aexit__(None, None, None)


async def ask(client: Client, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
    async with client.request(method, path, json=body, headers=headers) as answer:
        text = await answer.text()
        return answer.status, json.loads(text) if answer.content_type == "application/json" else text


def own(client: Client) -> dict[str, str]:
    return {"Origin": f"http://{client.host}:{client.port}"}


# ---------------------------------------------------------------- the table


async def test_every_route_and_every_message_says_which_scope_it_needs(start: Start) -> None:
    client = await start()
    routes = {
        f"{route.method} {route.resource.canonical}"
        for route in client.app.router.routes()
        if route.resource is not None and route.method != "HEAD"
    }
    assert routes == set(RIGHTS)
    assert set(MESSAGES) == {"hello", "generate", "cancel", "session"}


def test_the_documentation_lists_the_calls_of_each_scope() -> None:
    text = (Path(__file__).parents[3] / "docs" / "http-api.md").read_text("utf-8")
    for scope in (Scope.MAKE, Scope.OWN, Scope.ADMIN):
        row = next(line for line in text.splitlines() if line.startswith(f"| `{scope}` |"))
        calls = {name for name, right in RIGHTS.items() if right.scope is scope}
        messages = {f"{name} (Socket.IO)" for name, needed in MESSAGES.items() if needed is scope}
        listed = set(re.findall(r"`([^`]+`(?: \(Socket\.IO\))?)", row.split("|")[2]))
        assert {each.replace("`", "") for each in listed} == calls | messages


# ---------------------------------------------------------------- foreign pages


@pytest.mark.parametrize("origin", [STRUDEL, OTHER_PORT, LISTED], ids=lambda each: each["Origin"])
async def test_a_foreign_page_makes_and_changes_nothing(start: Start, origin: dict[str, str]) -> None:
    client = await start()
    status, made = await ask(client, "POST", "/generate", {"prompt": "tone 300 hz", "duration": 0.3}, **origin)
    assert (status, made["prompt"]) == (200, "tone 300 hz")
    status, task = await ask(client, "GET", f"/generate/{made['task_id']}", **origin)
    assert (status, task["facts"]["prompt"], task["facts"]["spec"]["prompt"]) == (200, "", "")
    for method, path, body in [
        ("POST", "/forget", {"what": "all"}),
        ("DELETE", "/sounds/secret", None),
        ("DELETE", "/%73ounds/secret", None),
        ("PATCH", "/sounds/secret", {"name": "pwned"}),
        ("PATCH", "/sounds/secret", {"pinned": True}),
        ("PATCH", "/sounds/secret", {"deleted": False}),
    ]:
        status, answer = await ask(client, method, path, body, **origin)
        assert (status, answer["error"]["code"]) == (403, "foreign_readonly"), path
    status, listed = await ask(client, "GET", "/sounds")
    assert {each["name"] for each in listed["sounds"]} >= {"secret"}
    assert listed["sounds"][-1]["prompt"] == WORDS


async def test_a_preflight_names_the_methods_that_the_page_may_use(start: Start) -> None:
    client = await start()

    async def methods(path: str, origin: dict[str, str]) -> set[str]:
        headers = {**origin, "Access-Control-Request-Method": "DELETE"}
        async with client.options(path, headers=headers) as answer:
            return set(answer.headers["Access-Control-Allow-Methods"].split(", "))

    assert {"DELETE", "PATCH"} <= await methods("/sounds/secret", own(client))
    assert await methods("/sounds/secret", STRUDEL) == {"GET", "HEAD", "POST"}
    assert await methods("/api/v1/jobs/gen_000000000000", STRUDEL) == {"GET", "HEAD", "POST", "DELETE"}


async def test_a_foreign_page_hears_no_words_of_others(start: Start) -> None:
    client = await start()
    for path in (
        "/sounds",
        "/sounds?q=tone",
        "/sounds/secret?format=json",
        "/sounds/secret?format=base64",
        "/strudel.json",
    ):
        _, own_answer = await ask(client, "GET", path)
        status, foreign = await ask(client, "GET", path, **STRUDEL)
        assert status == 200
        assert "evening" not in json.dumps(foreign), path
        assert "evening" in json.dumps(own_answer) or path == "/strudel.json"
    pages = []
    for headers in (STRUDEL, {}):
        page = Listener(str(client.make_url("/")))
        await page.client.connect(page.url, transports=["websocket"], headers=headers)
        await page.hello()
        pages.append(page)
    stranger, program = pages
    try:
        assert "evening" not in json.dumps(stranger.reply)
        assert "evening" in json.dumps(program.reply)
        await client.app[SERVICE].make(order("tone 500 hz of a grey morning", name="grey"))
        await until(lambda: program.since == stranger.since and len(stranger.of("sound")) == 1)
        assert [each["prompt"] for each in stranger.of("sound")] == [""]
        assert "morning" in program.of("sound")[0]["prompt"]
        # of the job it hears that there was one, so that its numbers have no gap, and nothing else
        assert {(each["job_id"], each["name"]) for each in stranger.of("job")} == {("", "")}
        missed = await stranger.hello(since=0)
        assert "evening" not in json.dumps(missed)
        assert {each["job_id"] for each in missed["events"] if each["type"] == "job"} == {""}
        refused = await stranger.ask("session", {"session": "club", "bpm": 999})
        assert refused["error"]["code"] == "foreign_readonly"
    finally:
        for page in pages:
            await page.leave()


async def test_a_foreign_page_knows_its_own_jobs_alone(start: Start) -> None:
    client = await start()
    _, theirs = await ask(client, "POST", "/api/v1/generate", {"prompt": "tone 600 hz", "duration": 0.3})
    _, mine = await ask(client, "POST", "/api/v1/generate", {"prompt": "tone 601 hz", "duration": 0.3}, **STRUDEL)
    _, other = await ask(client, "POST", "/api/v1/generate", {"prompt": "tone 602 hz", "duration": 0.3}, **OTHER_PORT)
    everything = {each["job_id"] for each in (theirs, mine, other)}
    assert {each["job_id"] for each in (await ask(client, "GET", "/api/v1/jobs"))[1]["jobs"]} >= everything
    _, told = await ask(client, "GET", "/api/v1/jobs", **STRUDEL)
    assert [each["job_id"] for each in told["jobs"]] == [mine["job_id"]]
    for job in (theirs, other):
        for method, path in [
            ("GET", "/api/v1/status/{}"),
            ("GET", "/api/v1/download/{}"),
            ("GET", "/generate/{}"),
            ("GET", "/download/{}"),
            ("GET", "/api/status/{}"),
            ("DELETE", "/api/v1/jobs/{}"),
        ]:
            status, answer = await ask(client, method, path.format(job["job_id"]), **STRUDEL)
            assert (status, answer["error"]["code"]) == (404, "unknown_job"), path
    assert (await ask(client, "GET", f"/api/v1/status/{mine['job_id']}", **STRUDEL))[0] == 200
    async with client.ws_connect("/ws", headers=STRUDEL) as socket:
        await socket.send_json({"type": "subscribe", "job_id": theirs["job_id"]})
        assert (await socket.receive_json())["error"]["code"] == "unknown_job"
        await socket.send_json({"type": "subscribe"})
        await ask(client, "POST", "/api/v1/generate", {"prompt": "tone 603 hz", "duration": 0.3})
        _, seen = await ask(client, "POST", "/api/v1/generate", {"prompt": "tone 604 hz", "duration": 0.3}, **STRUDEL)
        heard = set()
        while seen["job_id"] not in heard:
            heard.add((await socket.receive_json())["job_id"])
        assert heard <= {mine["job_id"], seen["job_id"]}
    # one key of two askers is two keys
    asked = {"prompt": "tone 605 hz", "duration": 0.3}
    _, first = await ask(client, "POST", "/api/v1/generate", asked, **{"Idempotency-Key": "k"})
    _, second = await ask(client, "POST", "/api/v1/generate", asked, **STRUDEL, **{"Idempotency-Key": "k"})
    assert first["job_id"] != second["job_id"]


async def test_programs_on_this_machine_lose_nothing_but_forgetting(start: Start, tmp_path: Path) -> None:
    client = await start()
    status, answer = await ask(client, "POST", "/forget", {"what": "prompts"})
    assert (status, answer["error"]["code"]) == (403, "admin_only")
    assert (await ask(client, "PATCH", "/sounds/secret", {"pinned": True}))[0] == 200
    assert (await ask(client, "DELETE", "/sounds/secret"))[0] == 200
    assert (await ask(client, "PATCH", "/sounds/secret", {"deleted": False}))[0] == 200
    key = {"X-API-Key": client.app[CALLERS].run_key}
    assert (await ask(client, "POST", "/forget", {"what": "prompts"}, **key))[0] == 200
    # nor may a page with that key: it is not for pages
    assert (await ask(client, "POST", "/forget", {"what": "all"}, **key, **STRUDEL))[0] == 403


def test_the_file_with_this_runs_key_is_its_users_alone(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    (tmp_path / NAME).write_text("left by a crash")
    (tmp_path / NAME).chmod(0o666)
    with announced(settings, 5001, "a-key"):
        assert stat.S_IMODE((tmp_path / NAME).stat().st_mode) == 0o600
        assert run_key(tmp_path) == "a-key"
        assert [path.name for path in tmp_path.iterdir()] == [NAME]
    assert run_key(tmp_path) is None


# ---------------------------------------------------------------- keys and strangers


async def test_each_key_takes_back_its_own_jobs_and_none_forgets(start: Start) -> None:
    client = await start(api_keys="ana=key-of-ana,bob=key-of-bob")
    ana, bob = {"X-API-Key": "key-of-ana"}, {"Authorization": "Bearer key-of-bob"}
    _, job = await ask(client, "POST", "/api/v1/generate", {"prompt": "tone 700 hz", "duration": 0.3}, **ana)
    status, answer = await ask(client, "DELETE", f"/api/v1/jobs/{job['job_id']}", **bob)
    assert (status, answer["error"]["code"]) == (403, "not_yours")
    assert (await ask(client, "DELETE", f"/api/v1/jobs/{job['job_id']}", **ana))[0] in (200, 409)
    status, answer = await ask(client, "POST", "/forget", {"what": "all"}, **bob)
    assert (status, answer["error"]["code"]) == (403, "admin_only")
    assert (await ask(client, "DELETE", "/sounds/secret", **bob, **STRUDEL))[1]["error"]["code"] == "foreign_readonly"
    assert (await ask(client, "DELETE", "/sounds/secret", **bob))[0] == 200


async def test_over_a_network_who_shows_no_key_hears_neither_words_nor_jobs(start: Start) -> None:
    client = await start(host="0.0.0.0", api_key="a-key-of-the-studio")
    key = {"X-API-Key": "a-key-of-the-studio"}
    asked = {"prompt": "tone 800 hz of a warm evening", "name": "warm", "duration": 0.3}
    assert (await ask(client, "POST", "/generate", asked, **key))[0] == 200
    for path in ("/sounds", "/api/v1/jobs", "/stream/sessions"):
        _, told = await ask(client, "GET", path)
        assert "evening" not in json.dumps(told), path
    assert "evening" in json.dumps((await ask(client, "GET", "/api/v1/jobs", **key))[1])
    assert (await ask(client, "GET", "/metrics"))[0] == 403
    assert (await ask(client, "GET", "/metrics", **key))[0] == 200


# ---------------------------------------------------------------- the page's session


async def test_a_session_counts_with_our_own_origin_alone_and_can_be_ended(start: Start) -> None:
    client = await start(api_key="a-key-of-the-studio")
    ours = own(client)
    status, answer = await ask(client, "POST", "/session", {"key": "guess"}, **ours)
    assert (status, answer["error"]["code"]) == (403, "wrong_key")
    for headers in (STRUDEL, OTHER_PORT, {}):
        status, answer = await ask(client, "POST", "/session", {"key": "a-key-of-the-studio"}, **headers)
        assert (status, answer["error"]["code"]) == (403, "own_page_only")
    async with client.post("/session", json={"key": "a-key-of-the-studio"}, headers=ours) as opened:
        given = opened.headers["Set-Cookie"]
        assert await opened.json() == {"open": True, "key_needed": False, "scopes": ["make", "own", "read"]}
    assert given.startswith(f"sample_bridge_{client.port}=")
    assert {"HttpOnly", "Path=/", "SameSite=Strict", f"Max-Age={SESSION_SECONDS}"} <= set(given.split("; "))
    assert "studio" not in given
    client.session.cookie_jar.clear()
    cookie = {"Cookie": given.split(";")[0]}
    asked = {"prompt": "tone 900 hz", "duration": 0.3}
    assert (await ask(client, "POST", "/generate", asked, **cookie, **ours))[0] == 200
    assert (await ask(client, "GET", "/gen/tone.json", **cookie, **{"Sec-Fetch-Site": "same-origin"}))[0] == 200
    for headers in (STRUDEL, OTHER_PORT, {}, {"Sec-Fetch-Site": "none"}):
        status, answer = await ask(client, "POST", "/generate", asked, **cookie, **headers)
        assert (status, answer["error"]["code"]) == (403, "key_required"), headers
    async with client.ws_connect("/ws/stream/one", headers={**cookie, **ours}, protocols=("sample-bridge",)) as socket:
        page = Listener(str(client.make_url("/")))
        await page.client.connect(page.url, transports=["websocket"], headers={**cookie, **ours})
        await page.hello()
        assert "job_id" in await page.ask("generate", {"prompt": "tone 901 hz", "duration": 0.3})
        assert (await ask(client, "DELETE", "/session", **cookie, **ours))[1]["open"] is False
        # connections that are open already end their rights with it
        assert (await page.ask("generate", {"prompt": "tone 902 hz"}))["error"]["code"] == "session_expired"
        await page.leave()
        await socket.send_json({"type": "start_streaming", "request": {"prompt": "tone 300 hz"}})
        assert (await socket.receive_json())["error"]["code"] == "session_expired"
    status, answer = await ask(client, "POST", "/generate", asked, **cookie, **ours)
    assert (status, answer["error"]["code"]) == (403, "session_expired")
    assert "#token=" in answer["error"]["message"]


def test_a_session_ends_by_itself() -> None:
    now = [0.0]
    sessions = PageSessions(lambda: now[0])
    callers = Callers(Settings(api_key="a-key-of-the-studio"))
    callers.sessions = sessions
    session_id = sessions.open("")
    caller = callers.of(key=None, session_id=session_id, origin="http://localhost:5001", own_origin=True)
    assert (caller.credential, callers.still(caller).credential) == ("session", "session")
    now[0] = SESSION_SECONDS
    assert callers.still(caller).refusal == callers.of(key=None, session_id=session_id, own_read=True).refusal
    assert (callers.still(caller).refusal or [""])[0] == "session_expired"


# ---------------------------------------------------------------- guesses, hosts


async def test_wrong_keys_wait_longer_and_longer_and_a_right_one_never() -> None:
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    guesses = Guesses(lambda: 0.0, sleep)
    for _ in range(12):
        await guesses.wrong("192.0.2.1", "http")
    assert waits == sorted(waits)
    assert waits[-1] == MOST_SECONDS
    await guesses.wrong("2001:db8::1", "http")
    await guesses.wrong("2001:db8::2", "http")  # the same network: the second guess of it
    assert waits[-1] == 2 * waits[-2] == 2 * waits[0]


async def test_guesses_are_counted_logged_once_and_bounded(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    client = await start(api_key="a-key-of-the-studio")
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    guesses = client.app[CALLERS].guesses
    guesses._sleep = sleep
    for number in range(20):
        assert (await ask(client, "POST", "/generate", {}, **{"X-API-Key": f"guess {number}"}))[0] == 403
    assert len(waits) == 20
    assert (await ask(client, "GET", "/sounds", **{"X-API-Key": "a-key-of-the-studio"}))[0] == 200
    assert len(waits) == 20
    guesses._held = MOST_HELD
    status, answer = await ask(client, "GET", "/sounds", **{"X-API-Key": "guess"})
    assert (status, answer["error"]["code"]) == (429, "too_many")
    guesses._held = 0
    page = Listener(str(client.make_url("/")))
    await page.client.connect(page.url, transports=["websocket"])
    for number in range(5):
        with contextlib.suppress(Exception):  # the last ends the connection
            await page.client.call("hello", {"token": f"guess {number}"}, timeout=5)
    await until(lambda: not page.client.connected)
    figures = await (await client.get("/metrics")).text()
    assert 'bridge_wrong_keys_total{door="http"} 21.0' in figures
    assert 'bridge_wrong_keys_total{door="page"} 5.0' in figures
    assert len([each for each in caplog.records if each.name == "bridge.rights.guesses"]) == 1
    assert not any("guess 1" in each.getMessage() for each in caplog.records)


def test_a_key_that_can_be_guessed_is_refused_where_others_can_try() -> None:
    with pytest.raises(ValidationError, match="not blank"):
        Settings(api_key="  ")
    for keys in ({"api_key": "a"}, {"api_keys": "ana=long-enough,bob=short"}):
        with pytest.raises(StartupError, match="fewer than 8 characters") as caught:
            check_key_lengths(Settings(host="0.0.0.0", **keys))
        assert caught.value.code == "weak_key"
        assert "fewer than 8" in (check_key_lengths(Settings(**keys)) or "")
    assert check_key_lengths(Settings(host="0.0.0.0", api_key="long-enough")) is None


@pytest.mark.parametrize(
    ("host", "container", "ours"),
    [
        ("evil:5001", False, False),
        ("evil", False, False),
        ("workstation:5001", False, True),
        ("workstation.local:5001", False, True),
        ("WORKSTATION", False, True),
        ("workstation.lan", False, True),
        ("evil.local", False, False),
        ("bound:5001", False, True),
        ("bridge", False, True),  # listed
        ("compose_service:5001", True, True),
        ("evil.test", True, False),
    ],
)
def test_a_name_without_a_dot_is_ours_only_when_it_is_known_to_be(host: str, container: bool, ours: bool) -> None:
    settings = Settings(host="bound", allowed_hosts="bridge")
    assert Hosts(settings, machine="Workstation.lan", container=container).is_ours(host) is ours

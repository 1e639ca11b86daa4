"""``sample-bridge check``: against our server, and against servers that are not well."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import urllib.request
from pathlib import Path

import pytest
from aiohttp import web

from bridge.api.page import STATIC
from bridge.commands import check
from bridge.errors import StartupError
from tests.bridge.commands.conftest import PROGRAM, SECONDS, Command, Server, clean_environment, serving

BUILT = {"legal": (STATIC / "notices.txt").exists(), "page": (STATIC / "index.html").exists()}


def names(server: Server) -> set[str]:
    with urllib.request.urlopen(server.url + "/strudel.json") as answer:
        return set(json.load(answer))


def test_a_server_that_is_well_passes_and_keeps_nothing_of_the_test(command: Command, server: Server) -> None:
    before = names(server)
    ended = command("check", server.url)
    assert ended.code == 0, ended.out
    *rows, empty, summary = ended.out.splitlines()
    assert [row.split("  ")[0] for row in rows] == [
        "health", "ready", "sample map", "socket.io hello", "make a sound", "push", "kept sound", "audio", "range",
        "etag", "search", "clean up",
    ]  # fmt: skip
    assert empty == ""
    assert summary == f"12 of 12 checks ok: {server.url}"
    assert names(server) == before


def test_full_looks_at_everything_else(command: Command, server: Server) -> None:
    before = names(server)
    document = command("check", server.url, "--full", "--json").json()
    states = {finding["name"]: finding["state"] for finding in document["checks"]}
    details = {finding["name"]: finding["detail"] for finding in document["checks"]}
    assert len(states) == 19
    # the page and its notices are there once they have been built
    wanted = {name: "ok" if BUILT.get(name, True) else "failed" for name in states}
    assert states == wanted, details
    assert document["ok"] is all(BUILT.values())
    assert names(server) == before


def test_a_key_is_taken_from_the_option_or_the_environment(command: Command, tmp_path: Path) -> None:
    with serving(tmp_path / "data", BRIDGE_API_KEY="secret") as server:
        assert command("check", server.url, "--api-key", "secret").code == 0
        assert command("check", server.url, BRIDGE_API_KEY="secret").code == 0
        without = command("check", server.url, "--json")
    assert without.code == 1
    states = {finding["name"]: finding["state"] for finding in without.json()["checks"]}
    assert states["health"] == "ok"
    assert states["make a sound"] == "failed"
    assert states["range"] == "not tried"


def test_ctrl_c_in_the_middle_leaves_nothing_behind(server: Server) -> None:
    before = names(server)
    process = subprocess.Popen([*PROGRAM, "check", server.url, "--full"], env=clean_environment(), text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)  # fmt: skip
    assert process.stdout is not None
    assert any(line.startswith("push ") for line in process.stdout)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=SECONDS)
    assert (process.returncode, err) == (130, "")
    assert names(server) == before


def test_nobody_there_is_exit_code_2_and_a_sentence(command: Command) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: nobody else gets it, nobody answers
        ended = command("check", f"localhost:{taken.getsockname()[1]}", "--json")
    assert ended.error()["code"] == "server_unreachable"
    assert "sample-bridge serve" in ended.error()["message"]


@pytest.mark.parametrize(
    "url", ["", "http://", "ftp://localhost", "http://localhost:99999", "http://localhost/?x=1", "::x"]
)
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(StartupError, match="is not a web address"):
        check.base_url(url)


def test_people_need_not_type_the_scheme() -> None:
    assert check.base_url("localhost:5001/") == "http://localhost:5001"
    assert check.base_url("https://studio.example.org/bridge/") == "https://studio.example.org/bridge"


async def test_a_stranger_s_server_fails_check_by_check(aiohttp_server: object) -> None:
    """Each answer of it is nonsense of another sort; none ends the test."""

    async def nonsense(request: web.Request) -> web.Response:
        if request.path == "/health":
            return web.Response(text="fine")
        if request.path == "/strudel.json":
            return web.json_response({"_base": "https://elsewhere.example", "kick": []})
        return web.json_response([1, 2, 3])

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", nonsense)
    running = await aiohttp_server(app)  # type: ignore[operator]
    findings = await check.look(str(running.make_url("")).rstrip("/"), None, full=True, quiet=True)
    states = {finding.name: finding.state for finding in findings}
    assert len(states) == 19
    assert [name for name, state in states.items() if state == "ok"] == ["clean up"]  # nothing was made there
    assert all(finding.detail for finding in findings[:-1])
    assert {"range", "etag", "push"} <= {name for name, state in states.items() if state == "not tried"}

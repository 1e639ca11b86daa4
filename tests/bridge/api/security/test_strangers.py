"""What a page of another site gets by GETs that it need not ask for: what lies ready, and nothing started by it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from aiohttp.test_utils import TestClient

from bridge.settings import Settings
from bridge.sounds.service import SampleService

IMAGE = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}
LINK = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
FRAME = LINK | {"Sec-Fetch-Dest": "iframe"}
STRUDEL = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors", "Origin": "https://strudel.cc"}
EVIL = {"Origin": "https://evil.example"}

READY = {"/samples/{file}", "/stems/{request}/{file}"}
LINKED = {"/", "/docs", "/redoc", "/asyncapi", "/notices", "/licence", "/source"}
EMBEDDED = {*READY, "/strudel.json", "/gen/{words}", "/sample-bridge.js"}


def addresses(client: TestClient) -> list[tuple[str, str]]:
    """Every route that a GET reaches, those of the sockets included, and an address that it takes."""
    routes = [route for route in client.app.router.routes() if route.method in ("GET", "*")]
    found = {route.resource.canonical for route in routes if route.resource is not None}
    assert {"/ws", "/sounds/{keyword}", "/socket.io/"} <= found
    return [(route, re.sub(r"\{\w+\}", "kick", route)) for route in sorted(found)]


def files(settings: Settings) -> set[Path]:
    return {path for path in settings.data_dir.rglob("*") if path.suffix in {".mp3", ".ogg", ".flac", ".wav", ".peaks"}}


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_every_route_is_closed_to_a_stranger_unless_it_is_listed(
    client: TestClient, service: SampleService, method: str
) -> None:
    for how in (IMAGE, FRAME, LINK, LINK | {"Accept": "text/html"}):
        for route, address in addresses(client):
            answer = await client.request(method, address, headers=how)
            page = route in LINKED and how["Sec-Fetch-Dest"] == "document" and (route != "/" or "Accept" in how)
            assert (answer.status != 403) == (route in READY or page), (route, how)
            if answer.status == 403 and method == "GET":
                assert (await answer.json())["error"]["code"] == "cross_site", route
    assert await service.queue.tickets() == []


async def test_a_stranger_hears_what_lies_ready_and_has_nothing_encoded(client: TestClient, settings: Settings) -> None:
    made = await (await client.post("/generate", json={"prompt": "tone 440 hz", "name": "lab_tone"})).json()
    sample = made["audio_url"].removesuffix(".wav")
    before = files(settings)
    for suffix in ("mp3", "24.wav", "flac", "ogg", "peaks"):
        for who in (IMAGE, LINK, EVIL, {"Origin": "null"}):
            answer = await client.get(f"{sample}.{suffix}", headers=who)
            assert (answer.status, (await answer.json())["error"]["code"]) == (403, "cross_site")
    assert (await client.get("/samples/0123456789abcdef.mp3", headers=IMAGE)).status == 403
    assert files(settings) == before
    for who in (IMAGE, LINK, EVIL):
        assert (await client.get(f"{sample}.wav", headers=who)).status == 200
    # Who may use the bridge has it encoded, and then it lies ready for everybody.
    for who in (STRUDEL, {"Sec-Fetch-Site": "same-origin"}, {}, IMAGE, EVIL):
        assert (await client.get(f"{sample}.mp3", headers=who)).status == 200
    assert len(files(settings)) == len(before) + 1


async def test_the_words_of_the_library_cannot_be_probed_by_embedding(client: TestClient) -> None:
    await client.post("/generate", json={"prompt": "tone 440 hz", "name": "lab_tone"})
    known = await client.get("/sounds/lab_tone", headers=IMAGE | {"Sec-Fetch-Dest": "audio"})
    unknown = await client.get("/sounds/zzqqxx", headers=IMAGE | {"Sec-Fetch-Dest": "audio"})
    assert (known.status, await known.text()) == (unknown.status, await unknown.text())
    # Browsers that do not say who asks hide the answer, whatever it is, from a page of another site.
    for word in ("lab_tone", "zzqqxx"):
        plain = await client.get(f"/sounds/{word}")
        assert plain.headers["Cross-Origin-Resource-Policy"] == "same-site"


async def test_every_answer_says_who_may_embed_it_and_names_no_version(client: TestClient) -> None:
    for route, address in [*addresses(client), ("", "/nothing")]:
        answer = await client.get(address, headers={"Accept": "application/json"})
        policy = answer.headers["Cross-Origin-Resource-Policy"]
        assert policy == ("cross-origin" if route in {*EMBEDDED, "/"} else "same-site"), route
        assert answer.headers["Server"] == "sample-bridge"
    async with client.ws_connect("/ws") as socket:
        assert socket._response.headers["Server"] == "sample-bridge"
    page = await client.get("/", headers={"Accept": "text/html"})
    assert page.headers["Cross-Origin-Resource-Policy"] == "same-site"
    assert page.headers["Cross-Origin-Opener-Policy"] == "same-origin"

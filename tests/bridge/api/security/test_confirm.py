"""Calls of a page that take something away: none passes without the secret of a document that no script can load."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from aiohttp import ClientResponse
from aiohttp.test_utils import TestClient

from bridge.api.security.confirm.pending import (
    MOST_A_MINUTE,
    MOST_ASKED,
    UNTIL_DONE_SECONDS,
    UNTIL_SHOWN_SECONDS,
    Confirmations,
    Question,
)
from bridge.api.security.confirm.questions import CONFIRMED, HARMLESS
from bridge.errors import Busy, NotFound
from bridge.rights.table import RIGHTS

FRAME = {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"}
QUESTION = Question("Delete gen_kick?", "", "Delete", "Keep it")


@pytest.fixture
async def page(client: TestClient) -> dict[str, str]:
    """The headers of our own page, and a sound ``lab_tone``."""
    await client.post("/generate", json={"prompt": "tone 440 hz", "name": "lab_tone", "duration": 0.5})
    return {"Origin": f"http://{client.host}:{client.port}", "Sec-Fetch-Site": "same-origin"}


async def confirm_address(answer: ClientResponse) -> str:
    error = (await answer.json())["error"]
    assert (answer.status, error["code"]) == (428, "confirmation_required")
    return str(error["confirm"])


async def secret_of(client: TestClient, address: str) -> str:
    document = await (await client.get(address, headers=FRAME)).text()
    found = re.search(r'id="given">(.*?)</script>', document)
    assert found is not None
    return str(json.loads(found[1])["secret"])


async def names(client: TestClient) -> list[str]:
    return [sound["name"] for sound in (await (await client.get("/sounds")).json())["sounds"]]


async def test_a_page_deletes_with_the_secret_and_only_once(client: TestClient, page: dict[str, str]) -> None:
    address = await confirm_address(await client.delete("/sounds/lab_tone", headers=page))
    assert await names(client) == ["lab_tone"]
    confirmed = page | {"X-Confirmation": await secret_of(client, address)}
    assert (await client.delete("/sounds/lab_tone", headers=confirmed)).status == 200
    assert await names(client) == []
    # Taking it back takes nothing away, and is not asked about.
    back = {"deleted": False}
    assert (await client.patch("/sounds/lab_tone", json=back, headers=page)).status == 200
    assert (await client.delete("/sounds/lab_tone", headers=confirmed)).status == 428
    assert (await client.delete("/sounds/lab_tone")).status == 200  # a program


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("DELETE", "/sounds/lab_tone", None),
        ("PATCH", "/sounds/lab_tone", {"name": "lab_other"}),
        ("PATCH", "/sounds/lab_tone", {"pinned": False}),
        ("PATCH", "/sounds/lab_tone", {"pinned": True, "name": "lab_other"}),
        ("PATCH", "/sounds/lab_tone", {"deleted": False, "name": "lab_other"}),
    ],
)
async def test_what_takes_something_away_is_asked_about(
    client: TestClient, page: dict[str, str], method: str, path: str, body: Any
) -> None:
    for who in (
        page,
        {"Sec-Fetch-Site": "same-origin"},
        {"Origin": page["Origin"]},
        page | {"X-Confirmation": "guess"},
    ):
        answer = await client.request(method, path, json=body, headers=who)
        assert answer.status == 428, who
        # A browser that does not say who loads a document could show it to a script: it is offered none.
        assert bool((await answer.json())["error"]["confirm"]) == ("Sec-Fetch-Site" in who)
    assert await names(client) == ["lab_tone"]
    for harmless in ({"pinned": True}, {"deleted": False}):
        assert (await client.patch(path, json=harmless, headers=page)).status in (200, 404)
    assert (await client.request(method, path, json=body)).status != 428  # a program is not asked


async def test_a_secret_is_for_one_call_of_one_caller(client: TestClient, page: dict[str, str]) -> None:
    await client.post("/generate", json={"prompt": "tone 330 hz", "name": "lab_other", "duration": 0.5})
    key = {"X-API-Key": "another"}
    others: list[tuple[str, str, Any, dict[str, str]]] = [
        ("DELETE", "/sounds/lab_other", None, {}),
        ("DELETE", "/sounds/lab_tone?x=1", None, {}),
        ("DELETE", "/sounds/lab_tone", {}, {}),
        ("DELETE", "/sounds/lab_tone", None, key),
        ("PATCH", "/sounds/lab_tone", {"name": "lab_new"}, {}),
    ]
    for method, path, body, who in others:
        address = await confirm_address(await client.delete("/sounds/lab_tone", headers=page))
        confirmed = page | {"X-Confirmation": await secret_of(client, address)}
        assert (await client.request(method, path, json=body, headers=confirmed | who)).status == 428, (method, path)
        # It is used up, also for what it was meant for.
        assert (await client.delete("/sounds/lab_tone", headers=confirmed)).status == 428
    assert sorted(await names(client)) == ["lab_other", "lab_tone"]


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"Sec-Fetch-Dest": "empty", "Sec-Fetch-Mode": "cors"},
        {"Sec-Fetch-Dest": "empty", "Sec-Fetch-Mode": "navigate"},
        {"Sec-Fetch-Dest": "document"},
        {"Sec-Fetch-Dest": "embed"},
        {"Sec-Fetch-Dest": "object"},
        {"Sec-Fetch-Dest": "frame"},
        {"Sec-Fetch-Dest": "fencedframe"},
        {"Sec-Fetch-Mode": "no-cors"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "none"},
    ],
)
async def test_the_document_is_for_a_frame_of_our_own_page_and_is_shown_once(
    client: TestClient, page: dict[str, str], how: dict[str, str]
) -> None:
    address = await confirm_address(await client.delete("/sounds/lab_tone", headers=page))
    refused = await client.get(address, headers=FRAME | how if how else {})
    assert refused.status == 403
    shown = await client.get(address, headers=FRAME)
    policy = shown.headers["Content-Security-Policy"]
    assert policy.startswith("sandbox allow-scripts; default-src 'none'; ")
    assert "frame-ancestors 'self'" in policy
    assert shown.headers["Cache-Control"] == "no-store"
    assert "Delete lab_tone?" in await shown.text()
    again = await client.get(address, headers=FRAME)
    assert (again.status, (await again.json())["error"]["code"]) == (404, "unknown_confirmation")


async def test_what_cannot_be_done_is_said_before_anybody_is_asked(client: TestClient, page: dict[str, str]) -> None:
    assert (await client.delete("/sounds/nothing", headers=page)).status == 404
    assert (await client.patch("/sounds/lab_tone", json={"name": 3}, headers=page)).status == 422
    assert (await client.delete("/sounds/lab_tone", headers={"Origin": "https://strudel.cc"})).status == 403
    worker = await client.get("/sample-bridge.js", headers={"Service-Worker": "script"})
    assert worker.status == 403


def test_every_route_that_takes_something_away_has_its_question() -> None:
    away = {tuple(call.split(" ", 1)) for call, right in RIGHTS.items() if right.destructive}
    assert away == set(CONFIRMED)
    changing = {tuple(call.split(" ", 1)) for call in RIGHTS if call.startswith(("DELETE", "PATCH", "PUT"))}
    assert changing <= set(CONFIRMED) | HARMLESS


def test_questions_grow_old_and_a_flood_of_them_does_not_take_away_what_is_being_read() -> None:
    now = [0.0]
    waiting = Confirmations(lambda: now[0])
    _, reading = waiting.show(waiting.ask("delete kick", QUESTION))
    asked = [waiting.ask("delete all", QUESTION) for _ in range(MOST_ASKED + 1)]
    with pytest.raises(NotFound):
        waiting.show(asked[0])
    now[0] += UNTIL_DONE_SECONDS
    assert waiting.take(reading, "delete kick")
    assert not waiting.take(reading, "delete kick")
    now[0] = UNTIL_SHOWN_SECONDS + 1
    with pytest.raises(NotFound):
        waiting.show(asked[-1])
    _, late = waiting.show(waiting.ask("delete kick", QUESTION))
    now[0] += UNTIL_DONE_SECONDS + 1
    assert not waiting.take(late, "delete kick")
    now[0] += 61
    for _ in range(MOST_A_MINUTE):
        waiting.show(waiting.ask("delete kick", QUESTION))
    with pytest.raises(Busy):
        waiting.ask("delete kick", QUESTION)
    now[0] += 61
    waiting.show(waiting.ask("delete kick", QUESTION))

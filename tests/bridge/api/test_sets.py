"""``/sets`` of a running application: who may call, what a person confirms, and what is refused."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient

from bridge.sets import MOST_CODE_BYTES
from bridge.settings import Settings

ID = "0123456789abcdef"
PATH = f"/sets/{ID}"
FRAME = {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"}
FOREIGN: list[dict[str, str]] = [
    {"Origin": "https://strudel.cc"},
    {"Origin": "http://localhost:3000"},
    {"Origin": "null"},
    {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"},
    {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "script"},
]


@pytest.fixture
def page(client: TestClient) -> dict[str, str]:
    return {"Origin": f"http://{client.host}:{client.port}", "Sec-Fetch-Site": "same-origin"}


async def ask(
    client: TestClient, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
) -> tuple[int, Any]:
    data = None if body is None else io.BytesIO(json.dumps(body, ensure_ascii=False).encode())
    kind = {} if body is None else {"Content-Type": "application/json"}
    async with client.request(method, path, data=data, headers=kind | (headers or {})) as answer:
        return answer.status, await answer.json()


async def test_a_set_is_saved_found_by_another_browser_and_never_overwritten(
    client: TestClient, page: dict[str, str]
) -> None:
    status, first = await ask(client, "PUT", PATH, {"name": "Set é", "code": 's("bd")', "base": 0}, page)
    assert (status, first["version"], first["damaged"], first["deleted_until"]) == (200, 1, False, None)
    status, listed = await ask(client, "GET", "/sets", headers={"Sec-Fetch-Site": "same-origin"})
    assert [(each["id"], each["name"], each["bytes"]) for each in listed["sets"]] == [(ID, "Set é", 7)]
    assert "code" not in listed["sets"][0]
    assert (await ask(client, "PUT", PATH, {"name": "Renamed here", "code": 's("bd")', "base": 1}, page))[0] == 200
    status, refused = await ask(client, "PUT", PATH, {"name": "Renamed there", "code": 's("hh")', "base": 1}, page)
    assert (status, refused["error"]["code"]) == (409, "set_changed")
    assert refused["error"]["current"] == {"version": 2, "name": "Renamed here", "code": 's("bd")'}
    assert refused["error"]["yours"] == {"base": 1, "name": "Renamed there", "code": 's("hh")'}
    assert (await ask(client, "PUT", PATH, {"name": "Renamed there", "code": 's("hh")', "base": 2}, page))[0] == 200
    status, found = await ask(client, "GET", PATH)
    assert [each["name"] for each in found["versions"]] == ["Renamed there", "Renamed here", "Set é"]
    assert (await ask(client, "GET", f"{PATH}/versions/1"))[1]["code"] == 's("bd")'


async def test_no_other_site_reads_lists_or_writes_sets(client: TestClient, page: dict[str, str]) -> None:
    await ask(client, "PUT", PATH, {"name": "secret", "code": "secret code", "base": 0}, page)
    for who in FOREIGN:
        for method, path, body in [
            ("GET", "/sets", None),
            ("GET", PATH, None),
            ("GET", f"{PATH}/versions/1", None),
            ("PUT", PATH, {"name": "secret", "code": "mine", "base": 1}),
            ("PATCH", PATH, {"deleted": False}),
            ("DELETE", PATH, None),
        ]:
            async with client.request(method, path, json=body, headers=who) as answer:
                text = await answer.text()
                assert answer.status == 403, (who, method, path, text)
                assert "secret" not in text
    assert (await ask(client, "GET", PATH))[1]["version"] == 1


async def test_a_server_with_a_key_shows_sets_to_the_key_alone(tmp_path: Path, aiohttp_client: Any) -> None:
    from bridge.app import create_app
    from bridge.sounds.opening import open_service

    settings = Settings(data_dir=tmp_path, engine="tone", pregenerate=False, api_key="long enough key")
    async with open_service(settings) as service:
        client = await aiohttp_client(create_app(service))
        key = {"X-API-Key": "long enough key"}
        assert (await ask(client, "PUT", PATH, {"name": "a", "code": "b", "base": 0}, key))[0] == 200
        for headers in ({}, {"X-API-Key": "wrong"}, {"Origin": f"http://{client.host}:{client.port}"}):
            for path in ("/sets", PATH, f"{PATH}/versions/1"):
                status, refused = await ask(client, "GET", path, headers=headers)
                assert (status, refused["error"]["code"]) == (403, "key_required")
        assert (await ask(client, "GET", PATH, headers=key))[1]["code"] == "b"


async def test_a_page_deletes_a_set_when_a_person_said_yes_and_brings_it_back(
    client: TestClient, page: dict[str, str]
) -> None:
    await ask(client, "PUT", PATH, {"name": "Friday", "code": "x", "base": 0}, page)
    status, refused = await ask(client, "DELETE", PATH, headers=page)
    assert (status, refused["error"]["code"]) == (428, "confirmation_required")
    document = await (await client.get(refused["error"]["confirm"], headers=FRAME)).text()
    assert "Delete the set Friday?" in document
    given = re.search(r'id="given">(.*?)</script>', document)
    assert given is not None
    secret = {"X-Confirmation": json.loads(given[1])["secret"]}
    assert (await ask(client, "DELETE", "/sets/fedcba9876543210", headers=page | secret))[0] == 404
    status, deleted = await ask(client, "DELETE", PATH, headers=page | secret)
    assert (status, deleted["deleted"]) == (200, True)
    status, refused = await ask(client, "PUT", PATH, {"name": "Friday", "code": "y", "base": 1}, page)
    assert (status, refused["error"]["code"]) == (409, "set_deleted")
    assert (await ask(client, "GET", "/sets"))[1]["sets"][0]["deleted_until"] == deleted["deleted_until"]
    status, back = await ask(client, "PATCH", PATH, {"deleted": False}, page)
    assert (status, back["deleted_until"], back["code"]) == (200, None, "x")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"name": "a", "code": "x" * (MOST_CODE_BYTES + 1), "base": 0}, 413, "too_large"),
        ({"name": "a", "code": "é" * (MOST_CODE_BYTES // 2 + 1), "base": 0}, 413, "too_large"),
        ({"name": "a", "code": "x" * 5_000_000, "base": 0}, 413, "too_large"),
        ({"name": "a", "code": "a\0b", "base": 0}, 422, "bad_text"),
        ({"name": "", "code": "", "base": 0}, 422, "invalid_request"),
        ({"name": "a\nb", "code": "", "base": 0}, 422, "invalid_request"),
        ({"name": "a", "code": "", "base": -1}, 422, "invalid_request"),
        ({"name": "a", "code": "", "base": 3}, 404, "unknown_set"),
        ({"name": "a", "code": None, "base": 0}, 422, "invalid_request"),
        ({"name": "a", "code": ["x"] * 9000, "base": 0}, 422, "too_large"),
        ({"name": "a", "base": 0}, 422, "invalid_request"),
        ([], 422, "invalid_request"),
    ],
)
async def test_what_cannot_be_kept_is_refused_with_a_code(
    client: TestClient, settings: Settings, body: Any, status: int, code: str
) -> None:
    answered, refused = await ask(client, "PUT", PATH, body)
    assert (answered, refused["error"]["code"]) == (status, code), refused["error"]["message"]
    assert (await ask(client, "GET", "/sets"))[1]["sets"] == []


async def test_the_largest_set_is_kept_and_comes_back_as_it_was(client: TestClient) -> None:
    code = "é🎹\n" * (MOST_CODE_BYTES // 7)
    assert (await ask(client, "PUT", PATH, {"name": "a", "code": code, "base": 0}))[0] == 200
    assert (await ask(client, "GET", PATH))[1]["code"] == code


async def test_a_damaged_file_is_a_404_with_a_sentence_and_the_version_before_is_there(
    client: TestClient, settings: Settings
) -> None:
    for number in range(2):
        await ask(client, "PUT", PATH, {"name": "a", "code": f"code {number}", "base": number})
    (settings.data_dir / "sets" / ID / "000002.set").write_bytes(b"\0" * 100)
    status, found = await ask(client, "GET", PATH)
    assert (status, found["code"], found["damaged"]) == (200, "code 0", True)
    status, refused = await ask(client, "GET", f"{PATH}/versions/2")
    assert (status, refused["error"]["code"]) == (404, "set_damaged")
    assert (await ask(client, "GET", f"{PATH}/versions/9"))[1]["error"]["code"] == "unknown_version"

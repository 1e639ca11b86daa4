"""Samples as answers: whole, in ranges, to HEAD, and when the file has gone."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient

from bridge.api.samplefile import YEAR, SampleFile

SIZE = 1_500_000
BODY = random.Random(1).randbytes(SIZE)
ETAG = '"0123456789abcdef.wav"'


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A sample of 1.5 MB, more than any buffer on the way."""
    path = tmp_path / "sample.wav"
    path.write_bytes(BODY)
    return path


@pytest.fixture
async def client(file: Path, aiohttp_client: Callable[..., Awaitable[TestClient]]) -> TestClient:
    """A client of a server that answers everything with that sample."""

    async def answer(_: web.Request) -> web.StreamResponse:
        return SampleFile(file, "0123456789abcdef", "wav", **{"X-Bridge-Name": "gen_noise"})

    app = web.Application()
    app.router.add_route("*", "/", answer)
    return await aiohttp_client(app)


async def test_the_whole_file_comes_with_its_headers(client: TestClient) -> None:
    async with client.get("/") as response:
        assert response.status == 200
        assert await response.read() == BODY
        expected = {
            "Content-Type": "audio/wav",
            "Content-Length": str(SIZE),
            "Cache-Control": YEAR,
            "ETag": ETAG,
            "Accept-Ranges": "bytes",
            "X-Bridge-Name": "gen_noise",
        }
        assert {name: response.headers[name] for name in expected} == expected


async def test_head_has_the_length_and_no_body(client: TestClient) -> None:
    async with client.head("/") as response:
        assert (response.status, response.headers["Content-Length"]) == (200, str(SIZE))
        assert await response.read() == b""


@pytest.mark.parametrize(
    ("wanted", "start", "stop"),
    [
        ("0-", 0, SIZE),
        ("0-0", 0, 1),
        ("10-19", 10, 20),
        ("1000000-", 1_000_000, SIZE),
        ("-100", SIZE - 100, SIZE),
        ("-9999999", 0, SIZE),
        ("1499999-9999999", SIZE - 1, SIZE),
    ],
)
async def test_a_range_is_206_with_those_bytes(client: TestClient, wanted: str, start: int, stop: int) -> None:
    async with client.get("/", headers={"Range": f"bytes={wanted}"}) as response:
        assert response.status == 206
        assert response.headers["Content-Range"] == f"bytes {start}-{stop - 1}/{SIZE}"
        assert await response.read() == BODY[start:stop]


@pytest.mark.parametrize(
    "wanted", ["bytes=1500000-", "bytes=9999999-99999999", "bytes=5-2", "bytes=0-1,4-5", "rows=1-2"]
)
async def test_a_range_that_is_not_there_is_416_with_the_size(client: TestClient, wanted: str) -> None:
    async with client.get("/", headers={"Range": wanted}) as response:
        assert response.status == 416
        assert response.headers["Content-Range"] == f"bytes */{SIZE}"
        assert response.headers["Cache-Control"] == "no-store"
        assert await response.read() == b""


async def test_a_range_counts_only_for_the_same_file(client: TestClient) -> None:
    for known, status in ((ETAG, 206), ('"another"', 200), ("Fri, 20 Nov 2026 12:00:00 GMT", 200)):
        async with client.get("/", headers={"Range": "bytes=0-9", "If-Range": known}) as response:
            assert response.status == status
            assert await response.read() == (BODY[:10] if status == 206 else BODY)


async def test_a_range_of_an_answer_to_post_is_ignored(client: TestClient) -> None:
    async with client.post("/", headers={"Range": "bytes=0-9"}) as response:
        assert (response.status, len(await response.read())) == (200, SIZE)


async def test_a_file_that_has_gone_is_404(client: TestClient, file: Path) -> None:
    file.unlink()
    async with client.get("/") as response:
        assert response.status == 404
        assert await response.read() == b""
        assert response.headers["Cache-Control"] == "no-store"


async def test_an_empty_file_is_an_empty_answer(client: TestClient, file: Path) -> None:
    file.write_bytes(b"")
    async with client.get("/") as response:
        assert (response.status, await response.read()) == (200, b"")


async def test_many_answers_go_over_one_connection(client: TestClient) -> None:
    for number in range(20):
        async with client.get("/", headers={"Range": f"bytes={number}-{number + 99_999}"}) as response:
            assert await response.read() == BODY[number : number + 100_000]
    async with client.get("/") as response:
        assert await response.read() == BODY


async def test_a_loop_that_cannot_send_files_sends_their_bytes(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: object, **__: object) -> int:
        raise NotImplementedError

    monkeypatch.setattr(asyncio.get_running_loop(), "sendfile", refuse)
    async with client.get("/", headers={"Range": "bytes=7-1000006"}) as response:
        assert await response.read() == BODY[7:1_000_007]

"""The log: one line of JSON for each thing that happens, and the request that it belongs to."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import re
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
from aiohttp.test_utils import TestClient

from bridge.app import create_app
from bridge.logs import configure_logging, current_request, request_id_from, working_for
from bridge.settings import Settings
from bridge.sounds.opening import open_service
from tests.servers import settings_for, until

Lines = Callable[[], list[dict]]


@pytest.fixture
def stderr(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    root = logging.getLogger()
    before, level, asyncio_level = root.handlers[:], root.level, logging.getLogger("asyncio").level
    filters = logging.getLogger("aiohttp.server").filters[:]
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    yield stream
    root.handlers[:] = before
    root.setLevel(level)
    logging.getLogger("asyncio").setLevel(asyncio_level)
    logging.getLogger("aiohttp.server").filters[:] = filters


@pytest.fixture
def lines(stderr: io.StringIO) -> Lines:
    configure_logging(Settings(log_format="json", log_level="debug"))
    return lambda: [json.loads(line) for line in stderr.getvalue().splitlines()]


@pytest.fixture
async def client(tmp_path: Path, lines: Lines, aiohttp_client) -> AsyncIterator[TestClient]:
    async with open_service(settings_for(tmp_path / "data")) as service:
        yield await aiohttp_client(create_app(service))


async def test_a_request_id_goes_from_the_post_through_the_job_to_the_push(client, lines: Lines) -> None:
    headers = {"X-Request-Id": "set-42"}
    answer = await client.post("/api/v1/generate", json={"prompt": "tone 330 hz", "duration": 0.2}, headers=headers)
    assert answer.headers["X-Request-Id"] == "set-42"
    job_id = (await answer.json())["job_id"]

    def belonging() -> list[str]:
        return [line["message"] for line in lines() if line.get("request_id") == "set-42"]

    await until(lambda: any(message.startswith("pushed sound") for message in belonging()))
    assert any(message.startswith("POST /api/v1/generate: 200") for message in belonging())
    # Told when the job's work is over, which is a moment after its sound was pushed.
    await until(lambda: any(message.startswith(f"made for {job_id}") for message in belonging()))


async def test_two_jobs_that_are_made_at_once_are_told_apart(client, lines: Lines) -> None:
    async def begin(number: int) -> str:
        body = {"prompt": f"tone {300 + number} hz", "duration": 0.2}
        headers = {"X-Request-Id": f"player-{number}"}
        return (await (await client.post("/api/v1/generate", json=body, headers=headers)).json())["job_id"]

    job_ids = await asyncio.gather(*(begin(number) for number in range(12)))

    def made() -> dict[str, str]:
        found = [line for line in lines() if line["message"].startswith("made for")]
        return {line["message"].split()[2].rstrip(":"): line["request_id"] for line in found}

    await until(lambda: len(made()) == 12)
    assert made() == {job_id: f"player-{number}" for number, job_id in enumerate(job_ids)}


async def test_who_brings_no_id_gets_one_and_a_refusal_has_one_too(client) -> None:
    first, second = await client.get("/health/live"), await client.get("/health/live")
    assert re.fullmatch(r"[0-9a-f]{16}", first.headers["X-Request-Id"])
    assert first.headers["X-Request-Id"] != second.headers["X-Request-Id"]
    refused = await client.get("/health/live", headers={"Host": "evil.example"})
    assert refused.status == 421
    assert refused.headers["X-Request-Id"]


async def test_no_words_of_a_player_are_in_the_log_of_requests(client, lines: Lines) -> None:
    await client.get("/sounds/secretwish")
    await client.post("/generate", json={"prompt": "secretwish tone", "duration": 0.2, "name": "mine"})
    assert any("GET /sounds/{keyword}" in line["message"] for line in lines())
    # aiohttp's own line of each request is the test server's; `serve` has it switched off.
    ours = [line for line in lines() if line["logger"].startswith("bridge")]
    assert not [line for line in ours if "secretwish" in line["message"]]


@pytest.mark.parametrize("bad", ["", "a b", "x" * 65, "a\nb", "ä", "<script>", None])
def test_an_id_that_is_no_plain_word_is_replaced(bad: str | None) -> None:
    assert re.fullmatch(r"[0-9a-f]{16}", request_id_from(bad))


def test_outside_of_a_request_a_line_names_none(lines: Lines) -> None:
    with working_for("mine"):
        assert current_request() == "mine"
        logging.getLogger("bridge").info("inside")
    assert current_request() is None
    logging.getLogger("bridge").info("outside")
    assert [line.get("request_id") for line in lines()] == ["mine", None]


def test_a_traceback_is_one_field_of_one_line(lines: Lines) -> None:
    try:
        raise ValueError("broken")
    except ValueError:
        logging.getLogger("bridge").exception("it broke")
    (line,) = lines()
    assert line["level"] == "error"
    assert "ValueError: broken" in line["traceback"]


@pytest.fixture
def for_people(stderr: io.StringIO) -> io.StringIO:
    configure_logging(Settings(log_format="human"))
    return stderr


def test_people_see_the_request_behind_the_sentence(for_people: io.StringIO) -> None:
    with working_for("mine"):
        logging.getLogger("bridge").info("A sentence.")
    assert for_people.getvalue().endswith("A sentence. [mine]\n")

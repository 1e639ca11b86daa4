"""Contract C: a DAW's client works with nothing changed but the base URL."""

from __future__ import annotations

import re

import pytest

from bridge.app import create_app
from bridge.sounds.opening import open_service
from tests.servers import settings_for, until

CREATED = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
KEYS = {
    "job_id", "status", "progress", "message", "audio_url", "duration", "created_at", "started_at", "completed_at",
    "error", "metadata",
}  # fmt: skip


async def begin(client, **body: object) -> str:
    answer = await client.post("/api/v1/generate", json={"prompt": "tone 330 hz", "duration": 0.2, **body})
    assert answer.status == 200, await answer.text()
    return (await answer.json())["job_id"]


async def ended(client, job_id: str) -> dict:
    service_says: dict = {}
    for _ in range(2000):
        service_says = await (await client.get(f"/api/v1/status/{job_id}")).json()
        if service_says["status"] in ("completed", "failed", "cancelled"):
            break
    return service_says


async def test_a_job_is_taken_in_followed_and_fetched(client) -> None:
    answer = await client.post("/api/v1/generate", json={"prompt": "tone 330 hz", "duration": 0.2, "temperature": 0.9})
    accepted = await answer.json()
    assert answer.status == 200
    assert set(accepted) == {"job_id", "status", "message", "created_at"}
    assert re.fullmatch(r"gen_[0-9a-f]{12}", accepted["job_id"])
    assert accepted["status"] == "queued"
    assert CREATED.fullmatch(accepted["created_at"])

    status = await ended(client, accepted["job_id"])
    assert set(status) == KEYS
    assert status["status"] == "completed"
    assert status["progress"] == 1.0
    assert status["duration"] == pytest.approx(0.2, abs=0.001)
    assert status["audio_url"] == f"/api/v1/download/{accepted['job_id']}"
    assert status["metadata"]["prompt"] == "tone 330 hz"
    assert status["metadata"]["engine"] == "tone"
    assert isinstance(status["metadata"]["seed"], int)
    assert status["metadata"]["parameters"]["temperature"] == 0.9

    audio = await client.get(status["audio_url"])
    assert audio.status == 200
    assert audio.content_type == "audio/wav"
    assert (await audio.read())[:4] == b"RIFF"


async def test_what_is_kept_already_gets_a_job_of_its_own_that_is_done(client) -> None:
    first = await ended(client, await begin(client))
    second = await ended(client, await begin(client))
    assert second["job_id"] != first["job_id"]
    assert second["status"] == "completed"
    assert second["metadata"]["seed"] == first["metadata"]["seed"]
    assert second["metadata"]["parameters"] == first["metadata"]["parameters"]


async def test_all_keys_are_there_from_the_start_and_the_audio_is_not(client) -> None:
    job_id = await begin(client, prompt="tone slow", duration=60)
    status = await (await client.get(f"/api/v1/status/{job_id}")).json()
    assert set(status) == KEYS
    assert status["audio_url"] is None
    assert status["duration"] is None
    early = await client.get(f"/api/v1/download/{job_id}")
    assert early.status == 409
    assert (await early.json())["error"]["status"] in ("queued", "running")
    await client.delete(f"/api/v1/jobs/{job_id}")


async def test_delete_cancels_and_a_second_delete_is_a_conflict(client) -> None:
    job_id = await begin(client, prompt="tone slow", duration=60)
    cancelled = await client.delete(f"/api/v1/jobs/{job_id}")
    assert cancelled.status == 200
    document = await cancelled.json()
    assert document["job_id"] == job_id
    assert document["status"] == "cancelled"
    assert set(document) == {"job_id", "status", "message"}
    assert (await (await client.get(f"/api/v1/status/{job_id}")).json())["status"] == "cancelled"
    again = await client.delete(f"/api/v1/jobs/{job_id}")
    assert again.status == 409
    assert (await again.json())["error"]["code"] == "already_finished"


async def test_a_job_that_fails_says_why(client) -> None:
    status = await ended(client, await begin(client, prompt="tone fail"))
    assert status["status"] == "failed"
    assert status["error"]["code"] == "engine_failed"
    assert status["message"] == status["error"]["message"]


async def test_the_three_names_of_a_job_are_one(client) -> None:
    job_id = await begin(client)
    await ended(client, job_id)
    assert (await (await client.get(f"/generate/{job_id}")).json())["task_id"] == job_id
    assert (await client.get(f"/download/{job_id}")).status == 200


async def test_the_list_is_paged_newest_first_and_keeps_its_place_while_jobs_come(client) -> None:
    made = [await begin(client, prompt=f"tone {300 + number} hz") for number in range(5)]
    seen: list[str] = []
    cursor = ""
    while True:
        page = await (await client.get(f"/api/v1/jobs?limit=2{cursor}")).json()
        assert len(page["jobs"]) <= 2
        assert all(set(job) == KEYS for job in page["jobs"])
        seen += [job["job_id"] for job in page["jobs"]]
        if page["next"] is None:
            break
        cursor = f"&cursor={page['next']}"
        await begin(client, prompt="tone 999 hz")
    assert seen == made[::-1]


async def test_the_list_is_filtered_by_status(client) -> None:
    done, failed = await begin(client), await begin(client, prompt="tone fail")
    await ended(client, done)
    await ended(client, failed)
    only = await (await client.get("/api/v1/jobs?status=failed")).json()
    assert [job["job_id"] for job in only["jobs"]] == [failed]
    both = await (await client.get("/api/v1/jobs?status=failed,completed")).json()
    assert {job["job_id"] for job in both["jobs"]} == {done, failed}


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("status=done", "status"),
        ("limit=0", "limit"),
        ("limit=x", "limit"),
        ("cursor=abc", "cursor"),
        ("cursor=", "cursor"),
    ],
)
async def test_a_list_that_cannot_be_asked_for_is_a_422(client, query: str, field: str) -> None:
    answer = await client.get(f"/api/v1/jobs?{query}")
    assert answer.status == 422
    assert (await answer.json())["error"]["field"] == field


async def test_a_prompt_is_built_to_the_letter(client) -> None:
    answer = await client.post(
        "/api/v1/prompt/build",
        json={
            "genre": "electronic",
            "tempo": "fast",
            "mood": "energetic",
            "instruments": ["synthesizer", "drums"],
            "artist_style": "similar to Daft Punk",
        },
    )
    assert answer.status == 200
    assert await answer.json() == {
        "structured_prompt": (
            "electronic music, fast tempo, energetic mood, featuring synthesizer and drums, similar to Daft Punk"
        ),
        "components": {
            "genre": "electronic music",
            "tempo": "fast tempo",
            "mood": "energetic mood",
            "instruments": "featuring synthesizer and drums",
            "artist_style": "similar to Daft Punk",
        },
    }


async def test_a_prompt_is_built_of_what_is_given(client) -> None:
    for body in ({}, {"genre": None, "instruments": None}):
        answer = await client.post("/api/v1/prompt/build", json=body)
        assert await answer.json() == {"structured_prompt": "", "components": {}}
    answer = await client.post("/api/v1/prompt/build", json={"tempo": 128})
    assert (await answer.json())["structured_prompt"] == "128 bpm"


@pytest.mark.parametrize(
    "body",
    [
        {"genre": 7},
        {"tempo": 5},
        {"tempo": [1]},
        {"mood": "x" * 201},
        {"instruments": "drums"},
        {"instruments": [None]},
        [1],
    ],
)
async def test_parts_of_the_wrong_kind_are_refused(client, body: object) -> None:
    answer = await client.post("/api/v1/prompt/build", json=body)
    assert answer.status == 422
    assert len((await answer.json())["detail"]) > 10


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/api/v1/status/gen_0"), ("GET", "/api/v1/download/gen_0"), ("DELETE", "/api/v1/jobs/gen_0")],
)
async def test_an_unknown_job_is_a_404(client, method: str, path: str) -> None:
    answer = await client.request(method, path)
    assert answer.status == 404
    assert (await answer.json())["error"]["code"] == "unknown_job"


@pytest.mark.parametrize(
    "body", [{}, {"prompt": None}, {"prompt": "tone", "duration": 500}, {"prompt": "tone", "temperature": -1}]
)
async def test_a_job_that_cannot_be_made_is_refused(client, body: dict) -> None:
    answer = await client.post("/api/v1/generate", json=body)
    assert answer.status == 422
    assert (await client.get("/api/v1/jobs")).status == 200
    assert (await (await client.get("/api/v1/jobs")).json())["jobs"] == []


async def test_a_repeated_post_with_its_key_is_the_same_job(client) -> None:
    body, headers = {"prompt": "tone 700 hz", "duration": 0.2, "fresh": True}, {"Idempotency-Key": "wish-1"}
    answers = [await (await client.post("/api/v1/generate", json=body, headers=headers)).json() for _ in range(3)]
    assert len({answer["job_id"] for answer in answers}) == 1
    assert len((await (await client.get("/api/v1/jobs")).json())["jobs"]) == 1


async def test_a_full_queue_is_a_503_that_says_when_to_come_back(tmp_path, aiohttp_client) -> None:
    async with open_service(settings_for(tmp_path / "other", max_queue=1, max_concurrent_jobs=1)) as service:
        client = await aiohttp_client(create_app(service))
        first = await begin(client, prompt="tone slow", duration=60)
        second = await begin(client, prompt="tone slow 2", duration=60)
        refused = await client.post("/api/v1/generate", json={"prompt": "tone slow 3", "duration": 60})
        assert refused.status == 503
        assert int(refused.headers["Retry-After"]) > 0
        assert (await refused.json())["error"]["code"] == "queue_full"
        for job_id in (first, second):
            await client.delete(f"/api/v1/jobs/{job_id}")


async def test_jobs_are_still_listed_after_a_restart(tmp_path, aiohttp_client) -> None:
    settings = settings_for(tmp_path / "other")
    async with open_service(settings) as service:
        client = await aiohttp_client(create_app(service))
        before = await ended(client, await begin(client))
    async with open_service(settings) as service:
        client = await aiohttp_client(create_app(service))
        (after,) = (await (await client.get("/api/v1/jobs")).json())["jobs"]
        assert after == before
        assert (await client.get(after["audio_url"])).status == 200


async def test_the_probes_say_when_new_sounds_can_be_made(client, service) -> None:
    assert (await client.get("/health/live")).status == 200
    await until(lambda: service.readiness.ready)
    assert (await client.get("/health/ready")).status == 200

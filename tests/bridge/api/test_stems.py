"""Contract D over HTTP: many stems, what their receivers do, and what outlives a server."""

from __future__ import annotations

import asyncio
import glob
import io
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest
import soundfile
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from pydantic import ValidationError
from yarl import URL

from bridge.api.keys import CALLERS, SERVICE
from bridge.api.stems import STEMS
from bridge.app import create_app
from bridge.errors import EngineError, InvalidRequest
from bridge.exchange.stems import read_request, worker
from bridge.settings import Settings
from bridge.sounds.opening import open_service
from bridge.sounds.orders import from_validation
from tests.object_storage import CONTAINER, free_port
from tests.servers import until

PARAMETERS = {
    "target_bpm": 120.0,
    "duration_seconds": 0.5,
    "style": "rock",
    "chord_progression": ["C", "G", "Am", "F"],
    "prompt": "tone 220 hz",
    "temperature": 1.0,
    "random_seed": 42,
}


def asked(**fields: object) -> dict[str, Any]:
    return {
        "generation_request_id": "request 1",
        "audio_file_id": "song-7",
        "target_stems": ["guitar", "bass", "drums"],
        "parameters": PARAMETERS,
    } | fields


class Receiver:
    """A program that is called back: it answers with the next of its ``answers``, then 200 for ever."""

    def __init__(self) -> None:
        self.url = ""
        self.answers: list[int | asyncio.Event] = []
        self.documents: list[dict[str, Any]] = []
        self.keys: list[str] = []

    async def answer(self, request: web.Request) -> web.Response:
        self.documents.append(await request.json())
        self.keys.append(request.headers["Idempotency-Key"])
        found = self.answers.pop(0) if self.answers else 200
        if isinstance(found, asyncio.Event):
            await found.wait()
            found = 500
        return web.Response(status=found)

    async def called(self, times: int = 1) -> dict[str, Any]:
        await until(lambda: len(self.documents) >= times)
        return self.documents[-1]


@pytest.fixture
async def receiver(aiohttp_server) -> Receiver:
    receiver = Receiver()
    app = web.Application()
    app.router.add_post("/done", receiver.answer)
    receiver.url = str((await aiohttp_server(app)).make_url("/done"))
    return receiver


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next attempt of a callback comes at once."""
    monkeypatch.setattr(worker, "wait_before", lambda _: 0.0)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data", engine="tone", pregenerate=False, callback_hosts=("127.0.0.1",))


@asynccontextmanager
async def serving(settings: Settings) -> AsyncIterator[TestClient]:
    async with open_service(settings) as service, TestClient(TestServer(create_app(service))) as client:
        yield client


async def ended(client: TestClient, request_id: str = "request 1") -> dict[str, Any]:
    """The document, once the request has ended."""
    while True:
        response = await client.get(URL(f"/generate/{quote(request_id, safe='')}", encoded=True))
        document = await response.json()
        assert response.status == 200, document
        if document["status"] != "processing":
            return document
        await asyncio.sleep(0.02)


async def audio(client: TestClient, stem: dict[str, Any]) -> tuple[np.ndarray, int]:
    response = await client.get(URL(stem["blob_url"]).path)
    assert response.status == 200
    data = await response.read()
    assert len(data) == stem["file_size_bytes"]
    return soundfile.read(io.BytesIO(data), always_2d=True)


# ---------------------------------------------------------------- the main path


async def test_stems_are_promised_at_once_made_stored_and_called_back(client: TestClient, receiver: Receiver) -> None:
    response = await client.post("/generate", json=asked(callback_url=receiver.url))
    promised = await response.json()
    assert response.status == 200
    assert set(promised) == {"generation_request_id", "status", "message"}
    assert (promised["generation_request_id"], promised["status"]) == ("request 1", "processing")
    document = await receiver.called()
    assert set(document) == {
        "generation_request_id", "audio_file_id", "status", "processing_time_seconds", "generated_stems", "parameters",
    }  # fmt: skip
    assert (document["generation_request_id"], document["audio_file_id"]) == ("request 1", "song-7")
    assert document["status"] == "completed"
    assert document["processing_time_seconds"] > 0
    assert document["parameters"] == PARAMETERS
    assert [stem["stem_type"] for stem in document["generated_stems"]] == ["guitar", "bass", "drums"]
    for stem in document["generated_stems"]:
        assert set(stem) == {"stem_type", "blob_url", "file_size_bytes", "format", "sample_rate", "channels"}
        samples, rate = await audio(client, stem)
        assert (stem["format"], stem["sample_rate"], stem["channels"]) == ("wav", rate, 2) == ("wav", 44100, 2)
        assert samples.shape == (22050, 2)
        assert np.abs(samples[:, 0] - samples[:, 1]).max() < 2e-4  # a mono engine's sound, dithered
    assert await ended(client) == document


async def test_the_same_seed_gives_the_same_audio_and_another_does_not(client: TestClient) -> None:
    found = []
    for number, seed in enumerate([42, 42, 43]):
        body = asked(
            generation_request_id=f"r{number}",
            target_stems=["bass"],
            parameters={**PARAMETERS, "prompt": None, "random_seed": seed, "engine": "procedural"},
        )
        assert (await client.post("/generate", json=body)).status == 200
        (stem,) = (await ended(client, f"r{number}"))["generated_stems"]
        found.append((await audio(client, stem))[0].tobytes())
    assert found[0] == found[1] != found[2]


async def test_a_file_has_provenance_ranges_and_an_etag(client: TestClient) -> None:
    await client.post("/generate", json=asked(target_stems=["bass"]))
    (stem,) = (await ended(client))["generated_stems"]
    path = URL(stem["blob_url"]).path
    part = await client.get(path, headers={"Range": "bytes=0-3"})
    assert (part.status, await part.read()) == (206, b"RIFF")
    assert (await client.get(path, headers={"If-None-Match": part.headers["ETag"]})).status == 304
    assert b"sample-bridge" in await (await client.get(path)).read()


async def test_the_public_address_is_the_base_of_blob_urls(settings: Settings) -> None:
    async with serving(settings.model_copy(update={"public_url": "https://studio.example.org/bridge"})) as client:
        await client.post("/generate", json=asked(target_stems=["bass"]))
        (stem,) = (await ended(client))["generated_stems"]
    assert stem["blob_url"].startswith("https://studio.example.org/bridge/stems/")


async def test_our_own_ids_are_looked_up_first(client: TestClient) -> None:
    task = await (await client.post("/generate", json={"prompt": "tone", "duration": 0.2})).json()
    await client.post("/generate", json=asked(generation_request_id=task["task_id"]))
    assert "task_id" in await (await client.get(f"/generate/{task['task_id']}")).json()


async def test_while_they_are_made_the_document_has_all_its_members(client: TestClient) -> None:
    await client.post(
        "/generate", json=asked(parameters={**PARAMETERS, "prompt": "tone slow", "duration_seconds": 60.0})
    )
    document = await (await client.get("/generate/request 1")).json()
    assert (document["status"], document["generated_stems"]) == ("processing", [])
    assert document["parameters"]["target_bpm"] == 120.0


async def test_null_target_stems_is_the_other_contract(client: TestClient) -> None:
    answer = await (
        await client.post("/generate", json={"prompt": "tone", "duration": 0.2, "target_stems": None})
    ).json()
    assert answer["success"] is True


# ---------------------------------------------------------------- one plan


def planned(**fields: Any):
    return read_request(asked(**fields))[1]


def test_stems_share_tempo_key_chords_and_length_and_differ_in_seed() -> None:
    plan = planned(target_stems=["vocals", "guitar", "drums", "bass"])
    specs = [stem.order.spec for stem in plan.stems]
    assert [stem.stem_type for stem in plan.stems] == ["drums", "bass", "guitar", "vocals"]  # who carries comes first
    for name, value in {"bpm": 120.0, "key": "c", "chords": ("C", "G", "Am", "F"), "seconds": 0.5}.items():
        assert {getattr(spec, name) for spec in specs} == {value}
    assert len({spec.seed for spec in specs}) == 4
    again = planned(target_stems=["bass"])
    assert again.stems[0].order.spec == specs[1]  # whatever else is asked for with it


def test_what_nobody_says_is_chosen_once_for_all_stems_and_told() -> None:
    plan = planned(parameters={"style": "waltz", "prompt": None, "chord_progression": []})
    specs = [stem.order.spec for stem in plan.stems]
    assert len({(spec.bpm, spec.key, spec.chords) for spec in specs}) == 1
    assert len(specs[0].chords) == 4
    told = plan.parameters
    assert (told["target_bpm"], told["duration_seconds"], told["temperature"]) == (120.0, 8.0, 1.0)
    assert planned(parameters=told).parameters == told
    assert [stem.order for stem in planned(parameters=told).stems] == [stem.order for stem in plan.stems]


def test_the_words_tempo_and_key_count() -> None:
    plan = planned(parameters={"prompt": "dub at 74 bpm in F minor"})
    assert {(stem.order.spec.bpm, stem.order.spec.key) for stem in plan.stems} == {(74.0, "fm")}
    assert plan.stems[1].order.spec.chords == ("Fm", "C#", "G#", "D#")


@pytest.mark.parametrize(
    ("prompt", "bass", "drums"),
    [
        ("odd rock with guitars, bass and drums", "odd rock, bass, bass stem", "odd rock and drums, drum stem"),
        ("Drums and Bass", "Bass, bass stem", "Drums, drum stem"),
        ("quiet piano", "quiet, bass stem", "quiet, drum stem"),
        ("sandy bassoon", "sandy bassoon, bass stem", "sandy bassoon, drum stem"),
    ],
)  # fmt: skip
def test_a_stem_is_not_asked_to_play_the_others_parts(prompt: str, bass: str, drums: str) -> None:
    plan = planned(target_stems=["bass", "drums"], parameters={"prompt": prompt})
    assert plan.stems[0].order.spec.prompt.startswith(drums)
    assert plan.stems[1].order.spec.prompt.startswith(bass)


def test_types_are_read_in_any_letter_case_and_each_is_made_once() -> None:
    plan = planned(target_stems=["VOCALS", "voice", "Bass", "kick"])
    assert [stem.stem_type for stem in plan.stems] == ["Bass", "VOCALS", "kick"]


# ---------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"generation_request_id": None}, "generation_request_id"),
        ({"generation_request_id": ""}, "generation_request_id"),
        ({"generation_request_id": 7}, "generation_request_id"),
        ({"generation_request_id": "x" * 201}, "generation_request_id"),
        ({"generation_request_id": "a\nb"}, "generation_request_id"),
        ({"generation_request_id": "\ud800"}, "generation_request_id"),
        ({"audio_file_id": None}, "audio_file_id"),
        ({"target_stems": []}, "target_stems"),
        ({"target_stems": "drums"}, "target_stems"),
        ({"target_stems": 5}, "target_stems"),
        ({"target_stems": ["drums", None]}, "target_stems.1"),
        ({"target_stems": ["drums", "theremin solo"]}, "target_stems.1"),
        ({"target_stems": ["drums"] * 17}, "target_stems"),
        ({"parameters": []}, "parameters"),
        ({"parameters": {"target_bpm": 19}}, "parameters.target_bpm"),
        ({"parameters": {"target_bpm": "fast"}}, "parameters.target_bpm"),
        ({"parameters": {"target_bpm": 120, "bpm": 121}}, "parameters.body"),
        ({"parameters": {"duration_seconds": 0}}, "parameters.duration_seconds"),
        ({"parameters": {"duration_seconds": 121}}, "parameters.duration_seconds"),
        ({"parameters": {"temperature": 2.1}}, "parameters.temperature"),
        ({"parameters": {"random_seed": -1}}, "parameters.random_seed"),
        ({"parameters": {"random_seed": 1.5}}, "parameters.random_seed"),
        ({"parameters": {"chord_progression": ["C", "H9"]}}, "parameters.chord_progression.1"),
        ({"parameters": {"chord_progression": 5}}, "parameters.chord_progression"),
        ({"parameters": {"style": ["rock"]}}, "parameters.style"),
        ({"parameters": {"prompt": "x" * 501}}, "parameters.prompt"),
        ({"parameters": {"prompt": 5}}, "parameters.prompt"),
        ({"parameters": {"prompt": "x" * 490, "style": "y" * 100}}, "parameters.prompt"),
        ({"callback_url": 5}, "callback_url"),
    ],
)
def test_a_bad_value_is_refused_by_the_name_of_its_field(fields: dict, field: str) -> None:
    with pytest.raises((InvalidRequest, ValidationError)) as caught:
        read_request(asked(**fields))
    error = caught.value
    assert (from_validation(error) if isinstance(error, ValidationError) else error).details["field"] == field


@pytest.mark.parametrize("url", [5, "http://localhost:1/", "gopher://8.8.8.8/", "http://user:word@8.8.8.8/"])
async def test_a_callback_that_may_not_be_called_is_a_422_before_any_work(client: TestClient, url: object) -> None:
    response = await client.post("/generate", json=asked(callback_url=url))
    document = await response.json()
    assert (response.status, document["error"]["field"]) == (422, "callback_url")
    assert len(document["detail"]) > 10
    assert client.app[STEMS]._ledger.unfinished() == []


async def test_a_request_longer_than_this_server_makes_is_refused(settings: Settings) -> None:
    async with serving(settings.model_copy(update={"max_duration": 5.0})) as client:
        response = await client.post("/generate", json=asked(parameters={}))
        assert (response.status, (await response.json())["error"]["code"]) == (422, "too_long")


async def test_unknown_ids_and_files_are_404(client: TestClient) -> None:
    for path in (
        "/generate/nothing",
        f"/stems/{'a' * 32}/bass-{'b' * 32}.wav",
        "/stems/x/y",
        "/stems/..%2F..%2F/x.wav",
    ):
        response = await client.get(URL(path, encoded=True))
        assert response.status == 404, path
        assert (await response.json())["error"]["code"] in ("unknown_job", "unknown_stem")


async def test_ids_like_paths_stay_words(client: TestClient, settings: Settings) -> None:
    for name in ("../../../etc/passwd", "a/b", "🎸", "%2e%2e", "gen_000000000000", "x" * 200, "'; DROP TABLE requests"):
        assert (
            await client.post("/generate", json=asked(generation_request_id=name, target_stems=["bass"]))
        ).status == 200
        document = await ended(client, name)
        assert (document["generation_request_id"], document["status"]) == (name, "completed")
    kept = [path.relative_to(settings.data_dir / "stems") for path in (settings.data_dir / "stems").rglob("*.wav")]
    assert len(kept) == 7
    assert all(len(path.parts) == 2 for path in kept)


async def test_a_full_queue_is_a_503_before_anything_is_promised(settings: Settings) -> None:
    async with serving(settings.model_copy(update={"max_queue": 2})) as client:
        response = await client.post("/generate", json=asked())
        assert (response.status, response.headers["Retry-After"]) == (503, "5")
        assert (await client.get("/generate/request 1")).status == 404
        assert (await client.post("/generate", json=asked(target_stems=["bass", "drums"]))).status == 200


# ---------------------------------------------------------------- failures


async def test_a_stem_that_fails_takes_no_other_with_it(
    client: TestClient, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = worker.Stems._placed

    async def placed(self, request_id: str, stem, order):
        if stem.stem_type == "bass":
            order = order.model_copy(update={"spec": order.spec.model_copy(update={"prompt": "tone fail"})})
        return await make(self, request_id, stem, order)

    monkeypatch.setattr(worker.Stems, "_placed", placed)
    await client.post("/generate", json=asked(callback_url=receiver.url))
    document = await receiver.called()
    assert document["status"] == "completed"
    assert [stem["stem_type"] for stem in document["generated_stems"]] == ["guitar", "drums"]
    (failed,) = document["failed_stems"]
    assert (failed["stem_type"], failed["code"]) == ("bass", "engine_failed")
    assert "asked to fail" in failed["error"]
    assert "error_message" not in document


async def test_stems_with_notes_follow_the_first_one_where_the_engine_hears_a_tune(
    settings: Settings, installed: Path
) -> None:
    async with serving(settings.model_copy(update={"engine": "echo"})) as client:
        body = asked(
            target_stems=["guitar", "drums", "bass", "vocals"], parameters={"duration_seconds": 1, "style": "x"}
        )
        await client.post("/generate", json=body)
        document = await ended(client)
        assert "failed_stems" not in document
        facts = {}
        service = client.server.app[SERVICE]
        for ticket in await service.queue.tickets():
            (spec,) = ticket.job.work.specs
            facts[spec.prompt.split(" stem")[0].split()[-1]] = (ticket.outcome.sample, spec.source_as)
        bass, _ = facts["bass"]
        assert {player for player, (sample, _) in facts.items() if sample.facts["parents"]} == {"guitar", "voice"}
        for player in ("guitar", "voice"):
            sample, use = facts[player]
            assert (sample.facts["parents"], use) == ([bass.sample_id], "melody")


async def test_a_first_stem_that_fails_leaves_the_others_to_their_words(
    settings: Settings, installed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = worker.Stems._placed

    async def placed(self, request_id: str, stem, order):
        if stem.stem_type == "bass":
            raise EngineError("no strings left")
        return await make(self, request_id, stem, order)

    monkeypatch.setattr(worker.Stems, "_placed", placed)
    async with serving(settings.model_copy(update={"engine": "echo"})) as client:
        await client.post("/generate", json=asked())
        document = await ended(client)
        assert [stem["stem_type"] for stem in document["generated_stems"]] == ["guitar", "drums"]
        assert [stem["error"] for stem in document["failed_stems"]] == ["no strings left"]


async def test_when_all_fail_the_request_failed_and_may_be_sent_again(client: TestClient, receiver: Receiver) -> None:
    body = asked(callback_url=receiver.url, parameters={**PARAMETERS, "prompt": "tone fail"})
    await client.post("/generate", json=body)
    document = await receiver.called()
    assert (document["status"], document["generated_stems"]) == ("failed", [])
    assert len(document["failed_stems"]) == 3
    assert len(document["error_message"]) > 10
    await client.post("/generate", json=body)
    assert (await receiver.called(2))["status"] == "failed"
    assert receiver.keys[0] != receiver.keys[1]


async def test_storage_that_is_down_fails_the_stems_and_says_so(settings: Settings, tmp_path: Path) -> None:
    (settings.data_dir).mkdir()
    (settings.data_dir / "stems").write_text("in the way")
    async with serving(settings) as client:
        await client.post("/generate", json=asked())
        document = await ended(client)
        assert document["status"] == "failed"
        assert {failed["code"] for failed in document["failed_stems"]} == {"storage_unavailable"}
        health = await (await client.get("/health")).json()
        assert health["services"]["storage"] == "error"
        # Nothing that was made is lost: the same request again needs no engine.
        (settings.data_dir / "stems").unlink()
        await client.post("/generate", json=asked())
        assert (await ended(client))["status"] == "completed"


# ---------------------------------------------------------------- callbacks


async def test_a_callback_is_repeated_with_the_same_key_until_it_is_taken(
    client: TestClient, receiver: Receiver
) -> None:
    receiver.answers = [500, 404, 302]
    await client.post("/generate", json=asked(callback_url=receiver.url, target_stems=["bass"]))
    await receiver.called(4)
    assert len(set(receiver.keys)) == 1
    assert receiver.documents[0] == receiver.documents[3]
    await until(lambda: client.app[STEMS]._ledger.undelivered() == [])
    assert len(receiver.documents) == 4


async def test_a_callback_that_is_never_taken_is_given_up_and_the_document_stays(
    client: TestClient, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.answers = [500] * 100
    await client.post("/generate", json=asked(callback_url=receiver.url, target_stems=["bass"]))
    await until(lambda: "given up" in caplog.text)
    await until(lambda: client.app[STEMS]._ledger.undelivered() == [])
    assert len(receiver.documents) == worker.ATTEMPTS
    assert (await ended(client))["status"] == "completed"


async def test_a_receiver_that_hangs_holds_nobody_else_up(
    client: TestClient, receiver: Receiver, aiohttp_server
) -> None:
    hanging = asyncio.Event()
    receiver.answers = [hanging]
    await client.post("/generate", json=asked(callback_url=receiver.url, target_stems=["bass"]))
    await receiver.called()
    await client.post("/generate", json=asked(generation_request_id="2", callback_url=receiver.url))
    await receiver.called(2)
    assert receiver.documents[1]["generation_request_id"] == "2"
    hanging.set()
    await receiver.called(3)


async def test_the_same_request_again_is_no_other_work_and_is_called_back_again(
    client: TestClient, receiver: Receiver
) -> None:
    body = asked(callback_url=receiver.url, target_stems=["bass"])
    answers = await asyncio.gather(*(client.post("/generate", json=body) for _ in range(20)))
    assert {answer.status for answer in answers} == {200}
    first = await receiver.called()
    before = len(receiver.documents)
    await until(lambda: client.app[STEMS]._ledger.undelivered() == [])
    assert (await client.post("/generate", json=body)).status == 200
    assert await receiver.called(before + 1) == first
    assert len(set(receiver.keys)) == 1
    sounds = await (await client.get("/sounds")).json()
    assert len(sounds["sounds"]) == 1


async def test_an_id_that_means_another_request_is_a_409(client: TestClient) -> None:
    await client.post("/generate", json=asked())
    response = await client.post("/generate", json=asked(target_stems=["piano"]))
    assert (response.status, (await response.json())["error"]["code"]) == (409, "request_id_taken")


# ---------------------------------------------------------------- what outlives a server


async def test_what_a_stopped_server_had_promised_the_next_one_does(settings: Settings, receiver: Receiver) -> None:
    slow = {**PARAMETERS, "prompt": "tone slow", "duration_seconds": 1.5}
    async with serving(settings) as client:
        for number in range(3):
            body = asked(generation_request_id=f"r{number}", parameters=slow, callback_url=receiver.url)
            assert (await client.post("/generate", json=body)).status == 200
    assert receiver.documents == []
    async with serving(settings) as client:
        await receiver.called(3)
        assert {document["generation_request_id"] for document in receiver.documents} == {"r0", "r1", "r2"}
        assert {document["status"] for document in receiver.documents} == {"completed"}
        assert all(len(document["generated_stems"]) == 3 for document in receiver.documents)
        await until(lambda: client.app[STEMS]._ledger.undelivered() == [])
        # Nothing was made twice: three stems, the same in all requests, each in one slot.
        sounds = await client.app[SERVICE].library.search("tone")
        assert [len(sound.slots) for sound in sounds] == [1, 1, 1]


async def test_a_callback_that_was_not_taken_is_repeated_by_the_next_server(
    settings: Settings, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "wait_before", lambda _: 0.5)
    receiver.answers = [500]
    async with serving(settings) as client:
        await client.post("/generate", json=asked(callback_url=receiver.url, target_stems=["bass"]))
        await receiver.called()
        await until(lambda: client.app[STEMS]._ledger.undelivered()[0].attempts == 1)
    async with serving(settings):
        await receiver.called(2)
    assert len(set(receiver.keys)) == 1


async def test_old_requests_and_their_files_are_removed_after_their_days(settings: Settings) -> None:
    async with serving(settings) as client:
        for name in ("old", "new"):
            await client.post("/generate", json=asked(generation_request_id=name, target_stems=["bass"]))
            await ended(client, name)
    assert len(list(settings.data_dir.rglob("stems/*/*.wav"))) == 2
    with sqlite3.connect(settings.data_dir / worker.FILE) as database:
        database.execute("UPDATE requests SET ended = ended - 31 * 86400 WHERE id = 'old'")
    database.close()
    async with serving(settings) as client:
        # glob, since a Path's own raises when a folder goes while it looks
        await until(lambda: len(glob.glob(f"{settings.data_dir}/stems/*/*.wav")) == 1)
        assert (await client.get("/generate/old")).status == 404
        assert (await ended(client, "new"))["status"] == "completed"


async def test_callers_words_are_forgotten_on_request(client: TestClient, settings: Settings) -> None:
    await client.post(
        "/generate", json=asked(parameters={**PARAMETERS, "prompt": "tone unmistakable", "style": "secretive"})
    )
    await ended(client)
    key = {"X-API-Key": client.app[CALLERS].run_key}
    assert (await client.post("/forget", json={"what": "prompts"}, headers=key)).status == 200
    document = await (await client.get("/generate/request 1")).json()
    assert (document["parameters"]["prompt"], document["parameters"]["style"]) == (None, None)
    assert document["parameters"]["chord_progression"] == ["C", "G", "Am", "F"]
    row = client.app[STEMS]._ledger.get("request 1")
    assert "unmistakable" not in repr(row)
    assert "secretive" not in repr(row)
    for path in (settings.data_dir / "stems").glob("*/*.wav"):
        assert b"unmistakable" not in path.read_bytes()
        assert path.stat().st_size in {stem["file_size_bytes"] for stem in document["generated_stems"]}


# ---------------------------------------------------------------- object storage


@pytest.mark.extra
async def test_stems_in_azure_are_fetched_by_their_signed_address(
    settings: Settings, azurite: str, receiver: Receiver
) -> None:
    given = {**settings.model_dump(), "azure_connection_string": azurite, "storage_container": CONTAINER}
    async with serving(Settings.model_validate(given)) as client:
        assert (await (await client.get("/health")).json())["services"]["storage"] == "connected"
        await client.post("/generate", json=asked(callback_url=receiver.url))
        await _fetch_all(client, await receiver.called())
    assert not (settings.data_dir / "stems").exists()


async def test_stems_in_s3_are_fetched_by_their_presigned_address(
    settings: Settings, bucket: str, receiver: Receiver
) -> None:
    async with serving(settings.model_copy(update={"storage_url": bucket})) as client:
        await client.post("/generate", json=asked(callback_url=receiver.url))
        await _fetch_all(client, await receiver.called())


async def _fetch_all(client: TestClient, document: dict[str, Any]) -> None:
    assert document["status"] == "completed"
    assert len(document["generated_stems"]) == 3
    for stem in document["generated_stems"]:
        async with client.session.get(URL(stem["blob_url"], encoded=True)) as response:
            data = await response.read()
        assert (response.status, len(data)) == (200, stem["file_size_bytes"])
        assert soundfile.info(io.BytesIO(data)).samplerate == 44100


async def test_a_bucket_that_does_not_answer_fails_the_stems(
    settings: Settings, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    async with serving(settings.model_copy(update={"storage_url": bucket})) as client:
        await client.post("/generate", json=asked(target_stems=["bass"]))
        document = await ended(client)
    assert document["status"] == "failed"
    assert document["failed_stems"][0]["code"] == "storage_unavailable"

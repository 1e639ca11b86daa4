"""The engine that asks Replicate, with a Replicate on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bridge.engines.cloud import http
from bridge.engines.cloud.keys import CloudOptions
from bridge.engines.cloud.replicate import ReplicateEngine
from bridge.engines.cloud.spending import Spending, work_of
from bridge.errors import BadAudio, BridgeError, EngineError, EngineUnavailable, JobCancelled
from tests.provider import Stage, asked, hang_up, nothing, say, wav

VERSION = "0123456789abcdef" * 4


def engine(stage: Stage, folder: Path | None = None, **options: Any) -> ReplicateEngine:
    options = {
        "address": stage.url + "/v1", "token": "r8_secret", "model": f"meta/musicgen:{VERSION}", "patience": 20.0,
        **options,
    }  # fmt: skip
    return ReplicateEngine(data_dir=folder, options=CloudOptions(**options))


def said(status: str, **members: Any) -> dict[str, Any]:
    return {"id": "abc123", "status": status, "output": None, **members}


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http.Patience, "sleep", lambda self, _: self.listen())


def test_a_prediction_is_created_polled_and_its_file_fetched_without_our_token(stage: Stage, quick: None) -> None:
    stage.script = [
        say(201, json=said("starting", urls={"get": "http://evil.example/steal"})),
        say(json=said("processing")),
        say(json=said("succeeded", output=f"{stage.url}/file.wav")),
        say(body=wav()),
    ]
    (clip,) = engine(stage).stream(asked(seed=7), 1.5, nothing)
    assert clip.seconds == pytest.approx(0.5, abs=0.01)
    assert stage.paths() == [
        "POST /v1/predictions", "GET /v1/predictions/abc123", "GET /v1/predictions/abc123", "GET /file.wav"
    ]  # fmt: skip
    created = stage.got[0]
    assert created.document["version"] == VERSION
    assert created.document["input"] == {
        "prompt": "warm pad", "duration": 2, "seed": 7, "temperature": 1.0, "top_k": 250, "top_p": 0.0,
        "classifier_free_guidance": 3.0, "output_format": "wav",
    }  # fmt: skip
    assert created.headers["Prefer"] == "wait=5"
    assert created.headers["Authorization"] == "Bearer r8_secret"


def test_one_that_is_ready_at_once_is_not_polled(stage: Stage) -> None:
    stage.script = [say(201, json=said("succeeded", output=[f"{stage.url}/file.wav"])), say(body=wav())]
    list(engine(stage, model="meta/musicgen").stream(asked(), 1.0, nothing))
    assert stage.paths() == ["POST /v1/models/meta/musicgen/predictions", "GET /file.wav"]


def test_a_cancel_cancels_the_prediction_there(stage: Stage) -> None:
    stage.script = [say(201, json=said("processing"))]

    def report(_: float) -> None:
        if len(stage.got) > 1:
            raise JobCancelled("nobody wants it")

    with pytest.raises(JobCancelled):
        list(engine(stage).stream(asked(), 1.0, report))
    _soon(lambda: "POST /v1/predictions/abc123/cancel" in stage.paths())


def test_one_cancelled_while_it_is_created_is_cancelled_when_its_id_is_known(stage: Stage) -> None:
    import asyncio

    async def slowly(request: Any) -> Any:
        await asyncio.sleep(0.3)
        return await say(201, json=said("processing"))(request)

    stage.script = [slowly, say(json=said("canceled"))]

    def report(_: float) -> None:
        if stage.got:
            raise JobCancelled("nobody wants it")

    with pytest.raises(JobCancelled):
        list(engine(stage).stream(asked(), 1.0, report))
    _soon(lambda: stage.paths() == ["POST /v1/predictions", "POST /v1/predictions/abc123/cancel"])


ODD: list[tuple[Any, type[BridgeError], str]] = [
    (say(json=[]), EngineError, "not a prediction"),
    (say(body=b"<html>", media="text/html"), EngineError, "not a prediction"),
    (say(json={"status": "succeeded"}), EngineError, "without an id"),
    (say(json={"id": "../../account", "status": "succeeded"}), EngineError, "without an id"),
    (say(json=said("failed", error="CUDA out of memory for r8_secret")), EngineError, r"out of memory for \*\*\*"),
    (say(json=said("failed")), EngineError, "it does not say why"),
    (say(json=said("canceled")), EngineError, "cancelled this prediction"),
    (say(json=said("meditating")), EngineError, "'meditating'"),
    (say(json=said("succeeded")), BadAudio, "sent no output"),
    (say(json=said("succeeded", output={"text": "la la"})), BadAudio, "without audio"),
    (say(json=said("succeeded", output="http://10.0.0.1/x.wav")), EngineError, "not https"),
    (say(401, json={"detail": "Unauthenticated"}), EngineUnavailable, "Unauthenticated.*BRIDGE_REPLICATE_TOKEN"),
    (say(402, json={"title": "Billing required"}), EngineUnavailable, "Billing required"),
    (say(404, json={"detail": "no enabled versions"}), EngineUnavailable, "no enabled versions"),
    (say(422, json={"detail": "duration is too long"}), EngineError, "duration is too long"),
    (hang_up, EngineError, "no complete answer"),
]


@pytest.mark.parametrize(("answer", "kind", "sentence"), ODD)
def test_every_odd_answer_is_a_sentence(
    stage: Stage, quick: None, answer: Any, kind: type[BridgeError], sentence: str
) -> None:
    stage.script = [answer]
    with pytest.raises(kind, match=sentence) as caught:
        list(engine(stage).stream(asked(), 1.0, nothing))
    assert "r8_secret" not in caught.value.message


def test_what_it_cost_is_written_down_and_the_days_limit_is_kept(stage: Stage, tmp_path: Path) -> None:
    done = said("succeeded", output=f"{stage.url}/file.wav", metrics={"predict_time": 10.0})
    stage.script = [say(json=done), say(body=wav())] * 3
    maker = engine(stage, tmp_path, price=0.01, daily_limit=0.35)
    list(maker.stream(asked(), 1.0, nothing))
    ledger = Spending(tmp_path)
    assert ledger.of(work_of(asked(seed=99)), 0) == pytest.approx(0.1)
    for _ in range(2):
        list(maker.stream(asked(), 1.0, nothing))
    with pytest.raises(EngineUnavailable, match="BRIDGE_CLOUD_DAILY_LIMIT") as caught:
        list(engine(stage, tmp_path, price=0.01, daily_limit=0.35).stream(asked(), 1.0, nothing))
    assert caught.value.code == "spending_limit"
    assert len(stage.got) == 6


def test_what_runs_counts_before_it_has_ended(tmp_path: Path) -> None:
    one, other = (Spending(tmp_path, price=1.0, limit=50.0) for _ in range(2))
    with one.charge("replicate", asked()) as charge:
        assert other.of(work_of(asked()), 0) == 30.0
        with pytest.raises(EngineUnavailable), other.charge("replicate", asked()):
            pass
        charge.seconds = 2.0
    assert other.of(work_of(asked()), 0) == 2.0


@pytest.mark.parametrize(("token", "model"), [(None, "a/b"), ("r8", None), (None, None)])
def test_what_is_missing_is_named(token: str | None, model: str | None) -> None:
    with pytest.raises(EngineUnavailable, match="BRIDGE_REPLICATE"):
        ReplicateEngine(options=CloudOptions(token=token, model=model))


def _soon(true: Any) -> None:
    import time

    for _ in range(500):
        if true():
            return
        time.sleep(0.01)
    raise AssertionError("it never came")

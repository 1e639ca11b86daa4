"""The engine that asks any web address, with a provider that plays along and one that does not."""

from __future__ import annotations

import base64
import json
import threading
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from bridge.engines.cloud import http
from bridge.engines.cloud.endpoint import EndpointEngine
from bridge.engines.cloud.keys import CloudOptions, filled
from bridge.errors import BadAudio, BridgeError, EngineError, EngineTimeout, EngineUnavailable, JobCancelled
from bridge.plugins.clip import Clip
from tests.provider import Stage, asked, break_off, hang, hang_up, nothing, say, wav

TEXT = base64.b64encode(wav()).decode()


def engine(stage: Stage, **options: Any) -> EndpointEngine:
    options = {"address": stage.url + "/make", "token": "hf_secret", "patience": 20.0, **options}
    return EndpointEngine(options=CloudOptions(**options))


def made(stage: Stage, **options: Any) -> Clip:
    (clip,) = engine(stage, **options).stream(asked(), 1.0, nothing)
    return clip


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Pauses that are noted and not kept."""
    waits: list[float] = []
    monkeypatch.setattr(http.Patience, "sleep", lambda _, seconds: waits.append(seconds))
    return waits


@pytest.mark.parametrize("container", ["WAV", "FLAC", "OGG", "MP3"])
def test_audio_comes_as_it_is_at_our_rate(stage: Stage, container: str) -> None:
    stage.script = [say(body=wav(0.5, channels=2, container=container))]
    clip = made(stage)
    assert (clip.rate, clip.channels) == (44100, 2)
    assert clip.seconds == pytest.approx(0.5, abs=0.06)
    assert np.abs(clip.samples).max() == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize(
    "document",
    [
        {"audio_base64": TEXT},
        {"audio": TEXT, "sampling_rate": 32000},
        {"success": True, "data": {"audio": {"data": f"data:audio/wav;base64,{TEXT}"}}},
        [{"generated_audio": [list(np.sin(np.arange(16000) / 10))], "sampling_rate": 32000}],
        [{"generated_audio": list(np.sin(np.arange(16000) / 10))}],
        {"outputs": [{"url": "URL"}]},
    ],
)
def test_json_with_audio_somewhere_in_it_is_read(stage: Stage, document: Any) -> None:
    document = json.loads(json.dumps(document).replace('"URL"', f'"{stage.url}/file.wav"'))
    stage.script = [say(json=document), say(body=wav())]
    assert made(stage).seconds == pytest.approx(0.5, abs=0.01)


def test_it_sends_what_a_musicgen_endpoint_takes(stage: Stage) -> None:
    stage.script = [say(body=wav())]
    made(stage)
    (got,) = stage.got
    assert got.document["inputs"] == "warm pad"
    assert got.document["parameters"] == {
        "do_sample": True, "temperature": 1.0, "top_k": 250, "guidance_scale": 3.0, "max_new_tokens": 50
    }  # fmt: skip
    assert got.headers["Authorization"] == "Bearer hf_secret"


def test_another_body_is_filled_with_what_was_asked() -> None:
    spec = asked("dub", bpm=120, key="F# minor", seed=5)
    body = {"text": "a $prompt at $bpm", "seconds": "$seconds", "whole": "$whole_seconds", "n": [1, "$seed"],
            "key": "$key"}  # fmt: skip
    assert filled(body, spec, 1.5) == {
        "text": "a dub at 120.0", "seconds": 1.5, "whole": 2, "n": [1, 5], "key": "F# minor"
    }  # fmt: skip
    assert "key" not in filled(body, asked("dub"), 1.5)


def test_a_token_never_goes_to_another_host_nor_over_plain_http(stage: Stage) -> None:
    provider = http.Provider("It", "http://studio.example.org/make", "secret", setting="X")
    assert not provider._trusted
    stage.script = [say(json={"url": stage.url.replace("127.0.0.1", "localhost") + "/other.wav"}), say(body=wav())]
    with pytest.raises(EngineError, match="not https"):
        made(stage)
    assert len(stage.got) == 1


ODD: list[tuple[Any, type[BridgeError], str]] = [
    (say(body=b"", media="audio/wav"), BadAudio, "empty answer"),
    (say(body=b"<html>Welcome</html>", media="text/html"), BadAudio, "text/html"),
    (say(body=b"RIFF....WAVEfmt nonsense"), BadAudio, "cannot be read"),
    (say(body=wav()[:20]), BadAudio, "cannot be read"),
    (say(body=wav(0.0)), BadAudio, "single sample"),
    (say(body=wav(601, rate=4000)), BadAudio, "600 seconds"),
    (say(body=b"{nonsense", media="application/json"), BadAudio, "announces JSON"),
    (say(body=b"[" * 100_000, media="application/json"), BadAudio, "announces JSON"),
    (say(json={}), BadAudio, "without audio"),
    (say(json=None, body=b"null", media="application/json"), BadAudio, "without audio"),
    (say(json={"error": "model is sleeping"}), BadAudio, "only error"),
    (say(json={"audio_base64": "!" * 50}), BadAudio, "base64"),
    (say(json={"audio": base64.b64encode(b"no audio in here, only a few words").decode()}), BadAudio, "cannot be read"),
    (say(json={"audio": [[1, 2, 3], [4, 5]]}), BadAudio, "rows of equal length"),
    (say(json={"audio": [0.1] * 99, "sampling_rate": 5}), BadAudio, "not a clip"),
    (say(json={"url": "http://10.0.0.1/x.wav"}), EngineError, "not https"),
    (say(json={"url": "https://127.0.0.1/x.wav"}), EngineError, "not https"),
    (say(json={"url": "http://["}), EngineError, "not a web address"),
    (say(401, json={"error": "bad hf_secret"}), EngineUnavailable, r"bad \*\*\*.*BRIDGE_HF_TOKEN"),
    (say(402, json={}), EngineUnavailable, "asks for payment"),
    (say(404, json={}), EngineUnavailable, "nothing at /make"),
    (say(422, json={"detail": [{"loc": ["inputs"]}]}), EngineError, "inputs"),
    (say(400, json="no"), EngineError, "does not take"),
    (say(302, headers={"Location": "http://127.0.0.1:1/"}), EngineError, "elsewhere"),
    (say(418, body=b"teapot", media="text/plain"), EngineError, "418: teapot"),
    (hang_up, EngineError, "no complete answer"),
    (break_off, EngineError, "no complete answer"),
]


@pytest.mark.parametrize(("answer", "kind", "sentence"), ODD)
def test_every_odd_answer_is_a_sentence(
    stage: Stage, quick: list[float], answer: Any, kind: type[BridgeError], sentence: str
) -> None:
    stage.script = [answer]
    with pytest.raises(kind, match=sentence) as caught:
        made(stage)
    assert "hf_secret" not in caught.value.message
    assert len(stage.got) == 1, "what may have been paid is not asked again"


def test_numbers_that_are_no_sound_are_left_for_finishing_to_refuse(stage: Stage) -> None:
    stage.script = [say(body=json.dumps({"audio": [float("nan")] * 50}).encode(), media="application/json")]
    assert np.isnan(made(stage).samples).all()


@pytest.mark.parametrize("status", [429, 503, 529])
def test_what_was_too_much_is_asked_again_when_the_provider_says(stage: Stage, quick: list[float], status: int) -> None:
    stage.script = [say(status, json={}, headers={"Retry-After": "7"}), say(status, json={}), say(body=wav())]
    assert made(stage).frames
    assert quick == [7.0, 2.0]


def test_it_is_not_asked_for_ever_nor_waited_for_too_long(stage: Stage, quick: list[float]) -> None:
    stage.script = [say(503, json={"error": "loading"})]
    with pytest.raises(EngineError, match="503: loading") as caught:
        made(stage)
    assert caught.value.code == "engine_unreachable"
    assert len(stage.got) == 4
    stage.got.clear()
    stage.script = [say(429, json={}, headers={"Retry-After": "3600"})]
    with pytest.raises(EngineError, match="in 3600 seconds"):
        made(stage)
    assert len(stage.got) == 1


def test_a_retry_after_may_be_a_date_or_nonsense() -> None:
    now = datetime(2026, 11, 20, 12, 0, 0, tzinfo=UTC)
    assert http.retry_after("Fri, 20 Nov 2026 12:00:30 GMT", now) == 30
    assert http.retry_after("Fri, 20 Nov 2020 12:00:30 GMT", now) == 0
    assert [http.retry_after(text) for text in ("soon", "", None, "-5", "1e9")] == [None] * 5


def test_nobody_there_is_told_after_some_tries(stage: Stage, quick: list[float]) -> None:
    with pytest.raises(EngineError, match="cannot be reached") as caught:
        made(stage, address="http://127.0.0.1:9/make")
    assert caught.value.code == "engine_unreachable"
    assert quick == [1.0, 2.0, 4.0]


def test_a_cancel_closes_the_connection(stage: Stage) -> None:
    stage.script = [hang]

    def report(_: float) -> None:
        if stage.got:
            raise JobCancelled("nobody wants it")

    with pytest.raises(JobCancelled):
        list(engine(stage).stream(asked(), 1.0, report))
    assert stage.left.wait(5), "the provider sees that we have gone"


def test_one_that_takes_too_long_is_given_up(stage: Stage) -> None:
    stage.script = [hang]
    with pytest.raises(EngineTimeout, match="BRIDGE_CLOUD_TIMEOUT"):
        made(stage, patience=0.3)
    assert stage.left.wait(5)


def test_more_than_fits_into_memory_is_not_read(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "MOST_BYTES", 1 << 20)
    stage.script = [say(body=bytes(3 << 20))]
    with pytest.raises(EngineError, match="more than"):
        made(stage)


def test_progress_grows_while_it_waits(stage: Stage) -> None:
    told: list[float] = []
    gate = threading.Event()

    def report(fraction: float) -> None:
        told.append(fraction)
        if len(told) > 3:
            gate.set()

    async def slow(request: Any) -> Any:
        import asyncio

        await asyncio.to_thread(gate.wait, 10)
        return await say(body=wav())(request)

    stage.script = [slow]
    list(engine(stage).stream(asked(), 1.0, report))
    assert told == sorted(told)
    assert told[-1] == 1.0


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"address": None}, "BRIDGE_ENDPOINT_URL"),
        ({"address": "https://api-inference.huggingface.co/models/facebook/musicgen-small"}, "Inference Endpoint"),
        ({"body": "{nonsense"}, "BRIDGE_ENDPOINT_BODY is not JSON"),
        ({"body": "[1]"}, "JSON object"),
    ],
)
def test_what_is_not_set_right_is_told_before_anything_is_asked(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(EngineUnavailable, match=sentence):
        EndpointEngine(options=CloudOptions(**{"address": "http://127.0.0.1:9/", **options}))

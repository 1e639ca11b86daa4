"""``POST /evaluate``: figures about audio that was sent, and about sounds that are kept."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile
from aiohttp import FormData

from bridge.settings import Settings

RATE = 22_050
TIME = np.arange(2 * RATE) / RATE
SINE = 0.5 * np.sin(2 * np.pi * 440 * TIME)
NOISE = np.random.default_rng(1).normal(size=len(TIME))


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        data_dir=tmp_path / "data", engine="tone", pregenerate=False, max_upload_bytes=1 << 20, max_upload_duration=10.0
    )


def wav(samples: np.ndarray, rate: int = RATE) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format="WAV")
    return file.getvalue()


def form(*files: bytes, **texts: str) -> FormData:
    data = FormData(default_to_multipart=True)
    for name, text in texts.items():
        data.add_field(name, text)
    for number, content in enumerate(files):
        data.add_field(f"file{number or ''}", io.BytesIO(content), filename=f"take{number}.wav")
    return data


async def test_a_file_is_measured_and_nothing_of_it_is_kept(client, settings) -> None:
    answer = await client.post("/evaluate", data=form(wav(SINE + NOISE * 0.0354), prompt="a sine"))
    assert answer.status == 200
    document = await answer.json()
    (result,) = document["results"]
    assert (result["name"], result["duration"], result["sample_rate"]) == ("take0.wav", 2.0, RATE)
    assert document["snr"] == pytest.approx(20, abs=3)
    assert document["harmonic_percussive_ratio"] > 15
    assert document["pitch_stability"] > 0.9
    assert document["tempo_stability"] is None
    assert document["loudness_lufs"] == pytest.approx(-9.7, abs=0.5)
    assert document["fad"] is document["clap_score"] is None
    assert "embeddings" in document["reason"]
    assert document["prompt"] == "a sine"
    assert [path for path in (settings.data_dir / "uploads").rglob("*") if path.is_file()] == []


async def test_several_files_have_their_mean(client) -> None:
    quiet, loud = wav(SINE / 10), wav(SINE)
    document = await (await client.post("/evaluate", data=form(quiet, loud))).json()
    first, second = (result["loudness_lufs"] for result in document["results"])
    assert second - first == pytest.approx(20, abs=0.1)
    assert document["loudness_lufs"] == pytest.approx((first + second) / 2, abs=0.01)


async def test_a_kept_sound_is_named_in_json_or_in_the_form(client) -> None:
    made = await (await client.post("/generate", json={"prompt": "tone 440 hz", "duration": 1.0})).json()
    for sent in ({"json": {"sound": made["name"], "prompt": None}}, {"data": form(sound=made["name"], n="0")}):
        answer = await client.post("/evaluate", **sent)
        document = await answer.json()
        assert answer.status == 200, document
        assert document["results"][0]["name"] == made["name"]
        assert document["pitch_stability"] > 0.9


async def test_too_many_files_are_refused_with_their_limit(client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bridge.api.evaluate.MOST_FILES", 2)
    answer = await client.post("/evaluate", data=form(*[wav(SINE[:4000])] * 3))
    assert answer.status == 413
    assert "more than 2 files" in (await answer.json())["error"]["message"]


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ({"json": {}}, 422),
        ({"json": []}, 422),
        ({"json": {"sound": "no_such_sound_at_all"}}, 404),
        ({"json": {"sound": "x", "n": "0"}}, 422),
        ({"data": form(b"this is no audio at all, none")}, 415),
        ({"data": form(b"RIFF\x24\0\0\0WAVEfmt broken")}, 422),
        ({"data": form(b"")}, 422),
        ({"data": form(prompt="nothing else")}, 422),
        ({"data": form(sound="x" * 5000)}, 413),
        ({"data": form(b"RIFF\0\0\0\0WAVE" + bytes(2 << 20))}, 413),
        ({"data": form(wav(np.zeros(20 * 8000), 8000))}, 422),
        ({"data": b"--x\r\nbroken", "headers": {"Content-Type": "multipart/form-data; boundary=x"}}, 400),
        ({"data": b"x", "headers": {"Content-Type": "multipart/form-data"}}, 400),
    ],
    ids=lambda value: value if isinstance(value, int) else next(iter(value)),
)
async def test_what_is_not_right_is_a_status_and_a_sentence(client, sent, status) -> None:
    answer = await client.post("/evaluate", **sent)
    document = await answer.json()
    assert answer.status == status, document
    assert document["error"]["code"]
    assert document["error"]["message"]

"""Sounds from Python, by the names that its callers know."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

import bridge
from bridge import MusicGenModel, create_musicgen_model, save_audio_file
from bridge.errors import BridgeError, InvalidRequest


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MusicGenModel]:
    folder = tmp_path_factory.mktemp("model")
    with create_musicgen_model(data_dir=folder, engine="tone") as model:
        yield model


def test_audio_has_a_row_for_each_text_at_the_rate_its_callers_play_it(model) -> None:
    audio = model.generate_audio(texts=["tone 300 hz", "tone 600 hz"], duration=0.5, temperature=0.8)
    assert audio.shape == (2, 12000)
    assert audio.dtype == np.float32
    assert audio.sample_rate == 24000
    assert type(audio.numpy()) is np.ndarray
    found = np.abs(np.fft.rfft(audio.numpy() * np.hanning(12000), axis=1)).argmax(axis=1) * 2
    assert list(found) == [300, 600]
    assert audio[0].sample_rate == 24000, "a row still knows its rate"


def test_another_rate_is_asked_for_by_name(model) -> None:
    audio = model.generate_audio("tone 300 hz", duration=0.5, sample_rate=44100)
    assert (audio.shape, audio.sample_rate) == ((1, 22050), 44100)


def test_genre_and_mood_go_into_the_words(model) -> None:
    plain = model.generate_audio(["tone"], duration=0.2)
    told = model.generate_audio(["tone"], duration=0.2, genre="jazz", mood="calm", tempo=92)
    assert not np.array_equal(plain, told)


async def test_it_can_be_awaited_several_at_a_time(model) -> None:
    both = await asyncio.gather(*(model.generate_audio_async(f"tone {hz} hz", duration=0.3) for hz in (310, 620)))
    assert [audio.shape for audio in both] == [(1, 7200), (1, 7200)]


@pytest.mark.parametrize(
    ("texts", "options", "named"),
    [
        ([], {}, "texts"),
        ([""], {}, "prompt"),
        (["x"], {"duration": 1000}, "duration"),
        (["x"], {"temperature": "hot"}, "temperature"),
        (["x"], {"sample_rate": 5}, "sample_rate"),
    ],
)
def test_what_is_not_right_is_said_before_anything_is_made(model, texts, options, named) -> None:
    with pytest.raises(InvalidRequest, match=named):
        model.generate_audio(texts, **options)


def test_a_text_that_fails_raises_the_engines_own_error(model) -> None:
    with pytest.raises(BridgeError) as failed:
        model.generate_audio(["tone 300 hz", "tone fail"], duration=0.2)
    assert failed.value.code == "engine_failed"


def test_a_closed_model_opens_itself_again(tmp_path) -> None:
    model = MusicGenModel(data_dir=tmp_path, engine="tone")
    first = model.generate_audio("tone 300 hz", duration=0.2)
    model.close()
    model.close()
    assert np.array_equal(model.generate_audio("tone 300 hz", duration=0.2), first)
    model.close()


@pytest.mark.parametrize("name", ["a.wav", "a.24.wav", "a.flac", "a.ogg", "a.mp3"])
def test_audio_is_saved_in_the_format_of_the_name(tmp_path: Path, name: str) -> None:
    wave = 0.5 * np.sin(2 * np.pi * 440 * np.arange(24000) / 24000)
    save_audio_file(bridge.client.model.GeneratedAudio(wave, 24000), tmp_path / name)
    samples, rate = soundfile.read(tmp_path / name)
    assert rate == 24000
    assert np.abs(samples).max() == pytest.approx(0.5, abs=0.05)


def test_stereo_is_saved_whichever_way_it_lies(tmp_path: Path) -> None:
    for number, shape in enumerate([(2, 800), (800, 2)]):
        path = save_audio_file(np.zeros(shape), str(tmp_path / f"{number}.wav"), sample_rate=8000)
        assert soundfile.info(path).channels == 2


@pytest.mark.parametrize("audio", [np.zeros(0), np.zeros((3, 100)), np.full(10, np.nan), np.zeros((2, 2, 2))])
def test_what_is_no_audio_is_not_saved(tmp_path: Path, audio) -> None:
    with pytest.raises(InvalidRequest):
        save_audio_file(audio, tmp_path / "a.wav")
    with pytest.raises(InvalidRequest, match="end in one of"):
        save_audio_file(np.zeros(10), tmp_path / "a.xyz")
    assert not list(tmp_path.iterdir())


def test_importing_bridge_loads_none_of_it() -> None:
    script = "import bridge, sys; print([m for m in ('numpy', 'aiohttp', 'pydantic') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-P", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert bridge.AudioProcessor.__name__ == "AudioProcessor"
    with pytest.raises(AttributeError):
        bridge.nothing  # noqa: B018

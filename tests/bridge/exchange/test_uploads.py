"""Uploads: what is refused and how, what is kept, and what the reading process may do."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from bridge.audio.analysis.features import describe, find_tempo
from bridge.engines.hosting.sources import UPLOADS
from bridge.errors import BridgeError, InvalidRequest, NotFound, TooLarge, UnsupportedMedia
from bridge.exchange.uploads import Upload, Uploads
from bridge.plugins.clip import Clip
from bridge.settings import Settings

RATE = 22_050


def noise(seconds: float, channels: int = 1, rate: int = RATE) -> np.ndarray:
    return np.random.default_rng(1).normal(0, 0.1, (round(seconds * rate), channels))


def encoded(samples: np.ndarray, container: str = "WAV", rate: int = RATE, subtype: str | None = None) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=container, subtype=subtype)
    return file.getvalue()


@pytest.fixture
def uploads(tmp_path: Path) -> Uploads:
    return Uploads(settings(tmp_path))


def settings(folder: Path, **more: int) -> Settings:
    return Settings(data_dir=folder, max_upload_bytes=2 << 20, max_upload_duration=5.0, **more)


async def taken(uploads: Uploads, data: bytes) -> Upload:
    async with uploads.receive() as receiver:
        for start in range(0, len(data), 1000):
            await receiver.write(data[start : start + 1000])
        return await uploads.keep(receiver)


def left_in(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / UPLOADS).iterdir())


BOMB = encoded(np.zeros((RATE * 600, 1)), "FLAC")
"""Ten minutes of silence in a few KB."""
SIX_SECONDS = encoded(noise(6.0), "OGG")
REFUSED = {
    "nothing": (b"", InvalidRequest, "empty_file"),
    "text": (b"hello, this is no audio at all", UnsupportedMedia, "unsupported_media_type"),
    "a picture": (b"\x89PNG\r\n\x1a\n" + bytes(100), UnsupportedMedia, "unsupported_media_type"),
    "an AIFF": (encoded(noise(1.0), "AIFF"), UnsupportedMedia, "unsupported_media_type"),
    "a web page in RIFF": (b"RIFF\x00\x00\x00\x00WEBP" + bytes(100), UnsupportedMedia, "unsupported_media_type"),
    "only a head": (encoded(noise(1.0))[:20], InvalidRequest, "unreadable_audio"),
    "rubbish behind a head": (b"fLaC" + os.urandom(500), InvalidRequest, "unreadable_audio"),
    "no frames": (encoded(np.zeros((0, 1))), InvalidRequest, "too_short"),
    "too long": (SIX_SECONDS, InvalidRequest, "too_long"),
    "a bomb": (BOMB, InvalidRequest, "too_long"),
    "a low rate": (encoded(noise(1.0), rate=4000), InvalidRequest, "bad_rate"),
    "a high rate": (encoded(noise(0.2), rate=384_000), InvalidRequest, "bad_rate"),
    "a crowd": (encoded(noise(0.2, channels=9)), InvalidRequest, "bad_channels"),
    "too many bytes": (b"RIFF\x00\x00\x00\x00WAVE" + bytes(2 << 20), TooLarge, "too_large"),
}


@pytest.mark.parametrize("what", REFUSED)
async def test_what_is_no_audio_of_ours_is_refused_and_nothing_is_left(
    uploads: Uploads, tmp_path: Path, what: str
) -> None:
    data, kind, code = REFUSED[what]
    with pytest.raises(BridgeError) as caught:
        await taken(uploads, data)
    assert (type(caught.value), caught.value.code) == (kind, code)
    assert caught.value.details["field"] == "file"
    assert left_in(tmp_path) == []


async def test_a_header_that_lies_about_its_length_is_found_out(uploads: Uploads) -> None:
    assert len(BOMB) < 1 << 20
    # The 36 bits of "total samples" in STREAMINFO, from bit 108 of it, say 0: unknown.
    lying = bytearray(BOMB)
    lying[21] &= 0xF0
    lying[22:26] = bytes(4)
    with pytest.raises(InvalidRequest) as caught:
        await taken(uploads, bytes(lying))
    assert caught.value.code == "too_long"


async def test_nan_and_infinity_are_silence(uploads: Uploads) -> None:
    samples = noise(1.0).astype(np.float32)
    samples[100:200] = np.nan
    samples[300] = np.inf
    upload = await taken(uploads, encoded(samples, subtype="FLOAT"))
    json.dumps(upload.features, allow_nan=False)
    assert upload.features["duration"] == pytest.approx(1.0)


async def test_silence_has_a_level_and_nothing_else(uploads: Uploads) -> None:
    features = (await taken(uploads, encoded(np.zeros((RATE, 2))))).features
    assert (features["tempo"], features["key"], features["spectrum"], features["timbre"]) == (None,) * 4
    assert features["loudness"]["lufs"] <= -60


async def test_only_what_was_decoded_is_kept(uploads: Uploads, tmp_path: Path) -> None:
    data = encoded(noise(1.0, channels=2)) + b"a secret after the end"
    upload = await taken(uploads, data)
    assert left_in(tmp_path) == [f"{upload.audio_id}.flac", f"{upload.audio_id}.json"]
    kept = (tmp_path / UPLOADS / f"{upload.audio_id}.flac").read_bytes()
    assert kept[:4] == b"fLaC"
    assert b"secret" not in kept
    assert (await Uploads(settings(tmp_path)).get(upload.audio_id)) == upload


@pytest.mark.parametrize("audio_id", ["", "0" * 32, "../jobs", "0" * 31 + "\n", "A" * 32, "x" * 5000])
async def test_an_unknown_id_is_not_found(uploads: Uploads, audio_id: str) -> None:
    with pytest.raises(NotFound):
        await uploads.get(audio_id)


async def test_the_least_recently_used_goes_first_when_the_folder_is_full(tmp_path: Path) -> None:
    uploads = Uploads(settings(tmp_path, uploads_limit_mb=1))
    first, second = [
        await taken(uploads, encoded(noise(8.0) * level, rate=44_100, subtype="FLOAT")) for level in (1.0, 0.9)
    ]
    for age, upload in enumerate((second, first)):
        os.utime(tmp_path / UPLOADS / f"{upload.audio_id}.flac", (1000 + age, 1000 + age))
    third = await taken(uploads, encoded(noise(8.0) * 0.8, rate=44_100, subtype="FLOAT"))
    assert {name.partition(".")[0] for name in left_in(tmp_path)} == {first.audio_id, third.audio_id}
    total = sum(path.stat().st_size for path in (tmp_path / UPLOADS).glob("*.flac"))
    assert total <= 1 << 20


async def test_what_a_killed_server_left_is_removed(tmp_path: Path) -> None:
    left = tmp_path / UPLOADS / "in-abc"
    left.mkdir(parents=True)
    (left / "file").write_bytes(b"RIFF")
    await taken(Uploads(settings(tmp_path)), encoded(noise(1.0)))
    assert not left.exists()


async def test_the_reader_gets_none_of_the_servers_secrets(
    uploads: Uploads, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    spy = tmp_path / "spy"
    spy.write_text(f'#!/bin/sh\nenv > {tmp_path}/seen\nexec {sys.executable} "$@"\n')
    spy.chmod(0o755)
    monkeypatch.setenv("BRIDGE_API_KEY", "very secret")
    monkeypatch.setattr("bridge.exchange.uploads.sys.executable", str(spy))
    await taken(uploads, encoded(noise(1.0)))
    assert "secret" not in (tmp_path / "seen").read_text()


def test_the_reader_is_ended_by_the_kernel_when_it_takes_too_much(tmp_path: Path) -> None:
    script = """
import numpy as np
from bridge.audio.files import reader
reader._limit()
try:
    np.ones(1 << 30)
except MemoryError:
    print("refused")
"""
    done = subprocess.run([sys.executable, "-P", "-c", script], capture_output=True, text=True, check=False)
    assert done.stdout == "refused\n", done.stderr


@pytest.mark.parametrize("bpm", [40.0, 60.0, 66.0, 72.0, 84.0, 120.0, 150.0])
def test_the_tempo_of_clicks_is_found_without_being_told(bpm: float) -> None:
    rate, seconds = 22_050, 12
    wave = np.random.default_rng(2).normal(0, 0.001, rate * seconds).astype(np.float32)
    for beat in range(int(seconds * bpm / 60)):
        at = round(beat * 60 / bpm * rate)
        click = np.random.default_rng(beat % 2).normal(0, 0.5, 600) * np.exp(-np.arange(600) / 80)
        wave[at : at + 600] += click[: len(wave) - at].astype(np.float32)
    tempo = find_tempo(Clip.of(wave, rate))
    assert tempo is not None
    assert tempo.bpm == pytest.approx(bpm, rel=0.01)


def test_noise_has_no_tempo_and_no_key() -> None:
    features = describe(Clip.of(noise(5.0).T, RATE))
    assert (features["tempo"], features["key"]) == (None, None)
    assert features["spectrum"]["flatness"] > 0.4

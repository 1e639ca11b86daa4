"""``sample-bridge similar``: contract E's way, without a server and through one."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.bridge.commands.conftest import Command

OPTIONS = ("--engine", "procedural", "--json")


def test_audio_like_a_file_is_written_with_what_was_measured(command: Command, tmp_path: Path) -> None:
    time = np.arange(3 * 44_100) / 44_100
    soundfile.write(tmp_path / "a.flac", 0.3 * np.sin(2 * np.pi * 220 * time), 44_100)
    told = command("similar", "a.flac", "--duration", "5", "--cfg-coef", "9", "--output", "like.wav", *OPTIONS).json()
    audio, rate = soundfile.read(tmp_path / "like.wav")
    assert (rate, len(audio)) == (32_000, 5 * 32_000)
    written = json.loads((tmp_path / "like.json").read_text())
    assert written["features"] == told["features"]
    assert written["features"]["timbre"]["pitch"] == "a3"
    assert written["embedding"] is None
    assert written["embedding_reason"]


def test_without_a_file_an_example_is_made_first(command: Command, tmp_path: Path) -> None:
    told = command("similar", "--duration", "5", *OPTIONS).json()
    assert told["features"]["duration"] == pytest.approx(8.0)
    assert (tmp_path / "similar.wav").is_file()


def test_a_server_that_has_the_folder_open_is_asked(served: Command, tmp_path: Path) -> None:
    time = np.arange(44_100) / 44_100
    soundfile.write(tmp_path / "a.wav", 0.3 * np.sin(2 * np.pi * 220 * time), 44_100)
    told = served("similar", "a.wav", "--duration", "5", "--prompt", "tone", "--output", "like.wav", "--json").json()
    audio, rate = soundfile.read(tmp_path / "like.wav")
    assert (rate, len(audio)) == (32_000, 5 * 32_000)
    assert (told["engine"], told["features"]["timbre"]["pitch"]) == ("tone", "a3")
    assert told["prompt"].startswith("tone, ")
    assert told["strudel"].startswith('s("gen_')
    assert json.loads((tmp_path / "like.json").read_text())["audio_id"] == told["audio_id"]


def test_a_server_makes_the_example_too_and_its_refusals_are_ours(served: Command, tmp_path: Path) -> None:
    assert served("similar", "--duration", "5", "--json").json()["features"]["duration"] == pytest.approx(8.0)
    (tmp_path / "text.wav").write_text("these are words")
    assert served("similar", "text.wav", "--json").error()["code"] == "unsupported_media_type"


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("nothing.wav",), "no_such_file"),
        (("--duration", "4"), "invalid_request"),
        (("--cfg-coef", "11"), "invalid_request"),
        (("--output", "like.mp3"), "unknown_format"),
        (("--output", "nowhere/like.wav"), "no_such_folder"),
        (("text.wav",), "unsupported_media_type"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(
    command: Command, tmp_path: Path, words: tuple[str, ...], code: str
) -> None:
    (tmp_path / "text.wav").write_text("these are words")
    assert command("similar", *words, *OPTIONS).error()["code"] == code
    assert not (tmp_path / "similar.wav").exists()

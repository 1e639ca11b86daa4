"""`sample-bridge inspect`, on files that the bridge wrote and on strangers'."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from bridge.audio.facts import SampleFacts
from bridge.audio.files import provenance, riff

SUFFIXES = ("wav", "24.wav", "flac", "ogg", "mp3")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One sound of the tone engine in every format, made as the bridge makes it."""
    from bridge.audio.files import codecs, delivery
    from bridge.audio.formats import FORMATS
    from bridge.plugins.clip import Clip

    folder = tmp_path_factory.mktemp("files")
    pcm = codecs.to_pcm(Clip.of(np.random.default_rng(0).uniform(-0.5, 0.5, 4410), 44100))
    facts = {
        "prompt": "dusty break",
        "kind": "loop",
        "bpm": 92.0,
        "key": "fm",
        "seed": 7,
        "engine": "musicgen",
        "model": "facebook/musicgen-small",
        "revision": "1",
        "licence": "CC-BY-NC-4.0",
        "digital_source_type": "trainedAlgorithmicMedia",
        "created_at": "2026-11-20T11:27:36Z",
        "measures": {"peak_dbfs": -1.0},
        "flags": ["off_grid"],
        "decisions": ["stretched by 1.01"],
        "spec": {"guidance": 3.0},
    }
    sample = delivery.Described(codecs.sample_id(pcm, 44100), 44100, 1, 4410, SampleFacts.of(facts))
    codecs.write_master(folder / "master.wav", pcm, 44100)
    found = {}
    for name, form in FORMATS.items():
        found[form.suffix] = folder / f"break.{form.suffix}"
        found[form.suffix].write_bytes(delivery.FileMaker().deliver(folder / "master.wav", name, sample))
    return found


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_file_alone_tells_how_it_was_made(command, files, suffix: str) -> None:
    ended = command("inspect", str(files[suffix]))
    assert ended.code == 0, ended
    for text in ("musicgen, facebook/musicgen-small", "CC-BY-NC-4.0 (no commercial use)", "trainedAlgorithmicMedia",
                 "dusty break", "0.100 s, 44100 Hz", "bpm 92", "peak_dbfs -1", "guidance 3", "off_grid",
                 "stretched by 1.01", "2026-11-20T11:27:36Z"):  # fmt: skip
        assert text in ended.out, text
    assert ("bit by bit" in ended.out) == (suffix in ("24.wav", "flac"))


def test_json_has_the_whole_document_of_every_file(command, files) -> None:
    ended = command("inspect", "--json", *(str(path) for path in files.values()))
    found = ended.json()["files"]
    assert [each["format"] for each in found] == ["WAV", "WAV", "FLAC", "Ogg Vorbis", "MP3"]
    assert all(each["provenance"] == found[0]["provenance"] for each in found)
    assert found[0]["provenance"]["schema"] == provenance.SCHEMA
    assert [each["unchanged"] for each in found] == [None, True, True, None, None]


def test_audio_that_was_changed_is_told(command, files, tmp_path: Path) -> None:
    pcm, rate = soundfile.read(files["24.wav"], dtype="int32")
    stream = io.BytesIO()
    soundfile.write(stream, pcm[::-1], rate, subtype="PCM_24", format="WAV")
    kept = riff.chunks(files["24.wav"].read_bytes(), behind=44)
    (tmp_path / "reversed.wav").write_bytes(riff.with_chunks(stream.getvalue(), kept))
    ended = command("inspect", "reversed.wav")
    assert ended.code == 0
    assert "changed since" in ended.out


def test_a_file_that_says_nothing_is_told_honestly(command, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "own.wav", np.zeros(100), 8000)
    (tmp_path / "text.txt").write_text("no sound at all")
    (tmp_path / "empty.wav").touch()
    for name in ("own.wav", "text.txt", "empty.wav"):
        ended = command("inspect", name)
        assert ended.code == 1
        assert "It says nothing about how it was made" in ended.out
    found = command("inspect", "--json", "own.wav", "text.txt").json()["files"]
    assert [(each["format"], each["provenance"]) for each in found] == [("WAV", None), (None, None)]


def test_a_file_that_is_not_there_is_an_error(command, tmp_path: Path) -> None:
    for name in ("missing.wav", str(tmp_path)):
        assert command("inspect", "--json", name).error()["code"] == "no_such_file"
    assert command("inspect").code == 2


@pytest.mark.parametrize(
    "document",
    [
        {"prompt": "\x1b[2J\x07", "engine": "none", "flags": 7, "music": [], "measures": None, "seed": {"a": 1}},
        {"engine": {"name": ["\x1b"]}, "prompt": {"x": 1}, "flags": [[1]], "made_by": None},
    ],
)
def test_a_strangers_document_steers_no_terminal_and_breaks_nothing(command, files, tmp_path: Path, document) -> None:
    text = json.dumps({"schema": provenance.SCHEMA, **document})
    plain = files["wav"].read_bytes()
    (tmp_path / "odd.wav").write_bytes(riff.with_chunks(plain, [riff.info({"ICMT": text})]))
    ended = command("inspect", "odd.wav")
    assert ended.code == 0, ended
    assert not any(ord(letter) < 32 and letter != "\n" for letter in ended.out)


@pytest.mark.skipif(sys.platform != "linux", reason="looks into the process")
def test_a_file_larger_than_the_memory_is_read_where_it_says_something(command, files, tmp_path: Path) -> None:
    """Sparse: 20 GB of silence as other programs write it, with chunks that cannot be trusted."""
    path = tmp_path / "long.wav"
    path.write_bytes(files["wav"].read_bytes())
    with path.open("r+b") as file:
        file.truncate(20 * 2**30)
    assert command("inspect", "long.wav").code in (0, 1)

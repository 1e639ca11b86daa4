"""`sample-bridge forget`, with a running server and without: nothing of the words is left on the disk."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import soundfile

from bridge.audio.files import tags
from cache import SampleStore
from tests.bridge.commands.conftest import Server, serving

WORDS = "tone 300 hz zartbitter"
WORD = "zartbitter"


def traces(data: Path, word: str = WORD) -> list[str]:
    """Files of the data folder that hold the word, as a name or in the clear."""
    return [str(file) for file in data.rglob("*") if file.is_file() and word.encode() in file.read_bytes().lower()]


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Server]:
    with serving(tmp_path / "data") as server:
        yield server


def fetch(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=30) as answer:
        return bytes(answer.read())


def facts(server: Server, name: str) -> dict:
    return json.loads(fetch(f"{server.url}/sounds/{name}?format=json"))["samples"][0]


def test_a_sounds_words_are_gone_and_it_plays_on(command, tmp_path: Path) -> None:
    made = command("generate", WORDS, "--name", "sweet", "--output", "before.24.wav", "--json")
    assert made.code == 0, made
    command("generate", "tone 200 hz other words", "--name", "other")
    assert traces(tmp_path / "data")
    ended = command("forget", "sweet")
    assert (ended.code, ended.err) == (0, "")
    assert "the words of 1 sound." in ended.out
    assert traces(tmp_path / "data") == []
    assert traces(tmp_path / "data", "other words")
    with SampleStore.open(tmp_path / "data") as store:
        assert store.verify() == {}
        assert store.sound("sweet").facts["prompt"] == ""
    again = command("generate", WORDS, "--name", "sweet", "--output", "after.24.wav", "--json")
    assert again.json()["sounds"][0]["cached"], "the same words are still answered by the kept sound"
    before, after = ((tmp_path / name).read_bytes() for name in ("before.24.wav", "after.24.wav"))
    assert (tags.read(before)[1]["prompt"], tags.read(after)[1]["prompt"]) == (WORDS, "")


def test_the_file_in_hand_keeps_its_words_and_the_sound_its_audio(command, tmp_path: Path) -> None:
    command("generate", WORDS, "--name", "sweet", "--output", "before.flac")
    command("forget", "--prompts")
    command("generate", WORDS, "--name", "sweet", "--output", "after.flac")
    before, after = (soundfile.read(tmp_path / name, dtype="int32")[0] for name in ("before.flac", "after.flac"))
    assert before.tobytes() == after.tobytes()


def test_a_running_server_forgets_in_files_lists_and_tasks(command, running: Server) -> None:
    made = command("generate", WORDS, "--name", "sweet", "--json").json()["sounds"][0]
    url = f"{running.url}/samples/{made['sample_id']}.wav"
    assert tags.read(fetch(url))[1]["prompt"] == WORDS
    ended = command("forget", "sweet", "--json")
    assert ended.json() == {"sounds": ["sweet"]}
    assert traces(running.data) == []
    assert tags.read(fetch(url))[1]["prompt"] == "", "made again, without"
    slot = facts(running, "sweet")
    assert (slot["facts"]["prompt"], slot["facts"]["spec"]["prompt"], slot["provenance"]["prompt"]) == ("", "", "")
    assert WORD not in fetch(f"{running.url}/sounds").decode()
    assert json.loads(fetch(f"{running.url}/sounds?q={WORD}"))["sounds"] == []
    assert traces(running.data) == [], "and nothing brings them back"


def test_names_go_too_where_that_is_asked_for(command, running: Server) -> None:
    command("generate", WORDS)
    command("generate", f"tone 100 hz {WORD} second")
    names = set(json.loads(fetch(f"{running.url}/strudel.json")))
    assert any(WORD in name for name in names)
    assert command("forget", "--all", "--json").error()["code"] == "not_confirmed"
    ended = command("forget", "--all", "--yes", "--json")
    assert len(ended.json()["sounds"]) == 2
    after = json.loads(fetch(f"{running.url}/strudel.json"))
    assert set(after) == set(ended.json()["sounds"])
    assert not any(WORD in name for name in after)
    assert traces(running.data) == []
    for urls in after.values():
        url = next(iter(urls.values() if isinstance(urls, dict) else urls))
        assert tags.read(fetch(running.url + url))[1]["prompt"] == ""


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ((), "usage"),
        (("a", "--prompts"), "usage"),
        (("--prompts", "--all"), "usage"),
        (("nobody",), "unknown_sound"),
        (("--nonsense",), "usage"),
    ],
)
def test_what_makes_no_sense_is_an_error(command, words: tuple[str, ...], code: str) -> None:
    assert command("forget", "--json", *words).error()["code"] == code


def test_an_empty_library_has_nothing_to_forget(command) -> None:
    assert "the words of 0 sounds." in command("forget", "--prompts").out

"""``sample-bridge generate``, with the server that has the data folder and without one."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path

import pytest
import soundfile

from bridge import cli
from tests.bridge.commands.conftest import Command, Server, serving


def test_a_sound_is_made_without_a_server_and_is_there_when_one_starts(command: Command, tmp_path: Path) -> None:
    made = command("generate", "tone 440 hz", "--engine", "tone", "--duration", "0.5", "--output", "a.flac")
    assert made.code == 0, made
    rows = dict(line.split(maxsplit=1) for line in made.out.splitlines())
    assert rows == {
        "name": "gen_tone_440_hz, n 0",
        "sound": "pitched, 0.500 s",
        "engine": "tone",
        "licence": "CC0-1.0",
        "file": "a.flac",
        "paste": 'note("a4").s("gen_tone_440_hz")',
    }
    audio, rate = soundfile.read(tmp_path / "a.flac")
    assert len(audio) == rate / 2
    assert not list(tmp_path.glob(".*"))  # nothing half written is left
    with (
        serving(tmp_path / "data") as server,
        urllib.request.urlopen(urllib.request.Request(server.url + "/strudel.json")) as answer,
    ):
        assert "gen_tone_440_hz" in json.load(answer)


def test_a_running_server_makes_the_sound_and_keeps_it(served: Command, server: Server) -> None:
    first = served("generate", "tone 550 hz", "--duration", "0.3", "--json").json()["sounds"]
    again = served("generate", "tone 550 hz", "--duration", "0.3", "--json").json()["sounds"]
    assert [sound["cached"] for sound in first + again] == [False, True]
    assert {(sound["name"], sound["n"]) for sound in first + again} == {("gen_tone_550_hz", 0)}
    assert first[0]["seconds"] == pytest.approx(0.3, abs=1e-4)
    with urllib.request.urlopen(server.url + "/strudel.json") as answer:
        assert json.load(answer)["gen_tone_550_hz"] == {"cs5": f"/samples/{first[0]['sample_id']}.wav"}


def test_what_is_said_with_and_without_a_server_is_the_same(served: Command, command: Command) -> None:
    words = ("generate", "tone 660 hz", "--bars", "1", "--bpm", "170", "--key", "C minor", "--engine", "tone", "--json")
    assert served(*words).json() == command(*words).json()


def test_each_variation_is_a_slot_and_a_file(served: Command, tmp_path: Path) -> None:
    ended = served("generate", "tone 770 hz", "--variations", "3", "--name", "hit", "--output", "hit.ogg", "--json")
    sounds = ended.json()["sounds"]
    assert [(sound["name"], sound["n"], sound["file"]) for sound in sounds] == [
        ("hit", 0, "hit.ogg"),
        ("hit", 1, "hit_2.ogg"),
        ("hit", 2, "hit_3.ogg"),
    ]
    assert len({sound["seed"] for sound in sounds}) == 3
    assert sorted(path.name for path in tmp_path.glob("*.ogg")) == ["hit.ogg", "hit_2.ogg", "hit_3.ogg"]


def test_fresh_makes_another_of_the_same_words(served: Command) -> None:
    words = ("generate", "tone 880 hz", "--name", "another", "--json")
    first, second = (served(*words, *more).json()["sounds"][0] for more in ((), ("--fresh",)))
    assert (first["n"], second["n"], second["cached"]) == (0, 1, False)


def test_an_engine_that_fails_is_told_in_its_own_words_both_ways(served: Command, command: Command) -> None:
    words = ("generate", "tone fail", "--engine", "tone")
    for ended in (served(*words), command(*words)):
        assert (ended.code, ended.out) == (2, "")
        assert ended.err == "sample-bridge: The tone engine was asked to fail. [engine_failed]\n"
    assert served(*words, "--json").error()["code"] == "engine_failed"


def test_the_servers_user_needs_no_key_and_whoever_lacks_its_file_takes_that_of_the_settings(
    command: Command, tmp_path: Path
) -> None:
    with serving(tmp_path / "data", BRIDGE_API_KEY="right key"):
        assert command("generate", "tone 300 hz", BRIDGE_API_KEY="wrong key").code == 0
        announced = tmp_path / "data" / "server.json"
        document = json.loads(announced.read_text())
        announced.write_text(json.dumps(document | {"key": ""}))
        wrong = command("generate", "tone 300 hz", "--json", BRIDGE_API_KEY="wrong key")
        assert wrong.error()["code"] == "key_required"
        assert command("generate", "tone 300 hz", BRIDGE_API_KEY="right key").code == 0
        assert command("batch", "-", stdin="tone 310 hz", BRIDGE_API_KEY="right key").code == 0


def test_a_server_that_was_killed_is_no_obstacle(command: Command, tmp_path: Path) -> None:
    with serving(tmp_path / "data") as server:
        server.process.kill()
        server.process.wait()
        assert (tmp_path / "data" / "server.json").exists()
        assert command("generate", "tone 300 hz", "--engine", "tone").code == 0


def test_progress_of_a_long_sound_is_told_in_lines(served: Command) -> None:
    ended = served("generate", "slow tone", "--duration", "2", "--fresh")
    assert ended.code == 0
    lines = ended.err.splitlines()
    assert lines
    assert all(line.startswith("slow tone: ") and " %" not in line and "%" in line for line in lines)
    silent = served("generate", "slow tone", "--duration", "1", "--fresh", "--json")
    assert silent.err == ""


BAD = {
    "empty": ([""], "invalid_request"),
    "blank": (["   "], "invalid_request"),
    "over-long": (["a" * 501], "invalid_request"),
    "control characters": (["a\x07b"], "invalid_request"),
    "nothing": ([], "usage"),
    "zero": (["kick", "--duration", "0"], "invalid_request"),
    "negative": (["kick", "--duration", "-1"], "invalid_request"),
    "no number": (["kick", "--duration", "nan"], "invalid_request"),
    "too long": (["kick", "--duration", "121"], "invalid_request"),
    "no duration": (["kick", "--duration", "long"], "usage"),
    "key": (["kick", "--key", "H"], "invalid_request"),
    "kind": (["kick", "--kind", "thud"], "invalid_request"),
    "bars": (["kick", "--bars", "65"], "invalid_request"),
    "bpm": (["kick", "--bpm", "1000"], "invalid_request"),
    "seed": (["kick", "--seed", "-1"], "invalid_request"),
    "quality": (["kick", "--quality-mode", "best"], "invalid_request"),
    "name": (["kick", "--name", "no good!"], "invalid_request"),
    "variations": (["kick", "--variations", "0"], "invalid_request"),
    "engine": (["kick", "--engine", "no_such"], "unknown_engine"),
    "engine's name": (["kick", "--engine", "../x"], "invalid_request"),
    "format": (["kick", "--output", "kick.aiff"], "unknown_format"),
    "no format": (["kick", "--output", "kick"], "unknown_format"),
    "folder": (["kick", "--output", "no/such/folder/kick.wav"], "no_such_folder"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_sentence_with_a_code(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words, code = BAD[case]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BRIDGE_DATA_DIR", str(tmp_path / "data"))
    assert cli.main(["generate", *words, "--json"]) == 2
    said = capsys.readouterr()
    assert said.err == ""
    assert json.loads(said.out)["error"]["code"] == code
    assert cli.main(["generate", *words]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("sample-bridge: ")
    assert said.err.endswith(f"[{code}]\n")
    assert said.err.count("\n") == 1


def test_a_file_in_the_way_is_found_before_any_work(command: Command, tmp_path: Path) -> None:
    (tmp_path / "folder.wav").mkdir()
    assert command("generate", "kick", "--output", "folder.wav", "--json").error()["code"] == "output_failed"
    (tmp_path / "file").touch()
    assert command("generate", "kick", "--output", "file/a.wav", "--json").error()["code"] == "no_such_folder"
    assert not (tmp_path / "data").exists()

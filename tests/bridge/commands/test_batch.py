"""``sample-bridge batch``."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import subprocess
import urllib.request
from pathlib import Path

import pytest

from bridge.client.wishes import read_wish
from bridge.commands import batch
from bridge.commands._batch_report import Report, Tally
from bridge.settings import Settings
from prompts import common_stems, example_prompts
from tests.bridge.commands.conftest import PROGRAM, SECONDS, Command, clean_environment, serving

LINES = """\
# tones
tone 300 hz

  tone 400 hz  \r
tone fail
%s
tone 500 hz, in F# minor
""" % ("a" * 501)


def test_a_line_that_fails_does_not_stop_the_others(command: Command, tmp_path: Path) -> None:
    (tmp_path / "lines.txt").write_text(LINES, newline="")
    ended = command("batch", "lines.txt", "--engine", "tone")
    assert ended.code == 1
    assert sorted(re.findall(r's\("(\w+)"\)', ended.out)) == [
        "gen_tone_300_hz",
        "gen_tone_400_hz",
        "gen_tone_500_hz_in_f_sharp_minor",
    ]
    *failed, summary = ended.err.splitlines()
    assert len(failed) == 2
    assert any("line 6: aaa" in line and line.endswith("[invalid_request]") for line in failed)
    assert any("tone fail: The tone engine was asked to fail. [engine_failed]" in line for line in failed)
    assert summary.startswith("3 made, 0 kept already, 2 failed, in ")


def test_the_same_batch_again_makes_only_what_is_missing(command: Command, tmp_path: Path) -> None:
    (tmp_path / "lines.txt").write_text("tone 300 hz\ntone 400 hz\n")
    (tmp_path / "out").mkdir()
    words = ("batch", "lines.txt", "--engine", "tone", "--output-dir", "out", "--format", "flac", "--json")
    first = command(*words).json()
    assert [sound["cached"] for sound in first["sounds"]] == [False, False]
    (tmp_path / "lines.txt").write_text("tone 300 hz\ntone 400 hz\ntone fail\ntone 600 hz\n")
    second = command(*words)
    assert (second.code, second.err) == (1, "")
    made = {sound["name"]: sound["cached"] for sound in second.json()["sounds"]}
    assert made == {"gen_tone_300_hz": True, "gen_tone_400_hz": True, "gen_tone_600_hz": False}
    assert [failure["prompt"] for failure in second.json()["failed"]] == ["tone fail"]
    assert {path.name for path in (tmp_path / "out").iterdir()} == {f"{name}_0.flac" for name in made}


def test_a_batch_through_a_server_fills_its_library(served: Command, tmp_path: Path) -> None:
    (tmp_path / "lines.txt").write_text("".join(f"tone {number} hz\n" for number in range(1000, 1012)))
    ended = served("batch", "lines.txt", "--duration", "0.2", "--variations", "2", "--json")
    sounds = ended.json()["sounds"]
    assert ended.code == 0
    assert sorted({sound["name"] for sound in sounds}) == [f"gen_tone_{number}_hz" for number in range(1000, 1012)]
    assert len(sounds) == 24
    assert {round(sound["seconds"], 3) for sound in sounds} == {0.2}


def test_a_player_goes_before_a_batch_that_waits(tmp_path: Path) -> None:
    (tmp_path / "lines.txt").write_text("".join(f"slow tone {number} hz\n" for number in range(100, 108)))
    with serving(tmp_path / "data", BRIDGE_MAX_CONCURRENT_JOBS="1") as server:
        environment = clean_environment(BRIDGE_DATA_DIR=str(server.data))
        process = subprocess.Popen([*PROGRAM, "batch", "lines.txt", "--duration", "0.5"], cwd=tmp_path, text=True,
                                   env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)  # fmt: skip
        assert process.stdout is not None
        process.stdout.readline()  # all eight have been asked for, one is made
        body = json.dumps({"prompt": "tone 999 hz", "name": "players"}).encode()
        asked = urllib.request.Request(server.url + "/generate", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(asked) as answer:
            assert answer.status == 200
        process.communicate(timeout=SECONDS)
        assert process.returncode == 0
        with urllib.request.urlopen(server.url + "/sounds") as answer:
            newest_first = [sound["name"] for sound in json.load(answer)["sounds"]]
    assert len(newest_first) == 9
    assert newest_first.index("players") >= 4


def test_without_a_file_the_common_stems_and_examples_are_made_under_their_names(command: Command) -> None:
    ended = command("batch", "--engine", "tone", "--json")
    assert ended.code == 0, ended
    names = [sound["name"] for sound in ended.json()["sounds"]]
    assert len(names) == len(common_stems()) + len(example_prompts())
    assert {stem.sound for stem in common_stems()} <= set(names)


def test_a_server_that_is_full_is_waited_for(command: Command, tmp_path: Path) -> None:
    (tmp_path / "lines.txt").write_text("".join(f"slow tone {number} hz\n" for number in range(100, 108)))
    with serving(tmp_path / "data", BRIDGE_MAX_QUEUE="1", BRIDGE_MAX_CONCURRENT_JOBS="3"):
        ended = command("batch", "lines.txt", "--duration", "0.1", "--json")
    assert (ended.code, len(ended.json()["sounds"])) == (0, 8), ended


def test_what_fails_for_every_line_ends_the_batch(command: Command, served: Command, tmp_path: Path) -> None:
    (tmp_path / "lines.txt").write_text("tone 300 hz\n" * 50)
    for run in (command, served):
        ended = run("batch", "lines.txt", "--engine", "no_such")
        assert ended.code == 2
        assert "[unknown_engine]" in ended.err
        assert len(ended.err.splitlines()) == 2  # the count, and why


def test_a_server_that_goes_away_ends_the_batch(command: Command, tmp_path: Path) -> None:
    (tmp_path / "lines.txt").write_text("tone 300 hz\nslow tone, 60 seconds\n")
    with serving(tmp_path / "data") as server:
        environment = clean_environment(BRIDGE_DATA_DIR=str(server.data))
        process = subprocess.Popen([*PROGRAM, "batch", "lines.txt", "--duration", "60"], cwd=tmp_path, env=environment,
                                   text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)  # fmt: skip
        assert process.stdout is not None
        assert "gen_tone_300_hz" in process.stdout.readline()
        server.process.kill()
        _, err = process.communicate(timeout=SECONDS)
    assert process.returncode == 2
    assert err.splitlines()[-1].endswith("what was made is kept. [server_lost]")
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("content", "code"),
    [(None, "no_such_file"), (b"# nothing\n\n", "nothing_to_make"), (b"kick\nsn\xffare\n", "not_text")],
)
def test_a_file_that_gives_nothing_is_refused(
    command: Command, tmp_path: Path, content: bytes | None, code: str
) -> None:
    if content is not None:
        (tmp_path / "lines.txt").write_bytes(content)
    error = command("batch", "lines.txt", "--json").error()
    assert error["code"] == code
    assert "lines.txt" in error["message"]
    if code == "not_text":
        assert "line 2" in error["message"]


def test_a_missing_output_folder_is_refused_before_any_work(command: Command, tmp_path: Path) -> None:
    ended = command("batch", "-", "--output-dir", "nowhere", "--json", stdin="kick\n")
    assert ended.error()["code"] == "no_such_folder"
    assert not (tmp_path / "data").exists()


def test_ctrl_c_leaves_nothing_broken_and_the_same_command_goes_on(command: Command, tmp_path: Path) -> None:
    (tmp_path / "lines.txt").write_text("tone 300 hz\n" + "slow tone, 60 seconds\n")
    environment = clean_environment(BRIDGE_DATA_DIR=str(tmp_path / "data"))
    words = ("batch", "lines.txt", "--engine", "tone")
    process = subprocess.Popen([*PROGRAM, *words, "--duration", "60"], cwd=tmp_path, env=environment, text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)  # fmt: skip
    assert process.stdout is not None
    assert "gen_tone_300_hz" in process.stdout.readline()
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does it: to the engine's process, too
    _, err = process.communicate(timeout=SECONDS)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert err.splitlines()[-1].startswith("1 made, 0 kept already, 0 failed, in ")
    assert "1 not done" in err
    assert not list((tmp_path / "data" / "incoming").iterdir())
    (tmp_path / "lines.txt").write_text("tone 300 hz\n")
    again = command(*words, "--duration", "60", "--json").json()
    assert [sound["cached"] for sound in again["sounds"]] == [True]


async def test_no_more_lines_are_asked_for_at_a_time_than_the_batch_size(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, most = 0, 0

    class Counting:
        async def make(self, *_: object, **__: object) -> list[object]:
            nonlocal asked, most
            asked += 1
            most = max(most, asked)
            await asyncio.sleep(0)
            asked -= 1
            return []

    @contextlib.asynccontextmanager
    async def open_counting(_: object):
        yield Counting()

    monkeypatch.setattr(batch, "open_maker", open_counting)
    lines = [read_wish({"prompt": f"tone {number} hz"}) for number in range(300, 312)]
    tally = Tally(len(lines))
    await batch._make_all(Settings(), lines, tally, Report(tally, quiet=True), None, "wav", 3)
    assert (most, tally.made) == (3, 12)

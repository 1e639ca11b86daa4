"""`sample-bridge doctor`, in several states of a machine."""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from bridge.commands import doctor
from bridge.engines import registry
from cache import SampleStore


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of its own, without weights and without network; torch is asked in a test of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("BRIDGE_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setattr(doctor, "_ASK_TORCH", 'print(\'{"cuda": false, "name": null}\')')
    return tmp_path


needs_entry_points = pytest.mark.skipif(not registry.names(), reason="sample-bridge is not installed: run make install")
needs_musicgen = pytest.mark.skipif(
    importlib.util.find_spec("huggingface_hub") is None, reason="the musicgen extra is not installed"
)


def run(*words: str) -> int:
    parser = argparse.ArgumentParser()
    doctor.add_parser(parser.add_subparsers())
    return doctor.run(parser.parse_args(["doctor", *words]))


def report(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, dict[str, Any]]:
    code = run("--json", *words)
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    return code, document


@needs_entry_points
def test_a_sound_machine_ends_with_what_to_type(machine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run() == 0
    text = capsys.readouterr().out
    for word in ("Python 3.", "aiohttp 3.", "procedural", "MusicGen weights", "MiB free", "Type next:"):
        assert word in text
    assert f"sample-bridge serve --data-dir {machine / 'data'}" in text.partition("Type next:")[2]
    assert not (machine / "data").exists()  # looking makes nothing


@needs_entry_points
def test_our_engines_are_listed_and_procedural_is_always_available(capsys: pytest.CaptureFixture[str]) -> None:
    code, document = report(capsys)
    engines = {engine["name"]: engine for engine in document["engines"]}
    assert code == 0
    assert {"procedural", "musicgen"} <= set(engines)
    assert engines["procedural"]["available"]
    assert document["engine"]["name"] == "procedural"


def test_the_data_folder_tells_its_state(machine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert report(capsys)[1]["data"]["state"] == "new"
    store = SampleStore.open(machine / "data")
    (machine / "data" / "server.json").write_text('{"url": "http://127.0.0.1:5999"}')
    _, document = report(capsys)
    assert (document["data"]["state"], document["data"]["process"]) == ("in use", os.getpid())
    assert "sample-bridge check http://127.0.0.1:5999" in document["next"]
    store.close()
    _, document = report(capsys)
    assert (document["data"]["state"], document["data"]["sounds"]) == ("ready", 0)


@pytest.mark.parametrize(
    ("format_json", "state"), [('{"version": 999}', "format_too_new"), ("not json", "store_damaged")]
)
def test_a_data_folder_that_cannot_be_used_is_a_problem(
    machine: Path, capsys: pytest.CaptureFixture[str], format_json: str, state: str
) -> None:
    (machine / "data").mkdir()
    (machine / "data" / "format.json").write_text(format_json)
    code, document = report(capsys)
    assert (code, document["data"]["state"]) == (1, state)
    assert f"sample-bridge doctor --data --data-dir {machine / 'data'}" in document["next"]
    assert any(str(machine / "data") in problem for problem in document["problems"])
    assert not any(each.startswith("sample-bridge serve") for each in document["next"])


def test_a_file_in_the_place_of_the_data_folder_is_a_problem(machine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (machine / "data").write_text("a file")
    code, document = report(capsys)
    assert (code, document["data"]["state"]) == (1, "not writable")


def test_too_little_room_is_a_problem(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_LEAST_FREE_MB", 2**60)
    code, document = report(capsys)
    assert code == 1
    assert any("make room" in problem for problem in document["problems"])


@pytest.mark.parametrize(
    ("toml", "word"), [("prot = 1", "did you mean port?"), ("port = 'x'", "port"), ("port =", "bridge.toml")]
)
def test_wrong_settings_are_a_problem_and_the_rest_is_still_looked_at(
    machine: Path, capsys: pytest.CaptureFixture[str], toml: str, word: str
) -> None:
    (machine / "bridge.toml").write_text(toml)
    code, document = report(capsys)
    assert code == 1
    assert word in document["problems"][0]
    assert document["packages"]["aiohttp"]


@needs_entry_points
def test_an_engine_that_is_set_but_not_there_is_a_problem(capsys: pytest.CaptureFixture[str]) -> None:
    code, document = report(capsys, "--engine", "thereminvox")
    assert code == 1
    assert any("thereminvox" in problem and "procedural" in problem for problem in document["problems"])


def test_a_missing_package_is_a_problem(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "NEEDED", (*doctor.NEEDED, "no-such-package"))
    code, document = report(capsys)
    assert (code, document["packages"]["no-such-package"]) == (1, None)
    assert any("no-such-package" in problem for problem in document["problems"])


@pytest.mark.parametrize(
    ("program", "why"),
    [
        ("raise SystemExit('driver too old')", "driver too old"),
        ("import os; os.kill(os.getpid(), 9)", "exit code -9"),
        ("print('nonsense')", "torch does not start"),
        ("import time; time.sleep(600)", "did not answer"),
    ],
)
def test_a_torch_that_breaks_or_hangs_is_a_finding(monkeypatch: pytest.MonkeyPatch, program: str, why: str) -> None:
    monkeypatch.setattr(doctor, "_ASK_TORCH", program)
    monkeypatch.setattr(doctor, "_TORCH_SECONDS", 0.5 if "sleep" in program else 30)
    found = doctor._device("2.13.0")
    assert (found["cuda"], found["name"]) == (False, None)
    assert why in found["why"]


def test_without_torch_nothing_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor.subprocess, "run", None)
    assert doctor._device(None)["why"] == "torch is not installed"


@needs_entry_points
@needs_musicgen
def test_weights_that_lack_are_offered_for_download(capsys: pytest.CaptureFixture[str]) -> None:
    _, document = report(capsys)
    small = next(weights for weights in document["weights"] if weights["model"] == "small")
    assert (small["on_disk"], small["licence"]) == (False, "CC-BY-NC-4.0")
    assert "sample-bridge doctor --download small" in document["next"]
    _, document = report(capsys, "--model", "large")
    assert "sample-bridge doctor --download large" in document["next"]
    _, document = report(capsys, "--model", "./no_such_folder")
    assert not any("--download" in step for step in document["next"])


@needs_musicgen
def test_a_download_without_network_says_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--download", "thereminvox") == 1
    assert "small" in capsys.readouterr().err


@pytest.mark.parametrize("live", [False, True])
def test_a_download_shows_its_progress(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, live: bool
) -> None:
    monkeypatch.setattr(doctor.sys.stdout, "isatty", lambda: live, raising=False)
    show = doctor._meter()
    for done in range(0, 2001, 10):
        show(done * 10**6, 2000 * 10**6)
    out = capsys.readouterr().out
    assert out.count("\r" if live else "\n") == (101 if live else 11)
    assert out.endswith("100 % of 2000 MB\n")


@pytest.mark.torch
def test_measuring_loads_the_model_and_keeps_how_fast_it_is(
    machine: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch")
    from tests.tiny_musicgen import build_tiny_musicgen

    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    folder = build_tiny_musicgen(machine / "tiny")
    assert "not measured yet" in _said(capsys, "--model", str(folder))
    said = _said(capsys, "--measure", "--model", str(folder))
    assert re.search(r"MusicGen makes \d+\.\d s of audio per second here \(cpu, int8, ", said)
    assert said.splitlines()[-1].rstrip(".") in _said(capsys, "--model", str(folder))


def test_what_cannot_be_measured_is_a_sentence(machine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--measure", "--model", str(machine / "nowhere")) == 1
    assert capsys.readouterr().err.startswith("! ")


def _said(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert run(*words) == 0
    return capsys.readouterr().out

"""`sample-bridge settings`, as a person runs it."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import pytest

from bridge.commands import settings
from bridge.errors import StartupError
from bridge.settings import FIELDS


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*words: str) -> int:
    parser = argparse.ArgumentParser()
    settings.add_parser(parser.add_subparsers())
    return settings.run(parser.parse_args(["settings", *words]))


def test_every_setting_is_printed_with_its_source(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / ".env").write_text("MUSICGEN_PORT=7001\nBRIDGE_API_KEY=geheim\nBRIDGE_ALLOWED_HOSTS=a,b\n")
    assert run("--engine", "tone") == 0
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines() if line}
    assert list(lines) == list(FIELDS)
    assert "7001" in lines["port"]
    assert lines["port"].endswith("MUSICGEN_PORT (.env)")
    assert lines["engine"].endswith("argument")
    assert lines["host"].endswith("default")
    assert "a, b" in lines["allowed_hosts"]
    assert "geheim" not in "".join(lines.values())
    assert "(secret, set)" in lines["api_key"]


def test_json_has_the_same_and_names_unknown_variables(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BRIDGE_ENGIN", "tone")
    monkeypatch.setenv("BRIDGE_API_KEY", "geheim")
    assert run("--json", "--data-dir", str(folder / "sounds")) == 0
    text = capsys.readouterr().out
    document: dict[str, Any] = json.loads(text)
    assert document["settings"]["data_dir"] == {"value": str(folder / "sounds"), "source": "argument"}
    assert {"name": "BRIDGE_ENGIN", "nearest": "BRIDGE_ENGINE"} in document["unknown"]
    assert "geheim" not in text


def test_unknown_variables_are_named_at_the_end(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BRIDGE_ENGIN", "tone")
    assert run() == 0
    assert "! BRIDGE_ENGIN (environment) is not a setting" in capsys.readouterr().out


def test_a_wrong_settings_file_is_left_to_the_command_line_to_report(folder: Path) -> None:
    (folder / "stage.toml").write_text("prot = 1\n")
    with pytest.raises(StartupError, match="did you mean port"):
        run("--config", "stage.toml")

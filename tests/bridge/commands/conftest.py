"""Real processes for the tests of commands: ``sample-bridge`` itself, and a server to talk to."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

PROGRAM = (sys.executable, "-P", "-m", "bridge")
SECONDS = 100.0


def clean_environment(**more: str) -> dict[str, str]:
    """The environment without anybody's settings, and with Python's own buffering."""
    from bridge.compat import ALIASES

    strangers = {alias.variable for aliases in ALIASES.values() for alias in aliases} | {"PYTHONUNBUFFERED"}
    kept = {name: os.environ[name] for name in os.environ if not name.startswith("BRIDGE_") and name not in strangers}
    return kept | more


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        return json.loads(self.out)

    def error(self) -> dict[str, str]:
        """Its error as programs get it: one line of JSON, exit code 2, nothing else."""
        assert self.code == 2, self
        assert self.err == ""
        document = json.loads(self.out)
        assert list(document) == ["error"]
        assert list(document["error"]) == ["code", "message"]
        error: dict[str, str] = document["error"]
        return error


Command = Callable[..., Ended]


@pytest.fixture
def command(tmp_path: Path) -> Command:
    """Run ``sample-bridge WORDS`` in an empty folder, with ``./data`` as the data folder."""

    def run(*words: str, stdin: str = "", **variables: str) -> Ended:
        environment = clean_environment(BRIDGE_DATA_DIR=str(tmp_path / "data"), **variables)
        ended = subprocess.run([*PROGRAM, *words], cwd=tmp_path, env=environment, input=stdin, capture_output=True,
                               text=True, timeout=SECONDS, check=False)  # fmt: skip
        assert "Traceback" not in ended.stderr, ended.stderr
        return Ended(ended.returncode, ended.stdout, ended.stderr)

    return run


@pytest.fixture
def typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """The same in this process, which is quicker."""
    from bridge.cli import main

    for name in set(os.environ) - set(clean_environment()):
        monkeypatch.delenv(name)
    monkeypatch.setenv("BRIDGE_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> Ended:
        capsys.readouterr()
        code = main(words)
        shown = capsys.readouterr()
        return Ended(code, shown.out, shown.err)

    return run


@dataclass(frozen=True)
class Server:
    """A running server."""

    url: str
    data: Path
    process: subprocess.Popen[str]


@contextlib.contextmanager
def serving(data: Path, *words: str, **variables: str) -> Iterator[Server]:
    """Run ``sample-bridge serve`` on a free port with the tone engine, until the block ends."""
    environment = clean_environment(BRIDGE_DATA_DIR=str(data), BRIDGE_LOG_FORMAT="json", **variables)
    process = subprocess.Popen([*PROGRAM, "serve", "--port", "0", "--engine", "tone", "--no-pregenerate", *words],
                               cwd=data.parent, env=environment, stderr=subprocess.PIPE, text=True)  # fmt: skip
    try:
        assert process.stderr is not None
        for line in process.stderr:
            if "listens on" in line:
                break
        yield Server(json.loads((data / "server.json").read_text())["url"], data, process)
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=SECONDS)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all tests that do not mind each other's sounds."""
    with serving(tmp_path_factory.mktemp("served") / "data") as running:
        yield running


@pytest.fixture
def served(command: Command, server: Server) -> Command:
    """Run ``sample-bridge WORDS`` with the data folder that the server has open."""

    def run(*words: str, **variables: str) -> Ended:
        return command(*words, "--data-dir", str(server.data), **variables)

    return run

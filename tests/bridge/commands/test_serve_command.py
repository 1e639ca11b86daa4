"""What keeps ``serve`` and its fellows from starting ends with exit code 2 and a sentence."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from tests.bridge.commands.conftest import Command, Server


def test_a_second_server_on_the_same_data_folder_is_refused(command: Command, server: Server) -> None:
    ended = command("serve", "--port", "0", "--data-dir", str(server.data))
    assert ended.code == 2
    assert ended.err.startswith(
        f"sample-bridge: The data folder {server.data} is in use by process {server.process.pid}."
    )
    assert ended.err.endswith("[store_locked]\n")


def test_a_port_in_use_is_told_with_another_to_try(command: Command, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ended = command("serve", "--port", str(port))
    assert ended.code == 2
    assert f"--port {port + 1}. [port_in_use]" in ended.err
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("words", [("serve", "--port", "0"), ("generate", "kick"), ("batch", "-")])
def test_a_data_folder_of_a_newer_version_is_left_alone(
    command: Command, tmp_path: Path, words: tuple[str, ...]
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "format.json").write_text(json.dumps({"version": 999}))
    ended = command(*words, stdin="kick\n")
    assert ended.code == 2
    assert "Update the program" in ended.err
    assert "[format_too_new]" in ended.err
    assert json.loads((tmp_path / "data" / "format.json").read_text()) == {"version": 999}


@pytest.mark.parametrize("words", [("serve", "--port", "0"), ("generate", "kick")])
def test_a_file_as_data_folder_is_refused(command: Command, tmp_path: Path, words: tuple[str, ...]) -> None:
    (tmp_path / "data").write_text("mine")
    ended = command(*words)
    assert ended.code == 2
    assert "[store_not_writable]" in ended.err
    assert (tmp_path / "data").read_text() == "mine"

"""The command line as a whole: quick, never a traceback, and as the documents show it."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bridge import __version__, cli
from bridge.errors import BridgeError
from tests.bridge.commands.conftest import PROGRAM, SECONDS, Server, clean_environment, serving

ROOT = Path(__file__).parents[2]
DOCUMENTS = ("docs/cli.md", "README.md")
HEAVY = ("numpy", "scipy", "torch", "aiohttp", "socketio", "pydantic", "diskcache", "mutagen", "soundfile")


def documented() -> list[list[str]]:
    """Every ``sample-bridge ...`` line in a fenced block, as words, without ``$``, folder and comment."""
    found = []
    for name in DOCUMENTS:
        text = (ROOT / name).read_text("utf-8")
        for block in re.findall(r"^```\w*\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
            for line in block.splitlines():
                command = re.fullmatch(r"\s*(?:\$ )?(?:\S+/)?sample-bridge( .*)", line)
                if command:
                    found.append(shlex.split(command[1], comments=True))
    return found


COMMANDS = documented()
RUNNABLE = [
    words for words in COMMANDS if words[0] in ("generate", "batch", "check", "settings") and "--model" not in words
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> object:
    with serving(tmp_path_factory.mktemp("documented") / "data") as running:
        yield running


def test_every_command_is_documented() -> None:
    assert {words[0] for words in COMMANDS} >= set(cli.COMMANDS)


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_each_documented_line_is_understood(words: list[str]) -> None:
    assert callable(cli.parse(words).run)


@pytest.mark.parametrize("words", RUNNABLE, ids=" ".join)
def test_each_documented_line_works(words: list[str], server: Server, tmp_path: Path) -> None:
    (tmp_path / "examples").mkdir()
    shutil.copy(ROOT / "examples" / "prompts.txt", tmp_path / "examples")
    words = [server.url if re.fullmatch(r"(http://)?localhost:\d+", word) else word for word in words]
    environment = clean_environment(BRIDGE_DATA_DIR=str(server.data))
    ended = subprocess.run([*PROGRAM, *words], cwd=tmp_path, env=environment, capture_output=True, text=True,
                           timeout=SECONDS, check=False)  # fmt: skip
    built = (ROOT / "bridge" / "static" / "notices.txt").exists()
    assert ended.returncode == (0 if built or "--full" not in words else 1), ended
    assert "Traceback" not in ended.stderr
    if "--json" in words:
        json.loads(ended.stdout)
    if "--output" in words:
        assert (tmp_path / words[words.index("--output") + 1]).exists()


@pytest.mark.parametrize("words", [[], ["--help"], ["--version"], ["--nonsense"], ["nonsense"]], ids=str)
def test_help_loads_nothing_heavy(words: list[str]) -> None:
    """Counted in modules and not in seconds: what is not imported takes no time on any machine."""
    program = f"""
import sys
from bridge import cli
try:
    cli.main({words!r})
except SystemExit:
    pass
print("loaded:", *sorted(set({HEAVY!r}) & set(sys.modules)), file=sys.stderr)
"""
    ended = subprocess.run([sys.executable, "-P", "-c", program], capture_output=True, text=True, check=True,
                           timeout=SECONDS)  # fmt: skip
    assert ended.stderr.splitlines()[-1] == "loaded:"


def test_the_program_says_its_version() -> None:
    ended = subprocess.run([*PROGRAM, "--version"], capture_output=True, text=True, check=True, timeout=SECONDS)
    assert ended.stdout == f"sample-bridge {__version__}\n"


@pytest.mark.parametrize(
    "words", [[], ["nonsense"], ["serve", "--port", "x"], ["generate"], ["check"], ["settings", "--nonsense"]], ids=str
)
def test_a_line_that_is_not_understood_is_exit_code_2_and_one_line(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(words) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert re.fullmatch(r"sample-bridge: .*--help\. \[usage\]\n", said.err)
    assert cli.main([*words, "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "usage"


@pytest.mark.parametrize(
    ("raised", "code", "words"),
    [
        (BridgeError("Do that.", code="some_code"), 2, "sample-bridge: Do that. [some_code]\n"),
        (KeyboardInterrupt(), 130, ""),
        (PermissionError(13, "Permission denied", "x"), 2, "[system_error]\n"),
        (RuntimeError("a bug"), 2, "BRIDGE_LOG_LEVEL=debug to see where, and report it. [internal]\n"),
    ],
    ids=["ours", "ctrl-c", "system", "bug"],
)
def test_whatever_happens_nobody_sees_a_traceback(
    raised: BaseException, code: int, words: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    from bridge.commands import settings

    def run(_: object) -> int:
        raise raised

    monkeypatch.delenv("BRIDGE_LOG_LEVEL", raising=False)
    monkeypatch.setattr(settings, "run", run)
    assert cli.main(["settings"]) == code
    said = capfd.readouterr()
    assert said.err.endswith(words)
    assert "Traceback" not in said.err


def test_a_reader_that_goes_away_is_no_error(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    ended = subprocess.run([*PROGRAM, "settings"], cwd=tmp_path, env=clean_environment(), stdout=writer,
                           stderr=subprocess.PIPE, text=True, timeout=SECONDS, check=False)  # fmt: skip
    os.close(writer)
    assert (ended.returncode, ended.stderr) == (0, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_under_the_output_is_told(tmp_path: Path) -> None:
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run([*PROGRAM, "settings"], cwd=tmp_path, env=clean_environment(), stdout=full,
                               stderr=subprocess.PIPE, text=True, timeout=SECONDS, check=False)  # fmt: skip
    assert ended.returncode == 2
    assert re.fullmatch(
        r"sample-bridge: The system refused: .*No space left on device.*\[system_error\]\n", ended.stderr
    )


def test_output_that_is_closed_and_a_narrow_encoding_do_no_harm(tmp_path: Path) -> None:
    closed = subprocess.run(["/bin/sh", "-c", '"$@" >&-', "sh", *PROGRAM, "settings"], cwd=tmp_path, text=True,
                            env=clean_environment(), capture_output=True, timeout=SECONDS, check=False)  # fmt: skip
    assert (closed.returncode, closed.stderr) == (0, "")
    narrow = subprocess.run([*PROGRAM, "settings", "--data-dir", str(tmp_path / "klänge")], cwd=tmp_path, text=True,
                            env=clean_environment(PYTHONIOENCODING="ascii"), capture_output=True, timeout=SECONDS,
                            check=False)  # fmt: skip
    assert narrow.returncode == 0
    assert "kl\\xe4nge" in narrow.stdout

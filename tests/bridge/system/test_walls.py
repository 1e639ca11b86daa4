"""Walls around children, and what of our environment they get."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from bridge.engines.hosting.engines import EngineRoom
from bridge.settings import Settings
from bridge.system import environment, walls
from prompts import SampleSpec

MACHINE = f"{sys.platform} {platform.machine()}"
walled = pytest.mark.skipif(
    MACHINE not in {"linux x86_64", "linux aarch64"}, reason=f"there are no walls for {MACHINE}"
)

TRIED = """
import ctypes, errno, json, os, resource, signal, socket, subprocess, sys, threading
from bridge.system import walls
inherited = socket.socketpair()
assert walls.close_in(programs=PROGRAMS) is None

def told(function):
    try:
        function()
    except OSError as error:
        return errno.errorcode[error.errno]
    return "done"

def started():
    thread = threading.Thread(target=lambda: None)
    thread.start()
    thread.join()

libc = ctypes.CDLL(None, use_errno=True)
def raw(number, *arguments):
    if libc.syscall(number, *arguments) < 0:
        raise OSError(ctypes.get_errno(), "")

answers = {family.name: told(lambda: socket.socket(family).close())
           for family in (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX, socket.AF_NETLINK)}
answers |= {
    "socketpair": told(socket.socketpair),
    "uring": told(lambda: raw(425, 1, 0)),
    "kill": told(lambda: os.kill(os.getppid(), 0)),
    "ptrace": told(lambda: raw(101 if os.uname().machine == "x86_64" else 117, 16, os.getppid(), 0, 0)),
    "program": told(lambda: subprocess.run(["true"])),
    "fork": told(lambda: os.fork() or os._exit(0)),
    "thread": told(started),
    "inherited": told(lambda: (inherited[0].sendall(b"x"), inherited[1].recv(1))),
    "file": told(lambda: open(__import__("tempfile").mkstemp()[1], "wb").close()),
    "again": str(walls.close_in(programs=PROGRAMS)),
}
print(json.dumps(answers))
"""


def tried(*, programs: bool) -> dict[str, str]:
    done = subprocess.run(
        [sys.executable, "-P", "-c", TRIED.replace("PROGRAMS", str(programs))],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    answers: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    return answers


@walled
def test_behind_the_walls_there_are_no_sockets_and_no_programs_but_threads_files_and_what_was_open() -> None:
    no = dict.fromkeys(
        ["AF_INET", "AF_INET6", "AF_UNIX", "AF_NETLINK", "socketpair", "uring", "kill", "ptrace", "program", "fork"],
        "EPERM",
    )
    yes = dict.fromkeys(["thread", "inherited", "file"], "done")
    assert tried(programs=False) == no | yes | {"again": "None"}
    assert walls.found() is None


def test_without_walls_it_goes_on_and_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert "no seccomp" in str(walls.close_in())
    monkeypatch.setattr(walls.sys, "executable", "/nowhere/python")
    assert "could not be tried" in str(walls.found())


READING = """
import socket, sys
from bridge.audio.files import reader
work = reader.read
def spied(*arguments):
    for family in (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX):
        try:
            socket.socket(family)
        except PermissionError:
            continue
        raise SystemExit(f"{family} was opened")
    return work(*arguments)
reader.read = spied
for kind in sys.argv[2:]:
    reader.main(["read", f"{sys.argv[1]}/in.{kind}", f"{sys.argv[1]}/out.{kind}"])
    print()
"""


@walled
def test_the_reader_opens_no_socket_and_reads_every_format(tmp_path: Path) -> None:
    kinds = ["wav", "flac", "ogg", "mp3"]
    for kind in kinds:
        soundfile.write(tmp_path / f"in.{kind}", np.sin(np.arange(44100) / 20), 44100, format=kind.upper())
    done = subprocess.run(
        [sys.executable, "-P", "-c", READING, str(tmp_path), *kinds], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert [json.loads(line)["features"]["format"] for line in done.stdout.splitlines()] == kinds
    assert all(soundfile.info(tmp_path / f"out.{kind}").frames >= 44100 for kind in kinds)


SECRETS = {
    "HF_TOKEN": "geheim", "HUGGING_FACE_HUB_TOKEN": "geheim", "HF_HUB_TOKEN": "geheim", "OPENAI_API_KEY": "geheim",
    "AWS_SECRET_ACCESS_KEY": "geheim", "BRIDGE_API_KEY": "geheim", "BRIDGE_CALLBACK_SECRET": "geheim",
    "REPLICATE_API_TOKEN": "geheim", "AZURE_STORAGE_CONNECTION_STRING": "geheim", "SSH_AUTH_SOCK": "geheim",
    "DATABASE_URL": "geheim", "PYTHON_KEYRING_PASSWORD": "geheim", "TORCH_API_KEY": "geheim", "FAL_KEY": "geheim",
    "https_proxy": "http://user:geheim@proxy",
}  # fmt: skip


async def test_the_process_of_an_engine_has_no_secret_of_ours_and_opens_no_socket(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    settings = Settings(data_dir=tmp_path, hf_token="geheim", replicate_token="geheim", api_key="geheim")
    room = EngineRoom(settings, tmp_path)
    try:
        await room.info("tone")
        (pid,) = room.hosted("tone").pids
        had = Path(f"/proc/{pid}/environ").read_bytes() if sys.platform == "linux" else b""
        assert b"geheim" not in had
        assert b"PATH=" in had or sys.platform != "linux"
        if MACHINE in {"linux x86_64", "linux aarch64"}:
            assert "Seccomp:\t2" in Path(f"/proc/{pid}/status").read_text()
        await room.hosted("tone").make(SampleSpec(prompt="tone", kind="raw", duration=0.2).resolved("tone"))
    finally:
        await room.close()


@pytest.mark.parametrize(
    ("engine", "gets"),
    [
        ("procedural", set()),
        ("soundfont", set()),
        ("musicgen", {"https_proxy"}),
        ("stable_audio", {"https_proxy"}),
        ("endpoint", {"https_proxy"}),
        ("fal", {"https_proxy", "FAL_KEY"}),
    ],
)
def test_each_engine_gets_what_it_needs(engine: str, gets: set[str]) -> None:
    needed = {
        "PATH": "/bin", "HOME": "/root", "LC_ALL": "C", "OMP_NUM_THREADS": "1", "PYTHONPATH": "/x", "CXX": "c++",
        "CUDA_VISIBLE_DEVICES": "0", "LD_LIBRARY_PATH": "/x", "TMPDIR": "/tmp", "XDG_CACHE_HOME": "/x",
    }  # fmt: skip
    hub = {"HF_HOME": "/x", "HF_ENDPOINT": "http://127.0.0.1", "HF_HUB_OFFLINE": "1"}
    given = environment.of_engine(needed | hub | SECRETS, [engine])
    online = engine not in {"procedural", "soundfont"}
    assert given == needed | (hub if online else {}) | {name: SECRETS[name] for name in gets}


def test_hugging_faces_token_goes_to_those_who_load_models_there(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, hf_token="geheim", ensemble=("procedural", "musicgen"))
    room = EngineRoom(settings, tmp_path)
    has = {
        name: "HF_TOKEN" in room.hosted(name)._members[0]._environment
        for name in ("musicgen", "stable_audio", "audioldm2", "ace_step", "ensemble", "procedural", "tone", "replicate")
    }
    assert [name for name, token in has.items() if token] == [
        "musicgen", "stable_audio", "audioldm2", "ace_step", "ensemble"
    ]  # fmt: skip
    assert os.environ.get("HF_TOKEN") != "geheim"

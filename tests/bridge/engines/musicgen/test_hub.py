"""The hub: away, silent, or a small one on this machine that speaks its protocol. Nothing leaves the machine."""

from __future__ import annotations

import hashlib
import json
import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.torch

COMMIT = "0123456789abcdef0123456789abcdef01234567"
NOT_REACHED = (
    "the weights of facebook/musicgen-small are not on this machine and huggingface.co cannot be reached: connect "
    "once and run `sample-bridge doctor --download small`, or point BRIDGE_MODEL at a folder"
)

# huggingface_hub reads its settings when it is imported, so each case has a process of its own
ASK = """
import json, sys
from bridge.engines.musicgen import models, weights
from bridge.errors import EngineUnavailable
weights._CONNECT_SECONDS = 0.3
ref = models.resolve_model(sys.argv[1])
heard = []
try:
    folder, error = str(weights.download(ref, lambda *bytes: heard.append(bytes))), None
except EngineUnavailable as failed:
    folder, error = None, failed.message
print(json.dumps({"folder": folder, "error": error, "heard": heard, "present": weights.weights_present(ref),
                  "revision": weights.revision(weights.find(ref)) if weights.find(ref) else None,
                  "torch": "torch" in sys.modules}))
"""

BUILD = """
import sys, logging
from bridge.engines.musicgen import MusicGenEngine
from prompts import SampleSpec
logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
engine = MusicGenEngine(model=sys.argv[1], device="cpu")
clip, = engine.stream(SampleSpec(prompt="kick", kind="raw", seed=1), 0.2, lambda progress: None)
print(engine.info.revision, engine.info.model, clip.frames)
"""


def run(code: str, model: str, home: Path, **settings: str) -> str:
    environment = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
    environment |= {"HF_HOME": str(home), "HF_HUB_DISABLE_TELEMETRY": "1", **settings}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, model], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def ask(model: str, home: Path, **settings: str) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(run(ASK, model, home, **settings).splitlines()[-1])
    return answer


class Hub(ThreadingHTTPServer):
    """Serves folders as repositories, as far as a download asks for."""

    daemon_threads = True

    def __init__(self, repositories: dict[str, Path]) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.repositories = repositories
        self.sent: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Answer(BaseHTTPRequestHandler):
    server: Hub
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if (match := re.fullmatch(r"/api/models/([^/]+/[^/]+)/(revision|tree)/.+", path)) and (
            files := self.files(match[1])
        ):
            self.json(self.tree(files) if match[2] == "tree" else self.facts(match[1], files))
        elif (match := re.fullmatch(r"/([^/]+/[^/]+)/resolve/[^/]+/(.+)", path)) and (files := self.files(match[1])):
            body = files[match[2]]
            if self.command == "GET":
                self.server.sent.append(match[2])
            self.send(200, body, {"ETag": f'"{hashlib.sha1(body).hexdigest()}"', "X-Repo-Commit": COMMIT})
        else:
            self.send(404, b"", {"X-Error-Code": "RepoNotFound"})

    def files(self, repository: str) -> dict[str, bytes]:
        folder = self.server.repositories.get(repository)
        return {file.name: file.read_bytes() for file in folder.iterdir()} if folder else {}

    def facts(self, repository: str, files: dict[str, bytes]) -> dict[str, Any]:
        siblings = [{"rfilename": name, "size": len(body)} for name, body in files.items()]
        return {"id": repository, "sha": COMMIT, "siblings": siblings}

    def tree(self, files: dict[str, bytes]) -> list[dict[str, Any]]:
        return [
            {"type": "file", "path": name, "size": len(body), "oid": hashlib.sha1(body).hexdigest()}
            for name, body in files.items()
        ]

    def json(self, value: Any) -> None:
        self.send(200, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
        pass


@contextmanager
def serving(repositories: dict[str, Path]) -> Iterator[Hub]:
    with Hub(repositories) as hub:
        thread = threading.Thread(target=hub.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield hub
        finally:
            hub.shutdown()
            thread.join()


def test_without_network_it_says_what_to_do(tmp_path: Path) -> None:
    answer = ask("small", tmp_path, HF_ENDPOINT="http://127.0.0.1:9")
    assert (answer["error"], answer["present"]) == (NOT_REACHED, False)


def test_offline_by_wish_says_the_same(tmp_path: Path) -> None:
    assert ask("musicgen-small", tmp_path, HF_HUB_OFFLINE="1")["error"] == NOT_REACHED


def test_a_hub_that_never_answers_is_given_up(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        answer = ask("small", tmp_path, HF_ENDPOINT=f"http://127.0.0.1:{silent.getsockname()[1]}")
    assert answer["error"] == NOT_REACHED


def test_a_download_takes_what_is_needed_and_no_pickle_and_tells_its_bytes(tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "hub").mkdir()
    for file in tiny.iterdir():
        (tmp_path / "hub" / file.name).write_bytes(file.read_bytes())
    (tmp_path / "hub" / "pytorch_model.bin").write_bytes(b"a pickle")
    (tmp_path / "hub" / "README.md").write_text("---\nlicense: cc-by-4.0\n---\n")
    with serving({"facebook/musicgen-small": tmp_path / "hub"}) as hub:
        answer = ask("small", tmp_path / "home", HF_ENDPOINT=hub.url)
        assert answer["error"] is None
        assert sorted(hub.sent) == sorted([*(file.name for file in tiny.iterdir()), "README.md"])
    total = sum(file.stat().st_size for file in Path(answer["folder"]).iterdir())
    assert answer["heard"][0] == [0, total]
    assert answer["heard"][-1] == [total, total]
    assert answer["heard"] == sorted(answer["heard"])
    assert len(answer["heard"]) > 2
    assert (answer["present"], answer["revision"], answer["torch"]) == (True, COMMIT[:12], False)
    # from now on without a network
    assert ask("small", tmp_path / "home", HF_HUB_OFFLINE="1")["present"]


def test_the_bytes_told_never_sink_whichever_bar_the_hub_moves() -> None:
    from bridge.engines.musicgen.weights import _Meter

    heard: list[tuple[int, int]] = []
    bar = _Meter(lambda done, total: heard.append((done, total)), 100).bar_class()
    network, disk, files = bar(total=0, unit="B"), bar(total=0, unit="B"), bar(total=3)
    for moved, by in ((network, 30), (disk, 10), (files, 1), (disk, 25), (network, 200)):
        moved.update(by)
    assert heard == [(0, 100), (30, 100), (35, 100), (100, 100)]


def test_building_the_engine_fetches_the_weights_and_tells_size_and_licence_before(tiny: Path, tmp_path: Path) -> None:
    with serving({"facebook/musicgen-small": tiny}) as hub:
        lines = run(BUILD, "small", tmp_path, HF_ENDPOINT=hub.url).splitlines()
    said = [line for line in lines if line.startswith("fetching")]
    assert said[0] == "fetching facebook/musicgen-small from huggingface.co: about 2400 MB, licence CC-BY-NC-4.0"
    assert len(said) > 2
    assert re.fullmatch(rf"own-3:{COMMIT[:12]}:cpu-int8-\S+ facebook/musicgen-small 6400", lines[-1])


def test_a_repository_with_pickles_only_is_refused_before_anything_is_fetched(tmp_path: Path) -> None:
    (tmp_path / "hub").mkdir()
    (tmp_path / "hub" / "config.json").write_text("{}")
    (tmp_path / "hub" / "pytorch_model.bin").write_bytes(b"a pickle")
    with serving({"somebody/tune": tmp_path / "hub"}) as hub:
        answer = ask("somebody/tune", tmp_path / "home", HF_ENDPOINT=hub.url)
        assert hub.sent == []
    assert "pickles are not loaded" in answer["error"]


def test_a_model_that_the_hub_does_not_have_is_said(tmp_path: Path) -> None:
    with serving({}) as hub:
        answer = ask("somebody/nothing", tmp_path, HF_ENDPOINT=hub.url)
    assert answer["error"].startswith("huggingface.co shows no model somebody/nothing to us: check the spelling")


def test_a_half_finished_download_is_not_taken_for_a_model(tiny: Path, tmp_path: Path) -> None:
    with serving({"facebook/musicgen-small": tiny}) as hub:
        folder = Path(ask("small", tmp_path, HF_ENDPOINT=hub.url)["folder"])
    (folder / "model.safetensors").unlink()
    answer = ask("small", tmp_path, HF_HUB_OFFLINE="1")
    assert (answer["present"], answer["error"]) == (False, NOT_REACHED)

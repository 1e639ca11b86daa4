"""The arrows of the architecture: who may import whom, and what the server process never loads."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]

SERVED = """
import asyncio, json, sys
from pathlib import Path
import aiohttp
from aiohttp import web
from bridge.app import create_app
from bridge.service import open_service
from bridge.settings import Settings

async def main():
    settings = Settings(data_dir=Path(sys.argv[1]), engine="procedural", pregenerate=False)
    async with open_service(settings) as service:
        runner = web.AppRunner(create_app(service))
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        url = "http://127.0.0.1:%d" % runner.addresses[0][1]
        async with aiohttp.ClientSession() as session:
            body = {"prompt": "vinyl break", "kind": "loop", "format": "mp3"}
            async with session.post(url + "/generate", json=body) as response:
                assert response.status == 200, await response.text()
            for path in ("/", "/strudel.json", "/health", "/sounds", "/sounds/vinyl?format=flac"):
                async with session.get(url + path) as response:
                    assert response.status == 200, (path, await response.text())
            async with session.ws_connect(url + "/socket.io/?EIO=4&transport=websocket") as socket:
                await socket.receive_str()
                await socket.send_str("40")
                await socket.receive_str()
                await socket.send_str('421["hello",{}]')
                while not (await socket.receive_str()).startswith("431"):
                    pass
        await runner.cleanup()
    print(json.dumps(sorted(sys.modules)))

asyncio.run(main())
"""
HEAVY = {"torch", "transformers", "scipy", "soxr", "safetensors", "matplotlib", "pandas", "librosa"}


def loaded(script: str, *arguments: str) -> set[str]:
    """Top-level modules that a new process has loaded when it has run the script."""
    done = subprocess.run(
        [sys.executable, "-P", "-c", script, *arguments], capture_output=True, text=True, check=False, timeout=90
    )
    assert done.returncode == 0, done.stderr
    return {name.partition(".")[0] for name in json.loads(done.stdout.splitlines()[-1])}


def test_every_layer_knows_only_those_below():
    pytest.importorskip("importlinter")
    done = subprocess.run(
        [sys.executable, "-P", "-c", "from importlinter.cli import lint_imports; raise SystemExit(lint_imports())"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_server_that_has_made_and_served_sounds_has_loaded_nothing_heavy(tmp_path):
    modules = loaded(SERVED, str(tmp_path / "data"))
    assert {"bridge", "aiohttp", "socketio", "cache"} <= modules, "it is the server that was looked into"
    assert modules & HEAVY == set()


@pytest.mark.parametrize("module", ["bridge.cli", "bridge.settings", "prompts", "cache"])
def test_what_starts_every_command_is_light(module):
    modules = loaded(f"import json, sys, {module}; print(json.dumps(sorted(sys.modules)))")
    assert modules & (HEAVY | {"numpy", "soundfile", "aiohttp", "socketio"}) == set()


def test_importing_any_module_starts_nothing():
    """Importing is reading: afterwards no thread runs."""
    script = """
import importlib, json, pkgutil, sys, threading
import bridge, cache, prompts
for package in (bridge, cache, prompts):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if "musicgen" not in module.name and not module.name.endswith("__main__"):
            try:
                importlib.import_module(module.name)
            except ModuleNotFoundError as missing:
                if (missing.name or "").split(".")[0] not in ("torch", "transformers", "diffusers", "obstore", "c2pa"):
                    raise  # only what an extra brings may be absent
assert threading.active_count() == 1, threading.enumerate()
print(json.dumps(sorted(sys.modules)))
"""
    assert "bridge" in loaded(script)

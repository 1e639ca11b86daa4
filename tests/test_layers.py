"""The arrows of the architecture: who may import whom, and what the server process never loads."""

from __future__ import annotations

import ast
import importlib
import json
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]

SERVED = """
import asyncio, json, sys
from pathlib import Path
import aiohttp
from aiohttp import web
from bridge.app import create_app
from bridge.sounds.opening import open_service
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


def contract() -> list[str]:
    """The rooms of ``bridge``, the highest first, as the import contract names them."""
    (layers,) = (
        each["layers"]
        for each in tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"][
            "contracts"
        ]
        if each["type"] == "layers"
    )
    return [name.strip().removeprefix("bridge.") for layer in layers for name in layer.split("|")]


def test_the_contract_names_every_room_of_the_bridge_and_no_other():
    rooms = {
        path.stem
        for path in (REPOSITORY / "bridge").iterdir()
        if path.suffix == ".py" or (path / "__init__.py").is_file()
    }
    assert sorted(contract()) == sorted(rooms - {"__init__"})


def test_no_module_imports_itself_by_way_of_others():
    grimp = pytest.importorskip("grimp")
    graph = grimp.build_graph("bridge", "prompts", "cache", cache_dir=None)
    left = {name: graph.find_modules_directly_imported_by(name) - {name} for name in graph.modules}
    while ends := {name for name, imported in left.items() if not imported & left.keys()}:
        left = {name: imported for name, imported in left.items() if name not in ends}
    used = {name for imported in left.values() for name in imported}
    assert sorted(left.keys() & used) == []


def imported(path: Path) -> Iterator[tuple[str, ...]]:
    """Every module and name that a file imports, as the parts of its full name."""
    here = path.relative_to(REPOSITORY).parent.parts
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (tuple(alias.name.split(".")) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = here[: len(here) + 1 - node.level] if node.level else ()
            module = tuple(node.module.split(".")) if node.module else ()
            yield from ((*above, *module, alias.name) for alias in node.names)


def test_what_begins_with_an_underscore_is_imported_only_inside_its_own_folder():
    """Tests may look at everything; nothing else may."""
    folders = ("bridge", "prompts", "cache", "examples")
    files = [*REPOSITORY.glob("*.py"), *(path for folder in folders for path in (REPOSITORY / folder).rglob("*.py"))]
    across = []
    for path in files:
        here = path.relative_to(REPOSITORY).parent.parts
        for name in imported(path):
            private = [at for at, part in enumerate(name) if part.startswith("_") and not part.startswith("__")]
            if name[0] in folders and private and here[: private[0]] != name[: private[0]]:
                across.append(f"{path.relative_to(REPOSITORY)} imports {'.'.join(name)}")
    assert across == []


def test_what_plug_ins_import_is_apache_and_imports_only_itself():
    ours = ("bridge", "prompts", "cache", "tests")
    files = [REPOSITORY / "bridge" / "__init__.py", *(REPOSITORY / "bridge" / "plugins").glob("*.py")]
    assert len(files) > 5
    for path in files:
        text = path.read_text("utf-8")
        assert text.startswith("# SPDX-License-Identifier: Apache-2.0\n"), path
        for node in ast.walk(ast.parse(text)):
            names = [node.module] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            for name in names:
                assert name is not None, f"{path}: no relative imports, since they say less"
                assert not name.startswith(ours) or name.startswith("bridge.plugins"), f"{path} imports {name}"
    for path in (REPOSITORY / "examples").rglob("*.py"):
        for line in path.read_text("utf-8").splitlines():
            if line.startswith(("from ", "import ")) and line.split()[1].startswith(ours):
                assert line.startswith("from bridge.plugins import "), line


def test_what_the_documentation_taught_goes_on_and_says_where_it_is_now():
    from bridge.plugins import Clip, EngineInfo

    with pytest.warns(DeprecationWarning, match=r"bridge\.plugins\.clip"):
        old = importlib.import_module("bridge.audio.clip")
    assert old.Clip is Clip
    with pytest.warns(DeprecationWarning, match=r"bridge\.plugins"):
        assert importlib.import_module("bridge.engines").EngineInfo is EngineInfo
    for name in ("bridge.audio.clip", "bridge.engines._base"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("bridge.service", "bridge.sounds.service"),
        ("bridge.requests", "bridge.sounds.orders"),
        ("bridge.stems._worker", "bridge.exchange.stems"),
        ("bridge.commands._makers", "bridge.client.maker"),
        ("bridge.engines._notes", "bridge.plugins.engine"),
        ("bridge.audio.codecs", "bridge.audio.files.codecs"),
    ],
)
def test_any_other_old_path_is_refused_with_the_new_one(old: str, new: str):
    with pytest.raises(ImportError, match=rf"is now {new}"):
        importlib.import_module(old)


def test_every_new_place_of_an_old_path_exists():
    from bridge.plugins.moved import TAUGHT, new_places

    for name in {*TAUGHT.values(), *new_places().values()}:
        path = REPOSITORY.joinpath(*name.split("."))
        assert path.with_suffix(".py").is_file() or (path / "__init__.py").is_file(), name

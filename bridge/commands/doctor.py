"""`sample-bridge doctor`: what is installed, what works, and what to type next."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bridge.commands._advice import command
from bridge.commands._progress import ProgressBar
from bridge.commands.settings import add_options, from_arguments
from bridge.errors import BridgeError, StartupError
from bridge.settings import Settings
from bridge.sounds.warnings import warnings_of
from bridge.system import walls
from bridge.system.ledgers import set_aside_in
from cache import SampleStore, StoreError, StoreLocked

if TYPE_CHECKING:
    SubParsers = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001  argparse names it no other way

NEEDED = ("aiohttp", "python-socketio", "pydantic", "numpy", "scipy", "soundfile", "soxr", "diskcache")
EXTRA = ("torch", "transformers", "safetensors", "huggingface-hub")
"""What the engine musicgen needs."""

_TORCH_SECONDS = 90.0  # a cold import of torch from a slow disk
_LEAST_FREE_MB = 200
_WELL = ("new", "ready", "in use", "not writable")
"""States of a data folder in which looking at its files would tell no more."""
_ASK_TORCH = (
    "import json, torch; found = torch.cuda.is_available(); "
    "print(json.dumps({'cuda': found, 'name': torch.cuda.get_device_name(0) if found else None}))"
)


def add_parser(subparsers: SubParsers) -> argparse.ArgumentParser:
    """Describe the command."""
    parser = subparsers.add_parser("doctor", help="check what is installed and say what to type next")
    parser.add_argument("--json", action="store_true", help="as JSON")
    parser.add_argument("--data", action="store_true", help="check every file of the data folder")
    parser.add_argument("--download", metavar="MODEL", help="fetch the weights of a MusicGen (small, medium, large)")
    parser.add_argument("--measure", action="store_true", help="load MusicGen and find out how fast it is here")
    add_options(parser)
    parser.set_defaults(run=run)
    return parser


def run(args: argparse.Namespace) -> int:
    """Print the findings; 1 when something that is needed is broken, else 0."""
    if getattr(args, "data", False):
        return _check_data(args)
    if getattr(args, "download", None):
        return _download(args.download, args)
    if getattr(args, "measure", False):
        return _measure(args)
    report = examine(args)
    print(json.dumps(report, indent=2, ensure_ascii=False) if args.json else _page(report))
    return 1 if report["problems"] else 0


def _check_data(args: argparse.Namespace) -> int:
    from bridge.commands._data_checks import Checks
    from bridge.commands._data_report import page, report

    data = from_arguments(args).data_dir
    progress = ProgressBar(silent=args.json)
    try:
        checks = Checks(data, lambda done, all_: progress.show("check", done / max(all_, 1)))
        findings = list(checks.run())
    finally:
        progress.clear()
    document = report(str(data), findings, process=checks.process, sounds=checks.sounds, samples=checks.samples)
    print(json.dumps(document, indent=2, ensure_ascii=False) if args.json else page(document))
    return 1 if document["problems"] else 0


def examine(args: argparse.Namespace) -> dict[str, Any]:
    """Look at everything. The answer is plain JSON; ``problems`` and ``next`` are sentences and commands."""
    problems: list[str] = []
    try:
        settings = from_arguments(args)
    except StartupError as error:
        problems.append(error.message)
        settings = Settings()
    packages = {name: _version(name) for name in (*NEEDED, *EXTRA)}
    lacking = [name for name in NEEDED if packages[name] is None]
    if lacking:
        problems.append(f"Not installed: {', '.join(lacking)}. Run `make install`, or pip install sample-bridge again.")
    report: dict[str, Any] = {
        "version": _version("sample-bridge"),
        "python": platform.python_version(),
        "packages": packages,
        "device": _device(packages["torch"]),
        "engines": _engines(problems, settings),
        "engine": _chosen(settings),
        "model": settings.model,
        "weights": _weights(settings),
        "kernel": _kernel(),
        "speed": _speed(settings),
        "data": _data(settings, problems),
        "walls": walls.found(),
        "notes": [*settings.foreign, *settings.notes],
        "problems": problems,
    }
    report["next"] = _next(report)
    return report


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _device(torch: str | None) -> dict[str, Any]:
    if torch is None:
        return {"cuda": False, "name": None, "why": "torch is not installed"}
    # In a process of its own: torch takes hundreds of megabytes, and a broken driver can hang or end its process.
    try:
        asked = subprocess.run(  # noqa: S603  our own words
            [sys.executable, "-P", "-c", _ASK_TORCH],
            capture_output=True,
            text=True,
            timeout=_TORCH_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return {"cuda": False, "name": None, "why": f"torch did not answer within {_TORCH_SECONDS:.0f} s"}
    try:
        found = json.loads(asked.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        last = (asked.stderr.strip().splitlines() or [f"exit code {asked.returncode}"])[-1]
        return {"cuda": False, "name": None, "why": f"torch does not start: {last}"}
    return {**found, "why": "torch sees a GPU" if found["cuda"] else "torch sees no GPU"}


def _engines(problems: list[str], settings: Settings) -> list[dict[str, Any]]:
    from bridge.engines import registry
    from bridge.engines.cloud import keys as _cloud

    names = registry.names()
    with _cloud.told(settings):
        found = [_engine(name, settings) for name in names]
    if not found:
        problems.append("No engine is registered, not even our own: the installation is broken. Run `make install`.")
    elif settings.engine != "auto":
        lack = next((engine["lacks"] for engine in found if engine["name"] == settings.engine), None)
        if settings.engine not in names:
            lack = f"there is no engine of that name, only {', '.join(names)}"
        if lack:
            problems.append(f"The engine that is set, {settings.engine}, is not available: {lack}.")
    return found


def _engine(name: str, settings: Settings) -> dict[str, Any]:
    from bridge.engines import registry

    lacks: str | None = None
    try:
        # An engine that needs more than Python packages may say what it lacks.
        missing = getattr(registry.load(name), "missing", None)
        sentence = (
            missing(",".join(settings.ensemble) if name == "ensemble" else None, settings.data_dir) if missing else None
        )
        lacks = sentence.rstrip(".") if sentence else None
        if name == "musicgen":
            from bridge.engines.musicgen import installed

            lacks = None if installed() else "torch and transformers are not installed (make run ENGINE=musicgen)"
    except BridgeError as error:
        lacks = error.message.rstrip(".")
    return {"name": name, "available": lacks is None, "lacks": lacks}


def _chosen(settings: Settings) -> dict[str, str]:
    from bridge.engines.choice import choose

    choice = choose(settings)
    return {"name": choice.name, "why": choice.why}


def _weights(settings: Settings) -> list[dict[str, Any]]:
    from bridge.engines.musicgen import SIZES, resolve_model, weights_present

    found = []
    for name in [*SIZES, *([settings.model] if settings.model and settings.model not in SIZES else [])]:
        try:
            model = resolve_model(name)
            present = weights_present(model)
        except BridgeError as error:
            found.append({"model": name, "on_disk": False, "why": error.message})
            continue
        found.append(
            {
                "model": name,
                "on_disk": present,
                "on_hub": model.hub_id is not None,
                "megabytes": model.megabytes,
                "licence": model.licence,
            }
        )
    return found


def _kernel() -> str:
    """Say which program computes MusicGen on the CPU, or what is lost without it."""
    from bridge.engines.musicgen import kernel_found

    return kernel_found()


def _speed(settings: Settings) -> str | None:
    from bridge.engines.choice import measured_speed

    speed = measured_speed(settings)
    return speed.sentence if speed else None


def _data(settings: Settings, problems: list[str]) -> dict[str, Any]:
    """Look into the data folder; a new one is not made by looking."""
    path = settings.data_dir
    there = next(folder for folder in (path, *path.parents) if os.path.lexists(folder))
    data: dict[str, Any] = {"path": str(path), "state": "new", "sounds": None, "process": None, "url": None}
    data["warnings"] = [each.text for each in set_aside_in(path)]
    data["free_mb"] = shutil.disk_usage(there).free // 2**20
    if data["free_mb"] < _LEAST_FREE_MB:
        problems.append(f"Only {data['free_mb']} MiB are free at {there}: make room, or choose another --data-dir.")
    if not there.is_dir() or not os.access(there, os.W_OK):
        data["state"] = "not writable"
        problems.append(f"The data folder {path} cannot be written: choose another with --data-dir.")
    elif (path / "format.json").exists():
        try:
            store = SampleStore.open(path, undo_seconds=settings.undo_seconds)
            try:
                data["state"], data["sounds"] = "ready", store.count()
                data["warnings"] = [each.text for each in warnings_of(path, store)]
            finally:
                store.close()
        except StoreLocked as error:
            data["state"], data["process"], data["url"] = "in use", error.pid, _server_url(path)
        except StoreError as error:
            data["state"] = error.code
            problems.append(str(error))
    return data


def _server_url(folder: Path) -> str | None:
    try:
        url = json.loads((folder / "server.json").read_text("utf-8"))["url"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return url if isinstance(url, str) else None


def _next(report: dict[str, Any]) -> list[str]:
    """Commands that make sense now, the most useful first."""
    musicgen = next((engine for engine in report["engines"] if engine["name"] == "musicgen"), None)
    steps = []
    data = Path(report["data"]["path"])
    if report["data"]["warnings"] or report["data"]["state"] not in _WELL:
        steps.append(command("doctor", "--data", data=data))
    if report["data"]["url"]:
        steps.append(command("check", report["data"]["url"]))
    elif not report["problems"]:
        steps.append(command("serve", data=data))
    if not report["problems"]:
        steps.append(command("generate", "dusty vinyl break, 92 bpm", data=data))
    if musicgen and not musicgen["available"]:
        steps.append("make run ENGINE=musicgen")
    elif musicgen:
        wanted = [
            weights for weights in report["weights"] if weights["model"] == report["model"] or not report["model"]
        ]
        if not any(weights["on_disk"] for weights in wanted) and wanted[0].get("on_hub"):
            steps.append(f"sample-bridge doctor --download {wanted[0]['model']}")
    return steps


def _page(report: dict[str, Any]) -> str:
    packages, device, data = report["packages"], report["device"], report["data"]
    lines = [
        f"sample-bridge {report['version'] or '(not installed as a package)'}, Python {report['python']}",
        "installed: " + ", ".join(f"{name} {packages[name]}" for name in packages if packages[name]),
        "not installed: " + (", ".join(name for name in packages if not packages[name]) or "-"),
        f"GPU: {device['name'] or 'none'} ({device['why']})",
        f"engine: {report['engine']['name']}. {report['engine']['why']}",
    ]
    lines += [f"  {'+' if e['available'] else '-'} {e['name']}{_because(e['lacks'])}" for e in report["engines"]]
    lines.append("MusicGen weights:")
    for weights in report["weights"]:
        facts = [f"about {weights['megabytes']} MB"] if weights.get("megabytes") else []
        facts += [fact for fact in (weights.get("licence"), weights.get("why")) if fact]
        state = "on disk" if weights["on_disk"] else "not on disk"
        lines.append(f"  {'+' if weights['on_disk'] else '-'} {weights['model']}: {', '.join([state, *facts])}")
    lines.append(f"MusicGen computes on this CPU {report['kernel']}")
    lines.append(report["speed"] or "MusicGen's speed here: not measured yet (sample-bridge doctor --measure)")
    lines.append(
        "uploads are read with limits, but not in a sandbox: " + report["walls"]
        if report["walls"]
        else "uploads are read in a sandbox (no sockets, no other programs)"
    )
    sounds = "" if data["sounds"] is None else f", {data['sounds']} sounds"
    user = f" by process {data['process']}" if data["process"] else ""
    lines.append(f"data folder: {data['path']} ({data['state']}{user}{sounds}, {data['free_mb']} MiB free)")
    lines += [f"! {sentence}" for sentence in (*report["notes"], *data["warnings"], *report["problems"])]
    if report["next"]:
        lines += ["", "Type next:", *(f"  {step}" for step in report["next"])]
    return "\n".join(lines)


def _because(text: str | None) -> str:
    return f": {text}" if text else ""


def _download(name: str, args: argparse.Namespace) -> int:
    from bridge.engines.musicgen import download, resolve_model, weights_present

    token = from_arguments(args).hf_token
    if token is not None:
        os.environ.setdefault("HF_TOKEN", token.get_secret_value())  # where huggingface_hub looks for it
    try:
        model = resolve_model(name)
        if weights_present(model):
            print(f"The weights of {model.name} are on this machine already.")
            return 0
        size = f"about {model.megabytes} MB" if model.megabytes else "of unknown size"
        print(f"{model.name}: {size}, licence {model.licence or 'as its page states'}", flush=True)
        folder = download(model, _meter())
    except BridgeError as error:
        print(f"! {error.message}", file=sys.stderr)
        return 1
    print(f"Ready in {folder}. Type next: sample-bridge serve --model {name}")
    return 0


def _measure(args: argparse.Namespace) -> int:
    """Start the engine as a server would; it measures itself when it is loaded."""
    from bridge.engines.choice import measured_speed
    from bridge.engines.musicgen import forget_speed

    settings = from_arguments(args)
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    forget_speed(settings.data_dir)
    try:
        asyncio.run(_started(settings))
    except BridgeError as error:
        print(f"! {error.message}", file=sys.stderr)
        return 1
    speed = measured_speed(settings)
    print(f"{speed.sentence}." if speed else "MusicGen runs, but its speed could not be kept in the data folder.")
    return 0


async def _started(settings: Settings) -> None:
    from bridge.engines.hosting.engines import EngineRoom

    with tempfile.TemporaryDirectory() as incoming:
        engines = EngineRoom(settings, Path(incoming))
        try:
            await engines.hosted("musicgen").start()
        finally:
            await engines.close()


def _meter() -> Callable[[int, int], None]:
    """Print progress: one line that rewrites itself on a terminal, a line each tenth elsewhere."""
    live, last = sys.stdout.isatty(), -1

    def show(done: int, total: int) -> None:
        nonlocal last
        percent = 100 * done // max(total, 1)
        step = percent if live else percent - percent % 10
        if step == last:
            return
        last = step
        text = f"{percent:3d} % of {total / 1e6:.0f} MB"
        print(f"\r{text}" if live else text, end="\n" if not live or done >= total else "", flush=True)

    return show

"""Real parts for tests: installed engines, services over real stores, served applications, clients of the push."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
import socketio

from bridge.events import JobMessage
from bridge.jobs.happenings import Happening, Numbered, Progressed
from bridge.settings import Settings
from bridge.sounds.orders import Order, generate_order
from bridge.sounds.placing import job_message
from bridge.sounds.service import SampleService
from cache import Event

ENGINES = '''
"""Engines that a stranger installed: scripted by the words of the prompt."""
import os, sys, time
import numpy as np
from bridge.plugins.clip import Clip
from bridge.plugins.engine import EngineInfo, in_background
from bridge.engines.tone import ToneEngine

GATE = os.environ.get("SCRIPTED_GATE", "")


def info(name, **other):
    known = dict(name=name, revision="1", rate=44100, channels=1, max_seconds=30.0, streams=False, concurrency=2,
                 instant=False, generative_model=True, licence="CC-BY-NC-4.0", commercial=False, model="test/model")
    return EngineInfo(**known | other)


def our_socket():
    return int(sys.argv[sys.argv.index("--socket") + 1])


class Scripted:
    """A slow model: it sounds as its words say, and misbehaves as they say."""

    def __init__(self, **_):
        self.info = info("scripted", revision=os.environ.get("SCRIPTED_REVISION", "1"))

    def stream(self, spec, seconds, report):
        words = set(spec.prompt.split())
        report(0.25)
        if "gate" in words:
            while not os.path.exists(GATE):
                report(0.5)
                time.sleep(0.005)
        if "chatty" in words:
            for number in range(20000):
                report(number / 20000)
        if "exit" in words:
            sys.exit(3)
        if "bug" in words:
            {}["missing"]
        if "memory" in words:
            raise MemoryError
        if "garbage" in words:
            os.write(our_socket(), b"GET / HTTP/1.1" * 40)
            time.sleep(3600)
        if "riddle" in words:
            os.write(our_socket(), bytes([0, 0, 0, 15, 0, 0, 0, 0]) + b'{"type":"done"}')
            time.sleep(3600)
        if "torn" in words:
            # Dies in the middle of writing its files, as a kill by the kernel would have it.
            import soundfile
            soundfile.write = lambda file, *_, **__: (open(file, "wb").write(b"RIFF"), os._exit(9))
        if "odd" in words:
            yield Clip.of([0.1] * 100, 44100)
            yield Clip.of([[0.1] * 100] * 2, 44100)
            return
        if "nothing" in words:
            return
        if "huge" in words:
            yield Clip.of(np.random.default_rng(0).uniform(-3e38, 3e38, 44100), 32000)
            return
        time_axis = np.arange(round((seconds or 1.0) * 44100)) / 44100
        pitch = 100 + (spec.seed or 0) % 1000
        wave = 0.5 * np.sin(2 * np.pi * pitch * time_axis)
        if "rough" in words and (spec.seed or 0) % 2:
            wave = np.clip(wave, -0.2, 0.2)
        if "unlucky" in words and (spec.seed or 0) % 2:
            raise RuntimeError("an odd seed")
        if "hopeless" in words or ("rushed" in words and not spec.seed):
            yield beat(spec.bpm * 1.25, seconds)
            return
        if "rushed" in words:
            yield beat(spec.bpm * 1.02, seconds)
            return
        yield Clip.of(wave, 44100)


def beat(bpm, seconds):
    """A kick on each beat, a louder one on each bar line, a click between."""
    out = np.zeros(round(seconds * 44100) + 44100)
    time_axis = np.arange(4410) / 44100
    kick = np.sin(2 * np.pi * 60 * time_axis) * np.exp(-time_axis * 30)
    click = np.random.default_rng(1).standard_normal(4410) * np.exp(-time_axis * 90) * 0.2
    for number in range(int(seconds * bpm / 30) + 1):
        at = round(number * 30 / bpm * 44100)
        out[at : at + 4410] += click if number % 2 else kick * (1.0 if number % 8 == 0 else 0.6)
    return Clip.of(0.6 * out[: round(seconds * 44100)], 44100)


class Quick(Scripted):
    """The same at once."""

    def __init__(self, **_):
        self.info = info("quick", instant=True, model=None)


class Echo(Scripted):
    """Plays the end of the audio that it is given; of words alone a tone, higher when nobody waits for it."""

    def __init__(self, **_):
        self.info = info("echo", conditions=("continuation", "melody"), qualities=("draft", "high"), takes=True)

    def stream(self, spec, seconds, report):
        if "rough" in spec.prompt:
            yield from super().stream(spec, seconds, report)
            return
        report(0.5)
        pitch = 800 if in_background.get() else 400
        yield Clip.of(0.5 * np.sin(2 * np.pi * pitch * np.arange(round((seconds or 1.0) * 44100)) / 44100), 44100)

    def stream_from(self, spec, seconds, report, source):
        report(0.5)
        yield Clip(source.samples[:1, -round(seconds * source.rate) :].copy(), source.rate)


class Mute:
    """Says garbage instead of describing itself."""

    def __init__(self, **_):
        os.write(our_socket(), b"hello, I am an engine and no frame at all")
        time.sleep(3600)


class Sleeper:
    """Never gets ready."""

    def __init__(self, **_):
        time.sleep(3600)


class Stranger:
    """Is no engine."""

    def __init__(self, **_):
        pass


def half(**_):
    raise RuntimeError("the weights are not there")
'''
ENTRY_POINTS = """[bridge.engines]
scripted = scripted_engines:Scripted
quick = scripted_engines:Quick
echo = scripted_engines:Echo
mute = scripted_engines:Mute
sleeper = scripted_engines:Sleeper
stranger = scripted_engines:Stranger
half = scripted_engines:half
missing = no_such_module_anywhere:Engine
"""


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Install a package with engines, for this process and its children; its gate opens when the answer exists."""
    folder = tmp_path / "site"
    metadata = folder / "scripted_engines-1.0.dist-info"
    metadata.mkdir(parents=True)
    (folder / "scripted_engines.py").write_text(ENGINES)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: scripted-engines\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(ENTRY_POINTS)
    gate = tmp_path / "gate"
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setenv("PYTHONPATH", str(folder), prepend=":")
    monkeypatch.setenv("SCRIPTED_GATE", str(gate))
    sys.modules.pop("scripted_engines", None)
    return gate


async def until(condition: Callable[[], object], *, seconds: float = 20.0) -> None:
    """Wait for something that tells nobody when it happens."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)


def is_gone(pid: int) -> bool:
    """Has the process ended? One that its parent has not buried yet has."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def hosts() -> list[psutil.Process]:
    """The engines' processes that this one has started and that have not ended."""
    found = []
    for child in psutil.Process().children():
        with contextlib.suppress(psutil.NoSuchProcess):
            if not is_gone(child.pid) and "bridge.engines.hosting.host" in child.cmdline():
                found.append(child)
    return found


def settings_for(folder: Path, **given: object) -> Settings:
    """Settings of a quiet server: the tone engine, no common stems."""
    return Settings.model_validate({"data_dir": folder, "engine": "tone", "pregenerate": False, **given})


def order(prompt: str, **fields: object) -> Order:
    """An order as a player's client sends it."""
    return generate_order({"prompt": prompt, "duration": 0.3, **fields}, guess_kind=True)[0]


class Heard:
    """Notes every numbered event and every progress message of a service, with the moment of its coming."""

    def __init__(self, service: SampleService) -> None:
        self.events: list[Event] = []
        self.progress: list[JobMessage] = []
        self.moments: list[float] = []
        service.happenings.subscribe(self._on_happening)

    def _on_happening(self, happening: Happening) -> None:
        match happening:
            case Numbered(event):
                self.events.append(event)
            case Progressed(_, tickets):
                for ticket in tickets:
                    self.progress.append(job_message(ticket))
                    self.moments.append(time.monotonic())

    def of(self, kind: str) -> list[dict[str, Any]]:
        """Data of all events of a type, in their order."""
        return [event.data for event in self.events if event.type == kind]


class Listener:
    """A client of the push that does as the page does: numbered events, each once, in order, none left out."""

    def __init__(self, url: str, **hello: object) -> None:
        self.url = url
        self.client = socketio.AsyncClient(reconnection=False)
        self.since: int | None = None
        self.epoch: str | None = None
        self.resets = 0
        self.events: list[dict[str, Any]] = []
        """Every numbered event in the order in which it counted, with its ``type``."""
        self.pushed: list[tuple[str, dict[str, Any]]] = []
        """Everything as it came over the wire."""
        self.reply: dict[str, Any] = {}
        self._hello = hello
        self._asking = False
        self._waiting: dict[int, dict[str, Any]] = {}
        for name in ("sound", "sound_removed", "job", "head", "session"):
            self.client.on(name, functools.partial(self._receive, name))

    async def connect(self) -> dict[str, Any]:
        """Connect and say hello with the last number known; the answer."""
        self._asking = True
        await self.client.connect(self.url, transports=["websocket"], wait_timeout=30)
        return await self.hello()

    async def hello(self, **fields: object) -> dict[str, Any]:
        """Say hello with what is known; ``fields`` win."""
        self._asking = True
        known = {} if self.since is None else {"epoch": self.epoch, "since": self.since}
        self.reply = await self.client.call("hello", {**self._hello, **known, **fields}, timeout=20)
        if self.reply.get("reset"):
            self.resets += 1
            self.since = self.reply["head"]
        for event in self.reply.get("events", ()):
            self._waiting[event["seq"]] = event
        self.epoch = self.reply["epoch"]
        self._asking = False
        self._drain()
        return self.reply

    async def ask(self, message: str, data: object) -> Any:
        """Send a message and wait for its answer."""
        return await self.client.call(message, data, timeout=20)

    async def leave(self) -> None:
        """Break the connection."""
        self._asking = True
        await self.client.disconnect()
        self._waiting.clear()

    def of(self, *names: str) -> list[dict[str, Any]]:
        """What was pushed under these names, as it came."""
        return [message for name, message in self.pushed if name in names]

    def _receive(self, name: str, message: dict[str, Any]) -> None:
        self.pushed.append((name, message))
        if "seq" in message:
            self._waiting[message["seq"]] = {"type": name, **message}
            if not self._asking:
                self._drain()

    def _drain(self) -> None:
        for seq in sorted(self._waiting):
            if seq <= self.since:
                del self._waiting[seq]
            elif seq == self.since + 1:
                self.events.append(self._waiting.pop(seq))
                self.since = seq

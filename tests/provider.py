"""A provider on this machine, which answers as the test says."""

from __future__ import annotations

import asyncio
import io
import threading
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import soundfile
from aiohttp import web

from prompts import SampleSpec

Script = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Played:
    """What the provider got."""

    method: str
    path: str
    headers: dict[str, str]
    document: Any


@dataclass
class Stage:
    """The provider: ``script`` answers the n-th request; the last one goes on."""

    url: str = ""
    script: list[Script] = field(default_factory=list)
    got: list[Played] = field(default_factory=list)
    left: threading.Event = field(default_factory=threading.Event)
    """Set when a client went away before its answer."""

    def paths(self) -> list[str]:
        return [f"{each.method} {each.path}" for each in self.got]

    async def answer(self, request: web.Request) -> web.StreamResponse:
        document = await request.json() if request.content_type == "application/json" else None
        number = len(self.got)
        self.got.append(Played(request.method, request.path, dict(request.headers), document))
        try:
            return await self.script[min(number, len(self.script) - 1)](request)
        except asyncio.CancelledError:
            self.left.set()
            raise


@pytest.fixture
def stage() -> Iterator[Stage]:
    stage, started = Stage(), threading.Event()
    loop = asyncio.new_event_loop()
    runner: list[web.AppRunner] = []

    async def start() -> None:
        app = web.Application(client_max_size=1 << 22)
        app.router.add_route("*", "/{path:.*}", stage.answer)
        runner.append(web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=0.1))
        await runner[0].setup()
        site = web.TCPSite(runner[0], "127.0.0.1", 0)
        await site.start()
        stage.url = f"http://127.0.0.1:{runner[0].addresses[0][1]}"
        started.set()

    def run() -> None:
        asyncio.set_event_loop(loop)
        loop.run_until_complete(start())
        loop.run_forever()
        loop.run_until_complete(runner[0].cleanup())
        loop.close()

    thread = threading.Thread(target=run)
    thread.start()
    assert started.wait(10)
    yield stage
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)


def wav(seconds: float = 0.5, rate: int = 32000, channels: int = 1, container: str = "WAV") -> bytes:
    wave = 0.5 * np.sin(2 * np.pi * 440 * np.arange(round(seconds * rate)) / rate)
    file = io.BytesIO()
    soundfile.write(file, np.repeat(wave[:, np.newaxis], channels, axis=1), rate, format=container)
    return file.getvalue()


def say(
    status: int = 200, *, body: bytes = b"", json: Any = None, media: str = "", headers: dict[str, str] | None = None
) -> Script:
    async def answer(_: web.Request) -> web.StreamResponse:
        if json is not None:
            return web.json_response(json, status=status, headers=headers)
        return web.Response(status=status, body=body, headers={"Content-Type": media or "audio/wav", **(headers or {})})

    return answer


async def hang(_: web.Request) -> web.StreamResponse:
    await asyncio.sleep(3600)
    raise AssertionError


async def hang_up(request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def break_off(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "audio/wav", "Content-Length": "100000"})
    await response.prepare(request)
    await response.write(b"RIFF")
    assert request.transport is not None
    request.transport.close()
    return response


def asked(prompt: str = "warm pad", **fields: Any) -> SampleSpec:
    return SampleSpec.model_validate({"prompt": prompt, "kind": "raw", "duration": 1.0, **fields}).resolved("endpoint")


def nothing(_: float) -> None:
    """Nobody listens."""

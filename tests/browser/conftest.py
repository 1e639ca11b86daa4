"""A real bridge in a child process, a real Chromium, and a tap on what it plays."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import numpy as np
import pytest
import pytest_asyncio
from playwright.async_api import Browser, ConsoleMessage, Page, Request, async_playwright

REPOSITORY = Path(__file__).parents[2]
STATIC = REPOSITORY / "bridge" / "static"
TAP = (Path(__file__).parent / "tap.js").read_text(encoding="utf-8")
PATIENCE_SECONDS = 40
PITCH_TOLERANCE_HZ = 4
AUDIBLE = 0.01
"""RMS of a band above which it counts as heard."""
CHROMIUM_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder is a browser test, and all of them share one event loop and one Chromium."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)
            if pytest_asyncio.is_async_test(item):
                item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@dataclass
class Bridge:
    """A server process that can be stopped and started again on its port and its data folder."""

    data_dir: Path
    arguments: tuple[str, ...] = ()
    port: int = 0
    _process: asyncio.subprocess.Process | None = None
    _drain: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        """Where a browser finds it."""
        return f"http://localhost:{self.port}"

    async def start(self) -> None:
        """Return when it listens."""
        command = ["-P", "-m", "bridge", "serve", "--port", str(self.port), "--data-dir", str(self.data_dir)]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("BRIDGE_")}
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            *command,
            *self.arguments,
            cwd=self.data_dir.parent,
            env={**environment, "PYTHONPATH": str(REPOSITORY)},
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        assert self._process.stderr is not None
        said = b""
        while not (found := re.search(rb"listens on http://[^ ]*?:(\d+)", said)):
            line = await self._process.stderr.readline()
            assert line, f"the bridge ended before it listened: {said.decode()}"
            said += line
        self.port = int(found[1])
        self._drain = asyncio.create_task(self._read_on(self._process.stderr))

    async def stop(self) -> None:
        """End the process as a service manager would."""
        if self._process is None or self._drain is None:
            return
        if self._process.returncode is None:
            self._process.terminate()
        await self._process.wait()
        await self._drain
        self._process = self._drain = None

    async def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """POST as a program would, and expect success."""
        async with aiohttp.ClientSession() as client, client.post(self.url + path, json=body) as response:
            answer: dict[str, Any] = await response.json()
            assert response.ok, answer
            return answer

    @staticmethod
    async def _read_on(stream: asyncio.StreamReader) -> None:
        while await stream.readline():
            pass


StartBridge = Callable[..., Awaitable[Bridge]]


@pytest_asyncio.fixture(loop_scope="session")
async def start_bridge(tmp_path: Path) -> AsyncIterator[StartBridge]:
    """``await start_bridge("--engine", "tone")`` gives a server with an empty data folder."""
    if not (STATIC / "index.html").is_file():
        pytest.fail("The page is not built: run `make build`, then the tests again.")
    async with AsyncExitStack() as stack:

        async def start(*arguments: str) -> Bridge:
            bridge = Bridge(tmp_path / "data", arguments)
            stack.push_async_callback(bridge.stop)
            await bridge.start()
            return bridge

        yield start


@pytest_asyncio.fixture(loop_scope="session")
async def tone_bridge(start_bridge: StartBridge) -> Bridge:
    """A server that makes sines and nothing by itself."""
    return await start_bridge("--engine", "tone", "--no-pregenerate")


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def chromium() -> AsyncIterator[Browser]:
    """Chromium with audio, without any background traffic of its own."""
    names = ("chromium", "chromium-browser", "google-chrome")
    path = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    if path is None:
        pytest.skip("Chromium is not installed: `apt-get install chromium`, or name it in CHROMIUM.")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=CHROMIUM_ARGUMENTS)
        yield browser
        await browser.close()


@dataclass
class Visit:
    """A page, and everything it did that it should not have done."""

    page: Page
    errors: list[str] = field(default_factory=list)
    outside: list[str] = field(default_factory=list)

    async def open(self, url: str) -> None:
        """Load our own page and wait until it can play and knows all sounds."""
        await self.page.goto(url)
        await self.page.evaluate("sampleBridge.ready")
        assert await self.page.evaluate("sampleBridge.state") == "online"

    async def listen(self) -> None:
        """Put a tap on the loudspeakers."""
        await self.page.evaluate(TAP)

    async def play(self, code: str) -> None:
        """Evaluate code as Ctrl+Enter does, with a tap on the loudspeakers."""
        await self.listen()
        await self.page.evaluate("code => sampleBridge.evaluate(code)", code)

    async def wait_for_sound(self, name: str) -> None:
        """Return when the page can play ``name``."""
        await self.page.wait_for_function(
            "name => sampleBridge.sounds().some((sound) => sound.name === name)", arg=name, polling=50
        )

    async def loud(self, above: float = 0.05) -> None:
        """Return when what is heard is louder than ``above`` (RMS of a block, 1.0 is full scale)."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            await self.page.evaluate("above => tap.until((rms) => rms > above)", above)

    async def quiet(self) -> None:
        """Return when nothing at all is heard any more."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            await self.page.evaluate("tap.until((rms) => rms === 0)")

    async def hear_pitch(self, hertz: float) -> None:
        """Return when the strongest partial of what is heard is at this frequency."""
        heard = 0.0
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                while abs(heard - hertz) > PITCH_TOLERANCE_HZ:
                    heard = (await self.hear(0.4)).pitch
        except TimeoutError:
            pytest.fail(f"{hertz} Hz never came; {heard:.1f} Hz was the last that was heard")

    async def hear_pitch_in(self, lowest: float, highest: float) -> None:
        """Return when something of this band (Hz) is heard, whatever else sounds."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while (await self.hear(0.3)).within(lowest, highest) < AUDIBLE:
                pass

    async def hear(self, seconds: float) -> Heard:
        """Listen from now on."""
        rate, samples = await self.page.evaluate("seconds => tap.capture(seconds)", seconds)
        return Heard(np.asarray(samples, dtype=np.float64), float(rate))


@dataclass
class Heard:
    """Mono audio from the end of the page's chain, at ``rate`` Hz."""

    samples: np.ndarray
    rate: float

    @property
    def rms(self) -> float:
        """Root mean square over all of it; 1.0 is full scale."""
        return float(np.sqrt(np.mean(self.samples**2)))

    @property
    def peak(self) -> float:
        """Largest absolute value."""
        return float(np.max(np.abs(self.samples)))

    def within(self, lowest: float, highest: float) -> float:
        """Root mean square of what lies between two frequencies in Hz."""
        spectrum = np.abs(np.fft.rfft(self.samples)) / len(self.samples)
        hertz = np.fft.rfftfreq(len(self.samples), 1 / self.rate)
        return float(np.sqrt(2 * np.sum(spectrum[(hertz >= lowest) & (hertz <= highest)] ** 2)))

    @property
    def pitch(self) -> float:
        """Frequency in Hz of the strongest partial."""
        spectrum = np.abs(np.fft.rfft(self.samples * np.hanning(len(self.samples))))
        return float(np.argmax(spectrum)) * self.rate / len(self.samples)


@pytest_asyncio.fixture(loop_scope="session")
async def visit(chromium: Browser) -> AsyncIterator[Visit]:
    """A fresh page; at the end it must not have logged an error or asked for anything outside this machine."""
    context = await chromium.new_context(viewport={"width": 1440, "height": 900})
    visited = Visit(await context.new_page())

    def console(message: ConsoleMessage) -> None:
        # A stopped server is part of some tests, and Chromium reports each failed connection by itself.
        if message.type == "error" and "net::ERR_CONNECTION_REFUSED" not in message.text:
            visited.errors.append(message.text)

    def request(sent: Request) -> None:
        address = urlsplit(sent.url)
        if address.scheme not in {"data", "blob"} and address.hostname != "localhost":
            visited.outside.append(sent.url)

    visited.page.on("console", console)
    visited.page.on("pageerror", lambda error: visited.errors.append(str(error)))
    visited.page.on("request", request)
    yield visited
    await context.close()
    assert visited.errors == []
    assert visited.outside == []

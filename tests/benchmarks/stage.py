"""The page on stage in Chromium over loopback: first bars, new names, a bridge that dies twenty times, and memory.

Sound is heard at the last node before the loudspeakers, block by block with the audio clock; which of several sounds
begins is noted where its buffer is started. Times are of that clock. Pushes come as fast as they are made, not spread
over half an hour. The empty page is ours, with a bridge that has no sound.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import aiohttp
import numpy as np
import psutil
from playwright.async_api import Browser, Page

from tests.benchmarks._bridge import answers, clean_environment, free_port, running_bridge
from tests.benchmarks._browser import chromium
from tests.benchmarks._figure import Figure, median

SEED = 13
NEW_NAMES = 20
RESTARTS = 20
SWAPS = 300
AUDIBLE = 0.003
"""RMS of a block; 1.0 is full scale."""
EAR = """async () => {
  const source = `registerProcessor('ear', class extends AudioWorkletProcessor {
    process([channels]) {
      let energy = 0;
      for (const channel of channels) for (const value of channel) energy += value * value;
      this.port.postMessage([currentTime, Math.sqrt(energy / 128 / Math.max(1, channels.length))]);
      return true;
    }
  });`;
  const { context, output } = sampleBridge.audio();
  await context.resume();
  await context.audioWorklet.addModule(`data:text/javascript;base64,${btoa(source)}`);
  const node = new AudioWorkletNode(context, 'ear', { numberOfOutputs: 1 });
  output.connect(node).connect(context.destination);
  const heard = (globalThis.heard = []);
  node.port.onmessage = ({ data }) => heard.push(data);
  const start = AudioBufferSourceNode.prototype.start;
  const known = new WeakSet();
  globalThis.starts = [];
  AudioBufferSourceNode.prototype.start = function (at = 0, offset = 0, ...more) {
    if (this.buffer && this.buffer.duration > 0.2) {
      const { duration } = this.buffer;
      starts.push({ at, offset, rate: this.playbackRate.value, duration, isNew: !known.has(this.buffer) });
      known.add(this.buffer);
    }
    return start.call(this, at, offset, ...more);
  };
  globalThis.play = async (code) => {
    const from = context.currentTime;
    await sampleBridge.evaluate(code);
    return from;
  };
}"""


async def measure() -> dict[str, Figure]:
    """Milliseconds of waiting and of silence, and megabytes."""
    with TemporaryDirectory(prefix="bench-stage-") as folder:
        data = Path(folder, "data")
        async with chromium() as browser:
            figures = await _first_bars(browser, data)
            figures |= await _new_names(browser, data)
            figures |= await _new_loop(browser, data)
            figures |= await _restarts(browser, data)
            figures |= await _memory(browser, data)
    return figures


async def _page(browser: Browser, url: str, *, warm: bool = True) -> Page:
    page = await (await browser.new_context()).new_page()
    if not warm:
        await page.add_init_script("localStorage.setItem('sample-bridge.audio-mb', '0')")
    await page.goto(url)
    await page.evaluate("sampleBridge.ready")
    await page.evaluate(EAR)
    return page


async def _make(url: str, **body: Any) -> dict[str, Any]:
    async with aiohttp.ClientSession() as client, client.post(f"{url}/generate", json=body) as answer:
        answer.raise_for_status()
        made: dict[str, Any] = await answer.json()
        return made


@contextlib.asynccontextmanager
async def _bridge(data: Path) -> AsyncIterator[str]:
    async with running_bridge("--no-pregenerate", data_dir=data) as bridge:
        await answers(f"{bridge.url}/health/ready")
        yield bridge.url


async def _starts(page: Page, count: int, *, seconds: float) -> list[dict[str, float]]:
    """The first starts of buffers, as soon as there are so many new ones, or what there is after a time."""
    until = time.monotonic() + seconds
    while True:
        found: list[dict[str, float]] = await page.evaluate("starts")
        new = [each for each in found if each["isNew"]]
        if len(new) >= count:
            return new
        if count == 2 and new and len(found) > found.index(new[0]) + 1:
            return found[found.index(new[0]) :]
        if time.monotonic() > until:
            return new
        await asyncio.sleep(0.02)


async def _quiet(page: Page) -> None:
    """Return when nothing is heard for a while, at most after some seconds."""
    for _ in range(50):
        await asyncio.sleep(0.2)
        since = await page.evaluate("sampleBridge.audio().context.currentTime - 0.2")
        if not (await _heard(page, since))[1].max(initial=0.0) > AUDIBLE:
            break
    await page.evaluate("() => { heard.length = 0; starts.length = 0; }")


async def _heard(page: Page, since: float) -> tuple[np.ndarray, np.ndarray]:
    """Times and RMS of every block of 128 frames since a time of the audio clock."""
    rows = await page.evaluate("since => heard.filter(([time]) => time >= since)", since)
    blocks = np.asarray(rows or np.zeros((0, 2)), dtype=np.float64)
    return blocks[:, 0], blocks[:, 1]


async def _first_sound(page: Page, since: float, *, seconds: float = 20.0) -> float:
    """Seconds from a time of the audio clock to the first block that is heard."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        times, levels = await _heard(page, since)
        if (levels > AUDIBLE).any():
            return float(times[np.argmax(levels > AUDIBLE)] - since)
        await asyncio.sleep(0.02)
    return seconds


# ---------------------------------------------------------------------- sounds are there in time


async def _first_bars(browser: Browser, data: Path) -> dict[str, Figure]:
    """Ten kept long sounds that this page has never loaded."""
    words = ("rain", "drone", "warm pad", "choir", "strings", "ocean", "wind", "organ pad", "glass pad", "vinyl")
    async with _bridge(data) as url:
        names = [f"gen_stage_{number}" for number in range(len(words))]
        for name, prompt in zip(names, words, strict=True):
            await _make(url, prompt=prompt, name=name, kind="texture", duration=8, engine="procedural")
        page = await _page(browser, url, warm=False)
        since = await page.evaluate("code => play(code)", f'setcpm(30)\n$: s("{",".join(names)}").slow(4)')
        first = await _first_sound(page, since)
        begun = await _starts(page, len(names), seconds=7.0)
        await page.context.close()
    last = max(each["at"] for each in begun) - since if len(begun) == len(names) else 8.0
    note = f"from Play, {len(begun)} of {len(names)} sounds of 8 s, none loaded before"
    return {
        "first bar: the last of ten sounds": Figure(1000 * last, "ms", 600.0, note=note),
        "first bar: something is heard": Figure(1000 * first, "ms"),
    }


async def _new_names(browser: Browser, data: Path) -> dict[str, Figure]:
    """From Ctrl-Enter to sound of a name that does not exist, eight times a cycle."""
    waits = []
    adjectives = ("dusty", "bright", "dark", "hollow", "brittle", "soft", "hard", "tiny", "wide", "old")
    chance = random.Random(SEED)
    async with _bridge(data) as url:
        await _make(url, prompt="kick", name="gen_first", engine="procedural")
        page = await _page(browser, url)
        await page.evaluate("code => play(code)", "silence")
        for number in range(NEW_NAMES):
            thing = chance.choice(("snare", "tom", "bell", "clap"))
            await asyncio.sleep(chance.uniform(0.4, 0.9))
            name = f"gen_{adjectives[number % 10]}_{thing}_of_{number}_rooms"
            since = await page.evaluate("code => play(code)", f's("{name}*8")')
            waits.append(await _first_sound(page, since))
            await page.evaluate("code => play(code)", "silence")
            await _quiet(page)
        await page.context.close()
    return {
        "new name, *8: Ctrl-Enter to sound": Figure(1000 * median(waits), "ms", 450.0, note=f"median of {NEW_NAMES}"),
        "new name, *8: slowest": Figure(1000 * max(waits), "ms", 700.0),
    }


async def _new_loop(browser: Browser, data: Path) -> dict[str, Figure]:
    """A new loop of two bars while a set plays: when it is heard, and how far it is from where it would be."""
    waits, away = [], []
    async with _bridge(data) as url:
        page = await _page(browser, url)
        await page.evaluate("code => play(code)", "setcpm(30)\n$: silence")
        for number, word in enumerate(("amber", "cobalt", "violet")):
            await asyncio.sleep(0.7 + 0.4 * number)
            await page.evaluate("() => { starts.length = 0; }")
            code = f'setcpm(30)\n$: s("gen_{word}_break").loopAt(2)'
            since = await page.evaluate("code => play(code)", code)
            waits.append(await _first_sound(page, since))
            first, second = (await _starts(page, 2, seconds=9.0))[:2]
            # Two cycles last four seconds: so far from the start of its event is each start as its offset says.
            apart = _event(second) - _event(first)
            away.append(abs(apart - 4 * round(apart / 4)))
            await page.evaluate("code => play(code)", "setcpm(30)\n$: silence")
            await _quiet(page)
        await page.context.close()
    return {
        "new .loopAt(2): Ctrl-Enter to sound": Figure(1000 * max(waits), "ms", 1200.0, note="slowest of 3"),
        "new .loopAt(2): out of phase": Figure(1000 * max(away), "ms", 5.0, note="worst of 3"),
    }


def _event(start: dict[str, float]) -> float:
    """When the event began into which a buffer was started."""
    return start["at"] - start["offset"] / start["rate"]


# ---------------------------------------------------------------------- the bridge dies


async def _restarts(browser: Browser, data: Path) -> dict[str, Figure]:
    """Kill and start the server while a set plays, and write something else each time."""
    chance = random.Random(SEED)
    gaps, waits, dead = list[float](), list[float](), list[str]()
    async with _bridge(data) as url:
        await _make(url, prompt="drone", name="gen_ground", kind="texture", duration=8, engine="procedural")
        for number in range(RESTARTS):
            await _make(url, prompt=f"bell {number}", name=f"gen_kept_{number}", engine="procedural")
    port = free_port()
    process = await _served(port, data)
    try:
        page = await _page(browser, f"http://127.0.0.1:{port}", warm=False)
        ground = 's("gen_ground").loopAt(4).gain(.6)'
        since = await page.evaluate("code => play(code)", ground)
        await _first_sound(page, since)
        for number in range(RESTARTS):
            since = await page.evaluate("sampleBridge.audio().context.currentTime")
            process.kill()
            await process.wait()
            await asyncio.sleep(chance.uniform(0.05, 1.5))
            name = f"gen_bell_of_night_{number}" if number % 2 else f"gen_kept_{number}"
            await page.evaluate("() => { starts = starts.filter(() => false); }")
            await page.evaluate("code => play(code)", f'stack({ground}, s("{name}*8").gain(.3))')
            await asyncio.sleep(chance.uniform(0.05, 1.5))
            process = await _served(port, data)
            back = await page.evaluate("sampleBridge.audio().context.currentTime")
            begun = await _starts(page, 1, seconds=10.0)
            waits.append(begun[0]["at"] - back if begun else 10.0)
            if not begun:
                dead.append(name)
            gaps.append(_longest_silence(*await _heard(page, since)))
            await page.evaluate("() => { heard.length = 0; }")
        await page.context.close()
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
    note = f"{RESTARTS} kills, seed {SEED}"
    return {
        "restarts: longest gap in what was loaded": Figure(1000 * max(gaps), "ms", 3.0, note=f"{note}; blocks of 3 ms"),
        "restarts: answering to the other sound": Figure(1000 * max(waits), "ms", 3000.0, note="slowest"),
        "restarts: dead names": Figure(float(len(dead)), "", 1.0, note=", ".join(dead)),
    }


async def _served(port: int, data: Path) -> asyncio.subprocess.Process:
    """A server on this port; returns when it answers."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "bridge", "serve", "--port", str(port), "--data-dir", str(data)),
        "--no-pregenerate",
        env=clean_environment(),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    await answers(f"http://127.0.0.1:{port}/health")
    return process


def _longest_silence(times: np.ndarray, levels: np.ndarray) -> float:
    """Seconds of the longest run of blocks below -80 dBFS."""
    longest = run = 0.0
    for step, level in zip(np.diff(times), levels, strict=False):
        run = run + float(step) if level < 1e-4 else 0.0
        longest = max(longest, run)
    return longest


# ---------------------------------------------------------------------- memory


async def _memory(browser: Browser, data: Path) -> dict[str, Figure]:
    """Loops that are pushed into a page which plays some of their names, and what its process takes more than empty."""
    async with _bridge(data.with_name("empty")) as url:
        before = _renderers()
        page = await _page(browser, url)
        process = max(_renderers() - before, key=_megabytes)
        await page.evaluate("code => play(code)", "silence")
        empty = await _settled(page, process)
        names = [f"gen_swap_{number}" for number in range(30)]
        played = ",".join(names[:8])
        for number in range(SWAPS):
            body = {"prompt": f"break {number}", "kind": "loop", "bars": 2, "bpm": 120, "seed": number}
            await _make(url, **body, engine="procedural", name=names[number % len(names)])
            if number == len(names):
                await page.evaluate("code => play(code)", f's("{played}").n(irand(10)).loopAt(2).gain(.1)')
            if number % 60 == 59:
                await page.evaluate("() => { heard.length = 0; starts.length = 0; }")
        full = await _settled(page, process)
        used = await page.evaluate("sampleBridge.audioMemory")
        await page.context.close()
    note = f"{SWAPS} loops of 4 s, 8 of 30 names play; {used['used'] / 1e6:.0f} MB of audio; empty: {empty:.0f} MB"
    return {"memory over an empty page": Figure(full - empty, "MB", used["budget"] / 1e6 + 100.0, note=note)}


def _renderers() -> set[psutil.Process]:
    children = psutil.Process().children(recursive=True)
    return {child for child in children if "--type=renderer" in " ".join(child.cmdline())}


def _megabytes(process: psutil.Process) -> float:
    return float(process.memory_info().rss) / 1e6


async def _settled(page: Page, process: psutil.Process) -> float:
    session = await page.context.new_cdp_session(page)
    for _ in range(3):
        await session.send("HeapProfiler.collectGarbage")
        await asyncio.sleep(0.5)
    return _megabytes(process)

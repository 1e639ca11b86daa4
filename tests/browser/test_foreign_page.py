"""Somebody else's page, on another origin, with nothing of ours but an address."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
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
    await _with_stock_strudel(visit, foreign_page, tone_bridge)
    await visit.page.evaluate("evaluate('s(\"lab_tone*4\").clip(1)')")
    await visit.loud()
    await visit.hear_pitch(415)


async def test_a_pitched_sound_is_in_tune_with_note_over_all_its_roots(
    tone_bridge: Bridge, visit: Visit, foreign_page: str
) -> None:
    body = {"prompt": "marimba", "roots": ["c3", "c5"], "engine": "procedural", "name": "lab_marimba"}
    await tone_bridge.post("/generate", body)
    await _with_stock_strudel(visit, foreign_page, tone_bridge)
    for note, hertz in (("g2", 98.0), ("a3", 220.0), ("e5", 659.26)):
        await visit.page.evaluate(f'evaluate(\'note("{note}*8").s("lab_marimba").clip(1)\')')
        await visit.hear_pitch(hertz)


async def test_the_code_of_a_loop_plays_it_as_it_was_made_and_without_a_gap(
    tone_bridge: Bridge, visit: Visit, foreign_page: str
) -> None:
    body = {"prompt": "tone 331 hz", "kind": "loop", "bars": 2, "bpm": 160, "name": "lab_loop"}
    made = await tone_bridge.post("/generate", body)
    assert made["strudel"] == 's("lab_loop").loopAt(2)'
    await _with_stock_strudel(visit, foreign_page, tone_bridge)
    await visit.page.evaluate("code => evaluate(code)", f"setcps(160/60/4)\n{made['strudel']}")
    await visit.hear_pitch(331)  # loopAt with a wrong number would play it faster or slower
    heard = await visit.hear(4.0)  # at least once from its end into its beginning
    block = int(heard.rate * 0.02)
    levels = [float(np.abs(heard.samples[at : at + block]).max()) for at in range(0, len(heard.samples) - block, block)]
    assert min(levels) > 0.8 * max(levels)


async def test_slices_are_played_by_their_number(tone_bridge: Bridge, visit: Visit, foreign_page: str) -> None:
    body = {"prompt": "house beat", "kind": "loop", "bars": 1, "bpm": 120, "engine": "procedural", "name": "lab_beat"}
    await tone_bridge.post("/generate", body)
    cut = await tone_bridge.post("/sounds/lab_beat/slices", {})
    last = len(cut["urls"]) - 1
    await _with_stock_strudel(visit, foreign_page, tone_bridge)
    await visit.page.evaluate(f"evaluate('s(\"lab_beat_sl:0 lab_beat_sl:{last}\")')")
    await visit.loud()


async def _with_stock_strudel(visit: Visit, page: str, bridge: Bridge) -> None:
    await visit.page.goto(page)
    await visit.page.evaluate("started")
    await visit.page.evaluate("initAudio()")
    await visit.listen()
    await visit.page.evaluate(f"samples('{bridge.url}/strudel.json')")


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


ATTACK = """async (url) => {
    const ask = async (method, path, body) => {
        try {
            const answer = await fetch(url + path, body === undefined ? { method } : {
                method, body: JSON.stringify(body), headers: { 'Content-Type': 'application/json' } });
            return [answer.status, await answer.text()];
        } catch { return ['blocked', '']; }
    };
    return {
        forget: await ask('POST', '/forget', { what: 'all' }),
        remove: await ask('DELETE', '/sounds/lab_tone'),
        rename: await ask('PATCH', '/sounds/lab_tone', { name: 'pwned' }),
        restore: await ask('PATCH', '/sounds/lab_tone', { deleted: false }),
        jobs: await ask('GET', '/api/v1/jobs'),
        sounds: await ask('GET', '/sounds'),
        made: await ask('POST', '/generate', { prompt: 'tone 300 hz', duration: 0.5 }),
    };
}"""


async def test_another_page_wipes_deletes_and_overhears_nothing(
    tone_bridge: Bridge, visit: Visit, foreign_page: str
) -> None:
    await tone_bridge.post("/generate", {"prompt": "tone 415 hz of a quiet evening", "name": "lab_tone"})
    await visit.page.goto(foreign_page)
    told = await visit.page.evaluate(ATTACK, tone_bridge.url)
    visit.errors.clear()  # Chromium reports what was refused
    assert told["forget"][0] == 403
    assert [told[each][0] for each in ("remove", "rename", "restore")] == ["blocked"] * 3
    assert told["made"][0] == told["sounds"][0] == told["jobs"][0] == 200
    assert "lab_tone" in told["sounds"][1]
    assert "evening" not in told["sounds"][1] + told["jobs"][1]
    assert "lab_tone" not in told["jobs"][1]

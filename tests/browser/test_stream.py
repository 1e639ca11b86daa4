"""A stream in the page: it sounds, it is changed, it ends, and nothing is missing in between."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.browser.conftest import StartBridge, Visit

HOLES = """async () => {
    const { context, output } = sampleBridge.audio();
    const analyser = new AnalyserNode(context, { fftSize: 2048 });
    output.connect(analyser);
    const wave = new Float32Array(2048);
    let loud = 0, quiet = 0;
    let end = context.currentTime + 60;  // an engine that is just being started takes its time
    while (context.currentTime < end) {
        await new Promise((resolve) => setTimeout(resolve, 30));
        analyser.getFloatTimeDomainData(wave);
        if (Math.max(...wave.map(Math.abs)) > 1e-4) {
            if (!loud++) end = context.currentTime + 3;
        }
        else if (loud) quiet++;
    }
    return { loud, quiet };
}"""


async def test_the_words_of_the_prompt_box_play_without_an_end_or_a_hole(
    start_bridge: StartBridge, visit: Visit
) -> None:
    bridge = await start_bridge("--engine", "procedural", "--no-pregenerate")
    await visit.open(bridge.url)
    page = visit.page
    await page.locator("#prompt").fill("ocean waves")
    await page.get_by_role("button", name="∞ Stream").click()
    change = page.get_by_role("button", name="Change stream")
    await change.wait_for()
    heard = await page.evaluate(HOLES)
    assert heard["loud"] > 10
    assert heard["quiet"] == 0
    await page.locator("#prompt").fill("rain")
    await change.click()
    assert (await page.evaluate(HOLES))["quiet"] == 0
    await page.get_by_role("button", name="End stream").click()
    await page.get_by_role("button", name="∞ Stream").wait_for()


async def test_a_bridge_with_a_key_streams_to_a_page_that_has_it(
    start_bridge: StartBridge, visit: Visit, tmp_path: Path
) -> None:
    (tmp_path / "key.toml").write_text('api_key = "k3y-ä/?"\n', encoding="utf-8")
    bridge = await start_bridge("--engine", "procedural", "--no-pregenerate", "--config", str(tmp_path / "key.toml"))
    await visit.open(f"{bridge.url}/#token=k3y-%C3%A4%2F%3F")
    page = visit.page
    await page.locator("#prompt").fill("ocean waves")
    await page.get_by_role("button", name="∞ Stream").click()
    await page.get_by_role("button", name="Change stream").wait_for()
    assert (await page.evaluate(HOLES))["loud"] > 10
    await page.get_by_role("button", name="End stream").click()

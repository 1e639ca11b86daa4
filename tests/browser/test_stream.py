"""A stream in the page: it sounds, it is changed, it ends, and nothing is missing in between."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.browser.conftest import StartBridge, Visit

HOLES = """async () => {
    const { context, output } = sampleBridge.audio();
    const analyser = new AnalyserNode(context, { fftSize: 2048 });
    output.connect(analyser);
    const wave = new Float32Array(2048);
    let loud = 0, quiet = 0;
    const end = context.currentTime + 3;
    while (context.currentTime < end) {
        await new Promise((resolve) => setTimeout(resolve, 30));
        analyser.getFloatTimeDomainData(wave);
        if (Math.max(...wave.map(Math.abs)) > 1e-4) loud++;
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

"""What axe-core finds: in both themes, on a desktop and on a phone, with the panels open and closed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.async_api import Browser

    from tests.browser.conftest import Bridge

AXE = Path(__file__).parents[2] / "web_client" / "node_modules" / "axe-core" / "axe.min.js"
FOUND = """axe.run(document, { resultTypes: ['violations'] }).then(({ violations }) =>
    violations.filter(({ impact }) => ['serious', 'critical'].includes(impact))
        .map(({ id, nodes }) => `${id}: ${nodes.map(({ target }) => target.join(' ')).join(', ')}`))"""


@pytest.mark.parametrize("scheme", ["dark", "light"])
async def test_axe_finds_nothing_serious(tone_bridge: Bridge, chromium: Browser, scheme: str) -> None:
    context = await chromium.new_context(color_scheme=scheme, bypass_csp=True, viewport={"width": 1440, "height": 900})
    page = await context.new_page()
    await page.goto(tone_bridge.url)
    await page.evaluate("sampleBridge.ready")
    await page.evaluate("sampleBridge.generateMusic({ prompt: 'tone 300 hz', name: 'axe_tone' })")
    await page.locator('.sound[data-name="axe_tone"] summary').click()
    await page.add_script_tag(path=AXE)
    for width in (1440, 360):
        await page.set_viewport_size({"width": width, "height": 740})
        assert await page.evaluate(FOUND) == []
        await page.get_by_role("button", name="Sets", exact=True).click()
        assert await page.evaluate(FOUND) == []
        await page.keyboard.press("Escape")
    await context.close()

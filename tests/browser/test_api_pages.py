"""The pages that show the API, in a browser that reaches nothing but this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.browser.conftest import Bridge, Visit


async def test_swagger_ui_shows_every_call_and_makes_a_sound(tone_bridge: Bridge, visit: Visit) -> None:
    page = visit.page
    await page.goto(f"{tone_bridge.url}/docs")
    call = page.locator("#operations-jobs-post_prompt")
    await call.click()
    await call.get_by_role("button", name="Try it out").click()
    await call.locator("textarea.body-param__text").fill('{"genre": "electronic", "tempo": "fast"}')
    await call.get_by_role("button", name="Execute").click()
    await call.locator(".live-responses-table .response-col_status", has_text="200").wait_for()
    assert "electronic music, fast tempo" in await call.locator(".live-responses-table").inner_text()


async def test_redoc_shows_every_call(tone_bridge: Bridge, visit: Visit) -> None:
    await visit.page.goto(f"{tone_bridge.url}/redoc")
    await visit.page.get_by_role("heading", name="Sample Bridge").first.wait_for()
    await visit.page.get_by_text("/api/v1/prompt/build").first.wait_for(state="attached")


async def test_the_sockets_page_is_read_without_a_script(tone_bridge: Bridge, visit: Visit) -> None:
    await visit.page.goto(f"{tone_bridge.url}/asyncapi")
    await visit.page.get_by_role("heading", name="/ws/stream/{session_id}").wait_for()
    await visit.page.locator("summary").first.click()
    assert '"type": "object"' in await visit.page.locator("pre").first.inner_text()

"""Code is never lost: sets of tabs, history, links, files, and the bridge's copy, in a real browser."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.async_api import Browser, Page

    from tests.browser.conftest import Bridge, Visit

EDITOR = ".cm-content"


async def ready(page: Page) -> None:
    await page.evaluate("sampleBridge.ready")


async def code_of(page: Page) -> str:
    return "\n".join(await page.locator(".cm-line").all_inner_texts()).strip("\n")


async def write(page: Page, code: str) -> None:
    """As somebody types, in place of what is there; returns when the browser has it."""
    await page.locator(EDITOR).click()
    await page.keyboard.press("Control+A")
    await page.keyboard.press("Delete")
    if code:
        await page.keyboard.insert_text(code)
    await kept(page, code)


async def kept(page: Page, code: str) -> None:
    """Return when IndexedDB has a set with this code."""
    found = """code => new Promise((resolve) => {
        const opening = indexedDB.open('sample-bridge');
        opening.onsuccess = () => {
            const all = opening.result.transaction('sets').objectStore('sets').getAll();
            all.onsuccess = () => {
                opening.result.close();
                resolve(all.result.some((set) => set.code === code));
            };
        };
    })"""
    async with asyncio.timeout(20):
        while not await page.evaluate(found, code):
            await asyncio.sleep(0.02)


async def open_panel(page: Page) -> None:
    await page.get_by_role("button", name="Sets", exact=True).click()
    await page.locator(".setsdialog[open] .setlist li").first.wait_for()


async def said(page: Page, text: str) -> None:
    await page.locator(".statusline").filter(has_text=text).wait_for()


@asynccontextmanager
async def another_browser(chromium: Browser, url: str) -> AsyncIterator[Page]:
    context = await chromium.new_context()
    page = await context.new_page()
    await page.goto(url)
    await ready(page)
    yield page
    await context.close()


async def test_two_tabs_have_two_sets_and_nothing_is_lost_by_a_reload(tone_bridge: Bridge, visit: Visit) -> None:
    page = visit.page
    await page.goto(tone_bridge.url)
    await page.evaluate("localStorage.setItem('sample-bridge.code', 's(\"of an earlier version\")')")
    await page.evaluate("sessionStorage.clear()")
    await visit.open(tone_bridge.url)
    assert await code_of(page) == 's("of an earlier version")'
    assert await page.evaluate("localStorage.getItem('sample-bridge.code')") is None
    await write(page, "tab one")
    two = await page.context.new_page()
    await two.goto(tone_bridge.url)
    await ready(two)
    assert "tab one" not in await code_of(two)
    await write(two, "tab two")
    for tab, code in ((page, "tab one"), (two, "tab two")):
        await tab.reload()
        await ready(tab)
        assert await code_of(tab) == code
    await write(page, "")
    await page.reload()
    await ready(page)
    assert await code_of(page) == "", "an emptied editor stays empty"
    # What was typed a moment before the tab went is there, although no database had the time to take it.
    await page.locator(EDITOR).click()
    await page.keyboard.insert_text("a moment ago")
    await page.reload()
    await ready(page)
    assert await code_of(page) == "a moment ago"
    await kept(page, "a moment ago")
    await write(two, "tab two, last")
    await two.close()
    # A closed tab's set is what the next one begins with.
    async with asyncio.timeout(20):
        while True:
            next_tab = await page.context.new_page()
            await next_tab.goto(tone_bridge.url)
            await ready(next_tab)
            if await code_of(next_tab) == "tab two, last":
                break
            await next_tab.close()
    # A tab that has another one's memory, as a duplicated one has, goes on in a copy.
    draft = await page.evaluate("sessionStorage.getItem('sample-bridge.draft')")
    twin = await page.context.new_page()
    await twin.add_init_script(f"sessionStorage.setItem('sample-bridge.draft', {draft!r})")
    await twin.goto(tone_bridge.url)
    await ready(twin)
    await said(twin, "is open in another tab. This tab has a copy of it.")
    await write(twin, "the twin's")
    assert await code_of(page) == "a moment ago"


async def test_a_loop_without_an_end_is_in_the_history_and_its_set_opens_without_running(
    tone_bridge: Bridge, visit: Visit, chromium: Browser
) -> None:
    page = visit.page
    await visit.open(tone_bridge.url)
    await write(page, 's("sine*4")')
    await page.keyboard.press("Control+Enter")
    await page.locator("#transport").get_by_text("Update").wait_for()
    endless = 'globalThis.ran = 1; while (globalThis.ran) globalThis.ran++; s("endless")'
    await write(page, endless)
    await page.locator(EDITOR).click()
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(page.keyboard.press("Control+Enter"), 2)
    async with asyncio.timeout(30):  # the evaluation begins when its note is written
        while True:
            try:
                await asyncio.wait_for(page.evaluate("1"), 2)
            except TimeoutError:
                break
            await asyncio.sleep(0.1)
    # This tab answers no more. Another one finds what it had.
    other = await page.context.new_page()
    await other.goto(tone_bridge.url)
    await ready(other)
    await open_panel(other)
    history = """() => new Promise((resolve) => {
        const opening = indexedDB.open('sample-bridge');
        opening.onsuccess = () => {
            const all = opening.result.transaction('history').objectStore('history').getAll();
            all.onsuccess = () => resolve(all.result.map(({ code }) => code));
        };
    })"""
    assert (await other.evaluate(history))[-1] == endless
    await asyncio.wait_for(page.close(), 20)
    third = await other.context.new_page()
    async with asyncio.timeout(20):  # until the hanging tab's process is gone, and its lock with it
        while True:
            await third.goto(tone_bridge.url)
            await ready(third)
            if "endless" in await code_of(third):
                break
            await third.evaluate("sessionStorage.clear()")
            await asyncio.sleep(0.2)
    assert await third.evaluate("globalThis.ran") is None
    await open_panel(third)
    moments = third.locator(".moments summary")
    assert [("played" in text) for text in await moments.all_inner_texts()] == [True, True]
    await moments.nth(1).click()
    diff = third.locator(".moments .diff")
    await diff.wait_for()
    assert '+ s("sine*4")' in await diff.inner_text()
    await third.get_by_role("button", name="Bring back").click()
    await third.locator(".setsdialog").wait_for(state="hidden")
    assert await code_of(third) == 's("sine*4")'


async def test_links_open_as_sets_of_their_own_and_evaluate_nothing(tone_bridge: Bridge, visit: Visit) -> None:
    page = visit.page
    await visit.open(tone_bridge.url)
    await write(page, "mine")
    theirs = '// @title Night é 🎹\nglobalThis.ran = 1; s("bd*4") // +/= ???>>>'
    link = await page.evaluate("code => '#' + code2hash(code)", theirs)  # strudel.cc's own function
    await page.evaluate("hash => { location.hash = hash }", link)
    await said(page, "Night é 🎹")
    assert await code_of(page) == theirs
    assert await page.evaluate("location.hash") == ""
    assert await page.get_by_label("Name of this set").input_value() == "Night é 🎹"
    await kept(page, "mine")
    await page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    await open_panel(page)
    await page.get_by_role("button", name="Copy strudel.cc link").click()
    copied = await page.evaluate("navigator.clipboard.readText()")
    assert copied == f"https://strudel.cc/{link}"
    await page.get_by_label("Link to open").fill("https://strudel.cc/#no%code")
    await page.get_by_role("button", name="Open link").click()
    await said(page, "This link holds no code that can be read. Your own set is unchanged.")
    assert await code_of(page) == theirs
    fresh = await page.context.new_page()
    await fresh.goto(f"{tone_bridge.url}/{await page.evaluate('code => `#${code2hash(code)}`', 'fresh; ran = 1')}")
    await ready(fresh)
    assert await code_of(fresh) == "fresh; ran = 1"
    for garbage in ("%E0%A4%A", "////", "A" * 1_900_000):
        await fresh.evaluate("sessionStorage.removeItem('sample-bridge.draft')")
        await fresh.goto("about:blank")
        await fresh.goto(f"{tone_bridge.url}/#{garbage}")
        await ready(fresh)
        await said(fresh, "Your own set is unchanged.")
    for tab in (page, fresh):
        assert await tab.evaluate("globalThis.ran") is None


async def test_another_browser_finds_saved_sets_and_of_two_who_save_one_nothing_is_lost(
    tone_bridge: Bridge, visit: Visit, chromium: Browser
) -> None:
    page = visit.page
    await visit.open(tone_bridge.url)
    await write(page, 's("bd")')
    name = page.get_by_label("Name of this set")
    await name.fill("Friday")
    await page.keyboard.press("Control+S")
    await said(page, '"Friday" is on the bridge, version 1.')
    assert await page.locator(".setstate").inner_text() == "saved"
    async with another_browser(chromium, tone_bridge.url) as there:
        await open_panel(there)
        await there.get_by_role("button", name="Open Friday").click()
        await there.locator(".setsdialog").wait_for(state="hidden")
        assert await code_of(there) == 's("bd")'
        await there.get_by_label("Name of this set").fill("Renamed there")
        await write(there, 's("theirs")')
        await there.keyboard.press("Control+S")
        await said(there, "version 2")
        await name.fill("Renamed here")
        await write(page, 's("mine")')
        visit.errors.clear()
        await page.keyboard.press("Control+S")
        await said(page, "Another browser has saved this set meanwhile, as version 2, 'Renamed there'.")
        assert await code_of(page) == 's("mine")'
        await open_panel(page)
        assert '+ s("theirs")' in await page.locator(".setconflict .diff").inner_text()
        await page.get_by_role("button", name="Save mine on top").click()
        await said(page, '"Renamed here" is on the bridge, version 3.')
        await open_panel(page)
        versions = page.locator(".moments summary").filter(has_text="saved on the bridge")
        assert await versions.count() == 3
        await versions.nth(1).click()
        await page.locator(".moments .diff").filter(has_text='+ s("theirs")').wait_for()
        # Deleted by a person, in the frame that code cannot click; and taken back.
        await page.get_by_role("button", name="Delete Renamed here").click()
        frame = page.frame_locator(".confirm iframe")
        await frame.get_by_role("heading", name="Delete the set Renamed here?").wait_for()
        await frame.locator("#yes").hover()
        await asyncio.sleep(1)  # the frame takes no click of somebody who cannot have read it
        await frame.locator("#yes").click()
        await said(page, '"Renamed here" is deleted.')
        await page.locator(".statusline").get_by_role("button", name="Undo").click()
        await said(page, '"Renamed here" is back.')
        await open_panel(page)
        await page.get_by_role("button", name="Open Renamed here").click()
        await page.locator(".setsdialog").wait_for(state="hidden")
        assert await code_of(page) == 's("mine")'
    visit.errors[:] = [each for each in visit.errors if "428" not in each and "409" not in each]


async def test_files_go_out_and_come_in_and_bad_ones_are_a_sentence(
    tone_bridge: Bridge, visit: Visit, tmp_path: Path
) -> None:
    page = visit.page
    await visit.open(tone_bridge.url)
    await write(page, 's("é 🎹")')
    await page.get_by_label("Name of this set").fill("a/b")
    await open_panel(page)

    async def exported(label: str) -> Path:
        async with page.expect_download() as download:
            await page.get_by_role("button", name=label, exact=True).click()
        file = await download.value
        path = tmp_path / file.suggested_filename
        await file.save_as(path)
        return path

    one, every = await exported("Export"), await exported("Export all")
    assert (one.name, one.read_text("utf-8")) == ("a_b.js", 's("é 🎹")')

    async def imported(*given: Any) -> None:
        if not await page.locator(".setsdialog[open]").count():
            await open_panel(page)
        await page.get_by_label("Files to import").set_input_files(given)
        await page.locator(".setsdialog").wait_for(state="hidden")

    binary, large = tmp_path / "kick.wav", tmp_path / "large.js"
    binary.write_bytes(b"RIFF\0\0\0\0WAVE")
    large.write_bytes(b"x" * 50_000_000)
    await imported(binary)
    await said(page, '"kick.wav" is not a text file, so it holds no code. Nothing was imported.')
    await imported(large)
    await said(page, '"large.js" has 48 MB; a file of sets has at most 10 MB. Nothing was imported.')
    assert await code_of(page) == 's("é 🎹")'
    await imported(one)
    await said(page, '"a_b" is open. Press Play to hear it.')
    await imported(every)
    assert await code_of(page) == 's("é 🎹")'
    await open_panel(page)
    assert sorted(await page.locator(".setlist .name").all_inner_texts()) == ["a/b", "a/b", "a_b"]


@pytest.mark.parametrize("how", ["forbidden", "full"])
async def test_where_the_browser_keeps_nothing_the_page_says_so_and_plays_on(
    tone_bridge: Bridge, visit: Visit, how: str
) -> None:
    page = visit.page
    script = {
        "forbidden": "indexedDB.open = () => { throw new DOMException('no', 'SecurityError') };"
        "Storage.prototype.setItem = () => { throw new DOMException('no', 'QuotaExceededError') };",
        "full": "IDBObjectStore.prototype.put = IDBObjectStore.prototype.add = () => "
        "{ throw new DOMException('no', 'QuotaExceededError') };",
    }[how]
    await page.add_init_script(script)
    await visit.open(tone_bridge.url)
    await page.locator(EDITOR).click()
    await page.keyboard.press("Control+A")
    await page.keyboard.insert_text('note("a3").s("sine")')
    await said(page, "This browser keeps nothing for the page")
    await visit.listen()
    await page.keyboard.press("Control+Enter")
    await visit.loud()
    await open_panel(page)
    assert "played" in await page.locator(".moments summary").first.inner_text()
    await page.get_by_role("button", name="New", exact=True).click()
    await page.locator(".setsdialog").wait_for(state="hidden")
    assert await code_of(page) == ""
    await visit.loud()
    await open_panel(page)
    await page.get_by_role("button", name="Open Set 1").click()
    await page.locator(".setsdialog").wait_for(state="hidden")
    assert await code_of(page) == 'note("a3").s("sine")'

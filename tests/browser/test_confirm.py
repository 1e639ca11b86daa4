"""A person deletes in the page; code in the page does not, whatever it does to the page."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import pytest_asyncio
from playwright.async_api import TimeoutError as TooLate

if TYPE_CHECKING:
    from playwright.async_api import Browser, Frame, Page

    from tests.browser.conftest import Bridge

NAMES = [f"lab_{n}" for n in range(3)]
PATTERN = """async () => {
    const told = [];
    addEventListener('message', ({ data }) => { if (data?.secret) told.push(data.secret); });
    const remove = (name, headers = {}) => fetch(`/sounds/${name}`, { method: 'DELETE', headers });
    const ask = async (name) => (await (await remove(name)).json()).error.confirm;
    const status = async (asked, how) => (await fetch(await asked, how).catch(() => ({ status: 0 }))).status;
    const found = {};
    found.remove = (await remove('lab_0')).status;
    const quiet = { method: 'DELETE', mode: 'same-origin', referrerPolicy: 'no-referrer', credentials: 'omit' };
    found.quiet = await status('/sounds/lab_0', quiet);
    found.rename = await status('/sounds/lab_0', {
        method: 'PATCH', body: '{"name": "lab_9"}', headers: { 'Content-Type': 'application/json' } });
    found.fetch = await status(ask('lab_0'), {});
    found.fakes = await status(ask('lab_0'), { mode: 'no-cors', headers: { 'Sec-Fetch-Dest': 'iframe' } });
    const opened = open(await ask('lab_0'));
    const shown = (tag, address) => new Promise((resolve) => {
        const element = document.createElement(tag);
        element[tag === 'object' ? 'data' : 'src'] = address;
        element.onload = () => resolve(element);
        element.onerror = () => resolve(null);
        document.body.append(element);
        setTimeout(() => resolve(null), 1000);
    });
    found.object = await shown('object', await ask('lab_0')) === null;
    found.embed = await shown('embed', await ask('lab_0')) === null;
    // The page's own dialog, opened by a click that nobody made, and one of its own.
    document.querySelector('.sound[data-name=lab_0] .delete').click();
    const own = await shown('iframe', await ask('lab_1'));
    await new Promise((resolve) => setTimeout(resolve, 1500));
    const frames = [...document.querySelectorAll('iframe')];
    found.frames = frames.length;
    found.reached = frames.filter((frame) => {
        try { return frame.contentDocument || frame.contentWindow.document; } catch { return false; }
    }).length;
    for (const frame of frames) {
        frame.focus();
        for (const type of ['pointerdown', 'pointerup', 'click']) {
            frame.dispatchEvent(new PointerEvent(type, { bubbles: true, clientX: 700, clientY: 400 }));
        }
        frame.dispatchEvent(new KeyboardEvent('keydown', { key: 'Tab', bubbles: true }));
        frame.dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter', bubbles: true }));
        frame.contentWindow.postMessage({ type: 'sample-bridge.confirm', done: true }, '*');
        postMessage({ type: 'sample-bridge.confirm', done: true, secret: 'mine' });
    }
    await new Promise((resolve) => setTimeout(resolve, 500));
    const read = () => { try { return opened.document.body.innerHTML; } catch { return ''; } };
    found.opened = read().includes('&quot;secret&quot;') || read().includes('"secret"');
    found.told = told.filter((secret) => secret !== 'mine').length;
    found.guess = (await remove('lab_1', { 'X-Confirmation': 'mine' })).status;
    own.remove();
    return found;
}"""
LURES = """async () => {
    globalThis.told = {};
    const ask = async (name) =>
        (await (await fetch(`/sounds/${name}`, { method: 'DELETE' })).json()).error.confirm;
    const put = (tag, css) => {
        const element = document.createElement(tag);
        element.style.cssText = `position: fixed; border: 0; z-index: 9; ${css}`;
        document.body.append(element);
        return element;
    };
    const frame = async (id, place, css) => {
        const made = put('iframe', `width: 460px; height: 400px; ${place}; ${css}`);
        made.id = id;
        made.src = await ask('lab_2');
        await new Promise((resolve) => (made.onload = resolve));
        addEventListener('message', ({ source, data }) => {
            if (source === made.contentWindow && data.secret) told[id] = data.secret;
        });
    };
    await frame('clear', 'left: 0; top: 0', '');
    await frame('faint', 'left: 480px; top: 0', 'opacity: 0.02');
    await frame('covered', 'left: 960px; top: 0', '');
    put('div', 'left: 960px; top: 0; width: 460px; height: 400px; background: #036; pointer-events: none; z-index: 10');
    await frame('dark', 'left: 0; top: 450px', 'filter: brightness(0)');
    await frame('moved', 'left: 480px; top: 450px', '');
    await frame('cut', 'left: 960px; top: 450px', 'height: 300px');
}"""


@pytest_asyncio.fixture(loop_scope="session")
async def page(tone_bridge: Bridge, chromium: Browser) -> AsyncIterator[Page]:
    """Our own page with three sounds; Chromium reports each refusal as an error, so nobody counts them here."""
    for at, name in enumerate(NAMES):
        await tone_bridge.post("/generate", {"prompt": f"tone {300 + at} hz", "name": name, "duration": 0.5})
    context = await chromium.new_context(viewport={"width": 1440, "height": 900})
    page = await context.new_page()
    await page.goto(tone_bridge.url)
    await page.evaluate("sampleBridge.ready")
    yield page
    await context.close()


async def kept(page: Page) -> list[str]:
    return sorted(
        await page.evaluate("(async () => (await (await fetch('/sounds')).json()).sounds.map((s) => s.name))()")
    )


async def asked(page: Page) -> Frame:
    """The frame of the page's dialog, when it takes an answer."""
    element = await page.locator(".confirm iframe").element_handle()
    assert element is not None
    frame = await element.content_frame()
    assert frame is not None
    await frame.wait_for_selector("#yes[aria-disabled=false]")
    return frame


async def answer(page: Page, *keys: str) -> None:
    """Answer by these keys, or by a click on yes without any; read and answer again where that was too early."""
    dialog = page.locator(".confirm")
    for _ in range(5):
        frame = await asked(page)
        await frame.wait_for_function("document.hasFocus()")
        if keys:
            await frame.focus("#no")
            for key in keys:
                await page.keyboard.press(key)
        else:
            await frame.hover("#yes")
            await page.wait_for_timeout(350)  # a hand takes as long
            await frame.click("#yes")
        with contextlib.suppress(TooLate):
            return await dialog.wait_for(state="detached", timeout=5000)
    raise AssertionError("the dialog takes no answer")


async def test_a_person_deletes_by_a_click_or_by_keys_takes_it_back_and_changes_their_mind(page: Page) -> None:
    await page.get_by_role("button", name="Delete lab_0").click()
    frame = await asked(page)
    assert "Delete lab_0?" in await frame.inner_text("#dialog")
    assert await frame.evaluate("document.activeElement.id") == "no"
    await answer(page)
    said = page.locator(".statusline")
    await said.filter(has_text="lab_0 is deleted.").wait_for()
    assert await kept(page) == NAMES[1:]
    await said.get_by_role("button", name="Undo").click()
    await said.filter(has_text="lab_0 is back.").wait_for()
    assert await kept(page) == NAMES

    button = page.get_by_role("button", name="Delete lab_1")
    for keys, left in ((["Escape"], NAMES), (["Enter"], NAMES), (["Tab", "Enter"], ["lab_0", "lab_2"])):
        await button.focus()
        await page.keyboard.press("Enter")
        await answer(page, *keys)
        if left == NAMES:
            assert await page.evaluate("document.activeElement.ariaLabel") == "Delete lab_1"
        else:
            await said.filter(has_text="lab_1 is deleted.").wait_for()
        assert await kept(page) == left


async def test_a_pattern_takes_nothing_away(page: Page) -> None:
    found = await page.evaluate(PATTERN)
    assert found == {
        "remove": 428,
        "quiet": 428,
        "rename": 428,
        "fetch": 403,
        "fakes": 403,
        "object": True,
        "embed": True,
        "frames": 2,
        "reached": 0,
        "opened": False,
        "told": 0,
        "guess": 428,
    }
    assert await kept(page) == NAMES


async def test_a_click_in_a_frame_that_is_hidden_covered_cut_or_just_came_is_no_yes(page: Page) -> None:
    await page.evaluate(LURES)
    await page.wait_for_timeout(900)
    for name in ("faint", "covered", "dark", "moved", "cut", "clear"):
        element = await page.query_selector(f"#{name}")
        assert element is not None
        frame = await element.content_frame()
        assert frame is not None
        # As if the pattern had guessed where the button stands, and had somebody click there.
        place = await (await frame.wait_for_selector("#yes")).bounding_box()
        assert place is not None
        x, y = place["x"] + 20, place["y"] + 15
        if name == "moved":
            await page.mouse.move(x + 470, y - 440)
            await page.wait_for_timeout(350)
            await page.evaluate("() => void Object.assign(moved.style, { left: '950px', top: '10px' })")
            await page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        else:
            await page.mouse.move(x, y)
            await page.wait_for_timeout(350)
        await page.mouse.down()
        await page.mouse.up()
        await page.wait_for_timeout(300)
    await page.wait_for_function("told.clear")
    assert await page.evaluate("Object.keys(told)") == ["clear"]
    assert await kept(page) == NAMES


async def test_a_browser_that_cannot_tell_what_is_covered_has_four_digits_read(page: Page) -> None:
    await page.context.add_init_script("delete IntersectionObserverEntry.prototype.isVisible")
    await page.get_by_role("button", name="Delete lab_0").click()
    frame = await asked(page)
    digits = await frame.inner_text("#digits")
    for typed, left in (("", 3), (digits, 2)):
        await frame.type("#typed", typed)
        await frame.hover("#yes")
        await page.wait_for_timeout(700)
        await frame.click("#yes")
        await page.wait_for_timeout(600)
        assert len(await kept(page)) == left

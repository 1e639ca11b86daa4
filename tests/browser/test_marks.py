"""What is wrong is marked at its place in the code, and what is harmless does not stay."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.browser.conftest import Bridge, Visit

CONTRAST = """element => {
    const linear = (value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
    const luminance = (colour) => {
        const [r, g, b] = colour.match(/[\\d.]+/g).map((part) => linear(part / 255));
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const ground = luminance(getComputedStyle(document.documentElement).backgroundColor);
    const ink = luminance(getComputedStyle(element).color);
    return (Math.max(ink, ground) + 0.05) / (Math.min(ink, ground) + 0.05);
}"""


async def evaluate(visit: Visit, code: str) -> None:
    await visit.page.evaluate("code => sampleBridge.evaluate(code)", code)


async def marked(visit: Visit) -> list[str]:
    """What is underlined."""
    return await visit.page.locator(".cm-fault").all_text_contents()


async def test_errors_are_marked_where_they_are_in_words_and_can_be_mended(tone_bridge: Bridge, visit: Visit) -> None:
    await visit.open(tone_bridge.url)
    note = visit.page.locator(".cm-content .fault")
    said = visit.page.locator(".statusline")

    await evaluate(visit, '$: s("bd")\n$: note("c3").gain(.5')
    assert await marked(visit) == ["("]
    assert await note.text_content() == "This ( is never closed: ) is missing."
    assert await said.text_content() == "Line 2: This ( is never closed: ) is missing."

    await evaluate(visit, '$: s("sine").room(.2)\n$: s("sine").romo(.5).gain(.1)')
    assert await marked(visit) == ["romo"]
    await note.get_by_role("button", name="room").click()
    assert '$: s("sine").room(.5)' in await visit.page.locator(".cm-content").inner_text()
    assert await marked(visit) == []

    await evaluate(visit, '$: s("sine*2")\n$: note("c3 [e3 g3")')
    assert await marked(visit) == ["["]
    assert await note.text_content() == "This [ is never closed: ] is missing."

    await evaluate(visit, 'const x = undefined\n$: note("c3").gain(.1)\n$: note("c3").gain(x.y)')
    assert await note.text_content() == "Cannot read properties of undefined (reading 'y')"
    assert "".join(await marked(visit)) == '$: note("c3").gain(x.y)'

    # A sound that nobody has is found out when it is to play.
    await evaluate(visit, '// sawtoth\n$: s("sine").gain(0)\n$: s("sawtoth*4").note("c3")')
    await note.wait_for()
    assert await marked(visit) == ["sawtoth"]
    assert (await note.text_content() or "").startswith("There is no sound called sawtoth. Did you mean sawtooth?")
    await visit.page.locator(".cm-content").focus()
    await visit.page.keyboard.press("F8")
    assert await visit.page.evaluate("getSelection().toString()") == "sawtoth"
    await visit.page.keyboard.type("sawtooth", delay=1)
    await visit.page.keyboard.press("Control+Enter")
    await visit.page.wait_for_function("document.querySelector('.statusline').textContent === ''")
    assert await marked(visit) == []

    toggle = visit.page.get_by_role("button", name=re.compile("^Messages"))
    await toggle.click()
    lines = visit.page.get_by_label("Messages", exact=True).locator("li")
    assert await lines.filter(has_text="There is no sound called sawtoth").count() == 1
    assert await lines.filter(has_text="Line 2: This [ is never closed").count() == 1
    assert await lines.first.locator("time").text_content()
    await visit.page.evaluate("sampleBridge.stop()")
    visit.errors[:] = [error for error in visit.errors if not re.search("SyntaxError|TypeError|parse error", error)]


async def test_visuals_stay_behind_the_code_and_the_editor_can_be_read(tone_bridge: Bridge, visit: Visit) -> None:
    await visit.open(tone_bridge.url)
    await evaluate(visit, '$: note("c1 c5 g7").s("sine").gain(0).pianoroll()')
    await visit.page.wait_for_function(
        """() => {
            const canvas = document.querySelector('#test-canvas');
            const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
            return data.some((value) => value > 0);
        }"""
    )
    canvas = await visit.page.locator("#test-canvas").bounding_box()
    code = await visit.page.locator("#editor").bounding_box()
    assert canvas == code
    await visit.page.set_viewport_size({"width": 1024, "height": 700})
    await visit.page.wait_for_function(
        """() => {
            const canvas = document.querySelector('#test-canvas');
            return canvas.width === Math.round(document.querySelector('#editor').offsetWidth * devicePixelRatio);
        }"""
    )
    assert await visit.page.get_by_role("textbox", name="Code").count() == 1
    assert await visit.page.locator(".cm-lineNumbers").evaluate(CONTRAST) >= 4.5
    await visit.page.evaluate("sampleBridge.stop()")

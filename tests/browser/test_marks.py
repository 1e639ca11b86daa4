"""What is wrong is marked at its place in the code, and what is harmless does not stay."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.browser.conftest import Bridge, StartBridge, Visit

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


async def test_a_typing_error_in_a_name_is_marked_and_made_when_the_player_says_so(
    tone_bridge: Bridge, visit: Visit
) -> None:
    await tone_bridge.post("/generate", {"prompt": "tone 350 hz", "name": "gen_electric_piano"})
    await tone_bridge.post("/generate", {"prompt": "tone 440 hz", "name": "gen_kick_909"})
    await visit.open(tone_bridge.url)
    note = visit.page.locator(".cm-content .fault")
    names = "sampleBridge.sounds().map(({ name }) => name)"

    await evaluate(visit, '$: s("gen_electric_paino*2").gain(0)\n$: s("gen_kick_909x gen_acidlin").gain(0)')
    await visit.page.wait_for_function("document.querySelectorAll('.cm-fault').length === 3")
    assert await marked(visit) == ["gen_electric_paino", "gen_kick_909x", "gen_acidlin"]
    await evaluate(
        visit, await visit.page.evaluate("document.querySelector('.cm-content').cmTile.view.state.doc.toString()")
    )
    assert sorted(await visit.page.evaluate(names)) == ["gen_electric_piano", "gen_kick_909"]

    await note.get_by_role("button", name="gen_electric_piano").click()
    assert await marked(visit) == ["gen_kick_909x", "gen_acidlin"]
    await visit.page.locator(".cm-content").focus()
    await visit.page.keyboard.press("F8")
    await visit.page.keyboard.press("Alt+a")
    await visit.wait_for_sound("gen_kick_909x")
    assert await marked(visit) == ["gen_acidlin"]
    await visit.page.evaluate("sampleBridge.stop()")


async def test_slices_of_a_kept_sound_are_cut_not_made_from_words(start_bridge: StartBridge, visit: Visit) -> None:
    bridge = await start_bridge("--engine", "procedural", "--no-pregenerate")
    await bridge.post("/generate", {"prompt": "drum break", "name": "gen_dusty_break", "bpm": 120, "bars": 1})
    await visit.open(bridge.url)
    await evaluate(visit, '$: s("gen_dusty_break_sl").n("0 1").gain(0)')
    await visit.page.wait_for_function(
        "sampleBridge.sounds().some(({ name, urls }) => name === 'gen_dusty_break_sl' && urls.length > 2)"
    )
    # All of them are cut, none is made from words.
    assert "dusty break sl" not in await visit.page.locator(".sounds").inner_text()
    # A name in the box is the sound of that name.
    words = visit.page.get_by_label("Describe a sound")
    await words.fill("gen_kick")
    await words.press("Enter")
    await visit.wait_for_sound("gen_kick")
    await words.fill("gen_kick")
    await words.press("Enter")
    await visit.page.get_by_role("alert").filter(has_text="gen_kick is here already").wait_for()
    assert "gen_gen_kick" not in str(await visit.page.evaluate("sampleBridge.sounds()"))
    await visit.page.evaluate("sampleBridge.stop()")


async def test_what_plays_is_the_tempo_of_code_box_and_stream(start_bridge: StartBridge, visit: Visit) -> None:
    bridge = await start_bridge("--engine", "procedural", "--no-pregenerate")
    frames: list[str] = []
    visit.page.on("websocket", lambda socket: socket.on("framesent", lambda frame: frames.append(str(frame))))
    await visit.open(bridge.url)
    tempo = visit.page.locator("#transport .tempo")
    bpm = "name => sampleBridge.sounds().find((sound) => sound.name === name).bpm"
    words = visit.page.get_by_label("Describe a sound")

    await evaluate(visit, 'setcpm(90/4)\n$: s("gen_dusty_drum_break").gain(0)')
    assert await tempo.text_content() == "90 bpm · cycle = bar"
    await visit.wait_for_sound("gen_dusty_drum_break")
    await words.fill("funky drum break")
    await words.press("Enter")
    await visit.wait_for_sound("gen_funky_drum_break")
    assert [await visit.page.evaluate(bpm, f"gen_{word}_drum_break") for word in ("dusty", "funky")] == [90, 90]
    await visit.page.get_by_label("Key", exact=False).fill("F minor")
    await visit.page.get_by_role("button", name="∞ Stream").click()
    await visit.page.get_by_role("button", name="■ End stream").click()
    (asked,) = [json.loads(frame)["request"] for frame in frames if "start_streaming" in frame]
    assert (asked["bpm"], asked["key"]) == (90, "F minor")
    await visit.page.get_by_label("Key", exact=False).fill("")

    await evaluate(visit, 'setcpm(170)\n$: s("gen_jungle_drum_break").gain(0)')
    assert await tempo.text_content() == "170 bpm · cycle = beat"
    await visit.wait_for_sound("gen_jungle_drum_break")
    assert await visit.page.evaluate(bpm, "gen_jungle_drum_break") == 170
    await evaluate(visit, 'setcpm(40)\n$: s("sine").gain(0)')
    assert await tempo.text_content() == "160 bpm · cycle = bar"
    await tempo.click()
    assert await tempo.text_content() == "40 bpm · cycle = beat"
    await visit.page.evaluate("sampleBridge.stop()")


async def test_names_of_sounds_and_functions_complete_with_kind_preview_and_documentation(
    tone_bridge: Bridge, visit: Visit
) -> None:
    await tone_bridge.post(
        "/generate", {"prompt": "tone 350 hz", "name": "lab_tone", "kind": "loop", "bpm": 120, "bars": 1}
    )
    await visit.open(tone_bridge.url)
    await visit.listen()
    content = visit.page.locator(".cm-content")
    listed = visit.page.locator(".cm-tooltip-autocomplete li")
    await content.click()
    await visit.page.keyboard.press("Control+A")
    await visit.page.keyboard.type('s("lab_', delay=5)
    await listed.filter(has_text="lab_tone").wait_for()
    assert "loop" in (await listed.filter(has_text="lab_tone").text_content() or "")
    await visit.page.keyboard.press("Alt+p")
    await visit.loud()
    await visit.page.keyboard.press("Enter")
    assert "lab_tone" in await content.inner_text()

    await visit.page.keyboard.press("End")
    await visit.page.keyboard.type(".ju", delay=5)
    await listed.first.wait_for()
    await visit.page.keyboard.press("Control+A")
    await visit.page.keyboard.type("lpen", delay=5)
    await listed.filter(has_text="lpenv").first.wait_for()
    await visit.page.locator(".cm-completionInfo .autocomplete-info-container").wait_for()
    await visit.page.keyboard.press("Escape")
    await visit.page.keyboard.press("Control+A")
    await visit.page.keyboard.type("// roo", delay=5)
    await visit.page.wait_for_timeout(300)
    assert await listed.count() == 0

"""What a player sees and does."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.browser.conftest import Bridge, StartBridge, Visit

REPOSITORY = Path(__file__).parents[2]
SCREENSHOT = REPOSITORY / "docs" / "screenshot.png"
DRAWN = """canvas => canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data
    .filter((value, i) => i % 4 === 3 && value > 0).length"""


async def test_the_example_plays_the_common_stems_and_the_panel_shows_them(
    start_bridge: StartBridge, visit: Visit
) -> None:
    bridge = await start_bridge("--engine", "procedural")
    await visit.open(bridge.url)
    rows = visit.page.locator(".sound")
    await visit.page.wait_for_function("document.querySelectorAll('.sound').length >= 24", polling=50)
    await visit.page.wait_for_function(
        "['bd', 'sd', 'hh', 'cp'].every((name) => sampleBridge.sounds().some(({ aliases }) => aliases.includes(name)))",
        polling=50,
    )
    code = await visit.page.evaluate("document.querySelector('.cm-content').innerText")
    assert "gen_dusty_vinyl_break" in code
    await visit.page.locator("#transport").get_by_role("button").first.click()
    await visit.wait_for_sound("gen_dusty_vinyl_break")
    # The tap comes when the example plays: it evaluates nothing itself.
    await visit.listen()
    await visit.loud()
    heard = await visit.hear(2.0)
    assert heard.rms > 0.05
    assert heard.peak <= 1.0

    picture = rows.first.locator("canvas[data-drawn]")
    await picture.wait_for()
    assert await picture.evaluate(DRAWN) > 500
    row = visit.page.locator(".sound[data-name=gen_kick]")
    await row.scroll_into_view_if_needed()
    assert re.search(r"oneshot .* procedural · CC0", await row.text_content() or "")
    await row.get_by_role("button", name="Listen to gen_kick").click()
    await row.get_by_role("button", name="Copy the code that plays gen_kick").click()
    await row.get_by_text("Copied").wait_for()


async def test_a_picture_of_the_page_for_the_readme(start_bridge: StartBridge, visit: Visit) -> None:
    bridge = await start_bridge("--engine", "auto")
    await visit.page.set_viewport_size({"width": 1360, "height": 790})
    await visit.open(bridge.url)
    await visit.wait_for_sound("gen_acid_bass")
    await visit.listen()
    await visit.page.locator("#transport").get_by_role("button").first.click()
    await nothing_is_being_made(visit)
    for words in ("glass bells over deep water, slow", "dusty vinyl break, 92 bpm"):
        await visit.page.get_by_label("Describe a sound").fill(words)
        await visit.page.get_by_role("button", name="Make it").click()
        await visit.page.locator(".sound").first.filter(has_text=words).wait_for()
    await visit.page.get_by_label("Describe a sound").fill("choir of angels in a cathedral, F minor")
    await nothing_is_being_made(visit)
    await visit.page.wait_for_function(
        "[...document.querySelectorAll('.wave')].slice(0, 6).every((wave) => wave.dataset.drawn)", polling=50
    )
    await visit.loud()
    await visit.page.mouse.move(0, 0)
    await visit.page.screenshot(path=SCREENSHOT, animations="disabled")
    assert SCREENSHOT.stat().st_size > 30_000


async def test_markup_in_a_prompt_is_shown_as_text(tone_bridge: Bridge, visit: Visit) -> None:
    evil = '<img src="/nowhere" onerror="globalThis.hacked = 1"><script>globalThis.hacked = 2</script> tone'
    await visit.open(tone_bridge.url)
    await tone_bridge.post("/generate", {"prompt": evil, "name": "lab_evil"})
    row = visit.page.locator(".sound[data-name=lab_evil]")
    await row.wait_for()
    await row.locator(".prompt:not(:empty)").wait_for()  # the row is there a moment before its words
    assert await row.locator(".prompt").inner_text() == evil
    assert await visit.page.locator(".panel img, .panel script").count() == 0
    assert await visit.page.evaluate("globalThis.hacked") is None


async def test_a_described_sound_shows_its_progress_and_arrives(tone_bridge: Bridge, visit: Visit) -> None:
    await visit.open(tone_bridge.url)
    await visit.page.get_by_label("Describe a sound").fill("tone slow loop")
    await visit.page.get_by_label("Kind of sound").select_option("loop")
    await visit.page.get_by_label("Beats per minute").fill("240")
    await visit.page.get_by_role("button", name="Make it").click()
    await visit.page.locator(".job progress").wait_for()
    row = visit.page.locator(".sound[data-name=gen_tone_slow_loop]")
    await row.wait_for()
    assert "240 bpm" in (await row.text_content() or "")
    await visit.page.locator(".job").wait_for(state="detached")


async def test_a_job_can_be_cancelled_and_a_failure_says_why(tone_bridge: Bridge, visit: Visit) -> None:
    await visit.open(tone_bridge.url)
    words = visit.page.get_by_label("Describe a sound")
    await words.fill("tone slow drone")
    await words.press("Enter")
    said = visit.page.locator(".statusline")
    await said.filter(has_text="Making gen_tone_slow_drone").wait_for()
    await visit.page.locator(".job").get_by_role("button", name="Cancel").click()
    await visit.page.locator(".job").wait_for(state="detached")
    await said.filter(has_text="gen_tone_slow_drone is cancelled.").wait_for()
    assert await visit.page.locator(".sound").count() == 0

    await words.fill("tone fail")
    await words.press("Enter")
    await visit.page.get_by_text("The tone engine was asked to fail.").wait_for()
    await said.filter(has_text="gen_tone_fail was not made.").wait_for()
    await visit.page.get_by_role("button", name="Dismiss").click()
    assert await visit.page.locator(".job").count() == 0

    await words.fill("x" * 501)
    await words.press("Enter")
    await visit.page.get_by_role("alert").filter(has_text="at most 500 characters and this one has 501").wait_for()
    await words.fill("x" * 480)
    await visit.page.get_by_role("alert").wait_for(state="hidden")
    await visit.page.get_by_label("Key").fill("h sharp")
    await words.press("Enter")
    await visit.page.get_by_role("alert").filter(has_text="key").wait_for()


async def test_keys_play_stop_and_leave_and_the_code_is_kept_over_a_reload(tone_bridge: Bridge, visit: Visit) -> None:
    await tone_bridge.post("/generate", {"prompt": "tone 350 hz", "name": "lab_tone"})
    await visit.open(tone_bridge.url)
    await visit.listen()
    await visit.page.locator(".cm-content").click()
    await visit.page.keyboard.press("Control+A")
    await visit.page.keyboard.type('s("lab_tone*8").clip(1)', delay=1)
    await visit.page.keyboard.press("Control+Enter")
    await visit.loud()
    await visit.page.keyboard.press("Control+.")
    await visit.quiet()

    await visit.page.get_by_label("Describe a sound").focus()
    await visit.page.keyboard.press("Control+Enter")
    await visit.loud()
    await visit.page.keyboard.press("Escape")
    assert await visit.page.evaluate("document.activeElement.className.includes('cm-content')")
    await visit.open(tone_bridge.url)
    assert 's("lab_tone*8").clip(1)' in await visit.page.locator(".cm-content").inner_text()


async def test_stop_all_ends_tails_and_previews_and_sound_comes_back(tone_bridge: Bridge, visit: Visit) -> None:
    await tone_bridge.post("/generate", {"prompt": "tone 350 hz", "name": "lab_tone", "duration": 60})
    await visit.open(tone_bridge.url)
    await visit.play('s("lab_tone").room(2)')
    await visit.loud()
    await visit.page.get_by_role("button", name="Listen to lab_tone").click()
    await visit.page.get_by_role("button", name="Stop all").click()
    await visit.quiet()
    assert (await visit.hear(0.3)).rms == 0.0
    await visit.page.get_by_role("button", name="Listen to lab_tone").wait_for()
    await visit.page.locator("#transport").get_by_role("button").first.click()
    await visit.loud()


HOT = (
    's("gen_kick*4, gen_snare*4, gen_hat*16, gen_clap*4").gain(3)',
    's("gen_kick*8").gain(10)',
    's("gen_kick*4, gen_snare*4, gen_sub_bass*2").gain(2).room(1)',
    's("lab_tone").gain(8)',
    's("lab_tone, gen_kick*16").gain(4)',
    's("lab_tone").gain(2).superimpose(x => x.speed(1.5), x => x.speed(.75))',
    's("gen_snare*16").distort(3).gain(3)',
    'note("c2 e2 g2 b2").s("sawtooth").gain(6)',
    's("square*8").lpf(400).lpq(20).gain(5)',
    's("white*4, gen_kick*4").gain(4)',
)


async def test_the_limiter_leaves_quiet_sounds_alone_and_holds_ten_hot_mixes_at_minus_one_db(
    tone_bridge: Bridge, visit: Visit
) -> None:
    await tone_bridge.post("/generate", {"prompt": "tone 350 hz", "name": "lab_tone", "duration": 30})
    for drum in ("kick", "snare", "hat", "clap", "sub_bass"):
        await tone_bridge.post("/generate", {"prompt": drum, "name": f"gen_{drum}", "engine": "procedural"})
    await visit.open(tone_bridge.url)
    await visit.play('s("lab_tone").gain(.5)')
    await visit.loud()
    quiet = await visit.hear(0.5)
    assert quiet.peak == pytest.approx(10 ** (-1 / 20) * 0.5, rel=0.12)
    for mix in HOT:
        await visit.page.evaluate("sampleBridge.silence()")
        await visit.play(f"setcps(1)\n$: {mix}")
        await visit.loud(0.2)
        loud = await visit.hear(0.6)
        assert 0.5 < loud.peak <= 10 ** (-1 / 20), mix


async def test_an_error_in_the_code_is_said_in_a_line(tone_bridge: Bridge, visit: Visit) -> None:
    await visit.open(tone_bridge.url)
    await visit.page.evaluate("sampleBridge.evaluate('s(\"bd\").nosuch()')")
    await visit.page.locator(".statusline.error").filter(has_text="nosuch").wait_for()
    visit.errors.clear()  # Strudel logs it, too
    await visit.page.evaluate("sampleBridge.evaluate('silence')")
    await visit.page.wait_for_function("document.querySelector('.statusline').textContent === ''", polling=50)


async def test_the_flow_of_the_strudel_guide_works_in_the_page(tone_bridge: Bridge, visit: Visit) -> None:
    await visit.open(tone_bridge.url)
    await visit.listen()
    await visit.page.evaluate(
        """async () => {
            const { generateStem, base64ToAudioBuffer, registerSample, evalStrudelCode } = sampleBridge;
            const stem = await generateStem({ type: 'voice', style: 'angelic choir' });
            const buffer = await base64ToAudioBuffer(stem.audio_base64, sampleBridge.audio().context);
            await registerSample('musicgen_voice', buffer);
            await evalStrudelCode('s("musicgen_voice").slow(4).room(0.8)');
        }"""
    )
    await visit.loud()


async def test_without_a_mouse_every_control_has_a_name(tone_bridge: Bridge, visit: Visit) -> None:
    await tone_bridge.post("/generate", {"prompt": "tone 350 hz", "name": "lab_tone"})
    await visit.open(tone_bridge.url)
    await visit.page.locator(".sound").wait_for()
    unnamed = await visit.page.evaluate(
        """() => [...document.querySelectorAll('button, input, select, a')]
            .filter((control) => !(control.ariaLabel || control.textContent.trim() || control.labels?.length))
            .map((control) => control.outerHTML)"""
    )
    assert unnamed == []
    small = await visit.page.evaluate(
        """() => [...document.querySelectorAll('button, input, select')]
            .filter((control) => control.offsetHeight && control.offsetHeight < 34)
            .map((control) => control.outerHTML)"""
    )
    assert small == []


async def nothing_is_being_made(visit: Visit) -> None:
    """Return when the common stems and all wishes are there."""
    await visit.page.wait_for_function(
        "sampleBridge.sounds().length >= 24 && document.querySelector('.job') === null", polling=50
    )


async def test_a_take_more_is_made_pinned_and_heard_in_the_row_and_a_phone_keeps_stop_in_reach(
    tone_bridge: Bridge, visit: Visit
) -> None:
    await visit.open(tone_bridge.url)
    page = visit.page
    await page.evaluate("sampleBridge.generateMusic({ prompt: 'tone 440 hz', name: 'row_tone' })")
    row = page.locator('.sound[data-name="row_tone"]')
    await row.locator("summary").click()
    await row.get_by_role("button", name="Another one").click()
    await row.get_by_role("button", name="Copy row_tone:1").wait_for()
    await row.get_by_role("button", name="Pin").click()
    await row.get_by_role("button", name="Unpin").wait_for()
    await page.set_viewport_size({"width": 360, "height": 740})
    await page.evaluate("scrollTo(0, 1e6)")
    assert await page.evaluate("document.documentElement.scrollWidth") == 360, "nothing is wider than a phone"
    stop = await page.locator("#transport button").nth(1).bounding_box()
    assert stop is not None
    assert 0 <= stop["y"] <= 740 - stop["height"]

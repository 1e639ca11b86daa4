"""Sounds are there in time, and come back by themselves after whatever happened to the server."""

from __future__ import annotations

import asyncio
import io
from typing import TYPE_CHECKING

import numpy as np
import pytest
import pytest_asyncio
import soundfile
from aiohttp import web

from tests.browser.test_scripted_bridge import ScriptedBridge, sound

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.browser.conftest import Bridge, Heard, Visit

STEPS = 8
LOW_HZ, HIGH_HZ, STEP_HZ = 400.0, 2000.0, 100.0
RATE = 44100
NO_WARMING = "localStorage.setItem('sample-bridge.audio-mb', '0')"


class HeldBridge(ScriptedBridge):
    """Has samples of eight seconds whose pitch says which second plays, and can keep them waiting."""

    def __init__(self) -> None:
        super().__init__()
        self.open = asyncio.Event()
        self.app.router.add_get("/steps/{hertz}.wav", self._steps)

    async def _steps(self, request: web.Request) -> web.Response:
        if "held" in request.query:
            await self.open.wait()
        low = float(request.match_info["hertz"])
        hertz = np.repeat(low + STEP_HZ * np.arange(STEPS), RATE)
        file = io.BytesIO()
        soundfile.write(file, 0.2 * np.sin(2 * np.pi * np.cumsum(hertz) / RATE), RATE, format="WAV", subtype="PCM_16")
        return web.Response(body=file.getvalue(), content_type="audio/wav")


@pytest_asyncio.fixture(loop_scope="session")
async def held() -> AsyncIterator[HeldBridge]:
    """A scripted bridge with long samples."""
    bridge = HeldBridge()
    runner = web.AppRunner(bridge.app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    bridge.url = f"http://localhost:{runner.addresses[0][1]}"
    yield bridge
    bridge.open.set()
    await bridge.sio.shutdown()
    await runner.cleanup()


@pytest.mark.parametrize("how", ["a kept sound that loads slowly", "a new sound", "a stand-in of a new sound"])
async def test_a_long_sound_that_comes_late_begins_inside_where_it_would_be(
    held: HeldBridge, visit: Visit, how: str
) -> None:
    late = sound(1, "gen_late", f"/steps/{HIGH_HZ}.wav?held", kind="texture", standin="stand-in" in how)
    held.sounds = [sound(0, "gen_there", f"/steps/{LOW_HZ}.wav", kind="texture")]
    if how.startswith("a kept"):
        held.sounds.append(late)
    await visit.open(held.url)
    await visit.play('setcps(1)\n$: s("gen_there, gen_late").slow(8)')
    await visit.hear_pitch(LOW_HZ + 2 * STEP_HZ)  # two seconds have passed
    held.open.set()
    if not how.startswith("a kept"):
        await held.push(late)
    await visit.hear_pitch_in(HIGH_HZ - 50, HIGH_HZ + STEP_HZ * STEPS)
    heard = await visit.hear(1.5)
    steps = [seconds_that_play(part) for part in pieces(heard, 0.05)]
    together = [low == high for low, high in steps if low is not None and high is not None]
    assert len(together) > 20
    # The window with the change of pitch may be read either way.
    assert sum(together) >= len(together) - 3, steps
    assert min(high for _, high in steps if high is not None) >= 2
    said = await visit.page.locator(".statusline").text_content()
    assert "too long" not in (said or "")


async def test_ten_long_sounds_that_were_never_loaded_all_play_from_the_first_bar(
    held: HeldBridge, visit: Visit
) -> None:
    await visit.page.add_init_script(NO_WARMING)
    pitches = [500.0 + 300 * number for number in range(10)]
    held.sounds = [sound(0, f"gen_{number}_pad", f"/steps/{pitch}.wav") for number, pitch in enumerate(pitches)]
    await visit.open(held.url)
    names = ",".join(f"gen_{number}_pad" for number in range(10))
    await visit.play(f'setcps(.5)\n$: s("{names}").gain(.3).slow(4)')
    await visit.loud(0.02)
    async with asyncio.timeout(7):  # their next event is 8 s away
        while True:
            heard = await visit.hear(0.5)
            if all(any(level(heard, pitch + STEP_HZ * step) > 0.01 for step in range(STEPS)) for pitch in pitches):
                return


async def test_what_failed_while_the_server_was_away_plays_when_it_is_back(tone_bridge: Bridge, visit: Visit) -> None:
    for pitch in (300, 700):
        await tone_bridge.post("/generate", {"prompt": f"tone {pitch} hz", "name": f"kept_{pitch}", "duration": 1})
    await visit.page.add_init_script(NO_WARMING)
    await visit.open(tone_bridge.url)
    await visit.play('s("kept_300*4").clip(1)')
    await visit.hear_pitch(300)

    await tone_bridge.stop()
    await visit.page.wait_for_function("sampleBridge.state === 'offline'", polling=50)
    await visit.page.get_by_role("button", name="Listen to kept_700").click()
    await visit.page.get_by_text("This sound cannot be loaded, because the bridge does not answer").wait_for()
    await visit.page.evaluate("""sampleBridge.evaluate('s("kept_300*4, kept_700*4").clip(1)')""")
    said = visit.page.locator(".statusline")
    await said.filter(has_text="kept_700 cannot be loaded, because the bridge does not answer").wait_for()
    assert await visit.page.get_by_text("Failed to fetch").count() == 0
    await visit.hear_pitch(300)

    await tone_bridge.start()
    await visit.hear_pitch_in(650, 750)
    await visit.page.wait_for_function("document.querySelector('.statusline').textContent === ''", polling=50)
    await visit.page.evaluate("sampleBridge.silence()")
    await visit.quiet()
    await visit.page.get_by_role("button", name="Listen to kept_700").click()
    await visit.hear_pitch(700)


async def test_a_map_that_cannot_be_reached_is_told_and_the_rest_plays(held: HeldBridge, visit: Visit) -> None:
    held.sounds = [sound(0, "gen_there", "/samples/440.wav")]
    await visit.open(held.url)
    await visit.page.evaluate(
        "() => { globalThis.told = [];"
        " document.addEventListener('sample-bridge.trouble', ({ detail }) => told.push(detail)); }"
    )
    code = """samples('github:somebody/some-samples')
        samples('/no/such/map.json')
        samples({ jazz: 'a.wav' }, 'http://127.0.0.2:9/')
        $: s("gen_there*8, jazz*8").clip(1)"""
    await visit.listen()
    await visit.page.locator(".cm-content").fill(code)
    await visit.page.keyboard.press("Control+Enter")
    await visit.hear_pitch(440)
    for text in ("github:somebody/some-samples", "/no/such/map.json", "jazz"):
        await visit.page.locator(".cm-fault", has_text=text).first.wait_for()
    await visit.page.wait_for_function("told.length >= 3", polling=50)
    told = {each["find"]: each["message"] for each in await visit.page.evaluate("told")}
    assert set(told) == {"github:somebody/some-samples", "/no/such/map.json", "jazz"}
    assert "only from its own bridge" in told["github:somebody/some-samples"]
    assert "not a sample map" in told["/no/such/map.json"]
    assert "only from its own bridge" in told["jazz"]
    visit.errors.clear()  # Chromium reports what was refused
    visit.outside.clear()  # and what was asked for, although the page's policy refused it


async def test_a_map_of_our_own_bridge_plays_like_anywhere(tone_bridge: Bridge, visit: Visit) -> None:
    await visit.open(tone_bridge.url)
    await visit.play("""samples('/gen/tone 523 hz.json?wait=10')\n$: note("c5*8").s("tone_523_hz").clip(1)""")
    await visit.hear_pitch(523.25)


async def test_a_page_that_slept_while_the_bridge_was_updated_plays_on_with_what_was_made_meanwhile(
    held: HeldBridge, visit: Visit
) -> None:
    held.sounds = [sound(0, "gen_there", "/samples/440.wav")]
    held.version = "1.0"
    await visit.open(held.url)
    await visit.play('s("gen_there*8, gen_late*8").clip(1)')
    await visit.hear_pitch(440)

    await visit.page.evaluate("sampleBridge.audio().context.suspend()")
    held.version = "2.0"
    held.sounds.append(sound(1, "gen_late", "/samples/700.wav"))
    held.epoch = "another"
    for client, _ in [*held.sio.manager.get_participants("/", None)]:
        await held.sio.disconnect(client)
    await visit.page.locator(".statusline").filter(has_text="version 2.0").wait_for()
    await visit.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    await visit.hear_pitch_in(430, 450)
    await visit.hear_pitch_in(690, 710)


async def test_five_thousand_sounds_are_there_and_only_what_plays_is_loaded(held: HeldBridge, visit: Visit) -> None:
    asked: list[str] = []
    visit.page.on("request", lambda sent: asked.append(sent.url))
    await visit.page.add_init_script(NO_WARMING)
    held.sounds = [sound(number, f"gen_{number}_tone", f"/samples/{300 + number / 10}.wav") for number in range(5000)]
    await visit.open(held.url)
    await visit.play('s("gen_4000_tone*8").clip(1)')
    await visit.hear_pitch(700)
    assert await visit.page.evaluate("sampleBridge.sounds().length") == 5000
    assert [url for url in asked if url.endswith(".wav")] == [f"{held.url}/samples/700.0.wav"]


def pieces(heard: Heard, seconds: float) -> list[Heard]:
    """Cut what was heard into pieces of so many seconds."""
    size = int(heard.rate * seconds)
    return [type(heard)(heard.samples[at : at + size], heard.rate) for at in range(0, len(heard.samples) - size, size)]


def level(heard: Heard, hertz: float) -> float:
    """Amplitude of one frequency; 1.0 is full scale."""
    window = np.hanning(len(heard.samples))
    turn = np.exp(-2j * np.pi * hertz * np.arange(len(heard.samples)) / heard.rate)
    return float(2 * abs(np.sum(heard.samples * window * turn)) / np.sum(window))


def seconds_that_play(heard: Heard) -> tuple[int | None, int | None]:
    """Which second of the low and of the high sample is heard; None where it is silent."""
    found: list[int | None] = []
    for low in (LOW_HZ, HIGH_HZ):
        levels = [level(heard, low + STEP_HZ * step) for step in range(STEPS)]
        best = int(np.argmax(levels))
        found.append(best if levels[best] > 0.02 else None)
    return found[0], found[1]

"""The page against a bridge whose every message is written here: what a real one shows too rarely."""

from __future__ import annotations

import asyncio
import io
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest_asyncio
import socketio
import soundfile
from aiohttp import web

if TYPE_CHECKING:
    from tests.browser.conftest import Visit

REPOSITORY = Path(__file__).parents[2]
GOLDEN = REPOSITORY / "tests" / "protocol"


def sound(seq: int, name: str, *urls: str, **facts: Any) -> dict[str, Any]:
    """The golden sound under another name, with other samples."""
    golden: dict[str, Any] = json.loads((GOLDEN / "sound.json").read_text(encoding="utf-8"))
    return {**golden, "seq": seq, "name": name, "aliases": [], "n": len(urls) - 1, "urls": list(urls), **facts}


class ScriptedBridge:
    """Serves the built page, sines of any frequency under ``/samples/<hertz>.wav``, and the messages it is given."""

    def __init__(self) -> None:
        self.url = ""
        self.sounds: list[dict[str, Any]] = []
        self.asked: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.broken: set[str] = set()
        self.version = ""
        self.epoch = ""
        self.hello_error: dict[str, str] | None = None
        self.sio = socketio.AsyncServer(async_mode="aiohttp", cors_allowed_origins="*")
        self.sio.on("hello", self._hello)
        self.sio.on("generate", self._generate)
        self.app = web.Application()
        self.sio.attach(self.app)
        self.app.router.add_get("/", self._page)
        self.app.router.add_get("/samples/{hertz}.wav", self._sine)
        self.app.router.add_get("/samples/{hertz}.peaks", self._peaks)
        self.app.router.add_get("/steps/{hertz}.peaks", self._peaks)
        self.app.router.add_static("/", REPOSITORY / "bridge" / "static")

    async def push(self, message: dict[str, Any]) -> None:
        """Announce a sound to every page."""
        await self.sio.emit("sound", message)

    async def _hello(self, _: str, __: Any) -> dict[str, Any]:
        if self.hello_error:
            return {"error": self.hello_error}
        golden: dict[str, Any] = json.loads((GOLDEN / "hello_reply_reset.json").read_text(encoding="utf-8"))
        server = {**golden["server"], **({"version": self.version} if self.version else {})}
        epoch = self.epoch or golden["epoch"]
        return {**golden, "epoch": epoch, "server": server, "head": 0, "sounds": self.sounds}

    async def _generate(self, _: str, wish: dict[str, Any]) -> dict[str, Any]:
        self.asked.put_nowait(wish)
        golden: dict[str, Any] = json.loads((GOLDEN / "generate_reply.json").read_text(encoding="utf-8"))
        return {**golden, "name": wish.get("name", "gen_new")}

    async def _page(self, _: web.Request) -> web.FileResponse:
        return web.FileResponse(REPOSITORY / "bridge" / "static" / "index.html")

    async def _peaks(self, _: web.Request) -> web.Response:
        return web.Response(body=b"\xc0\x40" * 360)

    async def _sine(self, request: web.Request) -> web.Response:
        if request.path_qs in self.broken:
            return web.Response(text="not a sample", status=200)
        hertz = float(request.match_info["hertz"])
        wave = 0.5 * np.sin(2 * np.pi * hertz * np.arange(44100) / 44100)
        file = io.BytesIO()
        soundfile.write(file, wave, 44100, format="WAV", subtype="PCM_16")
        return web.Response(body=file.getvalue(), content_type="audio/wav")


@pytest_asyncio.fixture(loop_scope="session")
async def scripted() -> AsyncIterator[ScriptedBridge]:
    """A scripted bridge on a free port."""
    bridge = ScriptedBridge()
    runner = web.AppRunner(bridge.app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    bridge.url = f"http://localhost:{runner.addresses[0][1]}"
    yield bridge
    await bridge.sio.shutdown()
    await runner.cleanup()


async def test_a_better_sample_takes_the_place_of_its_stand_in_while_the_pattern_plays(
    scripted: ScriptedBridge, visit: Visit
) -> None:
    scripted.sounds = [sound(0, "gen_pad", "/samples/330.wav", standin=True)]
    await visit.open(scripted.url)
    await visit.play('s("gen_pad*8").clip(1)')
    await visit.loud()
    await visit.hear_pitch(330)
    assert await visit.page.get_by_text("stand-in").count() == 1

    await scripted.push(sound(1, "gen_pad", "/samples/550.wav", revision=2))
    await visit.hear_pitch(550)
    assert await visit.page.get_by_text("stand-in").count() == 0


async def test_all_slots_of_a_sound_play_by_their_number_and_by_its_aliases(
    scripted: ScriptedBridge, visit: Visit
) -> None:
    await visit.open(scripted.url)
    await scripted.push(sound(1, "gen_kick", "/samples/200.wav", "/samples/700.wav", aliases=["bd"]))
    await visit.wait_for_sound("gen_kick")
    for code, hertz in {'s("bd*8")': 200, 's("gen_kick:1*8")': 700, 's("kick:1*8").bank("gen")': 700}.items():
        await visit.play(f"{code}.clip(1)")
        await visit.hear_pitch(hertz)


async def test_pitched_samples_play_in_tune_from_the_nearest_root(scripted: ScriptedBridge, visit: Visit) -> None:
    await visit.open(scripted.url)
    roots = {"a3": "/samples/220.wav", "a5": "/samples/880.wav"}
    await scripted.push({**sound(1, "gen_piano"), "n": 0, "urls": roots})
    await visit.wait_for_sound("gen_piano")
    await visit.play('note("c4*8").s("gen_piano").clip(1)')
    await visit.loud()
    await visit.hear_pitch(261.63)


async def test_a_sample_that_came_broken_is_said_and_heard_as_soon_as_it_is_whole(
    scripted: ScriptedBridge, visit: Visit
) -> None:
    scripted.broken.add("/samples/440.wav")
    await visit.open(scripted.url)
    await scripted.push(sound(1, "gen_tone", "/samples/440.wav"))
    await scripted.push(sound(2, "gen_other", "/samples/330.wav"))
    await visit.wait_for_sound("gen_other")
    await visit.play('s("gen_tone*8, gen_other*8").clip(1)')
    await visit.hear_pitch(330)
    await visit.page.locator(".cm-content .fault").get_by_text("gen_tone: this sample is not audio").wait_for()
    scripted.broken.clear()
    await visit.play('s("gen_tone*8").clip(1)')
    await visit.hear_pitch(440)


async def test_a_wish_from_the_code_carries_its_words_its_name_and_the_tempo_as_a_hint(
    scripted: ScriptedBridge, visit: Visit
) -> None:
    await visit.open(scripted.url)
    await visit.play('setcpm(87 / 2)\n$: s("gen_rusty_gate, musicgen_voice_1").slow(2)')
    async with asyncio.timeout(20):
        wishes = [await scripted.asked.get(), await scripted.asked.get()]
    assert sorted(wishes, key=lambda wish: wish["name"]) == [
        {"prompt": "rusty gate", "name": "gen_rusty_gate", "hint_bpm": 174, "make": False},
        {"prompt": "voice", "name": "musicgen_voice_1", "hint_bpm": 174, "make": False},
    ]


async def test_a_push_cannot_make_the_page_fetch_elsewhere(scripted: ScriptedBridge, visit: Visit) -> None:
    await visit.open(scripted.url)
    await scripted.push(sound(1, "gen_evil", "http://127.0.0.2:9/evil.wav"))
    await scripted.push(sound(2, "gen_good", "/samples/440.wav"))
    await visit.wait_for_sound("gen_good")
    assert await visit.page.evaluate("sampleBridge.sounds().length") == 1
    assert await visit.page.evaluate("sampleBridge.since") == 2


async def test_a_refused_page_says_why_and_tries_again_when_told_to(scripted: ScriptedBridge, visit: Visit) -> None:
    scripted.hello_error = {"code": "key_required", "message": "This bridge wants its key."}
    await visit.page.goto(scripted.url)
    await visit.page.get_by_text("This bridge wants its key.").wait_for()
    scripted.hello_error = None
    await visit.page.get_by_role("button", name="Try again").click()
    await visit.page.get_by_text(re.compile("^Connected$")).wait_for()

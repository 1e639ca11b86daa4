"""A sound that is made while a pattern plays is heard in it, and none is missed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.browser.conftest import Bridge, Visit


async def test_a_new_name_is_silent_until_it_is_pushed_and_then_plays_without_a_reload(
    tone_bridge: Bridge, visit: Visit
) -> None:
    await visit.open(tone_bridge.url)
    await visit.page.evaluate("globalThis.notReloaded = true")
    await visit.play('s("lab_tone*4")')
    assert (await visit.hear(0.6)).rms == 0.0

    await tone_bridge.post("/generate", {"prompt": "tone 523 hz", "name": "lab_tone", "kind": "oneshot", "duration": 1})
    await visit.loud()
    heard = await visit.hear(0.5)
    assert heard.rms > 0.05
    assert heard.pitch == pytest.approx(523, abs=4)
    assert await visit.page.evaluate("globalThis.notReloaded")


async def test_a_name_nobody_has_is_made_because_a_pattern_names_it(tone_bridge: Bridge, visit: Visit) -> None:
    await visit.open(tone_bridge.url)
    await visit.play('s("gen_tone_660_hz*4").clip(1)')
    await visit.loud()
    await visit.hear_pitch(660)
    assert "error" not in (await visit.page.locator(".statusline").get_attribute("class") or "")
    assert await visit.page.locator(".sound[data-name=gen_tone_660_hz]").count() == 1


async def test_after_a_restart_of_the_bridge_open_and_new_pages_have_every_sound(
    tone_bridge: Bridge, visit: Visit
) -> None:
    for pitch in (300, 400, 500):
        await tone_bridge.post("/generate", {"prompt": f"tone {pitch} hz", "name": f"kept_{pitch}"})
    await visit.open(tone_bridge.url)
    await visit.play('s("kept_400*4").clip(1)')
    await visit.loud()

    await tone_bridge.stop()
    await visit.page.wait_for_function("sampleBridge.state === 'offline'", polling=50)
    assert (await visit.hear(0.5)).rms > 0.05, "what is loaded goes on playing without the bridge"
    await tone_bridge.start()
    await visit.page.wait_for_function("sampleBridge.state === 'online'", polling=50)
    await tone_bridge.post("/generate", {"prompt": "tone 600 hz", "name": "kept_600"})
    await visit.wait_for_sound("kept_600")
    assert await names(visit) == {"kept_300", "kept_400", "kept_500", "kept_600"}

    await visit.open(tone_bridge.url)
    assert await names(visit) == {"kept_300", "kept_400", "kept_500", "kept_600"}
    await visit.play('s("kept_300*4").clip(1)')
    await visit.loud()
    await visit.hear_pitch(300)


async def test_a_page_that_was_away_gets_the_twenty_sounds_it_missed(tone_bridge: Bridge, visit: Visit) -> None:
    async with breakable_way_to(tone_bridge.port) as way:
        await visit.open(f"http://localhost:{way.port}")
        await tone_bridge.post("/generate", {"prompt": "tone 200 hz", "name": "before"})
        await visit.wait_for_sound("before")
        before = await visit.page.evaluate("sampleBridge.since")

        await way.cut()
        await visit.page.wait_for_function("sampleBridge.state === 'offline'", polling=50)
        for number in range(20):
            body = {"prompt": f"tone {300 + 10 * number} hz", "name": f"missed_{number}", "duration": 0.5}
            await tone_bridge.post("/generate", body)
        assert await names(visit) == {"before"}

        await way.mend()
        await visit.page.wait_for_function("sampleBridge.sounds().length === 21", polling=50)
        assert await names(visit) == {"before", *(f"missed_{number}" for number in range(20))}
        assert await visit.page.evaluate("sampleBridge.since") >= before + 20
        await visit.play('s("missed_19*4").clip(1)')
        await visit.loud()
        await visit.hear_pitch(490)


async def names(visit: Visit) -> set[str]:
    """The names of all sounds that the page has."""
    return set(await visit.page.evaluate("sampleBridge.sounds().map(({ name }) => name)"))


class Way:
    """A TCP way to a port that can be cut and mended."""

    def __init__(self, target: int) -> None:
        self.port = 0
        self._target = target
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()

    async def mend(self) -> None:
        """Take connections (again), on the same port."""
        self._server = await asyncio.start_server(self._carry, "localhost", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def cut(self) -> None:
        """Break every connection and refuse new ones."""
        if self._server is None:
            return
        self._server.close()
        for writer in [*self._open]:
            writer.transport.abort()
        await self._server.wait_closed()
        self._server = None

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.close()
            return
        self._open |= {writer, back}
        await asyncio.gather(self._pass(reader, back), self._pass(there, writer))
        self._open -= {writer, back}

    @staticmethod
    async def _pass(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while piece := await source.read(65536):
                target.write(piece)
                await target.drain()
        target.close()


@asynccontextmanager
async def breakable_way_to(port: int) -> AsyncIterator[Way]:
    """A way to the port for as long as the block lasts."""
    way = Way(port)
    await way.mend()
    try:
        yield way
    finally:
        await way.cut()

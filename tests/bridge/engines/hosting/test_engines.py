"""All engines of one server: handed out by name, known after a restart without being started."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bridge.engines.hosting.engines import EngineRoom
from bridge.errors import EngineUnavailable, InvalidRequest
from bridge.settings import Settings
from prompts import SampleSpec
from tests.servers import is_gone


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path, engine="tone", workers=2)


@pytest.fixture
async def room(settings: Settings) -> AsyncIterator[EngineRoom]:
    room = EngineRoom(settings, settings.data_dir)
    yield room
    pids = [pid for name in ("tone", "procedural") for pid in room.hosted(name).pids]
    await room.close()
    assert all(is_gone(pid) for pid in pids)


async def test_an_engine_starts_when_it_is_first_asked_about(room):
    assert room.known("tone") is None
    assert not room.hosted("tone").running
    info = await room.info("tone")
    assert info.name == "tone"
    assert room.hosted("tone").running
    assert room.known("tone") == info


async def test_what_an_engine_said_is_known_after_a_restart_without_starting_it(room, settings):
    info = await room.info("tone")
    later = EngineRoom(settings, settings.data_dir)
    assert later.known("tone") == info
    assert await later.info("tone") == info
    assert not later.hosted("tone").running
    await later.close()


@pytest.mark.parametrize("text", ["", "[]", "nonsense", '{"tone": 5}', '{"tone": {"name": "tone"}}', "\ud800"])
async def test_a_damaged_note_is_as_good_as_none(settings, text):
    (settings.data_dir / "engines.json").write_bytes(text.encode("utf-8", "surrogatepass"))
    room = EngineRoom(settings, settings.data_dir)
    assert room.known("tone") is None
    assert (await room.info("tone")).rate == 44100
    assert json.loads((settings.data_dir / "engines.json").read_text())["tone"]["rate"] == 44100
    await room.close()


async def test_an_unknown_engine_is_a_bad_request_that_names_those_there_are(room):
    with pytest.raises(InvalidRequest, match="procedural") as caught:
        room.hosted("theremin")
    assert (caught.value.code, caught.value.details["field"]) == ("unknown_engine", "engine")


async def test_one_that_cannot_start_says_why_and_harms_no_other(installed, settings):
    room = EngineRoom(settings, settings.data_dir)
    with pytest.raises(EngineUnavailable, match="weights"):
        await room.info("half")
    assert "weights" in room.hosted("half").error.message
    assert (await room.info("tone")).name == "tone"
    await room.close()


async def test_work_is_spread_over_as_many_processes_as_are_set(room):
    await room.info("tone")
    assert room.capacity("tone") == 8
    specs = [SampleSpec(prompt=f"tone slow {number}", kind="raw", duration=1).resolved("tone") for number in range(2)]
    await asyncio.gather(*(room.hosted("tone").make(spec) for spec in specs))
    assert len(set(room.hosted("tone").pids)) == 2

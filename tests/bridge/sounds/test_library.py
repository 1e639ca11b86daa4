"""The kept sounds as the event loop sees them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import soundfile

from bridge.errors import BridgeError, Conflict, InvalidRequest, NotFound
from bridge.sounds.library import Library
from bridge.sounds.opening import open_service
from bridge.sounds.service import SampleService
from tests.servers import Heard, order, settings_for


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[SampleService]:
    async with open_service(settings_for(tmp_path / "data")) as service:
        for words in ("dusty tone 300 hz", "warm tone 400 hz"):
            await service.make(order(words))
        yield service


@pytest.fixture
def library(service: SampleService) -> Library:
    return service.library


async def test_a_sound_is_found_by_name_alias_and_in_any_letter_case(library):
    for name in ("gen_dusty_tone_300_hz", "musicgen_dusty_tone_300_hz", "GEN_Dusty_Tone_300_HZ"):
        assert (await library.sound(name)).name == "gen_dusty_tone_300_hz"
        assert (await library.find(name)).name == "gen_dusty_tone_300_hz"


async def test_a_sound_is_found_by_its_words_and_by_words_with_an_error(library):
    assert (await library.find("dusty")).name == "gen_dusty_tone_300_hz"
    assert (await library.find("dustty")).name == "gen_dusty_tone_300_hz"


async def test_what_is_not_there_is_not_found_and_the_nearest_words_are_named(library):
    for call in (library.find, library.sound):
        with pytest.raises(NotFound) as caught:
            await call("gen_dusty_tone_301_hz" if call == library.sound else "zzzzqqq")
        assert caught.value.code == "unknown_sound"
    with pytest.raises(NotFound) as caught:
        await library.sound("gen_dusty_ton")
    assert isinstance(caught.value.details["nearest"], list)


async def test_deliveries_are_made_when_they_are_first_asked_for_and_again_when_they_vanish(library, monkeypatch):
    sample_id = (await library.sound("gen_dusty_tone_300_hz")).slot.sample_id
    for extension in ("wav", "flac", "ogg", "mp3"):
        path = await library.audio(sample_id, extension)
        first = path.read_bytes()
        assert soundfile.info(path).frames == round(0.3 * 44100)
        path.unlink()
        assert (await library.audio(sample_id, extension)).read_bytes() == first or extension == "ogg"


async def test_asked_for_at_the_same_time_a_delivery_is_made_once(library, monkeypatch):
    sample_id = (await library.sound("gen_dusty_tone_300_hz")).slot.sample_id
    encode, made = library._encode, []
    monkeypatch.setattr(library, "_encode", lambda *what: (made.append(what), encode(*what))[1])
    paths = await asyncio.gather(*(library.audio(sample_id, "flac") for _ in range(20)))
    assert len(set(paths)) == len(made) == 1


@pytest.mark.parametrize("sample_id", ["0" * 32, "../../etc/passwd", "", "A" * 32, "\0", "x" * 5000])
async def test_an_unknown_sample_is_a_sentence(library, sample_id):
    with pytest.raises(BridgeError) as caught:
        await library.audio(sample_id, "flac")
    assert caught.value.code in ("unknown_sample", "not_storable", "not_found")


@pytest.mark.parametrize("extension", ["exe", "", "../x", "wav.exe"])
async def test_an_unknown_format_is_a_sentence(library, extension):
    sample_id = (await library.sound("gen_dusty_tone_300_hz")).slot.sample_id
    with pytest.raises(InvalidRequest, match="flac") as caught:
        await library.audio(sample_id, extension)
    assert caught.value.code == "unknown_format"


async def test_renaming_tells_that_the_old_name_is_gone_and_the_new_one_there(service, library):
    heard = Heard(service)
    await library.rename("gen_dusty_tone_300_hz", "dust")
    assert [(event.type, event.data["name"]) for event in heard.events] == [
        ("sound_removed", "gen_dusty_tone_300_hz"),
        ("sound", "dust"),
    ]
    assert (await library.sound("gen_dusty_tone_300_hz")).name == "dust"
    with pytest.raises(Conflict):
        await library.rename("dust", "gen_warm_tone_400_hz")


async def test_deleting_can_be_taken_back(service, library):
    heard = Heard(service)
    before, until = await library.delete("musicgen_dusty_tone_300_hz")
    assert until is not None
    with pytest.raises(NotFound):
        await library.sound(before.name)
    back = await library.restore(before.name)
    assert back.slots == before.slots
    assert [event.type for event in heard.events] == ["sound_removed", "sound"]


async def test_eviction_tells_what_went(service, library):
    heard = Heard(service)
    await service._telling.finish()  # the service makes room by itself after every job
    library._store._masters_limit = 1
    await library.pin("gen_warm_tone_400_hz", pinned=True)
    await library.evict()
    assert [(event.type, event.data["name"]) for event in heard.events] == [("sound_removed", "gen_dusty_tone_300_hz")]
    await library.evict()
    assert len(heard.events) == 1


async def test_a_change_that_was_begun_is_told_though_its_caller_has_gone(service, library, monkeypatch):
    heard = Heard(service)
    rename, loop = library._store.rename, asyncio.get_running_loop()
    began, go_on = asyncio.Event(), asyncio.Event()

    def slowly(*names: str):
        loop.call_soon_threadsafe(began.set)
        asyncio.run_coroutine_threadsafe(go_on.wait(), loop).result(20)
        return rename(*names)

    monkeypatch.setattr(library._store, "rename", slowly)
    renaming = asyncio.create_task(library.rename("gen_dusty_tone_300_hz", "dust"))
    await began.wait()
    renaming.cancel()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await renaming
    assert [event.type for event in heard.events] == ["sound_removed", "sound"]
    assert (await library.sound("dust")).name == "dust"


async def test_a_listener_that_breaks_harms_neither_the_change_nor_the_others(service, library):
    def broken(_: object) -> None:
        raise RuntimeError("a listener broke")

    library.happenings.subscribe(broken)
    heard = Heard(service)
    assert (await library.rename("gen_dusty_tone_300_hz", "dust")).name == "dust"
    assert len(heard.events) == 2


async def test_events_are_told_in_the_order_of_their_numbers_whoever_changes_at_once(service, library, monkeypatch):
    heard = Heard(service)
    log, second = library._store.log, threading.Event()

    def dawdling(kind, data):
        event = log(kind, data)
        if data["job_id"] == "first":
            second.wait(0.3)  # numbered, and not told yet: would the next one overtake it?
        else:
            second.set()
        return event

    monkeypatch.setattr(library._store, "log", dawdling)
    await asyncio.gather(*(library.log("job", {"job_id": name}) for name in ("first", "second", "third")))
    assert [event.data["job_id"] for event in heard.events] == ["first", "second", "third"]
    numbers = [event.seq for event in heard.events]
    assert numbers == list(range(numbers[0], numbers[0] + 3))


async def test_exact_words_win_over_a_name_that_is_one_of_them(service, library):
    for words, name in (("bell", "gen_bell"), ("glass bell", None), ("shiny bell", "my_thing")):
        await service.make(order(words, name=name))
    assert (await library.find("glass bell")).name == "gen_glass_bell"
    assert (await library.find("shiny bell")).name == "my_thing"
    assert (await library.find("bell")).name == "gen_bell"
    assert next(sound.name for sound in await library.search("glass bell")) == "gen_glass_bell"


async def test_the_sign_of_a_note_stays_in_the_name(service, library):
    for words in ("808 tone in F", "808 tone in F#"):
        await service.make(order(words))
    assert (await library.find("808 tone in F#")).name == "gen_808_tone_in_f_sharp"
    assert (await library.find("808 tone in F")).name == "gen_808_tone_in_f"


async def test_a_loop_of_another_tempo_is_not_answered_for_the_one_that_was_asked(service, library):
    await service.make(order("rolling break 120 bpm", kind="loop", bars=1, name="gen_rolling_break"))
    with pytest.raises(NotFound) as caught:
        await library.find("rolling break 92 bpm")
    assert caught.value.code == "unknown_sound"
    assert caught.value.details["nearest"] == ["gen_rolling_break"]
    assert caught.value.details["nearest_sounds"] == [{"name": "gen_rolling_break", "bpm": 120.0, "key": None}]
    assert caught.value.details["body"] == {"prompt": "rolling break 92 bpm", "kind": "auto"}
    assert (await library.find("rolling break 120 bpm")).name == "gen_rolling_break"
    await service.make(order("rolling break 92 bpm", kind="loop", bars=1))
    assert (await library.find("rolling break 92 bpm")).name == "gen_rolling_break_92_bpm"

"""The one service behind every door, over a real store and real engine processes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bridge.errors import (
    BadAudio,
    BridgeError,
    Busy,
    Conflict,
    EngineCrashed,
    EngineError,
    EngineUnavailable,
    InvalidRequest,
    JobCancelled,
    NotFound,
    StartupError,
    StorageFull,
)
from bridge.jobs import Priority, State
from bridge.settings import Settings
from bridge.sounds.opening import open_service
from bridge.sounds.orders import stem_order
from bridge.sounds.placing import job_message
from bridge.sounds.pregeneration import pregenerate
from bridge.sounds.service import SampleService
from bridge.stage.stage import Stage
from prompts import common_stems
from tests.servers import Heard, order, settings_for, until


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
async def service(folder: Path) -> AsyncIterator[SampleService]:
    async with open_service(settings_for(folder)) as service:
        yield service


@pytest.fixture
def heard(service: SampleService) -> Heard:
    return Heard(service)


@pytest.fixture
async def slow(installed: Path, folder: Path) -> AsyncIterator[SampleService]:
    """A service whose engine takes long, and has stand-ins."""
    async with open_service(settings_for(folder, engine="scripted")) as service:
        yield service


def stem(**fields: object):
    return stem_order({"type": "drums", "duration": 0.3, **fields})[0]


def left_over(service: SampleService) -> list[Path]:
    return list(service.library._store.incoming.iterdir())


# ---------------------------------------------------------------- the same, and another


async def test_the_same_words_are_the_same_sound_in_the_same_slot(service, heard):
    first = await service.make(order("dusty tone 440 hz"))
    second = await service.make(order("  Dusty   TONE 440 hz ", duration=0.30))
    assert (first.name, first.n, first.cached) == ("gen_dusty_tone_440_hz", 0, False)
    assert (second.name, second.n, second.cached) == (first.name, 0, True)
    assert second.sample.sample_id == first.sample.sample_id
    assert len(heard.of("sound")) == 1, "what changes nothing is not announced"
    assert left_over(service) == []


async def test_asked_at_the_same_time_it_is_made_once_and_everybody_gets_it(service, heard):
    placed = await asyncio.gather(*(service.make(order("tone slow")) for _ in range(20)))
    assert {(each.name, each.n) for each in placed} == {("gen_tone_slow", 0)}
    assert len(heard.of("sound")) == 1
    jobs = heard.of("job")
    assert len({job["job_id"] for job in jobs}) == len(jobs) == 20, "every asker hears how it ended"


def held_publishing(service, monkeypatch):
    """Hold each publishing up in the store's thread: an event that says it has begun, and one that lets it go on."""
    publish = service.library._store.publish
    began, go_on = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def slowly(*arguments, **keywords):
        loop.call_soon_threadsafe(began.set)
        asyncio.run_coroutine_threadsafe(go_on.wait(), loop).result(20)
        return publish(*arguments, **keywords)

    monkeypatch.setattr(service.library._store, "publish", slowly)
    return began, go_on


async def test_who_joins_in_the_last_moment_hears_the_end_too(service, heard, monkeypatch):
    """While the sample is being published somebody else asks for the same."""
    began, go_on = held_publishing(service, monkeypatch)
    (first,) = await service.ask(order("tone 440 hz"))
    await began.wait()
    (late,) = await service.ask(order("tone 440 hz"))
    (elsewhere,) = await service.ask(order("tone 440 hz", name="my_tone"))
    go_on.set()
    placed = [service.placed(await service.queue.wait(each.id)) for each in (first, late, elsewhere)]
    assert [(each.name, each.n) for each in placed] == [("gen_tone_440_hz", 0)] * 2 + [("my_tone", 0)]
    assert {job["job_id"] for job in heard.of("job")} == {first.id, late.id, elsewhere.id}
    assert {job["state"] for job in heard.of("job")} == {"completed"}


async def test_fresh_makes_another_slot_of_the_same_name(installed, folder):
    async with open_service(settings_for(folder, engine="quick")) as service:
        first = await service.make(order("warm pad"))
        fresh = [await service.make(order("warm pad", fresh=True)) for _ in range(2)]
        again = await service.make(order("warm pad"))
    assert [each.n for each in (first, *fresh, again)] == [0, 1, 2, 0]
    assert len({each.sample.sample_id for each in (first, *fresh)}) == 3


async def test_variations_are_so_many_slots_and_stay_the_same(installed, folder):
    async with open_service(settings_for(folder, engine="quick")) as service:
        tickets = await service.ask(order("warm pad", variations=4))
        placed = [service.placed(await service.queue.wait(each.id)) for each in tickets]
        assert sorted(each.n for each in placed) == [0, 1, 2, 3]
        assert len({each.sample.sample_id for each in placed}) == 4
        again = await service.ask(order("warm pad", variations=5))
        more = [service.placed(await service.queue.wait(each.id)) for each in again]
        assert [each.n for each in more[:4]] == [each.n for each in placed]
        assert [each.cached for each in more] == [True] * 4 + [False]


async def test_variations_are_published_together_the_best_first(installed, folder):
    async with open_service(settings_for(folder, engine="quick")) as service:
        tickets = await service.ask(order("rough pad", variations=6))
        placed = [service.placed(await service.queue.wait(each.id)) for each in tickets]
        assert [each.n for each in placed] == list(range(6))
        flagged = [bool(each.sample.facts["flags"]) for each in placed]
        assert flagged == sorted(flagged)
        assert len(set(flagged)) == 2, "these seeds are to give both"
        assert next(each.sample.facts["flags"] for each in placed if each.sample.facts["flags"]) == ["clipped"]
        again = await service.ask(order("rough pad", variations=6))
        assert [service.placed(each).n for each in again] == list(range(6))


async def test_of_several_variations_those_that_could_be_made_are_kept(installed, folder):
    async with open_service(settings_for(folder, engine="quick")) as service:
        tickets = await service.ask(order("unlucky pad", variations=6))
        ended = [await service.queue.wait(each.id) for each in tickets]
        states = [each.state for each in ended]
        made = states.count(State.COMPLETED)
        assert 0 < made < 6
        assert states == [State.COMPLETED] * made + [State.FAILED] * (6 - made)
        assert [service.placed(each).n for each in ended[:made]] == list(range(made))
        with pytest.raises(EngineError, match="odd seed"):
            service.placed(ended[-1])
        assert not list((folder / "incoming").iterdir())


async def test_a_cancelled_batch_of_variations_leaves_no_files(installed, slow, folder):
    tickets = await slow.ask(order("gate pad", variations=3))
    assert {(await slow.cancel(ticket.id)).state for ticket in tickets} == {State.CANCELLED}
    assert not list((folder / "incoming").iterdir())


async def test_an_unknown_effect_is_refused_with_what_there_is(service):
    with pytest.raises(InvalidRequest, match="no effect 'glitter'") as caught:
        await service.make(order("tone 300 hz", effects=["glitter"]))
    assert (caught.value.code, caught.value.details["field"]) == ("unknown_effect", "effects")


async def test_sounds_are_finished_at_48_khz_when_that_is_set(installed, folder):
    async with open_service(settings_for(folder, engine="quick", sample_rate=48000)) as service:
        placed = await service.make(order("warm pad", kind="texture", duration=0.5))
    assert (placed.sample.rate, placed.sample.frames) == (48000, 24000)
    assert placed.sample.facts["recipe"].endswith("/48000")


async def test_a_pitched_sound_is_published_at_the_note_that_its_engine_played(folder):
    async with open_service(settings_for(folder, engine="procedural")) as service:
        roots = [
            (await service.make(order(words, kind="pitched"))).sample.facts["root"] for words in ("stab", "organ a3")
        ]
    assert roots == ["c4", "a3"]


async def test_a_loop_is_cut_into_slices_that_stay_where_they_are(folder):
    async with open_service(settings_for(folder, engine="procedural")) as service:
        loop = await service.make(order("house drum beat", kind="loop", bars=1, bpm=120, name="beat"))
        cut = await service.slicer.slices("beat")
        assert cut.name == "beat_sl"
        assert 4 <= len(cut.slots) <= 16
        first = await service.library.take(cut.slots[0].spec_id)
        assert (first.facts["kind"], first.facts["parents"]) == ("oneshot", [loop.sample.sample_id])
        assert first.facts["engine"] == "procedural"
        assert (await service.slicer.slices("beat")).slots == cut.slots
        with pytest.raises(NotFound, match="no slot 7"):
            await service.slicer.slices("beat", 7)
        await service.make(order("steady rain", kind="texture", duration=1, name="rain"))
        with pytest.raises(InvalidRequest) as caught:
            await service.slicer.slices("rain")
        assert caught.value.code == "no_slices"
        assert left_over(service) == []


async def test_two_prompts_with_one_slug_are_two_slots(service):
    one, two = await service.make(order("tone, 440 hz!")), await service.make(order("tone 440 hz"))
    assert (one.name, one.n) == ("gen_tone_440_hz", 0)
    assert (two.name, two.n) == ("gen_tone_440_hz", 1)


async def test_what_is_asked_for_decides_what_is_the_same(service):
    placed = [
        await service.make(order("tone 440 hz", **fields))
        for fields in ({}, {"duration": 0.4}, {"kind": "raw"}, {"seed": 5}, {"seed": 6}, {"key": "C minor"})
    ]
    assert [each.n for each in placed] == list(range(6))


# ---------------------------------------------------------------- names


async def test_a_name_of_ones_own_gathers_slots_and_the_sound_says_how_to_play_them(service):
    first = await service.make(order("tone 300 hz", name="My_Tones"))
    second = await service.make(order("tone 400 hz", name="my_tones"))
    assert [(each.name, each.n) for each in (first, second)] == [("my_tones", 0), ("my_tones", 1)]
    assert [each.strudel for each in (first, second)] == ['note("d4").s("my_tones")', 'note("g4").s("my_tones:1")']
    assert len((await service.library.sound("my_tones")).slots) == 2


async def test_a_generated_name_has_an_alias_for_clients_of_contract_a(service):
    await service.make(order("tone 440 hz"))
    sound = await service.library.sound("musicgen_tone_440_hz")
    assert (sound.name, sound.aliases) == ("gen_tone_440_hz", ("musicgen_tone_440_hz",))


async def test_a_prompt_without_letters_gets_a_name_that_can_be_typed(service):
    placed = await service.make(order("🥁🥁"))
    assert placed.name.startswith("gen_x_")
    assert (await service.make(order("🥁🥁"))).name == placed.name


async def test_stems_are_listed_under_their_type_and_each_alone(service):
    placed = [await service.make(stem(style=style)) for style in ("jazz", "rock")]
    assert [(each.name, each.n) for each in placed] == [("musicgen_drums", 0), ("musicgen_drums", 1)]
    for number, each in enumerate(placed, 1):
        alone = await service.library.sound(f"musicgen_drums_{number}")
        assert [slot.sample_id for slot in alone.slots] == [each.sample.sample_id]
    again = await service.make(stem(style="jazz"))
    assert (again.n, again.cached) == (0, True)
    assert service.library._store.count() == 3


async def test_a_stem_whose_place_is_held_by_a_stand_in_is_counted_by_its_place(installed, slow):
    (ticket,) = await Stage(slow).ask(stem(style="gate"), standin=True)
    assert slow.library._store.sound("musicgen_drums").slot.standin
    installed.touch()
    assert slow.placed(await slow.queue.wait(ticket.id)).n == 0
    alone = await slow.library.sound("musicgen_drums_1")
    assert not alone.slot.standin
    assert slow.library._store.sound("musicgen_drums_2") is None


# ---------------------------------------------------------------- stand-ins


async def test_a_stand_in_is_there_at_once_and_replaced_in_its_slot(installed, slow):
    heard = Heard(slow)
    (ticket,) = await Stage(slow).ask(order("gate pad"), standin=True)
    sound = await slow.library.sound("gen_gate_pad")
    assert sound.slot.standin
    assert sound.facts["engine"] == "procedural"
    assert job_message(ticket)["n"] == 0
    assert ticket.claim.standin.sample_id == sound.slot.sample_id
    installed.touch()
    placed = slow.placed(await slow.queue.wait(ticket.id))
    sound = await slow.library.sound("gen_gate_pad")
    assert (placed.n, len(sound.slots), sound.slot.standin) == (0, 1, False)
    assert (sound.facts["engine"], sound.slot.sample_id) == ("scripted", placed.sample.sample_id)
    assert [event["standin"] for event in heard.of("sound")] == [True, False]
    assert [event["revision"] for event in heard.of("sound")] == [1, 2]


async def test_without_being_asked_for_there_is_no_stand_in_nor_for_what_is_instant(installed, folder, slow):
    installed.touch()
    await slow.make(order("gate pad"))
    assert len((await slow.library.sound("gen_gate_pad")).slots) == 1
    (ticket,) = await Stage(slow).ask(order("other pad", engine="quick"), standin=True)
    assert ticket.claim.standin is None
    await slow.queue.wait(ticket.id)


async def test_when_the_wanted_sound_fails_the_stand_in_goes_on_playing(slow):
    (ticket,) = await Stage(slow).ask(order("bug pad"), standin=True)
    assert (await slow.queue.wait(ticket.id)).state is State.FAILED
    assert (await slow.library.sound("gen_bug_pad")).slot.standin


async def test_variations_of_a_slow_engine_fill_one_slot_after_another(installed, slow):
    tickets = await Stage(slow).ask(order("gate pad", variations=3), standin=True)
    assert len((await slow.library.sound("gen_gate_pad")).slots) == 1
    installed.touch()
    placed = [slow.placed(await slow.queue.wait(each.id)) for each in tickets]
    sound = await slow.library.sound("gen_gate_pad")
    assert sorted(each.n for each in placed) == [0, 1, 2]
    assert not any(slot.standin for slot in sound.slots)


# ---------------------------------------------------------------- events


async def test_sound_and_job_are_told_together_with_contiguous_numbers(service, heard):
    await service.make(order("tone 300 hz"))
    await service.make(stem())
    assert [event.seq for event in heard.events] == list(range(1, len(heard.events) + 1))
    assert [event.type for event in heard.events] == ["sound", "job", "sound", "sound", "job"]
    assert heard.events == service.library._store.events_since(0)
    job = heard.of("job")[0]
    assert (job["name"], job["n"], job["state"], job["progress"]) == ("gen_tone_300_hz", 0, "completed", 1.0)
    assert "error" not in job


@pytest.mark.parametrize(
    ("words", "error", "code"),
    [
        ("tone fail", EngineError, "engine_failed"),
        ("tone nan", BadAudio, "bad_audio"),
        ("tone crash", EngineCrashed, "engine_crashed"),
    ],
)
async def test_a_job_that_fails_is_logged_and_nothing_else_is(service, heard, words, error, code):
    with pytest.raises(error) as caught:
        await service.make(order(words, session="main"))
    assert caught.value.code == code
    await until(lambda: heard.events)
    (event,) = heard.events
    assert event.type == "job"
    assert (event.data["state"], event.data["error"]["code"]) == ("failed", code)
    assert (event.data["name"], event.data["session"]) == (f"gen_{words.replace(' ', '_')}", "main")
    assert service.library._store.count() == 0
    assert left_over(service) == []


async def test_progress_is_told_for_every_asker_and_at_most_five_times_a_second(installed, folder):
    async with open_service(settings_for(folder, engine="tone")) as service:
        heard = Heard(service)
        (ticket,) = await service.ask(order("tone slow", duration=1.5, session="main"))
        await service.queue.wait(ticket.id)
    assert len(heard.progress) > 3
    assert {message["job_id"] for message in heard.progress} == {ticket.id}
    assert {message["state"] for message in heard.progress} == {"running"}
    assert all("seq" not in message for message in heard.progress)
    fractions = [message["progress"] for message in heard.progress]
    assert fractions == sorted(fractions)
    gaps = [after - before for before, after in zip(heard.moments, heard.moments[1:], strict=False)]
    assert min(gaps) > 0.19


async def test_cancelling_is_told_once_and_leaves_nothing(service, heard):
    (ticket,) = await service.ask(order("tone slow", duration=60))
    await until(lambda: heard.progress)
    gone = await service.cancel(ticket.id)
    assert [(event.type, event.data["state"]) for event in heard.events] == [("job", "cancelled")]
    with pytest.raises(JobCancelled):
        service.placed(gone)
    with pytest.raises(Conflict):
        await service.cancel(ticket.id)
    assert left_over(service) == []


async def test_one_asker_goes_and_the_other_gets_the_sound(service, heard):
    (mine,), (yours,) = [await service.ask(order("tone slow")) for _ in range(2)]
    gone = await service.cancel(mine.id)
    assert service.placed(await service.queue.wait(yours.id)).n == 0
    with pytest.raises(JobCancelled):
        service.placed(gone)
    states = {job["job_id"]: job["state"] for job in heard.of("job")}
    assert states == {mine.id: "cancelled", yours.id: "completed"}
    assert len(heard.of("job")) == 2


async def test_cancelled_at_any_moment_a_job_ends_one_way_and_every_event_is_told(service, heard):
    """Also in the middle of being published: then it is too late, and it is completed."""
    await service.engines.info("tone")
    for step in range(25):
        (ticket,) = await service.ask(order(f"tone {300 + step} hz"))
        await asyncio.sleep(step * 0.002)
        try:
            await service.cancel(ticket.id)
        except Conflict:
            await service.queue.wait(ticket.id)
        ticket = await service.queue.ticket(ticket.id)
        ended = [job["state"] for job in heard.of("job") if job["job_id"] == ticket.id]
        assert ended == [str(ticket.state)]
        sound = service.library._store.sound(f"gen_tone_{300 + step}_hz")
        assert (sound is not None) == (ticket.state is State.COMPLETED)
    assert heard.events == service.library._store.events_since(0), "all that was numbered was told, in its order"
    assert left_over(service) == []


async def test_cancelled_while_it_is_published_it_is_published(service, heard, monkeypatch):
    began, go_on = held_publishing(service, monkeypatch)
    (ticket,) = await service.ask(order("tone 440 hz"))
    await began.wait()
    with pytest.raises(Conflict):
        await service.cancel(ticket.id)
    closing = asyncio.create_task(service.close())
    await asyncio.sleep(0)
    go_on.set()
    await closing
    assert (await service.queue.ticket(ticket.id)).state is State.COMPLETED
    assert [event.type for event in heard.events] == ["sound", "job"]
    assert left_over(service) == []


async def test_stopping_the_service_ends_all_work_and_leaves_no_file(folder):
    """Nobody is told of an end: the jobs go on at the next start."""
    async with open_service(settings_for(folder, max_concurrent_jobs=1)) as service:
        heard = Heard(service)
        tickets = [(await service.ask(order(f"tone slow {number}", duration=60)))[0] for number in range(3)]
        waiting = [asyncio.create_task(service.queue.wait(ticket.id)) for ticket in tickets]
        await until(lambda: heard.progress)
        await service.close()
        assert {ticket.state for ticket in await asyncio.gather(*waiting)} == {State.CANCELLED}
        assert heard.events == []
        assert left_over(service) == []
        assert not service.engines.hosted("tone").running


# ---------------------------------------------------------------- after a restart


async def test_a_restart_finds_everything_without_starting_an_engine(folder):
    settings = settings_for(folder)
    async with open_service(settings) as service:
        before = await service.make(order("tone 440 hz"))
        head, epoch = service.library._store.head(), service.library._store.epoch
    async with open_service(settings) as service:
        again = await service.make(order("tone 440 hz"))
        assert again.cached
        assert (again.name, again.n, again.sample) == (before.name, before.n, before.sample)
        assert not service.engines.hosted("tone").running
        assert (service.library._store.head(), service.library._store.epoch) == (head, epoch)
        assert (await service.library.audio(again.sample.sample_id, "wav")).exists()


async def test_a_better_engine_makes_a_new_slot_and_keeps_the_old_one(installed, folder, monkeypatch):
    settings = settings_for(folder, engine="scripted")
    async with open_service(settings) as service:
        old = await service.make(order("warm pad"))
    monkeypatch.setenv("SCRIPTED_REVISION", "2")
    async with open_service(settings) as service:
        await service.engines.hosted("scripted").start()
        new = await service.make(order("warm pad"))
        assert (old.n, new.n, new.cached) == (0, 1, False)


async def test_what_is_auto_and_what_is_named_are_the_same_sound(service):
    named = await service.make(order("tone 440 hz", engine="tone"))
    assert (await service.make(order("tone 440 hz", engine="auto"))).sample == named.sample


# ---------------------------------------------------------------- what goes wrong


@pytest.mark.parametrize(
    ("fields", "code", "field"),
    [
        ({"duration": 31.0, "engine": "quick"}, "too_long", "duration"),
        ({"engine": "theremin"}, "unknown_engine", "engine"),
        ({"model": "facebook/musicgen-large"}, "unknown_model", "model"),
        ({"prompt": "break, 64 bars at 21 bpm", "duration": None}, "invalid_request", None),
    ],
)
async def test_what_cannot_be_made_is_said_before_any_work(installed, folder, fields, code, field):
    async with open_service(settings_for(folder)) as service:
        asked = {"prompt": "warm pad", **fields}
        with pytest.raises(InvalidRequest) as caught:
            await service.ask(order(asked.pop("prompt"), **asked))
        assert caught.value.code == code
        assert field is None or caught.value.details["field"] == field
        assert await service.queue.tickets() == []


async def test_the_limit_that_is_set_holds(folder):
    async with open_service(settings_for(folder, max_duration=2)) as service:
        with pytest.raises(InvalidRequest, match="2 s") as caught:
            await service.ask(order("tone", duration=2.5))
        assert caught.value.code == "too_long"
        await service.make(order("tone", duration=2))


async def test_an_engine_that_cannot_start_is_unavailable_and_kept_sounds_are_still_served(installed, folder):
    async with open_service(settings_for(folder)) as service:
        kept = await service.make(order("tone 440 hz"))
        with pytest.raises(EngineUnavailable, match="weights"):
            await service.make(order("warm pad", engine="half"))
        assert (await service.library.audio(kept.sample.sample_id, "wav")).exists()


async def test_a_full_disk_is_said_and_leaves_nothing_and_what_is_kept_still_answers(service, heard):
    kept = await service.make(order("tone 440 hz"))
    told = len(heard.events)
    service.library._store._disk_reserve = 2**62
    with pytest.raises(StorageFull):
        await service.make(order("tone 500 hz"))
    await until(lambda: len(heard.events) > told)
    assert (heard.events[-1].type, heard.events[-1].data["error"]["code"]) == ("job", "storage_full")
    assert left_over(service) == []
    again = await service.make(order("tone 440 hz"))
    assert (again.cached, again.n, again.sample) == (True, 0, kept.sample)
    service.library._store._disk_reserve = 0
    assert (await service.make(order("tone 500 hz"))).n == 0


async def test_too_many_wishes_are_busy(folder):
    async with open_service(settings_for(folder, max_queue=2, max_concurrent_jobs=1)) as service:
        tickets = [(await service.ask(order(f"tone slow {number}", duration=60)))[0] for number in range(3)]
        with pytest.raises(Busy) as caught:
            await service.ask(order("tone slow 9", duration=60))
        assert caught.value.code == "queue_full"
        for ticket in reversed(tickets):
            await service.cancel(ticket.id)


async def test_a_job_that_takes_too_long_fails_and_the_next_is_made(folder):
    async with open_service(settings_for(folder, job_timeout=1)) as service:
        with pytest.raises(EngineError) as caught:
            await service.make(order("tone slow", duration=60))
        assert caught.value.code == "engine_timeout"
        await service.make(order("tone 440 hz"))
        assert left_over(service) == []


async def test_two_services_cannot_share_a_folder(service, folder):
    with pytest.raises(StartupError) as caught:
        async with open_service(settings_for(folder)):
            pass
    assert caught.value.code == "store_locked"


async def test_an_unknown_engine_in_the_settings_is_told_at_the_start(folder):
    with pytest.raises(StartupError, match="procedural") as caught:
        async with open_service(settings_for(folder, engine="theremin")):
            pass
    assert caught.value.code == "unknown_engine"
    async with open_service(settings_for(folder)):
        pass


# ---------------------------------------------------------------- pre-generation


async def test_the_common_stems_are_made_and_a_player_does_not_wait_for_them(folder):
    settings = Settings(data_dir=folder, engine="procedural", max_queue=3, max_concurrent_jobs=1)
    stems = [stem.sound for stem in common_stems()]
    async with open_service(settings) as service:
        heard = Heard(service)
        service.background.spawn(pregenerate(service))
        await until(lambda: heard.of("sound"))
        (ticket,) = await service.ask(order("a short click"), priority=Priority.PLAYER)
        await service.queue.wait(ticket.id)
        sounds = sum(1 + len(stem.roots) for stem in common_stems())
        await until(lambda: len(heard.of("job")) == sounds + 1, seconds=60)
        store = service.library._store
        for each in common_stems():
            assert not store.sound(each.sound).slot.standin
            for alias in each.aliases:
                assert store.sound(alias).name == each.sound, "the names that every pattern uses"
        head = store.head()
        await pregenerate(service)
        assert store.head() == head, "a second start makes and tells nothing"
    ended = [job["name"] for job in heard.of("job")]
    assert ended.index("gen_a_short_click") < len(stems) // 2, "at most what was begun already came before"
    came = list(dict.fromkeys(name for name in ended if name != "gen_a_short_click"))
    assert sorted(came) == sorted(stems)
    assert all(abs(came.index(name) - stems.index(name)) <= 2 for name in stems), "the most needed first"
    assert {job["state"] for job in heard.of("job")} == {"completed"}


async def test_a_common_stem_that_was_deleted_stays_away_until_it_is_asked_for(folder, monkeypatch):
    few = common_stems()[:2]
    monkeypatch.setattr("bridge.sounds.pregeneration.common_stems", lambda: few)
    async with open_service(settings_for(folder, engine="procedural")) as service:
        await pregenerate(service)
        await service.library.delete(few[0].aliases[0])
    async with open_service(settings_for(folder, engine="procedural")) as service:
        await pregenerate(service)
        store = service.library._store
        assert [store.sound(each.sound) is not None for each in few] == [False, True]
        await service.make(order("kick", name=few[0].sound))
        head = store.head()
        await pregenerate(service)
        assert store.head() > head, "from now on it is made like the others"


async def test_a_models_common_stems_are_made_while_nobody_waits(installed, folder, monkeypatch):
    few = common_stems()[:2]
    monkeypatch.setattr("bridge.sounds.pregeneration.common_stems", lambda: few)
    async with open_service(settings_for(folder, engine="echo")) as service:
        await pregenerate(service)
        for each in few:
            sound = await service.library.sound(each.sound)
            made = await service.library.take(sound.slots[-1].spec_id)
            assert made.facts["engine"] == "echo"
            assert made.facts["measures"]["centroid_hz"] == pytest.approx(800, rel=0.1), "the engine was told"


async def test_pregeneration_waits_when_players_have_filled_the_queue(folder, monkeypatch):
    few = common_stems()[:3]
    monkeypatch.setattr("bridge.sounds.pregeneration.common_stems", lambda: few)
    monkeypatch.setattr("bridge.sounds.patience.BUSY_SECONDS", 0.01)
    settings = settings_for(folder, max_queue=1, max_concurrent_jobs=1)
    async with open_service(settings) as service:
        await service.engines.info("procedural")
        blockers = [
            (await service.ask(order("pad drone", engine="procedural", duration=20 + number)))[0] for number in range(2)
        ]
        generating = asyncio.create_task(pregenerate(service))
        for each in blockers:
            await service.queue.wait(each.id)
        await generating
        assert all(service.library._store.sound(each.sound) for each in few)


async def test_every_error_is_one_of_ours(service):
    """Whatever is asked, what comes back is a sound or a sentence."""
    for words in (
        "tone fail",
        "\N{ZERO WIDTH JOINER}x",
        "x" * 500,
        "<script>alert(1)</script>",
        "'; DROP TABLE sounds",
    ):
        try:
            placed = await service.make(order(words))
        except BridgeError as error:
            assert error.message  # noqa: PT017
        else:
            assert placed.name.startswith("gen_")

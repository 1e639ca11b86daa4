"""Engines in their real child processes: what works, what breaks, and what must not break with it."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import psutil
import pytest
import soundfile

from bridge.engines.hosting import client as hosted_module
from bridge.engines.hosting.client import ATTEMPTS, CANCEL_SECONDS, HostedEngine, Made
from bridge.errors import BadAudio, EngineCrashed, EngineError, EngineTimeout, EngineUnavailable, NotFound
from prompts import SampleSpec
from tests.servers import hosts, is_gone, until

Open = Callable[..., HostedEngine]


@pytest.fixture
def incoming(tmp_path: Path) -> Path:
    folder = tmp_path / "incoming"
    folder.mkdir()
    return folder


@pytest.fixture
async def open_engine(incoming: Path) -> AsyncIterator[Open]:
    opened: list[HostedEngine] = []

    def open_one(name: str = "tone", **options) -> HostedEngine:
        opened.append(HostedEngine(name, incoming=incoming, **options))
        return opened[-1]

    yield open_one
    for engine in opened:
        pid = engine.pid
        await engine.close()
        assert pid is None or is_gone(pid)


@pytest.fixture
def engine(open_engine: Open) -> HostedEngine:
    return open_engine()


def spec(prompt: str, engine: str = "tone", **fields) -> SampleSpec:
    return SampleSpec.model_validate({"prompt": prompt, "kind": "raw", "duration": 0.5, **fields}).resolved(engine)


def remove(made: Made) -> None:
    """Do what the store does with what was made: take it away."""
    for path in (made.master, *made.deliveries.values()):
        path.unlink()


async def test_a_sample_is_made_finished_and_encoded_in_another_process(engine, incoming):
    info = await engine.start()
    assert (info.name, engine.info, engine.running) == ("tone", info, True)
    assert psutil.Process(engine.pid).ppid() == os.getpid()
    made = await engine.make(spec("tone 440 hz"))
    assert {made.master, made.deliveries["wav"]} == set(incoming.iterdir())
    assert (made.rate, made.channels, made.frames) == (44100, 1, 22050)
    assert re.fullmatch("[0-9a-f]{32}", made.sample_id)
    assert soundfile.info(made.master).subtype == "PCM_24"
    assert soundfile.info(made.deliveries["wav"]).subtype == "PCM_16"
    assert made.measures["peak_dbfs"] == pytest.approx(-1, abs=0.01)


async def test_a_loop_at_another_tempo_is_made_again_with_another_seed(installed, open_engine):
    made = await open_engine("scripted").make(
        spec("rushed", "scripted", kind="loop", bars=2, bpm=120, duration=None, seed=0)
    )
    assert made.frames == 4 * 44100
    assert "off_grid" not in made.flags
    assert made.measures["tempo_error_percent"] == pytest.approx(2, abs=0.3)
    assert made.facts["seed"] == spec("rushed", seed=0).seed_of_take(1)
    assert made.decisions[0].startswith("made 2 times")


async def test_a_loop_that_never_fits_is_kept_and_says_so(installed, open_engine):
    made = await open_engine("scripted").make(
        spec("hopeless", "scripted", kind="loop", bars=2, bpm=120, duration=None, seed=0)
    )
    assert (made.frames, made.facts["seed"]) == (4 * 44100, 0)
    assert "off_grid" in made.flags
    assert made.decisions[0].startswith("made 3 times")
    assert made.score < 0.6


async def test_the_best_of_several_takes_is_kept_with_its_seed(installed, open_engine):
    """With an odd seed its peaks are cut off."""
    made = await open_engine("echo").make(spec("rough", "echo", seed=1, num_beams=4))
    assert "clipped" not in made.flags
    assert made.facts["seed"] % 2 == 0
    assert made.decisions[0].startswith("kept the best of 4 takes by the quality gate (scores 0.")
    assert "clipped" in (await open_engine("echo").make(spec("rough", "echo", seed=1))).flags


async def test_an_engine_without_takes_makes_one_whatever_num_beams_says(installed, open_engine):
    made = await open_engine("scripted").make(spec("rough", "scripted", seed=1, num_beams=4))
    assert made.facts["seed"] == 1


async def test_audio_that_a_sound_is_made_from_reaches_the_engine(installed, open_engine, tmp_path):
    (tmp_path / "uploads").mkdir()
    source = 0.3 * np.sin(2 * np.pi * 1000 * np.arange(22050) / 22050)
    soundfile.write(tmp_path / "uploads" / f"{'a' * 32}.flac", source, 22050)
    made = await open_engine("echo").make(spec("tone", "echo", source="a" * 32, source_as="continuation"))
    assert (made.rate, made.frames) == (22050, 11025)
    assert made.measures["centroid_hz"] == pytest.approx(1000, rel=0.02)


async def test_audio_that_is_gone_or_means_nothing_to_the_engine_is_said(installed, open_engine):
    with pytest.raises(NotFound, match="no audio with that id is kept"):
        await open_engine("echo").make(spec("tone", "echo", source="b" * 32))
    with pytest.raises(EngineError, match="takes only words"):
        await open_engine().make(spec("tone 440 hz", source="b" * 32))


async def test_an_engine_hears_whether_somebody_waits(installed, open_engine):
    engine = open_engine("echo")
    for background, pitch in ((True, 800), (False, 400)):
        made = await engine.make(spec("tone", "echo"), background=background)
        assert made.measures["centroid_hz"] == pytest.approx(pitch, rel=0.02)


async def test_several_are_made_at_once_and_keep_apart(engine, incoming):
    frequencies = range(200, 1000, 100)
    all_made = await asyncio.gather(*(engine.make(spec(f"tone {each} hz")) for each in frequencies))
    assert len({made.sample_id for made in all_made}) == len(frequencies)
    assert len(list(incoming.iterdir())) == 2 * len(frequencies)
    for frequency, made in zip(frequencies, all_made, strict=True):
        assert made.measures["centroid_hz"] == pytest.approx(frequency, rel=0.02)


async def test_the_same_spec_twice_at_once_gives_the_same_audio_in_files_of_their_own(engine):
    one, two = await asyncio.gather(*(engine.make(spec("tone 440 hz")) for _ in range(2)))
    assert one.sample_id == two.sample_id
    assert one.master != two.master
    assert one.master.read_bytes() == two.master.read_bytes()


async def test_progress_comes_in_order_between_0_and_1(engine):
    seen: list[float] = []
    await engine.make(spec("tone slow", duration=1.5), seen.append)
    assert len(seen) > 3
    assert seen[0] == 0
    assert all(0 <= fraction <= 1 for fraction in seen)


async def test_an_engine_that_reports_without_end_does_not_flood_the_server(installed, open_engine):
    seen: list[float] = []
    await open_engine("scripted").make(spec("chatty", "scripted"), seen.append)
    assert len(seen) < 100, "20,000 were reported"


async def test_a_failure_carries_its_code_and_sentence_and_the_process_lives_on(engine, incoming):
    await engine.start()
    pid = engine.pid
    with pytest.raises(EngineError, match="asked to fail") as caught:
        await engine.make(spec("tone fail"))
    assert caught.value.code == "engine_failed"
    await engine.make(spec("tone 440 hz"))
    assert (engine.pid, engine.restarts) == (pid, 0)


@pytest.mark.parametrize("words", ["tone nan", "tone silence"])
async def test_what_is_no_audio_is_bad_audio_and_leaves_no_file(engine, incoming, words):
    with pytest.raises(BadAudio) as caught:
        await engine.make(spec(words))
    assert caught.value.code == "bad_audio"
    assert list(incoming.iterdir()) == []


async def test_a_crash_is_tried_three_times_and_harms_no_other_request(engine, incoming):
    await engine.start()
    slow = [asyncio.create_task(engine.make(spec(f"tone slow {number}", duration=1))) for number in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(EngineCrashed, match="3 times") as caught:
        await engine.make(spec("tone crash"))
    assert caught.value.code == "engine_crashed"
    for made in await asyncio.gather(*slow):
        remove(made)
    assert list(incoming.iterdir()) == []
    assert engine.restarts == ATTEMPTS
    remove(await engine.make(spec("tone 440 hz")))


async def test_who_hangs_is_killed_when_cancelled_and_the_others_are_made_again(engine, incoming):
    hanging = asyncio.create_task(engine.make(spec("tone hang")))
    seen: list[float] = []
    slow = asyncio.create_task(engine.make(spec("tone slow", duration=3), seen.append))
    await until(lambda: len(seen) > 1)
    pid = engine.pid
    loop = asyncio.get_running_loop()
    begun = loop.time()
    hanging.cancel()
    with pytest.raises(asyncio.CancelledError):
        await hanging
    assert loop.time() - begun > CANCEL_SECONDS - 0.1
    assert is_gone(pid)
    remove(await slow)
    assert engine.pid != pid
    assert list(incoming.iterdir()) == []


async def test_whoever_else_hangs_an_innocent_request_is_made_in_the_end(monkeypatch, engine):
    """More often than a guilty one would be tried."""
    monkeypatch.setattr(hosted_module, "CANCEL_SECONDS", 0.1)
    innocent = asyncio.create_task(engine.make(spec("tone slow", duration=60)))
    for number in range(ATTEMPTS + 1):
        seen: list[float] = []
        hanging = asyncio.create_task(engine.make(spec(f"tone hang {number}"), seen.append))
        await until(lambda seen=seen: seen)
        pid = engine.pid
        hanging.cancel()
        with pytest.raises(asyncio.CancelledError):
            await hanging
        assert is_gone(pid)
        await until(lambda: engine.running)
    assert not innocent.done()
    innocent.cancel()
    with pytest.raises(asyncio.CancelledError):
        await innocent


async def test_who_listens_stops_when_cancelled_and_nothing_is_killed(engine, incoming):
    seen: list[float] = []
    slow = asyncio.create_task(engine.make(spec("tone slow", duration=100), seen.append))
    await until(lambda: len(seen) > 1)
    pid = engine.pid
    slow.cancel()
    with pytest.raises(asyncio.CancelledError):
        await slow
    remove(await engine.make(spec("tone 440 hz")))
    assert (engine.pid, engine.restarts) == (pid, 0)
    assert list(incoming.iterdir()) == []


async def test_cancelling_twice_still_stops_the_work(engine):
    """Such as a client's cancel, followed by the server's stop."""
    seen: list[float] = []
    hanging = asyncio.create_task(engine.make(spec("tone hang"), seen.append))
    await until(lambda: seen)
    pid = engine.pid
    hanging.cancel()
    await asyncio.sleep(0)
    hanging.cancel()
    with pytest.raises(asyncio.CancelledError):
        await hanging
    await until(lambda: is_gone(pid))


async def test_files_finished_while_being_cancelled_are_removed(engine, incoming):
    """Cancelled at every moment of a short request, one after the other."""
    await engine.start()
    loop = asyncio.get_running_loop()
    for step in range(12):
        making = asyncio.create_task(engine.make(spec(f"tone {300 + step} hz", duration=20)))
        loop.call_later(step * 0.02, making.cancel)
        with suppress(asyncio.CancelledError):
            remove(await making)
    assert list(incoming.iterdir()) == []


async def test_a_process_that_dies_while_it_writes_leaves_no_file(installed, open_engine, incoming):
    with pytest.raises(EngineCrashed):
        await open_engine("scripted").make(spec("torn", "scripted"))
    assert list(incoming.iterdir()) == []


@pytest.mark.parametrize("words", ["garbage", "riddle"])
async def test_a_process_that_talks_nonsense_is_ended_and_another_takes_over(installed, open_engine, words):
    engine = open_engine("scripted")
    await engine.start()
    pid = engine.pid
    with pytest.raises(EngineCrashed):
        await engine.make(spec(words, "scripted"))
    assert is_gone(pid)
    remove(await engine.make(spec("plain", "scripted")))


@pytest.mark.parametrize(
    ("words", "error", "code"),
    [
        ("exit", EngineError, "engine_failed"),
        ("bug", EngineError, "engine_failed"),
        ("memory", EngineCrashed, "engine_out_of_memory"),
        ("odd", BadAudio, "bad_audio"),
        ("nothing", BadAudio, "bad_audio"),
        ("huge", BadAudio, "bad_audio"),
    ],
)
async def test_whatever_an_engine_does_its_request_gets_an_answer(installed, open_engine, incoming, words, error, code):
    engine = open_engine("scripted")
    fields = {"kind": "texture"} if words == "huge" else {}
    with pytest.raises(error) as caught:
        await asyncio.wait_for(engine.make(spec(words, "scripted", **fields)), 30)
    assert (type(caught.value), caught.value.code) == (error, code)
    assert len(caught.value.message) > 20
    assert list(incoming.iterdir()) == []
    remove(await engine.make(spec("plain", "scripted")))


async def test_out_of_memory_begins_a_fresh_process_and_blames_nobody_else(installed, open_engine):
    engine = open_engine("scripted")
    waiting = asyncio.create_task(engine.make(spec("gate", "scripted")))
    await until(lambda: engine.running)
    pid = engine.pid
    with pytest.raises(EngineCrashed):
        await engine.make(spec("memory", "scripted"))
    await until(lambda: is_gone(pid))
    installed.touch()
    remove(await waiting)
    assert engine.pid != pid


async def test_an_unknown_engine_is_unavailable_and_says_which_there_are(open_engine):
    engine = open_engine("theremin")
    with pytest.raises(EngineUnavailable, match="tone") as caught:
        await engine.make(spec("anything", "theremin"))
    assert caught.value.code == "unknown_engine"
    assert engine.error is caught.value
    assert not engine.running


@pytest.mark.parametrize("name", ["mute", "stranger", "half", "missing"])
async def test_what_cannot_start_is_unavailable_with_a_sentence_and_leaves_no_process(installed, open_engine, name):
    engine = open_engine(name)
    with pytest.raises(EngineUnavailable, match=name) as caught:
        await asyncio.wait_for(engine.start(), 30)
    assert caught.value.code in ("engine_unavailable", "unknown_engine")
    assert not engine.running
    assert hosts() == []


async def test_an_engine_that_takes_too_long_to_start_is_ended(installed, open_engine):
    engine = open_engine("tone", start_seconds=0.001)
    with pytest.raises(EngineTimeout, match="smaller model"):
        await engine.start()
    assert hosts() == []


async def test_who_gives_up_while_it_starts_does_not_stop_it_for_the_others(engine):
    impatient = asyncio.create_task(engine.make(spec("tone 300 hz")))
    patient = asyncio.create_task(engine.make(spec("tone 400 hz")))
    await asyncio.sleep(0)
    impatient.cancel()
    remove(await patient)
    assert impatient.cancelled()
    assert engine.restarts == 0


async def test_an_engine_killed_while_idle_is_started_again_when_it_is_needed(engine):
    await engine.start()
    pid = engine.pid
    os.kill(pid, signal.SIGKILL)
    await until(lambda: not engine.running)
    remove(await engine.make(spec("tone 440 hz")))
    assert engine.pid != pid


async def test_an_engine_killed_while_it_works_makes_it_again(engine):
    seen: list[float] = []
    slow = asyncio.create_task(engine.make(spec("tone slow", duration=1), seen.append))
    await until(lambda: len(seen) > 1)
    os.kill(engine.pid, signal.SIGKILL)
    remove(await slow)


async def test_a_process_that_says_nothing_for_long_is_ended(monkeypatch, engine):
    monkeypatch.setattr(hosted_module, "SILENCE_SECONDS", 1.5)
    await engine.start()
    pid = engine.pid
    os.kill(pid, signal.SIGSTOP)
    await until(lambda: is_gone(pid))


async def test_closing_ends_what_works_and_what_hangs(open_engine):
    engine = open_engine()
    working = [asyncio.create_task(engine.make(spec(words, duration=60))) for words in ("tone slow", "tone hang")]
    await until(lambda: engine.running)
    pid = engine.pid
    await engine.close()
    assert is_gone(pid)
    for each in await asyncio.gather(*working, return_exceptions=True):
        assert isinstance(each, EngineUnavailable), each
    with pytest.raises(EngineUnavailable, match="stopped"):
        await engine.start()


async def test_closing_while_it_starts_leaves_no_process(engine):
    starting = asyncio.create_task(engine.start())
    await until(hosts)
    await engine.close()
    with suppress(EngineError):
        await starting
    assert hosts() == []


PARENT = """
import asyncio, sys
from pathlib import Path
from bridge.engines.hosting.client import HostedEngine
from prompts import SampleSpec

async def main():
    engine = HostedEngine("tone", incoming=Path(sys.argv[1]))
    await engine.start()
    making = asyncio.create_task(engine.make(SampleSpec(prompt=sys.argv[2], kind="raw", duration=60).resolved("tone")))
    await asyncio.sleep(0.2)
    print(engine.pid, flush=True)
    await making

asyncio.run(main())
"""


@pytest.mark.parametrize("words", ["tone slow", "tone hang"])
async def test_the_process_ends_with_its_parent_even_when_that_is_killed(incoming, words):
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-c", PARENT, str(incoming), words, stdout=subprocess.PIPE
    )
    pid = int(await parent.stdout.readline())
    assert not is_gone(pid)
    parent.kill()
    await parent.wait()
    await until(lambda: is_gone(pid))


STARTING = """
import asyncio, sys
from pathlib import Path
import psutil
from bridge.engines.hosting.client import HostedEngine

async def main():
    starting = asyncio.create_task(HostedEngine("sleeper", incoming=Path(sys.argv[1])).start())
    while not (children := psutil.Process().children()):
        await asyncio.sleep(0.01)
    while not any("socket" in each for each in children[0].cmdline()):
        await asyncio.sleep(0.01)
    await asyncio.sleep(1.5)  # now it is asleep in the engine, and hears nothing
    print(children[0].pid, flush=True)
    await starting

asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel tells a child of its parent's death on Linux alone")
async def test_a_process_that_is_still_loading_ends_with_its_parent_too(installed, incoming):
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-c", STARTING, str(incoming), stdout=subprocess.PIPE
    )
    pid = int(await parent.stdout.readline())
    assert not is_gone(pid)
    parent.kill()
    await parent.wait()
    await until(lambda: is_gone(pid))

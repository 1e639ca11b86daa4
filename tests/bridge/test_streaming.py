"""What a stream plays, chunk by chunk, without a socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from bridge.engines.hosting.passages import Passage
from bridge.plugins.engine import EngineInfo
from bridge.settings import Settings
from bridge.sounds.opening import open_service
from bridge.sounds.service import SampleService
from bridge.stage.stage import Stage
from bridge.streaming import AudioChunk, Stream, Streams
from bridge.streaming import course as courses
from bridge.streaming.course import step
from bridge.streaming.passages import SharedPassage, SharedPassages
from prompts import Kind, SampleSpec

BEAT = 22050
"""Frames of one at 120 bpm."""


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[SampleService]:
    settings = Settings(data_dir=tmp_path / "data", engine="procedural", pregenerate=False)
    async with open_service(settings) as service:
        yield service


@pytest.fixture
def streams(service: SampleService) -> Streams:
    return Streams(service, Stage(service))


def samples(*chunks: AudioChunk | None) -> np.ndarray:
    return np.concatenate([np.frombuffer(chunk.pcm, dtype="<i2") for chunk in chunks if chunk])


async def beats(stream: Stream, count: int, patience: float | None) -> list[np.ndarray]:
    """The next chunks, one beat each and one channel."""
    chunks = [await stream.chunk(patience) for _ in range(count)]
    assert [len(samples(chunk)) for chunk in chunks] == [BEAT] * count
    return [samples(chunk) for chunk in chunks]


async def open_beats(streams: Streams, **fields: object) -> Stream:
    return await streams.open(
        "one", {"prompt": "techno drums, 120 bpm", "chunk_duration": 0.5, "quality_mode": "draft", **fields}
    )


async def test_a_stream_plays_in_the_tempo_and_key_of_its_session(service: SampleService) -> None:
    stage = Stage(service)
    stage.sessions.change({"session": "duo", "bpm": 174, "key": "fm"})
    streams = Streams(service, stage)
    for words, bpm in (("techno drums", 174), ("techno drums, 120 bpm", 120)):
        stream = await streams.open(words, {"prompt": words, "session": "duo"})
        assert stream._plan.spec.bpm == bpm
    bass = await streams.open("bass", {"prompt": "acid bass line", "kind": "loop", "session": "duo"})
    assert (bass._plan.spec.bpm, bass._plan.spec.key) == (174, "fm")


async def test_a_passage_that_is_late_is_not_waited_for_the_one_before_goes_round_once_more(streams) -> None:
    stream = await open_beats(streams)
    first, second, third = await beats(stream, 3, patience=0.0)
    assert np.array_equal(second, third), "nothing has been waited for: the first beat is heard again"
    assert np.array_equal(first[BEAT // 2 :], second[BEAT // 2 :])
    *_, later = await beats(stream, 2, patience=None)
    assert not np.array_equal(later, third), "and the bar follows when it is there"
    stream.close()


async def test_a_loop_goes_round_until_it_has_been_heard_long_enough(streams, monkeypatch) -> None:
    monkeypatch.setattr(courses, "PASSAGE_SECONDS", 2.0)
    monkeypatch.setattr(courses, "HEARD_SECONDS", 6.0)
    stream = await open_beats(streams)
    heard = await beats(stream, 8 + 12 + 12, patience=None)
    stream.close()
    one, two = heard[8:20], heard[20:]
    for passage in (one, two):
        for number in range(1, 8):  # its beginning is faded over the passage before
            assert np.array_equal(passage[number], passage[number + 4]), number
        assert np.array_equal(passage[4], passage[8])
    assert not np.array_equal(one[5], two[5])


async def test_what_goes_round_ends_where_the_stream_ends_without_a_click(streams) -> None:
    stream = await open_beats(streams, duration=2.51, chunk_duration=0.5)
    chunks = []
    while chunk := await stream.chunk():
        chunks.append(chunk)
    whole = samples(*chunks)
    assert len(whole) == round(2.51 * 44100)
    assert chunks[-1].duration == pytest.approx(0.51), "what would be shorter than the fade is no chunk of its own"
    assert abs(int(whole[-1])) < 50
    assert stream.progress == 1.0
    stream.close()
    assert not len(streams.passages)


async def test_a_change_while_a_loop_goes_round_is_faded_in_where_it_is(streams) -> None:
    stream = await open_beats(streams)
    before = (await beats(stream, 5, patience=0.0))[-1]
    await stream.update({"prompt": "ocean waves"})
    (after,) = await beats(stream, 1, patience=None)
    joint = np.concatenate([before, after]).astype(int)
    inside = np.abs(np.diff(before.astype(int))).max()
    assert abs(joint[BEAT] - joint[BEAT - 1]) <= inside
    assert np.array_equal(after[:1], before[:1]), "its first moment is what would have gone on"
    stream.close()


def test_a_take_that_goes_round_is_read_without_an_end() -> None:
    shared = SharedPassage("", Passage(seconds=0.4, overlap=0.1), round=0.4)
    shared.rate, shared.channels, shared.done = 10, 1, True
    # Frames: one fading in, three of the loop, and its beginning once more.
    shared.pcm = bytearray(np.array([90, 1, 2, 3, 0], dtype="<i2").tobytes())
    heard = np.frombuffer(shared.read(0, 2 * 12), dtype="<i2")
    assert heard.tolist() == [90, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3]
    assert np.frombuffer(shared.read(2 * 9, 2 * 3), dtype="<i2").tolist() == [1, 2, 3]


def info(**given: object) -> EngineInfo:
    known = {
        "name": "any", "revision": "1", "rate": 44100, "channels": 2, "max_seconds": 30.0, "streams": False,
        "concurrency": 1, "instant": True, "generative_model": False, "licence": "CC0-1.0", "commercial": True,
    }  # fmt: skip
    return EngineInfo(**{**known, **given})


def test_the_course_of_a_loop_is_a_beat_its_bar_and_long_loops_with_other_seeds() -> None:
    spec = SampleSpec(prompt="techno", bpm=120.0, seed=1)
    steps = [step(spec, info(exact_loops=True), number) for number in range(4)]
    assert [(one.seconds, one.skip, one.round, one.again) for one in steps] == [
        (0.5, 0.0, 0.5, 0), (3.5, 0.5, 2.0, 0), (8.0, 0.0, 8.0, 2), (8.0, 0.0, 8.0, 2),
    ]  # fmt: skip
    assert [one.first for one in steps] == [True, False, False, False]
    assert len({one.spec.seed for one in steps[1:]}) == 3
    assert steps[0].spec.seed == steps[1].spec.seed


def test_an_engine_without_exact_loops_makes_one_long_passage_after_the_other() -> None:
    steps = [step(SampleSpec(prompt="techno", seed=1), info(max_seconds=5.0), number) for number in range(3)]
    assert [(one.seconds, one.round, one.spec.kind) for one in steps] == [(4.75, 0.0, Kind.RAW)] * 3


async def test_a_stream_begins_beside_whatever_else_the_process_makes(service, streams) -> None:
    engine = service.engines.hosted("procedural")
    await engine.start()
    spec = SampleSpec(prompt="dark ambient texture", kind=Kind.TEXTURE, duration=110.0)
    long = [engine.stream(spec.model_copy(update={"seed": seed}), Passage(110.0, 0.0)) for seed in range(3)]
    working = [asyncio.create_task(anext(one)) for one in long]
    stream = await open_beats(streams)
    assert await stream.chunk() is not None
    assert not any(task.done() for task in working)
    stream.close()
    for task in working:
        task.cancel()
    await asyncio.gather(*working, return_exceptions=True)
    for one in long:
        await one.aclose()


async def test_a_model_that_can_goes_on_from_what_was_heard(installed: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(courses, "PASSAGE_SECONDS", 1.5)
    monkeypatch.setattr("bridge.streaming.stream.CONTEXT_SECONDS", 1.0)
    asked: list[tuple[int, int]] = []
    join = SharedPassages.join

    def spy(self, engine, info, spec, passage, tail, round_):
        asked.append((passage.context, len(tail)))
        return join(self, engine, info, spec, passage, tail, round_)

    monkeypatch.setattr(SharedPassages, "join", spy)
    settings = Settings(data_dir=tmp_path / "data", engine="echo", pregenerate=False)
    async with open_service(settings) as service:
        stream = await Streams(service, Stage(service)).open("one", {"prompt": "tone", "chunk_duration": 0.5})
        heard = samples(*[await stream.chunk() for _ in range(4)])
        await stream.update({"prompt": "another tone"})
        await stream.chunk()
        stream.close()
    second, overlap = 2 * 44100, 2 * round(0.25 * 44100)
    assert asked[:2] == [(0, 0), (second, second + overlap)]
    assert asked[-1] == (0, overlap), "a change is not kept waiting by listening"
    # the engine answers with the end of what it was given: a tone of 400 Hz and nothing else
    spectrum = np.abs(np.fft.rfft(heard[-22050:] * np.hanning(22050)))
    assert spectrum.argmax() * 44100 / 22050 == 400

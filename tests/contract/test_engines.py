"""What every engine must do, ours and anybody's."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from bridge.engines import registry
from bridge.engines.soundfont import SoundFontEngine
from bridge.errors import JobCancelled
from bridge.plugins.clip import Clip
from bridge.plugins.engine import Engine, EngineInfo
from prompts import SampleSpec

Build = Callable[[], Engine]

SECONDS = 0.55


def nothing(_: float) -> None:
    """Nobody listens."""


@pytest.fixture(
    scope="module",
    params=[
        "tone",
        "procedural",
        pytest.param("musicgen", marks=pytest.mark.torch),
        pytest.param("soundfont", marks=pytest.mark.extra),
        "ensemble",
    ],
)
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Engine:
    """Every engine that can be built here; MusicGen as a tiny network of random weights."""
    folder = tmp_path_factory.mktemp(request.param)
    model = None
    if request.param == "musicgen":
        pytest.importorskip("torch")
        from tests.tiny_musicgen import build_tiny_musicgen

        model = str(build_tiny_musicgen(folder / "weights"))
    if request.param == "ensemble":
        model = "tone,procedural"
    if request.param == "soundfont" and (lacks := SoundFontEngine.missing()):
        pytest.skip(lacks)
    return registry.build(request.param, model=model, device="cpu", data_dir=folder)


def spec(engine: Engine, prompt: str = "warm pad", **fields) -> SampleSpec:
    fields = {"kind": "texture", "seed": 7, **fields}
    return SampleSpec.model_validate({"prompt": prompt, **fields}).resolved(engine.info.name, engine.info.model)


def whole(engine: Engine, wanted: SampleSpec, seconds: float | None = SECONDS) -> Clip:
    return Clip.join(engine.stream(wanted, seconds, nothing))


def test_it_describes_itself_completely(engine):
    info = engine.info
    assert info.name in registry.names()
    for text in (info.name, info.revision, info.licence, info.device):
        assert isinstance(text, str)
        assert text
    assert 8000 <= info.rate <= 192_000
    assert info.channels in (1, 2)
    assert info.max_seconds > 0
    assert info.concurrency >= 1
    for flag in (info.streams, info.instant, info.generative_model, info.commercial):
        assert type(flag) is bool
    assert info.model is None or info.model
    assert engine.info == info, "it does not change while it runs"


def test_what_it_says_crosses_a_process_border(engine):
    assert EngineInfo(**json.loads(json.dumps(engine.info.as_dict(), allow_nan=False))) == engine.info


def test_a_clip_is_float32_in_the_shape_and_rate_that_were_said(engine):
    for piece in engine.stream(spec(engine), SECONDS, nothing):
        assert piece.samples.dtype == np.float32
        assert piece.samples.shape == (piece.channels, piece.frames)
        assert piece.channels <= engine.info.channels
        assert piece.rate == engine.info.rate
        assert np.isfinite(piece.samples).all()
    clip = whole(engine, spec(engine))
    assert np.abs(clip.samples).max() > 0.001


@pytest.mark.parametrize(
    ("kind", "seconds"),
    [("oneshot", 0.1), ("loop", 1.2345), ("texture", 0.7), ("pitched", 0.61803), ("stem", 0.3), ("raw", 0.1001)],
)
def test_it_is_at_least_as_long_as_asked(engine, kind, seconds):
    clip = whole(engine, spec(engine, kind=kind, duration=seconds), seconds)
    assert clip.frames >= round(seconds * clip.rate)


def test_without_a_length_it_rings_and_ends(engine):
    clip = whole(engine, spec(engine, "kick drum", kind="oneshot"), None)
    assert 0.02 < clip.seconds <= engine.info.max_seconds


def test_the_same_spec_gives_the_same_audio(engine):
    first, second = (whole(engine, spec(engine)) for _ in range(2))
    assert np.array_equal(first.samples, second.samples)


def test_a_newly_built_engine_gives_the_same_audio(engine):
    again = registry.build(engine.info.name, model=engine.info.model, device="cpu", data_dir=None)
    assert np.array_equal(whole(engine, spec(engine)).samples, whole(again, spec(again)).samples)


def test_what_was_made_in_between_changes_nothing(engine):
    first = whole(engine, spec(engine))
    whole(engine, spec(engine, "hard techno kick", seed=99))
    assert np.array_equal(first.samples, whole(engine, spec(engine)).samples)


def test_another_seed_gives_other_audio(engine):
    """A tone hears the words alone."""
    other = spec(engine, "dark bass") if engine.info.name == "tone" else spec(engine, seed=8)
    one, two = whole(engine, spec(engine)), whole(engine, other)
    frames = min(one.frames, two.frames)
    assert not np.array_equal(one.samples[:, :frames], two.samples[:, :frames])


def test_other_words_give_other_audio(engine):
    one, two = whole(engine, spec(engine, "warm pad")), whole(engine, spec(engine, "snare drum"))
    frames = min(one.frames, two.frames)
    assert not np.array_equal(one.samples[:, :frames], two.samples[:, :frames])


def test_progress_is_between_0_and_1_and_never_goes_back(engine):
    told: list[float] = []
    list(engine.stream(spec(engine), SECONDS, told.append))
    assert told
    assert told == sorted(told)
    assert all(0 <= each <= 1 for each in told)


def test_nobody_wanting_it_stops_it_at_the_first_word_about_progress(engine):
    def stop(_: float) -> None:
        raise JobCancelled("cancelled")

    with pytest.raises(JobCancelled):
        list(engine.stream(spec(engine), SECONDS, stop))


def test_nobody_wanting_it_any_more_stops_it_in_the_middle(engine):
    told: list[float] = []

    def stop_soon(fraction: float) -> None:
        told.append(fraction)
        if len(told) == 2:
            raise JobCancelled("cancelled")

    with pytest.raises(JobCancelled):
        list(engine.stream(spec(engine, duration=5.0), 5.0, stop_soon))
    assert len(told) == 2


def test_closing_the_stream_early_stops_the_work(engine):
    told: list[float] = []
    stream: Iterator[Clip] = engine.stream(spec(engine), SECONDS, told.append)
    next(stream)
    stream.close()
    told.clear()
    assert list(stream) == []
    assert told == []


def test_one_that_streams_brings_its_first_piece_well_before_the_last(engine):
    if not engine.info.streams:
        pieces = list(engine.stream(spec(engine), SECONDS, nothing))
        assert len(pieces) == 1, "an engine that does not stream yields once"
        return
    pieces = list(engine.stream(spec(engine, duration=3.0), 3.0, nothing))
    assert len(pieces) > 2
    assert pieces[0].seconds <= 1

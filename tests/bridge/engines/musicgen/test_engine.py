"""Our own MusicGen from words to audio, with a tiny network."""

from __future__ import annotations

import contextvars
import json
import math
import platform
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bridge.engines.musicgen import MusicGenEngine, picking, speed
from bridge.engines.musicgen.batching import Batch, Sampling
from bridge.engines.musicgen.engine import OwnEngine
from bridge.engines.musicgen.speed import Speed
from bridge.errors import BadAudio, EngineError, EngineUnavailable, JobCancelled
from bridge.plugins.clip import Clip
from bridge.plugins.engine import ConditionedEngine, Engine, in_background
from prompts import SampleSpec
from tests.cancelling import after
from tests.tiny_musicgen import build_tiny_musicgen

torch = pytest.importorskip("torch")

pytestmark = pytest.mark.torch

SECONDS = 0.7


def nobody(_progress: float) -> None:
    """Hears no progress."""


def wanted(**fields: Any) -> SampleSpec:
    return SampleSpec(**{"prompt": "warm kick", "kind": "raw", "seed": 1, "engine": "musicgen", **fields})


def make(engine: Engine, seconds: float | None = SECONDS, **fields: Any) -> Clip:
    return Clip.join(engine.stream(wanted(**fields), seconds, nobody))


def build(folder: Path, precision: str = "float32", data_dir: Path | None = None) -> MusicGenEngine:
    return MusicGenEngine(model=str(folder), device="cpu", data_dir=data_dir, precision=precision)


@pytest.fixture(scope="module")
def exact(tiny: Path) -> Iterator[MusicGenEngine]:
    """The engine in float32."""
    engine = build(tiny)
    yield engine
    own(engine).close()


def own(engine: MusicGenEngine) -> OwnEngine:
    assert isinstance(engine._engine, OwnEngine)
    return engine._engine


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What each request asks of its batch."""
    calls: list[dict[str, Any]] = []
    generate = Batch.generate

    def spy(self: Batch, conditioning: Any, sampling: Sampling, frames: int, **options: Any) -> Any:
        calls.append({"batch": self, "sampling": sampling, "frames": frames, **options})
        return generate(self, conditioning, sampling, frames, **options)

    monkeypatch.setattr(Batch, "generate", spy)
    return calls


def noise(seconds: float, rate: int = 32_000, channels: int = 1, seed: int = 0) -> Clip:
    random = np.random.default_rng(seed)
    return Clip(0.2 * random.standard_normal((channels, round(seconds * rate))).astype(np.float32), rate)


def go_on(engine: MusicGenEngine, source: Clip, seconds: float = SECONDS, **fields: Any) -> Clip:
    spec = wanted(source="0" * 32, source_as="continuation", **fields)
    return Clip.join(engine.stream_from(spec, seconds, nobody, source))


# ---------------------------------------------------------------- what it is


def test_it_is_an_engine_that_says_what_it_is(engine: MusicGenEngine, tiny: Path) -> None:
    info = engine.info
    assert isinstance(engine, ConditionedEngine)
    assert (info.name, info.rate, info.channels, info.max_seconds) == ("musicgen", 32_000, 1, 120.0)
    assert (info.streams, info.instant, info.generative_model, info.concurrency) == (True, False, True, 8)
    assert (info.model, info.device, info.licence, info.commercial) == (str(tiny), "cpu", "unknown", False)
    assert (info.takes, info.qualities, info.precision) == (True, ("draft", "balanced", "high"), "int8")
    assert "continuation" in info.conditions
    assert info.kernel


def test_the_revision_changes_with_what_changes_the_numbers(engine: MusicGenEngine, exact: MusicGenEngine) -> None:
    assert engine.info.revision.startswith("own-3:")
    assert engine.info.revision != exact.info.revision
    assert "float32" in exact.info.revision


def test_greedy_audio_is_that_of_transformers(exact: MusicGenEngine, tiny: Path) -> None:
    reference = build(tiny, "reference")
    for fields in ({}, {"guidance": 1.0}):
        one, other = (make(each, 1.7, temperature=0, **fields).samples for each in (exact, reference))
        assert one.std() > 0.02
        assert np.abs(one - other[:, : one.shape[1]]).max() < 1e-4


def test_an_adapter_is_heard_and_is_another_revision(exact: MusicGenEngine, tiny: Path, tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    name = "base_model.model.decoder.model.decoder.layers.0.fc1"
    random = np.random.default_rng(0)
    pair = {
        f"{name}.lora_A.weight": random.standard_normal((4, 64)).astype(np.float32),
        f"{name}.lora_B.weight": random.standard_normal((256, 4)).astype(np.float32),
    }
    save_file(pair, tmp_path / "adapter_model.safetensors")
    config = {"peft_type": "LORA", "r": 4, "lora_alpha": 4, "base_model_name_or_path": str(tiny)}
    (tmp_path / "adapter_config.json").write_text(json.dumps(config))
    alone, named = build(tmp_path), build(Path(f"{tiny}+{tmp_path}"))
    tuned = make(alone, temperature=0).samples
    assert np.array_equal(tuned, make(named, temperature=0).samples)
    assert not np.array_equal(tuned, make(exact, temperature=0).samples)
    assert alone.info.revision == named.info.revision != exact.info.revision
    assert named.info.model == f"{tiny}+{tmp_path}"
    for engine in (alone, named):
        own(engine).close()


def test_where_our_own_engine_breaks_the_reference_plays(
    tiny: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(OwnEngine, "__init__", broken)
    engine = MusicGenEngine(model=str(tiny), device="cpu")
    assert (engine.info.kernel or "").startswith("transformers")
    assert "so transformers runs it" in caplog.text
    assert make(engine, 0.2).frames == 6_400


# ---------------------------------------------------------------- pieces and lengths


def test_half_a_second_comes_first_and_then_a_second_at_a_time(engine: MusicGenEngine) -> None:
    pieces = [piece.frames for piece in engine.stream(wanted(), 3.3, nobody)]
    assert pieces == [16_000, 32_000, 32_000, 25_600]


@pytest.mark.parametrize("seconds", [0.1, 0.25, 0.999, 1.0, 1.0001, 2.5])
def test_a_clip_is_exactly_as_long_as_wanted(engine: MusicGenEngine, seconds: float) -> None:
    clip = make(engine, seconds)
    assert (clip.channels, clip.rate, clip.frames) == (1, 32_000, math.ceil(round(seconds * 32_000, 6)))


def test_a_sound_without_a_length_gets_the_natural_one_of_its_kind(engine: MusicGenEngine) -> None:
    assert make(engine, None, kind="oneshot").seconds == 3.0


def test_what_is_longer_than_the_window_goes_on_from_the_end_of_the_one_before(
    exact: MusicGenEngine, asked: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own(exact), "_window", 60)
    monkeypatch.setattr(own(exact), "_overlap", 20)
    clip = make(exact, 3.0)
    assert clip.frames == 96_000
    assert [(call["frames"], call["prompt"] is None or len(call["prompt"])) for call in asked] == [
        (60, True), (40, 20), (40, 20), (10, 20),
    ]  # fmt: skip
    assert len({call["sampling"].seed for call in asked}) == 4, "each window draws numbers of its own"
    assert np.array_equal(clip.samples, make(exact, 3.0).samples)


def test_more_than_two_minutes_are_refused_with_the_limit(engine: MusicGenEngine) -> None:
    with pytest.raises(EngineError, match=r"at most 120 seconds.*121 seconds.*shorter") as refused:
        make(engine, 121.0)
    assert refused.value.details["max_seconds"] == 120.0


def test_a_stereo_model_gives_two_different_channels(tmp_path: Path) -> None:
    engine = build(build_tiny_musicgen(tmp_path / "stereo", channels=2))
    clip = make(engine)
    assert (engine.info.channels, clip.channels, clip.frames) == (2, 2, round(SECONDS * 32_000))
    assert not np.array_equal(clip.samples[0], clip.samples[1])


# ---------------------------------------------------------------- the same, and another


def test_many_at_once_are_each_what_they_are_alone(engine: MusicGenEngine) -> None:
    alone = [make(engine, seed=seed, prompt=f"kick {seed}").samples for seed in range(6)]
    with ThreadPoolExecutor(6) as threads:
        together = list(threads.map(lambda seed: make(engine, seed=seed, prompt=f"kick {seed}").samples, range(6)))
    assert all(np.array_equal(one, other) for one, other in zip(alone, together, strict=True))
    assert len({samples.tobytes() for samples in alone}) == 6


def test_more_requests_than_places_wait_for_each_other(engine: MusicGenEngine) -> None:
    with ThreadPoolExecutor(20) as threads:
        clips = list(threads.map(lambda seed: make(engine, 0.2, seed=seed), range(20)))
    assert {clip.frames for clip in clips} == {6_400}


def test_temperature_0_takes_the_likeliest_code_whatever_the_seed(engine: MusicGenEngine) -> None:
    assert np.array_equal(make(engine, temperature=0).samples, make(engine, temperature=0, seed=2).samples)


def test_what_the_spec_says_reaches_the_sampling(engine: MusicGenEngine, asked: list[dict[str, Any]]) -> None:
    make(engine, 0.1, temperature=0.7, top_k=20, top_p=0.9, guidance=5.5, repetition_penalty=1.2, seed=7)
    assert asked[0]["sampling"] == Sampling(0.7, 20, 0.9, 5.5, 1.2, 7)


def test_a_seed_beyond_64_bits_is_a_seed(engine: MusicGenEngine) -> None:
    big, small = (
        Clip.join(engine.stream(wanted().model_copy(update={"seed": seed}), SECONDS, nobody)).samples
        for seed in (2**70 + 1, 1)
    )
    assert not np.array_equal(big, small)


@pytest.mark.parametrize("prompt", ["kick " * 10_000, "k" * 500, "🥁🥁🥁", "<b>kick</b>", "ﬁ ﷺ ١٢٣"])
def test_the_longest_and_the_strangest_prompts_are_sung(engine: MusicGenEngine, prompt: str) -> None:
    spec = wanted().model_copy(update={"prompt": prompt})
    assert Clip.join(engine.stream(spec, 0.2, nobody)).frames == 6_400


# ---------------------------------------------------------------- quality modes


def test_draft_is_made_without_guidance(engine: MusicGenEngine, asked: list[dict[str, Any]]) -> None:
    draft = make(engine, quality_mode="draft").samples
    assert asked[0]["sampling"].guidance == 1.0
    assert np.array_equal(draft, make(engine, guidance=1).samples)


def test_high_is_made_with_finer_weights_that_are_loaded_when_first_asked_for(
    tiny: Path, asked: list[dict[str, Any]]
) -> None:
    engine = build(tiny, "int8")
    make(engine, 0.2)
    make(engine, 0.2, quality_mode="high")
    make(engine, 0.2, quality_mode="high")
    batches = [call["batch"] for call in asked]
    assert batches[0] is not batches[1] is batches[2]
    assert batches[1]._decoder.description["precision"] == "bfloat16"
    assert asked[1]["sampling"].guidance == 3.0
    own(engine).close()


# ---------------------------------------------------------------- continuing audio


def test_a_sound_goes_on_from_given_audio(exact: MusicGenEngine, asked: list[dict[str, Any]]) -> None:
    source = noise(1.5)
    clip = go_on(exact, source)
    assert clip.frames == round(SECONDS * 32_000)
    prompt = asked[0]["prompt"]
    assert prompt.shape == (75, 4)
    assert np.array_equal(prompt, own(exact)._codec.encode(source.samples))
    assert not np.array_equal(clip.samples, go_on(exact, noise(1.5, seed=1)).samples)
    assert not np.array_equal(clip.samples, make(exact).samples)


def test_only_the_end_of_long_audio_is_listened_to(exact: MusicGenEngine, asked: list[dict[str, Any]]) -> None:
    source = noise(12.0)
    go_on(exact, source)
    go_on(exact, Clip(source.samples[:, -10 * 32_000 :], 32_000))
    assert len(asked[0]["prompt"]) == 500
    assert np.array_equal(asked[0]["prompt"], asked[1]["prompt"])


@pytest.mark.parametrize(("rate", "channels"), [(44_100, 2), (8_000, 1), (48_000, 1)])
def test_audio_of_any_rate_and_width_can_be_continued(exact: MusicGenEngine, rate: int, channels: int) -> None:
    assert go_on(exact, noise(0.5, rate, channels)).frames == round(SECONDS * 32_000)


def test_the_audio_goes_on_without_a_break_from_what_the_codec_made_of_the_source(exact: MusicGenEngine) -> None:
    source = noise(1.0)
    codec = own(exact)._codec
    clip = go_on(exact, source, temperature=0)
    prompt = codec.encode(source.samples)
    drawn = np.concatenate(list(own(exact)._codes(wanted(temperature=0), 35, prompt, nobody, source)))
    stream = codec.decoding()
    whole = np.concatenate([stream.push(np.concatenate([prompt, drawn])), stream.finish()], axis=1)
    assert np.abs(whole[:, 32_000 : 32_000 + clip.frames] - clip.samples).max() < 1e-5


@pytest.mark.parametrize("samples", [np.zeros((1, 100), np.float32), np.full((1, 32_000), np.nan, np.float32)])
def test_audio_that_cannot_be_continued_is_a_sentence(exact: MusicGenEngine, samples: Any) -> None:
    with pytest.raises(EngineError, match=r"source: .* send a second or more"):
        go_on(exact, Clip(samples, 32_000))


# ---------------------------------------------------------------- following a melody


@pytest.fixture(scope="module")
def melodious(tmp_path_factory: pytest.TempPathFactory, one_thread: None) -> Iterator[MusicGenEngine]:
    engine = build(build_tiny_musicgen(tmp_path_factory.mktemp("melody") / "melody", melody=True))
    yield engine
    own(engine).close()


def tune(*pitches: float, seconds: float = 0.5, rate: int = 32_000) -> Clip:
    time = np.arange(round(seconds * rate)) / rate
    return Clip.of(np.concatenate([0.5 * np.sin(2 * np.pi * pitch * time) for pitch in pitches]), rate)


def follow(engine: MusicGenEngine, source: Clip, seconds: float = SECONDS, **fields: Any) -> Clip:
    spec = wanted(source="0" * 32, source_as="melody", temperature=0, **fields)
    return Clip.join(engine.stream_from(spec, seconds, nobody, source))


def test_a_melody_model_follows_a_tune_and_not_its_loudness(melodious: MusicGenEngine) -> None:
    assert melodious.info.conditions == ("melody", "continuation")
    one, other = tune(440, 523.25, 659.26), tune(369.99, 466.16, 554.37)
    followed = follow(melodious, one).samples
    assert np.array_equal(followed, follow(melodious, Clip(0.5 * one.samples, one.rate)).samples)
    assert not np.array_equal(followed, follow(melodious, other).samples)
    assert not np.array_equal(followed, make(melodious, temperature=0).samples)


def test_the_melody_goes_on_in_the_next_window(
    melodious: MusicGenEngine, asked: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[float] = []
    conditioning = OwnEngine._conditioning

    def listen(self: OwnEngine, spec: SampleSpec, source: Clip | None, begins: float) -> Any:
        heard.append(begins)
        return conditioning(self, spec, source, begins)

    monkeypatch.setattr(OwnEngine, "_conditioning", listen)
    monkeypatch.setattr(own(melodious), "_window", 60)
    monkeypatch.setattr(own(melodious), "_overlap", 20)
    follow(melodious, tune(440, 523.25), 2.5)
    assert heard == [0.0, 0.8, 1.6]


def test_a_melody_model_goes_on_from_audio_too(melodious: MusicGenEngine, asked: list[dict[str, Any]]) -> None:
    go_on(melodious, noise(0.5), 0.3)
    assert len(asked[0]["prompt"]) == 25


def test_a_melody_model_to_which_all_tunes_are_one_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from bridge.engines.musicgen import chroma

    monkeypatch.setattr(chroma, "_TUNES", ((0, 4), (0, 4)))
    with pytest.raises(EngineUnavailable, match=r"same scores.*copy the model again"):
        build(build_tiny_musicgen(tmp_path / "melody", melody=True))


# ---------------------------------------------------------------- progress and ends


def test_progress_rises_from_0_to_1_while_it_is_made(engine: MusicGenEngine) -> None:
    heard: list[float] = []
    list(engine.stream(wanted(), 10.0, heard.append))
    assert heard == sorted(heard)
    assert (heard[0], heard[-1]) == (0.0, 1.0)
    assert len(heard) > 10


@pytest.mark.parametrize("calls", [1, 2, 10])
def test_cancelling_ends_it_at_once_and_the_engine_goes_on(engine: MusicGenEngine, calls: int) -> None:
    before = make(engine).samples
    report, heard = after(calls)
    with pytest.raises(JobCancelled):
        list(engine.stream(wanted(), 60.0, report))
    assert len(heard) == calls
    assert np.array_equal(make(engine).samples, before)


def test_what_is_closed_leaves_the_batch(exact: MusicGenEngine, asked: list[dict[str, Any]]) -> None:
    pieces = iter(exact.stream(wanted(), 60.0, nobody))
    next(pieces)
    batch = asked[0]["batch"]
    assert batch.busy == 1
    pieces.close()  # type: ignore[attr-defined]
    make(exact, 0.1)
    assert batch.busy == 0


def test_work_that_nobody_waits_for_says_so_to_the_batch(exact: MusicGenEngine, asked: list[dict[str, Any]]) -> None:
    def unhurried() -> None:
        in_background.set(True)
        make(exact, 0.1)

    contextvars.copy_context().run(unhurried)
    make(exact, 0.1)
    assert [call["background"] for call in asked] == [True, False]


# ---------------------------------------------------------------- what goes wrong


def test_numbers_out_of_range_are_bad_audio_and_not_a_sound(
    exact: MusicGenEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own(exact), "_decoded", lambda *_: iter([np.full((1, 3_200), np.nan, np.float32)]))
    with pytest.raises(BadAudio, match="lower guidance"):
        make(exact)


def test_scores_that_are_no_numbers_end_their_own_request_only(tiny: Path) -> None:
    engine = build(tiny)
    decoder = own(engine)._decoders.of("float32").batch._decoder
    before = make(engine).samples
    nothing = decoder.shape.vocabulary  # what the first step reads of each codebook
    table, places = decoder._embed_table, [nothing, 2 * nothing + 1]
    kept = table[places].copy()
    table[places] = 3e38  # finite, but the sum of squares is not
    with pytest.raises(EngineError, match="overflowed"):
        make(engine)
    table[places] = kept
    assert np.array_equal(make(engine).samples, before)
    own(engine).close()


def out_of_memory(engine: MusicGenEngine, monkeypatch: pytest.MonkeyPatch, times: int, *, after_a_piece: bool) -> None:
    """Let the next ``times`` requests meet a full memory."""
    pieces, left = OwnEngine._pieces, [times]

    def full(self: OwnEngine, *given: Any) -> Iterator[Clip]:
        left[0] -= 1
        for piece in pieces(self, *given):
            if left[0] >= 0 and not after_a_piece:
                raise torch.OutOfMemoryError("CUDA out of memory")
            yield piece
            if left[0] >= 0:
                raise MemoryError

    monkeypatch.setattr(OwnEngine, "_pieces", full)


def test_a_full_memory_halves_the_batch_and_the_request_is_made_again(
    tiny: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    engine = build(tiny)
    before = make(engine).samples
    out_of_memory(engine, monkeypatch, 2, after_a_piece=False)
    assert np.array_equal(make(engine).samples, before)
    assert own(engine)._places._most == 2
    assert "from now on 2 sounds at a time" in caplog.text
    own(engine).close()


def test_a_memory_that_is_full_for_good_is_a_sentence_and_the_engine_goes_on(
    tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = build(tiny)
    out_of_memory(engine, monkeypatch, 4, after_a_piece=False)
    with pytest.raises(EngineError, match=r"one sound at a time: ask for a shorter sound.*BRIDGE_MODEL=small"):
        make(engine)
    assert make(engine).frames == round(SECONDS * 32_000)
    own(engine).close()


def test_what_was_heard_already_is_not_begun_again(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = build(tiny)
    out_of_memory(engine, monkeypatch, 1, after_a_piece=True)
    with pytest.raises(EngineError, match="the memory is full"):
        make(engine)
    own(engine).close()


@pytest.mark.parametrize("isa", ["portable", "avx2"])
def test_an_old_processor_computes_too_and_is_another_revision(
    exact: MusicGenEngine, tiny: Path, isa: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if isa == "avx2" and platform.machine().lower() not in {"x86_64", "amd64"}:
        pytest.skip("avx2 is of other processors")
    if not (exact.info.kernel or "").startswith("own"):
        pytest.skip("there is no kernel here")
    monkeypatch.setenv("MUSICGEN_KERNEL_ISA", isa)
    engine = build(tiny)
    assert engine.info.kernel == f"own {isa}"
    assert isa in engine.info.revision
    one, other = (make(each, temperature=0).samples for each in (engine, exact))
    assert np.abs(one - other).max() < 1e-3
    own(engine).close()


@pytest.fixture
def no_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine on which the kernel cannot be built."""
    monkeypatch.setattr(picking, "kernel_library", lambda *_: "there is no C++ compiler here: install g++")


@pytest.mark.usefixtures("no_compiler")
def test_without_a_kernel_torch_computes_and_says_what_is_missing(tiny: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "bridge")
    engine = build(tiny, "auto")
    assert (engine.info.kernel or "").startswith("torch")
    assert "at half the speed or less: there is no kernel (there is no C++ compiler here: install g++)" in caplog.text
    assert make(engine).frames == round(SECONDS * 32_000)
    own(engine).close()


@pytest.mark.usefixtures("no_compiler")
@pytest.mark.parametrize(("precision", "says"), [("int4", "g\\+\\+"), ("float16", "for a GPU")])
def test_a_precision_that_cannot_be_had_here_is_said(tiny: Path, precision: str, says: str) -> None:
    with pytest.raises(EngineUnavailable, match=rf"{says}.*BRIDGE_PRECISION=auto"):
        build(tiny, precision)


def test_a_device_that_is_not_there_is_said(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(EngineUnavailable, match="BRIDGE_DEVICE=auto"):
        MusicGenEngine(model=str(tiny), device="cuda")
    with pytest.raises(EngineUnavailable, match="no device 'tpu'"):
        MusicGenEngine(model=str(tiny), device="tpu")


# ---------------------------------------------------------------- speed


def test_a_new_machine_is_measured_once_and_remembered(
    tiny: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "bridge")
    first = build(tiny, data_dir=tmp_path)
    assert first.info.speed is not None
    assert first.info.speed > 0
    assert caplog.text.count("measuring how fast") == 1
    # kept with three digits, said with two
    assert build(tiny, data_dir=tmp_path).info.speed == pytest.approx(first.info.speed, abs=0.011)
    assert caplog.text.count("measuring how fast") == 1
    build(tiny, "bfloat16", data_dir=tmp_path)
    assert caplog.text.count("measuring how fast") == 2, "in another precision it is another speed"


def test_a_sound_that_was_alone_tells_how_fast_it_is(tiny: Path, tmp_path: Path) -> None:
    engine = build(tiny, data_dir=tmp_path)
    name, kernel = engine.info.revision.split(":")[1], engine.info.kernel or ""
    speed.forget(tmp_path)
    speed.keep(tmp_path, name, Speed(1e-3, "cpu", "float32", kernel))

    def factor() -> float:
        known = speed.kept(tmp_path, name)
        assert known is not None
        return known.factor

    make(engine, 1.0)
    make(engine, 4.0, quality_mode="draft")
    assert factor() == 1e-3, "too short, or not the usual way"
    make(engine, 4.0)
    assert factor() > 1e-3

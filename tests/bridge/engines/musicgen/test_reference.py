"""The whole way through transformers' own ``generate()``, with a tiny MusicGen."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bridge.engines.musicgen import MusicGenEngine
from bridge.errors import BadAudio, EngineError, EngineUnavailable, JobCancelled
from bridge.plugins.clip import Clip
from bridge.plugins.engine import Engine
from prompts import SampleSpec
from tests.cancelling import after
from tests.tiny_musicgen import build_tiny_musicgen

torch = pytest.importorskip("torch")

pytestmark = pytest.mark.torch

SECONDS = 0.5


@pytest.fixture(scope="module")
def engine(tiny: Path) -> MusicGenEngine:
    return reference_of(tiny)


def reference_of(folder: Path | str, device: str = "cpu") -> MusicGenEngine:
    return MusicGenEngine(model=str(folder), device=device, precision="reference")


def nobody(_progress: float) -> None:
    """Hears no progress."""


def wanted(**fields: Any) -> SampleSpec:
    return SampleSpec(**{"prompt": "warm kick", "kind": "raw", "seed": 1, "engine": "musicgen", **fields})


def make(engine: MusicGenEngine, seconds: float | None = SECONDS, **fields: Any) -> Clip:
    return Clip.join(engine.stream(wanted(**fields), seconds, nobody))


@contextmanager
def spied(owner: Any, name: str) -> Iterator[list[tuple[tuple[Any, ...], dict[str, Any]]]]:
    """Write down the arguments of each call, which goes on as ever."""
    calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = []
    original = getattr(owner, name)

    def call(*args: Any, **options: Any) -> Any:
        calls.append((args, options))
        return original(*args, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(owner, name, call)
        yield calls


def model_of(engine: MusicGenEngine) -> Any:
    return engine._engine._loaded.model


def codes(engine: MusicGenEngine, **fields: Any) -> torch.Tensor:
    """The codes that the codec was given, (codebooks, codes)."""
    with spied(model_of(engine).audio_encoder, "decode") as calls:
        make(engine, **fields)
    return calls[0][0][0][0, 0]


def test_it_is_an_engine_that_says_what_it_is(engine: MusicGenEngine, tiny: Path) -> None:
    info = engine.info
    assert isinstance(engine, Engine)
    assert (info.name, info.rate, info.channels, info.max_seconds) == ("musicgen", 32_000, 1, 30.0)
    assert (info.streams, info.instant, info.generative_model, info.concurrency) == (False, False, True, 1)
    assert (info.model, info.device, info.licence, info.commercial) == (str(tiny), "cpu", "unknown", False)
    assert info.revision.startswith("transformers-1:")


def test_the_same_seed_gives_the_same_audio(engine: MusicGenEngine) -> None:
    assert np.array_equal(make(engine).samples, make(engine).samples)


def test_another_seed_gives_other_audio_that_is_no_silence(engine: MusicGenEngine) -> None:
    one, other = make(engine).samples, make(engine, seed=2).samples
    assert min(one.std(), other.std()) > 0.02
    assert np.linalg.norm(one - other) > np.linalg.norm(one) / 2


def test_another_prompt_gives_other_codes(engine: MusicGenEngine) -> None:
    assert (codes(engine) != codes(engine, prompt="dusty choir")).float().mean() > 0.5


def test_it_draws_what_transformers_itself_draws_from_a_model_that_was_never_saved(
    engine: MusicGenEngine, tiny: Path
) -> None:
    from transformers import AutoTokenizer, MusicgenForConditionalGeneration

    model = MusicgenForConditionalGeneration.from_pretrained(tiny)
    text = AutoTokenizer.from_pretrained(tiny)("warm kick", return_tensors="pt")
    model.generation_config.max_length = None
    torch.manual_seed(1)
    reference = model.generate(**text, do_sample=True, guidance_scale=3.0, top_k=250, max_new_tokens=28)
    assert np.array_equal(make(engine).samples, reference[0].numpy())


@pytest.mark.parametrize("seconds", [0.1, 0.25, 0.999, 1.0, 1.0001, 2.5])
def test_the_length_is_the_wanted_one_or_less_than_a_code_more(engine: MusicGenEngine, seconds: float) -> None:
    clip = make(engine, seconds)
    assert math.ceil(seconds * 32_000) <= clip.frames < seconds * 32_000 + 640
    assert (clip.channels, clip.rate) == (1, 32_000)


def test_a_sound_without_a_length_gets_the_natural_one_of_its_kind(engine: MusicGenEngine) -> None:
    assert make(engine, None, kind="oneshot").seconds == 3.0


def test_more_than_the_window_is_refused_with_the_limit(engine: MusicGenEngine) -> None:
    with pytest.raises(EngineError, match=r"at most 30 seconds.*31 seconds.*shorter") as refused:
        make(engine, 31.0)
    assert refused.value.details["max_seconds"] == 30.0


def test_temperature_0_takes_the_likeliest_code_whatever_the_seed(engine: MusicGenEngine) -> None:
    assert torch.equal(codes(engine, temperature=0, seed=1), codes(engine, temperature=0, seed=2))


@pytest.mark.parametrize("fields", [{"top_k": 1}, {"top_p": 1e-6}, {"temperature": 1e-5}])
def test_the_narrowest_choice_is_the_likeliest_code(engine: MusicGenEngine, fields: dict[str, float]) -> None:
    assert torch.equal(codes(engine, **fields), codes(engine, temperature=0))


@pytest.mark.parametrize(
    ("fields", "options"),
    [
        ({}, {"do_sample": True, "temperature": 1.0, "top_k": 250, "top_p": 1.0, "guidance_scale": 3.0}),
        ({"temperature": 0.7, "top_k": 20, "top_p": 0.9}, {"temperature": 0.7, "top_k": 20, "top_p": 0.9}),
        ({"top_k": 0, "top_p": 0.0}, {"top_k": 0, "top_p": 1.0}),
        ({"top_p": 1.0, "guidance": 0.0}, {"top_p": 1.0, "guidance_scale": 1.0}),
        ({"guidance": 5.5, "temperature": 0.0}, {"guidance_scale": 5.5, "do_sample": False}),
        ({"num_beams": 4}, {"max_new_tokens": 28}),  # 25 codes for half a second, 3 steps of delay
    ],
)
def test_what_the_spec_says_reaches_generate(
    engine: MusicGenEngine, fields: dict[str, float], options: dict[str, Any]
) -> None:
    with spied(model_of(engine), "generate") as calls:
        make(engine, **fields)
    given = calls[0][1]
    assert {name: given[name] for name in options} == options
    assert "num_beams" not in given


def test_guidance_pulls_towards_the_words(engine: MusicGenEngine) -> None:
    unguided = codes(engine, temperature=0, guidance=1)
    assert torch.equal(unguided, codes(engine, temperature=0, guidance=0))
    assert not torch.equal(unguided, codes(engine, temperature=0, guidance=6))


@pytest.mark.parametrize("guidance", [1.0, 3.0])
def test_the_repetition_penalty_comes_after_the_guidance_and_is_heard(
    engine: MusicGenEngine, guidance: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bridge.engines.musicgen import reference

    shapes: list[tuple[int, int]] = []
    penalise = reference.RepetitionPenalty.__call__

    def look(self: Any, drawn: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        shapes.append((drawn.shape[0], scores.shape[0]))
        return penalise(self, drawn, scores)

    monkeypatch.setattr(reference.RepetitionPenalty, "__call__", look)
    plain = codes(engine, temperature=0, guidance=guidance)
    varied = codes(engine, temperature=0, guidance=guidance, repetition_penalty=2.0)
    assert set(shapes) == {(4, 4)}
    assert sum(len(row.unique()) for row in varied) > sum(len(row.unique()) for row in plain)


def test_progress_rises_from_0_to_1_with_every_step(engine: MusicGenEngine) -> None:
    heard: list[float] = []
    list(engine.stream(wanted(), SECONDS, heard.append))
    assert heard == sorted(heard)
    assert (heard[0], heard[-1]) == (0.0, 1.0)
    assert len(heard) == 2 + 25 + 3


@pytest.mark.parametrize("calls", [1, 2, 10])
def test_cancelling_ends_it_at_the_next_step_and_the_engine_goes_on(engine: MusicGenEngine, calls: int) -> None:
    before = make(engine).samples
    report, heard = after(calls)
    with pytest.raises(JobCancelled):
        list(engine.stream(wanted(), 20.0, report))
    assert len(heard) == calls
    assert np.array_equal(make(engine).samples, before)


def test_the_random_numbers_of_others_go_on_as_if_nothing_had_been(engine: MusicGenEngine) -> None:
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    first = torch.rand(1)
    make(engine)
    assert torch.equal(torch.cat([first, torch.rand(1)]), expected)


def test_numbers_out_of_range_are_bad_audio_and_not_a_sound(
    engine: MusicGenEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = torch.full((1, 1, 16_000), torch.nan)
    monkeypatch.setattr(model_of(engine), "generate", lambda **_: broken)
    with pytest.raises(BadAudio, match="lower guidance"):
        make(engine)


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (torch.OutOfMemoryError("CUDA out of memory"), "smaller model"),
        (RuntimeError("probability tensor contains either `inf`, `nan`"), "probability tensor"),
    ],
)
def test_what_fails_inside_is_an_engine_error_with_a_sentence(
    engine: MusicGenEngine, monkeypatch: pytest.MonkeyPatch, error: Exception, says: str
) -> None:
    def fail(**_: Any) -> None:
        raise error

    monkeypatch.setattr(model_of(engine), "generate", fail)
    with pytest.raises(EngineError, match=says):
        make(engine)


def test_a_stereo_model_gives_two_different_channels(tmp_path: Path) -> None:
    engine = reference_of(str(build_tiny_musicgen(tmp_path / "stereo", channels=2)), "cpu")
    clip = make(engine)
    assert (engine.info.channels, clip.channels, clip.frames) == (2, 2, 16_000)
    assert not np.array_equal(clip.samples[0], clip.samples[1])


def test_the_melody_model_follows_words_or_says_that_it_cannot(tmp_path: Path) -> None:
    folder = build_tiny_musicgen(tmp_path / "melody", melody=True)
    try:
        engine = reference_of(str(folder), "cpu")
    except EngineUnavailable as refused:  # transformers before the release that mended it
        if "drops the words" not in refused.message:
            raise
        return
    assert make(engine).frames == 16_000
    assert not torch.equal(codes(engine), codes(engine, prompt="dusty choir"))


def test_a_melody_model_that_does_not_hear_words_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from bridge.engines.musicgen import loading

    monkeypatch.setattr(loading, "_TWO_PROMPTS", ("kick", "kick"))  # to a deaf model all prompts are one
    with pytest.raises(EngineUnavailable, match=r"drops the words.*pip install --upgrade transformers"):
        reference_of(str(build_tiny_musicgen(tmp_path / "melody", melody=True)), "cpu")


def test_the_longest_and_the_strangest_prompts_are_sung(engine: MusicGenEngine) -> None:
    for prompt in ("k" * 500, "🥁🥁🥁", "<b>kick</b>", "ﬁ ﷺ ١٢٣"):
        assert make(engine, prompt=prompt).frames == 16_000


def test_a_device_that_is_not_there_is_said(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(EngineUnavailable, match="BRIDGE_DEVICE=auto"):
        reference_of(str(tiny), "cuda")
    with pytest.raises(EngineUnavailable, match="no device 'tpu'"):
        reference_of(str(tiny), "tpu")
    assert reference_of(str(tiny), "auto").info.device == "cpu"

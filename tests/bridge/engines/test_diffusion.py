"""Stable Audio, AudioLDM 2 and ACE-Step, as tiny pipelines of random weights."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bridge.engines import registry
from bridge.engines.diffusion import AceStepEngine, AudioLdm2Engine, StableAudioEngine
from bridge.engines.diffusion._engine import DiffusionEngine
from bridge.errors import EngineError, EngineUnavailable, JobCancelled
from bridge.plugins.clip import Clip
from bridge.plugins.engine import ConditionedEngine, FillingEngine
from prompts import SampleSpec

ENGINES = {each.name: each for each in (StableAudioEngine, AudioLdm2Engine, AceStepEngine)}
THIRD = "stable_audio_3"
installed = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("torch", "diffusers", "torchsde")),
    reason="the extra diffusion is not installed",
)


@pytest.fixture(scope="module", params=[*ENGINES, THIRD])
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> DiffusionEngine:
    import torch

    from tests.tiny_diffusion import build_tiny

    torch.set_num_threads(1)
    kind = ENGINES.get(request.param, StableAudioEngine)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kind, "needs", ())
        made = kind(str(build_tiny(request.param, tmp_path_factory.mktemp(request.param))), "cpu")
    made.steps = made.quick_steps = 2  # type: ignore[misc]
    made.shortest = min(made.shortest, 1.0)  # type: ignore[misc]
    return made


def spec(engine: DiffusionEngine, **fields: Any) -> SampleSpec:
    fields = {"prompt": "warm pad", "kind": "texture", "seed": 7, **fields}
    return SampleSpec.model_validate(fields).resolved(engine.name, engine.info.model)


def made(engine: DiffusionEngine, seconds: float | None = 0.55, **fields: Any) -> Clip:
    (clip,) = engine.stream(spec(engine, **fields), seconds, lambda _: None)
    return clip


@pytest.mark.extra
@installed
def test_it_makes_what_it_says_as_long_as_asked(engine: DiffusionEngine) -> None:
    clip = made(engine)
    rates = {"stable_audio": (44100, 2), "audioldm2": (16000, 1), "ace_step": (48000, 2)}
    assert (clip.rate, clip.channels) == (engine.info.rate, engine.info.channels) == rates[engine.name]
    assert clip.frames == round(0.55 * clip.rate)
    assert np.isfinite(clip.samples).all()
    assert np.abs(clip.samples).max() > 0.001


@pytest.mark.extra
@installed
def test_the_seed_decides(engine: DiffusionEngine) -> None:
    one, again, other = made(engine), made(engine), made(engine, seed=8)
    assert np.array_equal(one.samples, again.samples)
    assert not np.array_equal(one.samples, other.samples)


@pytest.mark.extra
@installed
def test_a_cancel_ends_it_at_the_next_step_and_harms_no_other(engine: DiffusionEngine) -> None:
    before = made(engine)
    told: list[float] = []

    def stop(fraction: float) -> None:
        told.append(fraction)
        if fraction > 0:
            raise JobCancelled("nobody wants it")

    with pytest.raises(JobCancelled):
        list(engine.stream(spec(engine), 0.55, stop))
    assert len(told) == 2
    assert np.array_equal(made(engine).samples, before.samples)


@pytest.mark.extra
@installed
def test_too_long_is_said_before_anything_is_made(engine: DiffusionEngine) -> None:
    with pytest.raises(EngineError, match="at most"):
        list(engine.stream(spec(engine), engine.info.max_seconds + 1, lambda _: None))


@pytest.mark.extra
@installed
def test_weights_of_an_unknown_owner_are_not_called_free(engine: DiffusionEngine) -> None:
    assert engine.info.commercial is False
    assert "card" in engine.info.licence


@pytest.mark.extra
@installed
def test_ace_step_is_told_bpm_key_and_meter(engine: DiffusionEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    if engine.name != "ace_step":
        pytest.skip("only ACE-Step takes them")
    heard: dict[str, Any] = {}
    own = type(engine._pipeline).encode_prompt

    def encode(self: Any, **given: Any) -> Any:
        heard.update(given)
        return own(self, **given)

    monkeypatch.setattr(type(engine._pipeline), "encode_prompt", encode)
    made(engine, kind="loop", bpm=97.6, key="f#m", meter="3/4", bars=1)
    assert (heard["bpm"], heard["keyscale"], heard["timesignature"]) == (98, "F# minor", "3")


both = pytest.mark.parametrize("engine", ["stable_audio", THIRD], indirect=True, scope="module")


SINE = Clip.of([0.3 * np.sin(2 * np.pi * 220 * np.arange(32000) / 32000)], 32000)
NOISE = Clip.of(0.3 * np.random.default_rng(1).standard_normal((2, 44100)), 44100)


def made_from(engine: StableAudioEngine, source: Clip, seconds: float = 0.55, **fields: Any) -> Clip:
    asked = spec(engine, source="0" * 32, **fields)
    (clip,) = engine.stream_from(asked, seconds, lambda _: None, source)
    return clip


@pytest.mark.extra
@installed
@both
@pytest.mark.parametrize("use", ["variation", "continuation"])
def test_audio_of_any_rate_and_channels_is_varied_or_continued(engine: Any, use: Any) -> None:
    assert isinstance(engine, ConditionedEngine)
    assert use in engine.info.conditions
    before = made(engine)
    one, again = (made_from(engine, SINE, source_as=use) for _ in range(2))
    assert (one.rate, one.channels, one.frames) == (44100, 2, round(0.55 * 44100))
    assert np.array_equal(one.samples, again.samples)
    assert not np.array_equal(one.samples, made_from(engine, NOISE, source_as=use).samples), "the audio is heard"
    assert not np.array_equal(one.samples, made_from(engine, SINE, source_as=use, seed=8).samples)
    assert np.array_equal(made(engine).samples, before.samples), "and leaves nothing behind"


@pytest.mark.extra
@installed
@both
def test_the_more_guidance_the_closer_a_variation_begins_to_its_source(
    engine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    levels: list[float] = []
    if engine._third:
        from diffusers import StableAudio3AudioToAudioPipeline as Pipeline

        own = Pipeline.__call__

        def heard(self: Any, *words: Any, **more: Any) -> Any:
            levels.append(more["init_noise_level"])
            return own(self, *words, **more)

        monkeypatch.setattr(Pipeline, "__call__", heard)
    else:
        run = engine._run

        def begun(*words: Any, **more: Any) -> Any:
            levels.append(engine._pipeline.scheduler.config.sigma_max)
            return run(*words, **more)

        monkeypatch.setattr(engine, "_run", begun)
    for guidance in (1.0, 3.0, 10.0):
        made_from(engine, SINE, source_as="variation", guidance=guidance)
    assert levels == pytest.approx([10 / 11, 10 / 13, 0.5] if engine._third else [10.0, 10 / 3, 1.0])


@pytest.mark.extra
@installed
@both
def test_more_than_the_window_holds_is_not_continued(engine: Any) -> None:
    with pytest.raises(EngineError, match="continues for at most"):
        made_from(engine, NOISE, engine.info.max_seconds, source_as="continuation")


@pytest.mark.extra
@installed
@both
def test_a_gap_is_made_anew_and_what_was_known_is_kept(engine: Any) -> None:
    assert isinstance(engine, FillingEngine)
    one, other = (engine.fill(spec(engine, seed=seed), NOISE, 0.4, 0.6, lambda _: None) for seed in (7, 8))
    assert one.frames == NOISE.frames
    inside, outside = slice(round(0.45 * 44100), round(0.55 * 44100)), slice(0, round(0.3 * 44100))
    assert not np.allclose(one.samples[:, inside], other.samples[:, inside], atol=1e-3)
    if not engine._third:  # whose random weights keep nothing: it is trained to
        assert np.allclose(one.samples[:, outside], other.samples[:, outside], atol=1e-5)
    with pytest.raises(EngineError, match="takes at most"):
        engine.fill(spec(engine), Clip.of(np.zeros((2, 44100 * 130)), 44100), 0.4, 0.6, lambda _: None)


@pytest.mark.extra
@installed
def test_a_folder_with_another_pipeline_or_none_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(StableAudioEngine, "needs", ())
    with pytest.raises(EngineUnavailable, match=r"no model_index\.json"):
        StableAudioEngine(str(tmp_path), "cpu")
    (tmp_path / "model_index.json").write_text(json.dumps({"_class_name": "FluxPipeline"}))
    with pytest.raises(EngineUnavailable, match="is a FluxPipeline"):
        StableAudioEngine(str(tmp_path), "cpu")
    (tmp_path / "model_index.json").write_text(json.dumps({"_class_name": "StableAudioPipeline"}))
    with pytest.raises(EngineUnavailable, match="cannot be loaded"):
        StableAudioEngine(str(tmp_path), "cpu")
    with pytest.raises(EngineUnavailable, match="no folder"):
        StableAudioEngine("./nowhere", "cpu")


@pytest.mark.parametrize("name", ENGINES)
def test_what_is_not_installed_is_said_and_nothing_is_loaded(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ENGINES[name], "needs", ("no_such_package_anywhere",))
    assert registry.load(name) is ENGINES[name]
    with pytest.raises(EngineUnavailable, match=r"no_such_package_anywhere.*sample-bridge\[diffusion\]"):
        registry.build(name)

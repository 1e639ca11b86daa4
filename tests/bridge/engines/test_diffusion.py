"""Stable Audio, AudioLDM 2 and ACE-Step, as tiny pipelines of random weights."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bridge.audio.clip import Clip
from bridge.engines import registry
from bridge.engines.diffusion import AceStepEngine, AudioLdm2Engine, StableAudioEngine
from bridge.engines.diffusion._engine import DiffusionEngine
from bridge.errors import EngineError, EngineUnavailable, JobCancelled
from prompts import SampleSpec

ENGINES = {each.name: each for each in (StableAudioEngine, AudioLdm2Engine, AceStepEngine)}
installed = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("torch", "diffusers", "torchsde")),
    reason="the extra diffusion is not installed",
)


@pytest.fixture(scope="module", params=list(ENGINES))
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> DiffusionEngine:
    import torch

    from tests.tiny_diffusion import build_tiny

    torch.set_num_threads(1)
    kind = ENGINES[request.param]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kind, "needs", ())
        made = kind(str(build_tiny(kind.name, tmp_path_factory.mktemp(kind.name))), "cpu")
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

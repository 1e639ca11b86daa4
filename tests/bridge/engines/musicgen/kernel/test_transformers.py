"""The kernel's scores are those of transformers' model, mono, stereo and melody."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

from bridge.engines.musicgen.checkpoint import open_checkpoint
from bridge.engines.musicgen.decoder import Codes, DecoderShape, DecoderWeights, Floats
from tests.bridge.engines.musicgen.kernel.conftest import OpenDecoder
from tests.musicgen_reference import reference, reference_scores
from tests.tiny_musicgen import build_tiny_musicgen

STEPS = 60

pytestmark = pytest.mark.torch


@dataclass(frozen=True)
class Perturbed:
    """Weights of which one tensor is a little off."""

    whole: DecoderWeights
    wrong: str

    @property
    def shape(self) -> DecoderShape:
        return self.whole.shape

    @property
    def digest(self) -> str:
        return self.whole.digest

    def read(self, name: str) -> Floats:
        values = self.whole.read(name)
        return values * np.float32(1.05) if name == self.wrong else values


def drawn(shape: DecoderShape) -> Codes:
    return np.random.default_rng(3).integers(0, shape.vocabulary + 1, (STEPS, shape.codebooks)).astype(np.int32)


def states_of(shape: DecoderShape) -> Floats:
    return np.random.default_rng(4).standard_normal((11, shape.hidden)).astype(np.float32)


def scores_of(decoder: Any, shape: DecoderShape) -> Any:
    """(STEPS, 2: conditional and unconditional, K, V)."""
    decoder.begin(0, states_of(shape))
    decoder.begin(1, None)
    return np.array([decoder.step([0, 1], np.tile(step, (2, 1))).copy() for step in drawn(shape)])


def distance(load: OpenDecoder, folder: Path, weights: DecoderWeights, **options: Any) -> float:
    model, shape = reference(folder).decoder, weights.shape
    theirs = np.stack([reference_scores(model, drawn(shape), given) for given in (states_of(shape), None)], axis=1)
    return float(np.abs(scores_of(load(weights, max_steps=STEPS, **options), shape) - theirs).max())


@pytest.mark.parametrize("isa", [None, "avx2", "portable"])
@pytest.mark.parametrize("channels", [1, 2])
def test_float32_is_within_a_ten_thousandth_at_every_position(
    load: OpenDecoder, tmp_path: Path, one_thread: None, channels: int, isa: str | None
) -> None:
    folder = build_tiny_musicgen(tmp_path / "model", channels=channels)
    assert distance(load, folder, open_checkpoint(folder).decoder_weights(), precision="float32", isa=isa) <= 1e-4


@pytest.mark.parametrize("wrong", ["0.qkv", "1.self_out", "1.cross_v", "0.cross_q", "0.fc1", "1.fc2", "heads", "embed"])
def test_a_tensor_that_is_a_twentieth_off_is_noticed(load: OpenDecoder, tiny: Path, wrong: str) -> None:
    weights = Perturbed(open_checkpoint(tiny).decoder_weights(), wrong)
    assert distance(load, tiny, weights, precision="float32") > 1e-3


def test_a_melody_model_has_no_cross_attention(load: OpenDecoder, tmp_path: Path, one_thread: None) -> None:
    folder = build_tiny_musicgen(tmp_path / "model", melody=True)
    weights = open_checkpoint(folder).decoder_weights()
    decoder = load(weights, precision="float32", max_steps=STEPS)
    codes, prefix = drawn(weights.shape), states_of(weights.shape)
    decoder.prefill(0, prefix)
    ours = np.array([decoder.step([0], step[None])[0].copy() for step in codes[:20]])
    import torch

    with torch.inference_mode():
        theirs = reference(folder).decoder(
            input_ids=torch.from_numpy(codes[:20].T.astype(np.int64)),
            encoder_hidden_states=torch.from_numpy(prefix)[None],
            use_cache=False,
        )
    logits = theirs.logits.reshape(weights.shape.codebooks, -1, weights.shape.vocabulary)[:, -20:]
    assert np.abs(ours - logits.permute(1, 0, 2).float().numpy()).max() <= 1e-4

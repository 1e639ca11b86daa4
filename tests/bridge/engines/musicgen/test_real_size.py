"""The decoders at the size of facebook/musicgen-small, with random weights, against transformers.

One model of 420 million weights for all tests of this file: 1.7 GB, and some seconds a decoder.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

from bridge.engines.musicgen.decoder import Codes, Decoder, DecoderShape, Floats
from bridge.engines.musicgen.decoder.kernel import KernelDecoder
from bridge.engines.musicgen.decoder.torch_step import TorchDecoder
from bridge.engines.musicgen.kernel import kernel_library
from bridge.engines.musicgen.memory import free_bytes
from bridge.engines.musicgen.sampling import guided
from tests.musicgen_reference import reference_scores

SMALL = DecoderShape(
    layers=24, hidden=1024, heads=16, ffn=4096, vocabulary=2048, codebooks=4, positions=2048, cross=True
)  # fmt: skip
STEPS = 64
STEPPED = (*range(3), *range(31, 34), *range(61, STEPS))
"""Positions whose scores are compared; those between are taken in at once."""
ROOM = 7 * 2**30
GUIDANCE = 3.0

pytestmark = [
    pytest.mark.torch,
    pytest.mark.timeout(300),
    pytest.mark.skipif(
        (free_bytes() or ROOM) < ROOM,
        reason=f"needs {ROOM >> 30} GB of free memory",
    ),
]


@dataclass(frozen=True)
class ModelWeights:
    """``DecoderWeights`` out of transformers' model, without a copy where it can be."""

    model: Any
    shape: DecoderShape = SMALL
    digest: str = "random"

    def read(self, name: str) -> Floats:
        decoder = self.model.model.decoder
        if name == "embed":
            return np.concatenate([table.weight.numpy() for table in decoder.embed_tokens])
        if name == "heads":
            return np.concatenate([head.weight.numpy() for head in self.model.lm_heads])
        if name.startswith("norm."):
            return _plain(getattr(decoder.layer_norm, name[5:]))
        number, _, part = name.partition(".")
        layer = decoder.layers[int(number)]
        if part == "qkv":
            return np.concatenate([getattr(layer.self_attn, f"{which}_proj").weight.numpy() for which in "qkv"])
        norm, _, kind = part.partition(".")
        norms = {
            "self_norm": "self_attn_layer_norm",
            "cross_norm": "encoder_attn_layer_norm",
            "ffn_norm": "final_layer_norm",
        }
        if norm in norms:
            return _plain(getattr(getattr(layer, norms[norm]), kind))
        if part in {"fc1", "fc2"}:
            return _plain(getattr(layer, part).weight)
        block, _, which = part.partition("_")
        attention = layer.self_attn if block == "self" else layer.encoder_attn
        return _plain(getattr(attention, f"{which}_proj").weight)


@dataclass(frozen=True)
class Case:
    """A model, what it is given, and what transformers makes of it."""

    weights: ModelWeights
    columns: Codes
    encoder_states: Floats
    scores: Floats
    """(positions of ``STEPPED``, 2: conditional and unconditional, K, V)."""


def _plain(tensor: Any) -> Floats:
    values: Floats = tensor.numpy()
    return values


def _random_model(seed: int) -> Any:
    """Build the model; its numbers come out of one block of random ones, since drawing all of them takes longest."""
    import torch
    from transformers import MusicgenDecoderConfig, MusicgenForCausalLM

    config = MusicgenDecoderConfig(pad_token_id=SMALL.vocabulary, bos_token_id=SMALL.vocabulary)
    with torch.device("meta"):
        model = MusicgenForCausalLM(config)
    model = model.to_empty(device="cpu").eval().requires_grad_(requires_grad=False)
    positions = model.model.decoder.embed_positions
    positions.weights = positions.get_embedding(SMALL.positions, SMALL.hidden)
    random = torch.Generator().manual_seed(seed)
    block = 0.02 * torch.randn(5_000_011, generator=random)
    at = 0
    for name, weights in model.named_parameters():
        flat = weights.view(-1)
        for first in range(0, len(flat), 1_000_000):
            part = flat[first : first + 1_000_000]
            at = (at + 1_618_033) % (len(block) - 1_000_000)
            part.copy_(block[at : at + len(part)])
        if "norm.weight" in name:
            flat.mul_(5.0).add_(1.0)
    return model


@pytest.fixture(scope="module")
def case() -> Case:
    return _case(0)


def _case(seed: int) -> Case:
    model = _random_model(seed)
    random = np.random.default_rng(seed)
    columns = random.integers(0, SMALL.vocabulary, (STEPS, SMALL.codebooks), dtype=np.int32)
    columns[0] = SMALL.vocabulary
    states = random.standard_normal((12, SMALL.hidden), dtype=np.float32)
    scores = [reference_scores(model, columns, given)[list(STEPPED)] for given in (states, None)]
    return Case(ModelWeights(model), columns, states, np.stack(scores, axis=1))


def _torch(precision: str) -> Callable[[ModelWeights], Decoder]:
    return lambda weights: TorchDecoder.load(weights, rows=2, max_steps=STEPS, precision=precision)


def _kernel(precision: Any) -> Callable[[ModelWeights], Decoder]:
    def load(weights: ModelWeights) -> Decoder:
        if isinstance(found := kernel_library(), str):
            pytest.skip(found)
        return KernelDecoder.load(weights, precision=precision, rows=2, max_steps=STEPS, threads=2, keep=None)

    return load


@pytest.fixture
def scored() -> Iterator[Callable[[Callable[[ModelWeights], Decoder], Case], Floats]]:
    """A function that returns the scores of a decoder at ``STEPPED``."""
    opened: list[Decoder] = []

    def score(load: Callable[[ModelWeights], Decoder], case: Case) -> Floats:
        decoder = load(case.weights)
        opened.append(decoder)
        decoder.begin(0, case.encoder_states)
        decoder.begin(1, None)
        scores, done = [], 0
        for position in STEPPED:
            if position > done:
                inputs = decoder.embed(case.columns[done:position])
                decoder.prefill(0, inputs)
                decoder.prefill(1, inputs)
            scores.append(decoder.step([0, 1], np.repeat(case.columns[position][None], 2, axis=0)).copy())
            done = position + 1
        return np.stack(scores)

    yield score
    for decoder in opened:
        decoder.close()


@pytest.mark.parametrize("load", [_torch("float32"), _kernel("float32")], ids=["torch", "kernel"])
def test_scores_in_float32_are_the_references(case: Case, scored: Any, load: Any) -> None:
    assert np.abs(scored(load, case) - case.scores).max() <= 1e-4


@pytest.mark.parametrize(
    ("load", "median", "worst", "divergence"),
    [
        (_torch("bfloat16"), 0.9998, 0.999, 1e-3),
        (_torch("int8"), 0.995, 0.985, 5e-3),
        (_kernel("bfloat16"), 0.9998, 0.999, 1e-3),
        (_kernel("int8"), 0.9985, 0.99, 2e-3),
    ],
    ids=["torch bfloat16", "torch int8", "kernel bfloat16", "kernel int8"],
)
def test_fewer_bits_are_near_the_reference(
    case: Case, scored: Any, load: Any, median: float, worst: float, divergence: float
) -> None:
    assert_near(scored(load, case), case.scores, median, worst, divergence)


@pytest.mark.parametrize("seed", [1, 2])
def test_the_kernel_in_int8_is_as_near_with_other_weights(scored: Any, seed: int) -> None:
    case = _case(seed)
    assert_near(scored(_kernel("int8"), case), case.scores, 0.9985, 0.99, 2e-3)


def assert_near(ours: Floats, theirs: Floats, median: float, worst: float, divergence: float) -> None:
    """Compare what is drawn from: the scores after guidance, which triples their difference."""
    ours, theirs = (guided(scores[:, 0], scores[:, 1], GUIDANCE) for scores in (ours, theirs))
    lengths = np.linalg.norm(ours, axis=-1) * np.linalg.norm(theirs, axis=-1)
    cosine = (ours * theirs).sum(-1) / lengths
    p, q = (np.exp(scores - scores.max(-1, keepdims=True)) for scores in (theirs, ours))
    p, q = p / p.sum(-1, keepdims=True), q / q.sum(-1, keepdims=True)
    kl = (p * np.log(p / q)).sum(-1)
    print(f"cosine: median {np.median(cosine):.5f}, worst {cosine.min():.5f}; KL {kl.mean():.2e}")
    assert np.median(cosine) >= median
    assert cosine.min() >= worst
    assert kl.mean() <= divergence

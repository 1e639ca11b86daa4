"""The decoder in torch, against transformers' on the same weights."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

from bridge.engines.musicgen.batching import Batch, Conditioning, Sampling
from bridge.engines.musicgen.checkpoint import Checkpoint, open_checkpoint
from bridge.engines.musicgen.decoder import Codes, DecoderShape, DecoderWeights, Floats
from bridge.engines.musicgen.decoder.torch_step import TorchDecoder
from bridge.engines.musicgen.text import PromptEncoder
from bridge.errors import EngineUnavailable
from tests.musicgen_reference import reference, reference_codes, reference_scores
from tests.tiny_musicgen import build_tiny_musicgen

pytestmark = pytest.mark.torch

CLOSE = 1e-4
STEPS = 120
WORDS = "slow warm pad"
GREEDY = Sampling(temperature=0.0, guidance=3.0)


@dataclass(frozen=True)
class Model:
    """The same weights twice."""

    checkpoint: Checkpoint
    reference: Any
    text: PromptEncoder

    def inputs(self, words: str = WORDS) -> dict[str, Any]:
        """What ``generate()`` is given."""
        return dict(self.checkpoint.tokenizer()(words, return_tensors="pt"))


def _model(folder: Path) -> Model:
    checkpoint = open_checkpoint(folder)
    return Model(checkpoint, reference(folder), PromptEncoder(checkpoint, dtype="float32"))


@pytest.fixture(scope="module")
def mono(tiny: Path) -> Model:
    return _model(tiny)


@pytest.fixture(scope="module", params=["mono", "stereo", "melody"])
def any_model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, one_thread: None) -> Model:
    channels, melody = 1 + (request.param == "stereo"), request.param == "melody"
    return _model(build_tiny_musicgen(tmp_path_factory.mktemp(request.param), channels=channels, melody=melody))


@dataclass(frozen=True)
class Perturbed:
    """The same weights, but one."""

    weights: DecoderWeights
    name: str

    @property
    def shape(self) -> DecoderShape:
        return self.weights.shape

    @property
    def digest(self) -> str:
        return "perturbed"

    def read(self, name: str) -> Floats:
        values = self.weights.read(name)
        return values * np.float32(1.05) if name == self.name else values


def _columns(shape: DecoderShape, steps: int, seed: int = 1) -> Codes:
    """Random codes, nothing in the first column."""
    columns = np.random.default_rng(seed).integers(0, shape.vocabulary, (steps, shape.codebooks), dtype=np.int32)
    columns[0] = shape.vocabulary
    return columns


def _scores(decoder: TorchDecoder, columns: Codes, *texts: Floats | None) -> Floats:
    """Give each row the same codes, and return (T, rows, K, V)."""
    rows = range(len(texts))
    for row, states in zip(rows, texts, strict=True):
        decoder.begin(row, states)
    return np.stack([decoder.step(rows, np.repeat(column[None], len(texts), axis=0)) for column in columns])


def _load(weights: DecoderWeights, precision: str = "float32", rows: int = 2, max_steps: int = 400) -> TorchDecoder:
    return TorchDecoder.load(weights, rows=rows, max_steps=max_steps, precision=precision)


def _generate(decoder: TorchDecoder, model: Model, given: Conditioning, frames: int, **options: Any) -> Codes:
    batch = Batch(decoder, channels=model.checkpoint.channels)
    try:
        return np.concatenate(list(batch.generate(given, GREEDY, frames, **options)))
    finally:
        batch.close()


def _distance(model: Model, weights: DecoderWeights) -> float:
    """Return the largest difference of any score at any position, conditional and unconditional."""
    states, columns = model.text.encoder_states(WORDS), _columns(weights.shape, STEPS)
    ours = _scores(_load(weights), columns, states, None)
    theirs = [reference_scores(model.reference.decoder, columns, given) for given in (states, None)]
    return float(np.abs(ours - np.stack(theirs, axis=1)).max())


def test_scores_are_the_references_at_every_position(mono: Model) -> None:
    assert _distance(mono, mono.checkpoint.decoder_weights()) <= CLOSE


@pytest.mark.parametrize(
    "name",
    ["0.qkv", "1.self_out", "1.cross_q", "0.cross_k", "0.cross_v", "1.cross_out", "0.fc1", "1.fc2", "heads", "embed",
     "0.self_norm.weight", "1.cross_norm.weight", "0.ffn_norm.weight", "norm.weight"],
)  # fmt: skip
def test_one_weight_that_is_off_by_a_twentieth_is_noticed(mono: Model, name: str) -> None:
    assert _distance(mono, Perturbed(mono.checkpoint.decoder_weights(), name)) > CLOSE


def test_the_likeliest_codes_are_those_of_generate(any_model: Model) -> None:
    frames = 250 if any_model.checkpoint.channels == 1 and not any_model.checkpoint.melody else 60
    decoder = _load(any_model.checkpoint.decoder_weights(), max_steps=600)
    ours = _generate(decoder, any_model, any_model.text.conditioning(WORDS), frames)
    theirs = reference_codes(any_model.reference, frames, guidance_scale=3.0, **any_model.inputs())
    np.testing.assert_array_equal(ours, theirs)
    assert len(np.unique(ours)) > 10  # else anything would be equal


def test_a_melody_model_gives_the_references_scores(tmp_path: Path, one_thread: None) -> None:
    import torch

    model = _model(build_tiny_musicgen(tmp_path / "melody", melody=True))
    decoder = _load(model.checkpoint.decoder_weights())
    tune = np.eye(12, dtype=np.float32)[np.random.default_rng(3).integers(0, 12, 40)]
    ours = _generate(decoder, model, model.text.conditioning(WORDS, tune), 40)
    theirs = reference_codes(
        model.reference, 40, guidance_scale=3.0, input_features=torch.from_numpy(tune)[None], **model.inputs()
    )
    np.testing.assert_array_equal(ours, theirs)
    other = _generate(decoder, model, model.text.conditioning(WORDS, tune[:, ::-1].copy()), 40)
    assert (ours != other).any()


def test_it_goes_on_from_given_codes_as_the_reference_does(mono: Model) -> None:
    import torch

    audio = 0.3 * torch.randn(1, 1, 640 * 37, generator=torch.Generator().manual_seed(2))
    theirs = reference_codes(
        mono.reference,
        50,
        guidance_scale=3.0,
        input_values=audio,
        padding_mask=torch.ones_like(audio[:, 0]),
        **mono.inputs(),
    )
    prompt = np.ascontiguousarray(theirs[:37])
    ours = _generate(_load(mono.checkpoint.decoder_weights()), mono, mono.text.conditioning(WORDS), 50, prompt=prompt)
    assert len(theirs) == 87
    np.testing.assert_array_equal(ours, theirs[37:])


def test_what_is_taken_in_at_once_is_what_steps_would_make_of_it(mono: Model) -> None:
    decoder = _load(mono.checkpoint.decoder_weights())
    states, columns = mono.text.encoder_states(WORDS), _columns(decoder.shape, 40)
    stepped = _scores(decoder, columns, states)[-1]
    decoder.begin(0, states)
    inputs = decoder.embed(columns[:-1])
    decoder.prefill(0, inputs[:25])
    decoder.prefill(0, inputs[25:])
    np.testing.assert_allclose(decoder.step([0], columns[-1:]), stepped, atol=CLOSE)


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "int8"])
def test_a_row_gets_the_same_bits_alone_and_among_others(mono: Model, precision: str) -> None:
    decoder = _load(mono.checkpoint.decoder_weights(), precision, rows=6)
    columns = [_columns(decoder.shape, 30, seed) for seed in range(6)]
    texts = [mono.text.encoder_states(f"{WORDS}{' drum' * i}") if i % 2 else None for i in range(6)]
    alone = []
    for mine, states in zip(columns, texts, strict=True):
        decoder.begin(3, states)
        alone.append([decoder.step([3], column[None])[0].copy() for column in mine])
    for row, states in enumerate(texts):
        decoder.begin(row, states)
    at = [0] * 6
    order = np.random.default_rng(7)
    while min(at) < 30:  # in every round other rows step, from other positions
        rows = [int(row) for row in order.permutation(6)[: order.integers(1, 7)] if at[row] < 30]
        if not rows:
            continue
        scores = decoder.step(rows, np.stack([columns[row][at[row]] for row in rows]))
        for row, mine in zip(rows, scores, strict=True):
            np.testing.assert_array_equal(mine, alone[row][at[row]])
            at[row] += 1


@pytest.mark.parametrize(("precision", "cosine"), [("bfloat16", 0.999), ("int8", 0.995)])
def test_fewer_bits_are_near_the_reference(mono: Model, precision: str, cosine: float) -> None:
    weights = mono.checkpoint.decoder_weights()
    states, columns = mono.text.encoder_states(WORDS), _columns(weights.shape, 40)
    ours = _scores(_load(weights, precision), columns, states, None).reshape(-1, weights.shape.vocabulary)
    theirs = _scores(_load(weights), columns, states, None).reshape(-1, weights.shape.vocabulary)
    lengths = np.linalg.norm(ours, axis=1) * np.linalg.norm(theirs, axis=1)
    assert np.median((ours * theirs).sum(1) / lengths) >= cosine


def test_a_row_that_begins_again_has_forgotten(mono: Model) -> None:
    decoder = _load(mono.checkpoint.decoder_weights())
    columns = _columns(decoder.shape, 10)
    first = _scores(decoder, columns, None)
    _scores(decoder, _columns(decoder.shape, 30, seed=9), mono.text.encoder_states(WORDS))
    np.testing.assert_array_equal(_scores(decoder, columns, None), first)


def test_a_row_that_is_full_is_an_error(mono: Model) -> None:
    decoder = _load(mono.checkpoint.decoder_weights(), max_steps=5)
    with pytest.raises(ValueError, match="5 positions"):
        _scores(decoder, _columns(decoder.shape, 6), None)


def test_an_unknown_precision_is_a_sentence(mono: Model) -> None:
    with pytest.raises(EngineUnavailable, match="float32, bfloat16, float16, int8"):
        _load(mono.checkpoint.decoder_weights(), "int3")


def test_a_torch_without_int8_computes_in_bfloat16(mono: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    from bridge.engines.musicgen.decoder import torch_step

    weights = mono.checkpoint.decoder_weights()
    assert _load(weights, "int8").description["precision"] == "int8"

    def gone(weight: object) -> None:
        raise AttributeError("linear_prepack")

    monkeypatch.setattr(torch_step, "_quantized", gone)
    torch_step.has_int8.cache_clear()
    decoder = _load(weights, "int8")
    torch_step.has_int8.cache_clear()
    assert decoder.description["precision"] == "bfloat16"
    assert np.isfinite(_scores(decoder, _columns(decoder.shape, 3), None)).all()

"""The step that is captured as a CUDA graph: made call by call on the CPU, and as a graph where there is a GPU."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

pytest.importorskip("torch")

from bridge.engines.musicgen.batching import Batch, Conditioning, Sampling
from bridge.engines.musicgen.checkpoint import Checkpoint, open_checkpoint
from bridge.engines.musicgen.decoder import Codes, Decoder, Floats
from bridge.engines.musicgen.decoder.cuda_graph import GraphDecoder, _drawn
from bridge.engines.musicgen.decoder.drawing import DrawingDecoder, PendingCodes, StepInput
from bridge.engines.musicgen.decoder.torch_step import TorchDecoder
from bridge.engines.musicgen.sampling import draws, pick
from bridge.engines.musicgen.text import PromptEncoder
from bridge.errors import EngineError
from tests.tiny_musicgen import build_tiny_musicgen

pytestmark = pytest.mark.torch

WORDS = ("slow warm pad", "choir", "a dusty drum and a bass", "kick")


def _without_gpu() -> bool:
    import torch

    return not torch.cuda.is_available()


on_gpu = pytest.mark.skipif(_without_gpu(), reason="there is no CUDA here")


@pytest.fixture(scope="module", params=["mono", "stereo", "melody"])
def checkpoint(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, one_thread: None
) -> Checkpoint:
    channels, melody = 1 + (request.param == "stereo"), request.param == "melody"
    folder = tmp_path_factory.mktemp(request.param)
    return open_checkpoint(build_tiny_musicgen(folder, channels=channels, melody=melody))


@pytest.fixture(scope="module")
def mono(tiny: Path) -> Checkpoint:
    return open_checkpoint(tiny)


def _by_calls(checkpoint: Checkpoint, rows: int = 8, max_steps: int = 700) -> GraphDecoder:
    weights = checkpoint.decoder_weights()
    return GraphDecoder.load(
        weights, rows=rows, max_steps=max_steps, device="cpu", precision="float32", capture=False
    )  # fmt: skip


def _plain(checkpoint: Checkpoint, rows: int = 8, max_steps: int = 700) -> TorchDecoder:
    return TorchDecoder.load(checkpoint.decoder_weights(), rows=rows, max_steps=max_steps)


def _columns(decoder: Decoder, steps: int) -> Codes:
    shape = decoder.shape
    return np.random.default_rng(1).integers(0, shape.vocabulary, (steps, shape.codebooks), dtype=np.int32)


def _close(ours: Decoder, theirs: Decoder, given: list[Conditioning], tolerance: float) -> None:
    """Let both take in the same, and compare their scores with rows at different positions."""
    columns = _columns(theirs, 40)
    for row, conditioning in enumerate(given):
        for decoder in (ours, theirs):
            decoder.begin(row, conditioning.encoder_states)
            if conditioning.prefix is not None:
                decoder.prefill(row, conditioning.prefix)
            if row:
                decoder.prefill(row, decoder.embed(columns[: 3 * row]))
    order = np.random.default_rng(2)
    for column in columns:
        rows = sorted(order.permutation(len(given))[: order.integers(1, 1 + len(given))].tolist())
        codes = np.repeat(column[None], len(rows), axis=0)
        np.testing.assert_allclose(ours.step(rows, codes), theirs.step(rows, codes), atol=tolerance)


def _given(checkpoint: Checkpoint) -> list[Conditioning]:
    text = PromptEncoder(checkpoint, dtype="float32")
    conditional = [text.conditioning(words) for words in WORDS]
    return [*conditional, replace(conditional[0], encoder_states=None, prefix=conditional[0].unconditional_prefix)]


def test_scores_are_those_of_the_plain_decoder(checkpoint: Checkpoint) -> None:
    _close(_by_calls(checkpoint), _plain(checkpoint), _given(checkpoint), 1e-4)


def test_the_likeliest_codes_are_those_of_the_plain_decoder(checkpoint: Checkpoint) -> None:
    """Beyond the reach of the first graph; together, and with one that is drawn on the host in between."""
    asked = [
        (given, Sampling(temperature=0.0, guidance=guidance, repetition_penalty=penalty), frames)
        for given, guidance, penalty, frames in zip(
            _given(checkpoint), (3.0, 1.0, 2.0, 3.0), (1.0, 1.0, 1.0, 1.1), (270, 40, 60, 20), strict=False
        )
    ]
    if checkpoint.channels == 2:
        asked = [(given, sampling, min(frames, 50)) for given, sampling, frames in asked]
    results = []
    for decoder in (_by_calls(checkpoint), _plain(checkpoint)):
        batch = Batch(decoder, channels=checkpoint.channels)
        streams = [batch.generate(*request) for request in asked]
        results.append([np.concatenate(list(stream)) for stream in streams])
        batch.close()
    for ours, theirs in zip(*results, strict=True):
        np.testing.assert_array_equal(ours, theirs)
        assert len(np.unique(ours)) > 10


@pytest.mark.parametrize(
    "sampling",
    [
        Sampling(top_k=0),
        Sampling(top_k=50, temperature=0.7),
        Sampling(top_k=0, top_p=0.6, temperature=1.4),
        Sampling(top_k=40, top_p=0.8),
    ],
    ids=str,
)
def test_codes_are_distributed_as_those_that_the_host_draws(sampling: Sampling) -> None:
    import torch

    many, vocabulary = 10_000, 64
    scores = 2.0 * np.random.default_rng(0).standard_normal((1, vocabulary), dtype=np.float32)
    inputs = np.zeros((many, 1 + 8))
    inputs[:, 0] = draws(3, many, 1)[:, 0]
    inputs[:, 2:6] = sampling.temperature, sampling.top_k or vocabulary, sampling.top_p or 2.0, 1.0
    inputs[:, 6] = inputs[:, 7] = np.arange(many)
    on_device = _drawn(torch.from_numpy(scores).expand(many, 1, vocabulary), torch.from_numpy(inputs))[:, 0].numpy()
    on_host = pick(np.repeat(scores, 4 * many, axis=0)[None], sampling, draws(4, 4 * many, 1)[:, 0])
    table = np.stack([np.bincount(codes, minlength=vocabulary) for codes in (on_device, on_host)])
    assert table[0, table[1] == 0].sum() <= 5
    assert stats.chi2_contingency(table[:, table[1] >= 40]).pvalue > 1e-3


class Counted:
    """Counts how many steps are under way."""

    def __init__(self, decoder: GraphDecoder) -> None:
        self._decoder = decoder
        self.in_flight = 0
        self.most = 0
        self.break_at = -1
        self.drawn = 0

    def __getattr__(self, name: str) -> object:
        return getattr(self._decoder, name)

    def draw(self, inputs: Sequence[StepInput]) -> PendingCodes:
        self.drawn += 1
        if self.drawn == self.break_at:
            raise RuntimeError("the device is gone")
        self.in_flight += 1
        self.most = max(self.most, self.in_flight)
        pending = self._decoder.draw(inputs)

        def waited() -> Codes:
            self.in_flight -= 1
            return pending()

        return waited


@pytest.fixture
def counted(mono: Checkpoint) -> Counted:
    return Counted(_by_calls(mono, rows=4))


@pytest.fixture
def batch(counted: Counted) -> Iterator[Batch]:
    assert isinstance(counted, DrawingDecoder)
    batch = Batch(counted)
    yield batch
    batch.close()


def _states(number: int = 0) -> Floats:
    return np.random.default_rng(number).standard_normal((5, 64), dtype=np.float32)


def test_a_step_is_asked_for_before_the_one_before_is_waited_for(batch: Batch, counted: Counted) -> None:
    codes = np.concatenate(list(batch.generate(Conditioning(_states()), Sampling(), 50)))
    assert codes.shape == (50, 4)
    assert counted.most == 2
    assert counted.in_flight == 0
    assert counted.drawn == 53
    again = np.concatenate(list(batch.generate(Conditioning(_states()), Sampling(), 50)))
    np.testing.assert_array_equal(again, codes)
    other = np.concatenate(list(batch.generate(Conditioning(_states()), Sampling(seed=1), 50)))
    assert (other != codes).any()


def test_the_background_that_loses_its_rows_loses_no_code(mono: Checkpoint) -> None:
    batch = Batch(_by_calls(mono, rows=2))
    cold = Sampling(temperature=0.0)
    alone = np.concatenate(list(batch.generate(Conditioning(_states()), cold, 100)))
    background = batch.generate(Conditioning(_states()), cold, 100, background=True)
    got = [next(background)]
    assert len(np.concatenate(list(batch.generate(Conditioning(_states(1)), cold, 20)))) == 20
    np.testing.assert_array_equal(np.concatenate([*got, *background]), alone)
    batch.close()


def test_scores_that_are_no_numbers_fail_their_own_request_only(batch: Batch) -> None:
    bad = batch.generate(Conditioning(np.full((3, 64), np.nan, dtype=np.float32)), Sampling(), 30)
    good = batch.generate(Conditioning(_states()), Sampling(), 30)
    with pytest.raises(EngineError, match="lower guidance"):
        list(bad)
    assert len(np.concatenate(list(good))) == 30
    # the same rows again: nothing of it is left
    assert len(np.concatenate(list(batch.generate(Conditioning(_states()), Sampling(), 30)))) == 30


def test_a_device_that_breaks_fails_those_who_were_in_the_step(batch: Batch, counted: Counted) -> None:
    counted.break_at = 10
    with pytest.raises(EngineError, match="the device is gone"):
        list(batch.generate(Conditioning(_states()), Sampling(), 30))
    assert len(np.concatenate(list(batch.generate(Conditioning(_states()), Sampling(), 30)))) == 30


def test_a_row_that_is_full_is_an_error(mono: Checkpoint) -> None:
    decoder = _by_calls(mono, max_steps=5)
    decoder.begin(0, None)
    for column in _columns(decoder, 5):
        decoder.step([0], column[None])
    with pytest.raises(ValueError, match="5 positions"):
        decoder.step([0], _columns(decoder, 1))


@pytest.mark.gpu
@on_gpu
@pytest.mark.parametrize(("precision", "tolerance"), [("float32", 1e-3), ("bfloat16", 0.5)])
def test_a_graph_scores_as_the_plain_decoder_on_the_cpu(
    checkpoint: Checkpoint, precision: str, tolerance: float
) -> None:
    weights = checkpoint.decoder_weights()
    captured = GraphDecoder.load(weights, rows=8, max_steps=700, precision=precision)
    _close(captured, _plain(checkpoint), _given(checkpoint), tolerance)


@pytest.mark.gpu
@on_gpu
def test_a_captured_batch_gives_the_same_codes_again(mono: Checkpoint) -> None:
    batch = Batch(GraphDecoder.load(mono.decoder_weights(), rows=8, max_steps=700))
    first, again = (
        np.concatenate(list(batch.generate(Conditioning(_states()), Sampling(seed=4), 300))) for _ in range(2)
    )
    np.testing.assert_array_equal(first, again)
    batch.close()

"""Requests that are admitted to a running batch and leave it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from bridge.engines.musicgen.batching import Batch, CodeStream, Conditioning, Sampling
from bridge.engines.musicgen.checkpoint import open_checkpoint
from bridge.engines.musicgen.decoder import Codes, DecoderShape, DecoderWeights, Floats
from bridge.engines.musicgen.decoder.torch_step import TorchDecoder
from bridge.engines.musicgen.sampling import draws
from bridge.errors import EngineError, JobCancelled

pytestmark = pytest.mark.torch

FRAMES = 30
BROKEN = 666.0


class Gate:
    """Lets a decoder make as many steps as it is told."""

    def __init__(self, decoder: WatchedDecoder) -> None:
        self._changed = threading.Condition()
        self._allowed = 0
        self._asked = 0
        decoder.gate = self

    def pass_one(self) -> None:
        with self._changed:
            self._asked += 1
            self._changed.notify_all()
            assert self._changed.wait_for(lambda: self._asked <= self._allowed, timeout=60)

    def steps(self, count: int) -> None:
        """Let it make ``count`` steps, and return when it stands before the next one."""
        with self._changed:
            self._allowed += count
            self._changed.notify_all()
            assert self._changed.wait_for(lambda: self._asked > self._allowed, timeout=60)

    def open(self) -> None:
        with self._changed:
            self._allowed = 10**6
            self._changed.notify_all()


class WatchedDecoder:
    """A real decoder that says what it is asked for, steps when it may, and breaks on encoder states of ``BROKEN``."""

    def __init__(self, weights: DecoderWeights, rows: int) -> None:
        self._decoder = TorchDecoder.load(weights, rows=rows, max_steps=200)
        self._breaks: set[int] = set()
        self.asked: list[tuple[str, tuple[int, ...]]] = []
        self.nan = False
        self.flat = False
        self.most_rows = rows
        self.gate: Gate | None = None

    @property
    def shape(self) -> DecoderShape:
        return self._decoder.shape

    @property
    def rows(self) -> int:
        return self._decoder.rows

    @property
    def max_steps(self) -> int:
        return self._decoder.max_steps

    @property
    def description(self) -> dict[str, str]:
        return self._decoder.description

    def begin(self, row: int, encoder_states: Floats | None) -> None:
        self.asked.append(("begin", (row,)))
        self._breaks.discard(row)
        if encoder_states is not None and encoder_states[0, 0] == BROKEN:
            self._breaks.add(row)
        self._decoder.begin(row, encoder_states)

    def embed(self, codes: Codes) -> Floats:
        return self._decoder.embed(codes)

    def prefill(self, row: int, inputs: Floats) -> None:
        self.asked.append(("prefill", (row,)))
        if row in self._breaks:
            raise RuntimeError("no such thing\nand more")
        self._decoder.prefill(row, inputs)

    def step(self, rows: Sequence[int], codes: Codes) -> Floats:
        if self.gate is not None:
            self.gate.pass_one()
        self.asked.append(("step", tuple(rows)))
        if len(rows) > self.most_rows:
            raise MemoryError
        scores = self._decoder.step(rows, codes).copy()
        for place, row in enumerate(rows):
            if row in self._breaks:
                if not self.nan:
                    raise RuntimeError("this step broke")
                scores[place, 1, 3] = np.nan
        return 0 * scores if self.flat else scores

    def close(self) -> None:
        self._decoder.close()

    @property
    def stepped(self) -> list[tuple[int, ...]]:
        """The rows of each step."""
        return [rows for what, rows in self.asked if what == "step"]


@pytest.fixture(scope="module")
def weights(tiny: Path) -> DecoderWeights:
    return open_checkpoint(tiny).decoder_weights()


@pytest.fixture
def decoder(weights: DecoderWeights) -> WatchedDecoder:
    return WatchedDecoder(weights, rows=8)


@pytest.fixture
def batch(decoder: WatchedDecoder) -> Iterator[Batch]:
    batch = Batch(decoder)
    yield batch
    batch.close()


def _given(number: int, hidden: int = 64) -> Conditioning:
    return Conditioning(np.random.default_rng(number).standard_normal((3 + number % 5, hidden), dtype=np.float32))


def _broken() -> Conditioning:
    return Conditioning(np.full((3, 64), BROKEN, dtype=np.float32))


def _sampling(number: int) -> Sampling:
    """Different in everything."""
    return Sampling(
        seed=number,
        guidance=3.0 if number % 3 else 1.0,
        top_k=0 if number % 2 else 20,
        top_p=0.9 if number % 4 == 1 else 0.0,
        temperature=0.9,
        repetition_penalty=1.2 if number % 4 == 2 else 1.0,
    )


def _ask(batch: Batch, number: int, frames: int = FRAMES, *, background: bool = False) -> CodeStream:
    return batch.generate(_given(number), _sampling(number), frames, background=background)


def _all(stream: CodeStream) -> Codes:
    return np.concatenate(list(stream))


@pytest.fixture(scope="module")
def alone(weights: DecoderWeights) -> list[Codes]:
    """What each request gets when nobody else is there; a new batch for each, as after a restart."""
    codes = []
    for number in range(20):
        batch = Batch(TorchDecoder.load(weights, rows=2, max_steps=200))
        codes.append(_all(_ask(batch, number)))
        batch.close()
    return codes


def test_the_same_seed_gives_the_same_codes_alone_among_others_and_after_a_restart(
    batch: Batch, alone: list[Codes]
) -> None:
    streams, got = [], []
    for number in range(4):  # each comes when the one before has made some
        streams.append(_ask(batch, number))
        got.append([next(streams[-1]) for _ in range(2)])
    for number, stream in enumerate(streams):
        np.testing.assert_array_equal(np.concatenate([*got[number], *stream]), alone[number])
    assert len({codes.tobytes() for codes in alone}) == 20


def test_twenty_requests_on_eight_rows_all_finish(batch: Batch, alone: list[Codes]) -> None:
    with ThreadPoolExecutor(20) as threads:
        for number, codes in enumerate(threads.map(lambda number: _all(_ask(batch, number)), range(20))):
            np.testing.assert_array_equal(codes, alone[number])
    assert batch.busy == 0


def test_every_step_draws_with_its_own_random_numbers(batch: Batch, decoder: WatchedDecoder) -> None:
    decoder.flat = True
    codes = _all(batch.generate(_given(1), Sampling(top_k=0, seed=5), FRAMES))
    uniform = draws(5, FRAMES + 3, 4)  # codebook k of frame f is drawn in step f + k
    wanted = [[int(64 * uniform[frame + codebook, codebook]) for codebook in range(4)] for frame in range(FRAMES)]
    assert codes.tolist() == wanted


def test_steps_are_shared(batch: Batch, decoder: WatchedDecoder) -> None:
    gate = Gate(decoder)
    streams = [_ask(batch, number) for number in (1, 2, 4)]
    gate.open()
    for stream in streams:
        _all(stream)
    # each is prefilled in a round of its own; then all are in one step
    assert [len(rows) for rows in decoder.stepped] == [2, 4] + [6] * (FRAMES + 1) + [4, 2]


def test_one_that_is_closed_leaves_at_the_next_step(batch: Batch, decoder: WatchedDecoder) -> None:
    gate = Gate(decoder)
    stays, leaves = _ask(batch, 1), _ask(batch, 2)
    gate.steps(8)
    next(leaves)
    leaves.close()
    gate.open()
    assert len(_all(stays)) == FRAMES
    assert (2, 3) not in decoder.stepped
    assert [len(rows) for rows in decoder.stepped] == [2] + [4] * 8 + [2] * (FRAMES + 3 - 9)


def test_one_whose_report_raises_leaves(batch: Batch) -> None:
    heard: list[float] = []

    def report(progress: float) -> None:
        heard.append(progress)
        if progress > 0.3:
            raise JobCancelled("nobody wants it")

    stream = batch.generate(_given(1), _sampling(1), 100, report=report)
    with pytest.raises(JobCancelled):
        _all(stream)
    _all(_ask(batch, 2))
    assert batch.busy == 0
    assert heard == sorted(heard)
    assert len(heard) > 5


def test_one_that_nobody_holds_any_more_leaves(batch: Batch) -> None:
    stream = _ask(batch, 1, 150)
    next(stream)
    del stream
    _all(_ask(batch, 2))
    assert batch.busy == 0


def test_progress_ends_at_one(batch: Batch) -> None:
    heard: list[float] = []
    list(batch.generate(_given(1), _sampling(1), FRAMES, report=heard.append))
    assert heard[-1] == 1.0


def test_what_nobody_reads_is_kept_until_somebody_does(batch: Batch, alone: list[Codes]) -> None:
    stream = _ask(batch, 3)
    _all(_ask(batch, 4, FRAMES + 20))
    while batch.busy:  # the last code is read before its request has left
        time.sleep(0.001)
    np.testing.assert_array_equal(_all(stream), alone[3])


def test_the_background_pauses_for_a_player_and_goes_on(
    batch: Batch, decoder: WatchedDecoder, alone: list[Codes]
) -> None:
    gate = Gate(decoder)
    background = _ask(batch, 1, background=True)
    gate.steps(10)
    player = _ask(batch, 2)
    gate.open()
    np.testing.assert_array_equal(_all(player), alone[2])
    np.testing.assert_array_equal(_all(background), alone[1])
    steps = FRAMES + 3
    assert decoder.stepped == [(0, 1)] * 11 + [(2, 3)] * steps + [(0, 1)] * (steps - 11)
    assert decoder.asked.count(("begin", (0,))) == 1  # it kept its place


def test_the_background_gives_its_rows_up_and_loses_no_code(weights: DecoderWeights, alone: list[Codes]) -> None:
    decoder = WatchedDecoder(weights, rows=2)
    gate = Gate(decoder)
    batch = Batch(decoder)
    background = _ask(batch, 1, background=True)
    gate.steps(10)
    got = [next(background)]
    player = _ask(batch, 2)
    gate.open()
    np.testing.assert_array_equal(_all(player), alone[2])
    np.testing.assert_array_equal(np.concatenate([*got, *background]), alone[1])
    assert decoder.asked.count(("begin", (0,))) == 3
    batch.close()


def test_the_background_waits_while_a_player_plays(batch: Batch, decoder: WatchedDecoder) -> None:
    gate = Gate(decoder)
    player = _ask(batch, 1)
    gate.steps(5)
    background = _ask(batch, 2, background=True)
    gate.open()
    _all(player)
    _all(background)
    assert decoder.stepped == [(0, 1)] * 2 * (FRAMES + 3)


def test_a_long_prompt_does_not_stall_the_others(batch: Batch, decoder: WatchedDecoder, alone: list[Codes]) -> None:
    gate = Gate(decoder)
    running = _ask(batch, 1, 80)
    gate.steps(5)
    prompt = np.random.default_rng(0).integers(0, 64, (70, 4), dtype=np.int32)
    stream = batch.generate(_given(2), _sampling(2), 10, prompt=prompt)
    gate.open()
    together = _all(stream)
    _all(running)
    pieces = [place for place, (what, _) in enumerate(decoder.asked) if what == "prefill"]
    assert len(pieces) == 2 * 5
    assert all(later - earlier == 2 for earlier, later in pairwise(pieces))  # a step of the other in between
    again = _all(batch.generate(_given(2), _sampling(2), 10, prompt=prompt))
    np.testing.assert_array_equal(again, together)
    assert len(again) == 10


def test_going_on_from_what_was_made_is_deterministic_and_differs_by_prompt(batch: Batch, alone: list[Codes]) -> None:
    def going_on(prompt: Codes) -> Codes:
        return _all(batch.generate(_given(1), _sampling(1), 10, prompt=prompt))

    np.testing.assert_array_equal(going_on(alone[1][:20]), going_on(alone[1][:20]))
    assert (going_on(alone[1][:20]) != going_on(alone[2][:20])).any()


def test_a_request_on_which_the_decoder_breaks_fails_alone(batch: Batch, alone: list[Codes]) -> None:
    runs = _ask(batch, 1)
    next(runs)
    prompt = np.zeros((20, 4), dtype=np.int32)
    with pytest.raises(EngineError, match=r"could not make this sound \(no such thing\)$"):
        _all(batch.generate(_broken(), _sampling(2), FRAMES, prompt=prompt))
    np.testing.assert_array_equal(_all(runs)[-10:], alone[1][-10:])


def test_a_step_that_breaks_ends_its_requests_and_the_batch_goes_on(batch: Batch, alone: list[Codes]) -> None:
    with pytest.raises(EngineError, match="this step broke"):
        _all(batch.generate(_broken(), _sampling(2), FRAMES))
    np.testing.assert_array_equal(_all(_ask(batch, 1)), alone[1])


def test_scores_that_are_no_numbers_fail_their_own_request_only(
    batch: Batch, decoder: WatchedDecoder, alone: list[Codes]
) -> None:
    decoder.nan = True
    runs = _ask(batch, 1)
    with pytest.raises(EngineError, match="lower guidance"):
        _all(batch.generate(_broken(), _sampling(2), FRAMES))
    np.testing.assert_array_equal(_all(runs), alone[1])


def test_a_full_memory_shrinks_the_batch_and_everybody_is_served(
    batch: Batch, decoder: WatchedDecoder, alone: list[Codes], caplog: pytest.LogCaptureFixture
) -> None:
    gate = Gate(decoder)
    decoder.most_rows = 4
    streams = [_ask(batch, number) for number in range(6)]
    gate.open()
    for number, stream in enumerate(streams):
        np.testing.assert_array_equal(_all(stream), alone[number])
    assert max(len(rows) for rows in decoder.stepped[-20:]) <= 4
    assert "rows at once" in caplog.text


def test_a_memory_that_is_too_small_for_one_is_an_error_with_its_code(batch: Batch, decoder: WatchedDecoder) -> None:
    decoder.most_rows = 1
    with pytest.raises(EngineError, match="choose a smaller model") as caught:
        _all(_ask(batch, 1))
    assert caught.value.code == "engine_out_of_memory"
    decoder.most_rows = 8
    assert len(_all(_ask(batch, 1))) == FRAMES


def test_closing_ends_what_runs_and_refuses_what_comes(weights: DecoderWeights) -> None:
    batch = Batch(WatchedDecoder(weights, rows=4))
    stream = _ask(batch, 1, 150)
    next(stream)
    batch.close()
    with pytest.raises(EngineError, match="unloaded"):
        _all(stream)
    with pytest.raises(EngineError, match="unloaded"):
        _ask(batch, 2)


def test_more_than_the_decoder_holds_is_a_sentence(batch: Batch) -> None:
    with pytest.raises(EngineError, match="200 steps at once and this sound takes 303"):
        _ask(batch, 1, 300)
    with pytest.raises(EngineError, match="longer"):
        _ask(batch, 1, 0)


def test_codes_of_another_model_are_a_sentence(batch: Batch) -> None:
    for prompt in (np.full((5, 4), 64), np.zeros((5, 8))):
        with pytest.raises(EngineError, match="another model"):
            batch.generate(_given(1), _sampling(1), 5, prompt=prompt.astype(np.int32))


def test_guidance_on_a_single_row_is_a_sentence(weights: DecoderWeights) -> None:
    batch = Batch(WatchedDecoder(weights, rows=1))
    with pytest.raises(EngineError, match="set guidance to 1"):
        _ask(batch, 1)
    assert len(_all(_ask(batch, 0))) == FRAMES
    batch.close()

"""Several steps in one call draw what single steps and numpy draw."""

from __future__ import annotations

import random
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from bridge.engines.musicgen.batching import Batch, CodeStream, Conditioning
from bridge.engines.musicgen.core_lock import CoreLock
from bridge.engines.musicgen.decoder import Codes
from bridge.engines.musicgen.decoder.drawing import Columns
from bridge.engines.musicgen.decoder.kernel import KernelDecoder
from bridge.engines.musicgen.pattern import DelayPattern
from bridge.engines.musicgen.request import Request
from bridge.engines.musicgen.sampling import Sampling, note, pick
from tests.bridge.engines.musicgen.kernel.conftest import OpenDecoder
from tests.bridge.engines.musicgen.kernel.plain_step import TINY, USUAL, RandomWeights

PATTERN = DelayPattern(codebooks=TINY.codebooks, channels=1, nothing=TINY.vocabulary)
FRAMES = 9
STEPS = PATTERN.steps(FRAMES)
SAMPLINGS = (
    Sampling(seed=1),
    Sampling(seed=2, guidance=1.0, top_k=0),
    Sampling(seed=3, temperature=0.7, top_k=10, top_p=0.9),
    Sampling(seed=4, guidance=5.0, repetition_penalty=1.5),
    Sampling(seed=5, temperature=0.0),
)
NEVER = np.zeros(1, dtype=np.int32)


def columns(sampling: Sampling, rows: list[int], known: int = 0) -> Columns:
    """A request that goes on from ``known`` frames."""
    frames = np.random.default_rng(7).integers(0, TINY.vocabulary, (known, TINY.codebooks), dtype=np.int32)
    request = Request(
        PATTERN, Conditioning(None), sampling, FRAMES, frames, background=False, awaited=0, lock=threading.Lock()
    )  # fmt: skip
    request.columns.rows, request.columns.read = rows, known
    return request.columns


def stepped(decoder: KernelDecoder, request: Columns) -> Codes:
    """The columns as single steps and numpy make them."""
    for read in range(request.read, len(request.uniform)):
        scores = decoder.step(request.rows, np.repeat(request.codes[None, read], len(request.rows), axis=0))
        drawn = pick(scores, request.sampling, request.uniform[read], request.used)
        np.copyto(request.codes[read + 1], drawn, where=request.open[read + 1])
        if request.used is not None:
            note(request.used, request.codes[read + 1 : read + 2])
    return request.codes


def begin(decoder: KernelDecoder, request: Columns) -> None:
    states = np.random.default_rng(request.sampling.seed).standard_normal((7, decoder.shape.hidden), np.float32)
    for row, given in zip(request.rows, (states, None), strict=False):
        decoder.begin(row, given)
        if request.read:
            decoder.prefill(row, decoder.embed(request.codes[: request.read]))


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "int8", "int4"])
@pytest.mark.parametrize("most", [1, 3, 100])
def test_it_draws_what_single_steps_and_numpy_draw(load: OpenDecoder, precision: str, most: int) -> None:
    decoder = load(RandomWeights(USUAL), precision=precision, rows=10, threads=2)
    expected, requests = [], []
    for number, sampling in enumerate(SAMPLINGS):
        rows = [2 * number, 2 * number + 1][: 2 if sampling.guides else 1]
        request = columns(sampling, rows, known=number)
        begin(decoder, request)
        expected.append(stepped(decoder, request))
        requests.append(columns(sampling, rows, known=number))
        begin(decoder, requests[-1])
    left = list(requests)
    while left:
        before = [request.read for request in left]
        decoder.run_steps(left, most, (NEVER,))
        made = {request.read - was for request, was in zip(left, before, strict=True)}
        assert len(made) == 1
        assert 1 <= made.pop() <= most
        left = [request for request in left if request.read < len(request.uniform)]
    for request, codes in zip(requests, expected, strict=True):
        np.testing.assert_array_equal(request.codes, codes)
        assert request.drawn == request.read == len(request.uniform)
        assert not request.failed


def test_what_was_drawn_before_is_read_again_and_not_drawn(load: OpenDecoder) -> None:
    decoder = load(RandomWeights(USUAL), rows=4)
    whole = columns(SAMPLINGS[0], [0, 1])
    begin(decoder, whole)
    decoder.run_steps([whole], 100, (NEVER,))
    again = columns(SAMPLINGS[0], [2, 3])
    again.codes[:6], again.drawn = whole.codes[:6], 5
    again.uniform[:5] = 0.0  # would draw other codes
    begin(decoder, again)
    decoder.run_steps([again], 100, (NEVER,))
    np.testing.assert_array_equal(again.codes, whole.codes)


def test_it_comes_back_after_a_step_when_it_is_interrupted(load: OpenDecoder) -> None:
    decoder = load(RandomWeights(USUAL), rows=2)
    request = columns(SAMPLINGS[0], [0, 1])
    begin(decoder, request)
    interrupt = np.ones(1, dtype=np.int32)
    decoder.run_steps([request], 5, (NEVER, interrupt))
    assert request.read == 1
    interrupt[0] = 0
    decoder.run_steps([request], 5, (NEVER, interrupt))
    assert request.read == 6


def test_one_whose_scores_are_no_numbers_fails_and_the_others_go_on(load: OpenDecoder) -> None:
    weights = RandomWeights(USUAL)
    weights.tensors["embed"][[3, USUAL.vocabulary + 1 + 3]] = 3e38  # finite, but the sum of squares is not
    decoder = load(weights, rows=4)
    fine, broken = columns(SAMPLINGS[0], [0, 1]), columns(replace(SAMPLINGS[0], seed=9), [2, 3])
    begin(decoder, fine)
    expected = stepped(decoder, fine)
    fine = columns(SAMPLINGS[0], [0, 1])
    begin(decoder, fine)
    begin(decoder, broken)
    broken.codes[0] = 3
    decoder.run_steps([fine, broken], 100, (NEVER,))
    assert (fine.failed, broken.failed) == (False, True)
    assert (fine.drawn, broken.drawn) == (1, 0)
    decoder.run_steps([fine], 100, (NEVER,))
    np.testing.assert_array_equal(fine.codes, expected)


def test_more_rows_or_positions_than_there_are_is_refused_before_anything_is_computed(load: OpenDecoder) -> None:
    decoder = load(RandomWeights(USUAL), rows=2, max_steps=STEPS - 1)
    request = columns(SAMPLINGS[0], [0, 1])
    begin(decoder, request)
    with pytest.raises(ValueError, match="holds"):
        decoder.run_steps([request], 100, (NEVER,))
    with pytest.raises(ValueError, match="rows"):
        decoder.run_steps([columns(SAMPLINGS[0], [0, 2])], 1, (NEVER,))
    with pytest.raises(ValueError, match="rows"):
        decoder.run_steps([request, request], 1, (NEVER,))
    assert request.read == 0
    decoder.run_steps([request], STEPS - 1, (NEVER,))
    assert request.read == STEPS - 1


def test_whoever_comes_and_leaves_in_between_everybody_gets_the_codes_that_he_gets_alone(load: OpenDecoder) -> None:
    frames, core_lock = 30, CoreLock()
    decoder = load(RandomWeights(USUAL), precision="int8", rows=8, max_steps=90, threads=2)
    batch = Batch(decoder, core_lock=core_lock)

    def ask(number: int, *, background: bool = False) -> CodeStream:
        numbers = np.random.default_rng(number)
        states = numbers.standard_normal((3 + 2 * number, USUAL.hidden), np.float32)
        prompt = numbers.integers(0, USUAL.vocabulary, (number, USUAL.codebooks), dtype=np.int32)
        sampling = replace(SAMPLINGS[number % len(SAMPLINGS)], seed=number)
        return batch.generate(
            Conditioning(states), sampling, frames, prompt=prompt, awaited=13, background=background
        )  # fmt: skip

    alone = [np.concatenate(list(ask(number))) for number in range(15)]

    def some(seed: int) -> None:
        chance = random.Random(seed)
        for _ in range(15):
            number = chance.randrange(len(alone))
            stream, got = ask(number, background=chance.random() < 0.3), []
            leaves_at = chance.choice([frames, frames, 20])
            for piece in stream:
                got.append(piece)
                if chance.random() < 0.1:
                    with core_lock:  # as the codec and the text encoder do
                        pass
                if sum(map(len, got)) >= leaves_at:
                    stream.close()
                    break
            codes = np.concatenate(got)
            assert len(codes) >= leaves_at
            np.testing.assert_array_equal(codes, alone[number][: len(codes)])

    with ThreadPoolExecutor(10) as pool:
        list(pool.map(some, range(10)))
    batch.close()

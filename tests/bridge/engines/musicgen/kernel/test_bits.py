"""What a row gets is the same to the last bit, whatever else the decoder does."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from bridge.engines.musicgen.decoder.kernel import KernelDecoder
from tests.bridge.engines.musicgen.kernel.conftest import OpenDecoder
from tests.bridge.engines.musicgen.kernel.plain_step import ODD, USUAL, WIDE, RandomWeights

PRECISIONS = ("float32", "bfloat16", "int8", "int4")
STEPS = 18


def drawn(shape: tuple[int, ...], seed: int) -> Any:
    return np.random.default_rng(seed).integers(0, ODD.vocabulary + 1, shape).astype(np.int32)


def some_states(seed: int, count: int = 9, hidden: int = ODD.hidden) -> Any:
    return np.random.default_rng(seed).standard_normal((count, hidden)).astype(np.float32)


def alone(decoder: KernelDecoder, row: int, states: Any, codes: Any) -> Any:
    decoder.begin(row, states)
    return np.array([decoder.step([row], step[None])[0].copy() for step in codes])


@pytest.mark.parametrize("isa", [None, "avx2", "portable"])
@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_row_is_the_same_alone_and_among_any_number_of_others(
    load: OpenDecoder, precision: str, isa: str | None
) -> None:
    decoder = load(RandomWeights(ODD), precision=precision, rows=40, isa=isa, threads=2)
    codes, states = drawn((STEPS, ODD.codebooks), 1), some_states(2)
    expected = alone(decoder, 4, states, codes)
    # 35 rows take two passes; the others cross-attend to as many tokens as their number is
    for others in (1, 2, 6, 7, 15, 34):
        rows = [row for row in range(others + 1) if row != 4]
        rows.insert(others // 2, 4)
        for row in rows:
            decoder.begin(row, states if row == 4 else some_states(row, row) if row % 2 else None)
        for step, code in enumerate(codes):
            batch = drawn((len(rows), ODD.codebooks), step)
            batch[others // 2] = code
            assert np.array_equal(decoder.step(rows, batch)[others // 2], expected[step]), (others, step)


@pytest.mark.parametrize("tokens", [12, 24, 25])
def test_a_row_with_a_short_text_is_the_same_among_short_and_long_ones(load: OpenDecoder, tokens: int) -> None:
    """The cross-attention to texts of up to 24 tokens is folded, that to longer ones is not."""
    decoder = load(RandomWeights(USUAL), precision="int8", rows=8, threads=2)
    codes, states = drawn((STEPS, USUAL.codebooks), 1), some_states(2, tokens, USUAL.hidden)
    expected = alone(decoder, 4, states, codes)
    for others in ((3,), (60, 2), (25, 24, 1, 17, 40)):
        rows = [4, *(row if row < 4 else row + 1 for row in range(len(others)))]
        decoder.begin(4, states)
        for row, count in zip(rows[1:], others, strict=True):
            decoder.begin(row, some_states(row, count, USUAL.hidden))
        for step, code in enumerate(codes):
            batch = drawn((len(rows), USUAL.codebooks), step)
            batch[0] = code
            assert np.array_equal(decoder.step(rows, batch)[0], expected[step]), (others, step)
    decoder.begin(0, states)
    decoder.prefill(0, decoder.embed(codes[:-1]))
    assert np.array_equal(decoder.step([0], codes[-1:])[0], expected[-1])


def test_a_row_attends_to_the_text_that_it_was_given_last(load: OpenDecoder) -> None:
    decoder = load(RandomWeights(USUAL), precision="int8")
    codes = drawn((4, USUAL.codebooks), 1)
    texts = [some_states(seed, count, USUAL.hidden) for seed, count in ((1, 5), (2, 40), (3, 24), (4, 1))]
    first = [alone(decoder, 0, text, codes) for text in texts]
    for text, expected in reversed(list(zip(texts, first, strict=True))):
        assert np.array_equal(alone(decoder, 0, text, codes), expected)
    assert not any(np.array_equal(a, b) for a, b in itertools.pairwise(first))


@pytest.mark.parametrize("precision", PRECISIONS)
def test_prefill_is_the_same_as_step_after_step(load: OpenDecoder, precision: str) -> None:
    decoder = load(RandomWeights(ODD), precision=precision)
    codes, states = drawn((38, ODD.codebooks), 1), some_states(2)
    expected = alone(decoder, 0, states, codes)
    for first in (1, 15, 16, 17, 37):
        decoder.begin(1, states)
        decoder.prefill(1, decoder.embed(codes[:first]))
        assert np.array_equal(decoder.step([1], codes[first][None])[0], expected[first]), first


def test_the_number_of_threads_changes_nothing(load: OpenDecoder) -> None:
    codes, states = drawn((STEPS, ODD.codebooks), 1), some_states(2)
    one, two, five = (
        alone(load(RandomWeights(ODD), precision="int8", threads=count), 0, states, codes) for count in (1, 2, 5)
    )
    assert np.array_equal(one, two)
    assert np.array_equal(one, five)


def test_a_row_that_begins_again_keeps_nothing_of_its_old_cache(load: OpenDecoder) -> None:
    decoder = load(RandomWeights(ODD), precision="int8")
    codes = drawn((STEPS, ODD.codebooks), 1)
    first = alone(decoder, 0, None, codes)
    alone(decoder, 0, some_states(3, 40), drawn((30, ODD.codebooks), 5))
    assert np.array_equal(alone(decoder, 0, None, codes), first)
    with_text = alone(decoder, 0, some_states(3), codes)
    assert not np.array_equal(with_text, first)


def test_many_inputs_of_several_groups_are_the_same_alone_and_together(load: OpenDecoder) -> None:
    decoder = load(RandomWeights(WIDE), precision="int8", rows=9)
    codes = drawn((5, WIDE.codebooks), 1) % WIDE.vocabulary
    expected = alone(decoder, 0, None, codes)
    for row in range(9):
        decoder.begin(row, None)
    for step, code in enumerate(codes):
        together = decoder.step(range(9), np.tile(code, (9, 1)))
        assert all(np.array_equal(scores, expected[step]) for scores in together)

"""The kernel's scores against the plain step's, for every instruction set and precision."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest

from bridge.engines.musicgen.decoder import DecoderShape
from tests.bridge.engines.musicgen.kernel.conftest import OpenDecoder
from tests.bridge.engines.musicgen.kernel.plain_step import (
    MELODY,
    ODD,
    TINY,
    USUAL,
    WIDE,
    PlainStep,
    RandomWeights,
    cosine,
)

ISAS = ("avx512bf16", "avx512vnni", "avx2", "portable")
SHAPES = {"tiny": TINY, "usual": USUAL, "odd": ODD, "wide": WIDE, "melody": MELODY}
STEPS = 35
"""More than two blocks of 16 positions."""


def scores_of(decoder: Any, shape: DecoderShape) -> Any:
    """(STEPS, rows, K, V): rows with a long text, none, a short one and a middle one, that began at different times."""
    draw = np.random.default_rng(7)
    states = draw.standard_normal((37, shape.hidden)).astype(np.float32)
    for row, given in ((3, states), (1, None), (0, states[:5]), (2, states[10:32])):
        decoder.begin(row, given if shape.cross else None)
    decoder.prefill(1, draw.standard_normal((3, shape.hidden)).astype(np.float32))
    codes = draw.integers(0, shape.vocabulary + 1, (STEPS, 4, shape.codebooks)).astype(np.int32)
    return np.array([np.array(decoder.step([3, 1, 0, 2], step)) for step in codes])


@functools.cache
def plain_scores(size: str) -> Any:
    weights = RandomWeights(SHAPES[size])
    return scores_of(PlainStep(weights), weights.shape)


def cosines(kernel: Any, plain: Any) -> Any:
    """Of every row of every step."""
    books = kernel.shape[2:]
    return np.array([cosine(a, b) for a, b in zip(kernel.reshape(-1, *books), plain.reshape(-1, *books), strict=True)])


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("size", SHAPES)
def test_float32_is_right_to_the_fifth_place(load: OpenDecoder, size: str, isa: str) -> None:
    weights = RandomWeights(SHAPES[size])
    plain = plain_scores(size)
    kernel = scores_of(load(weights, precision="float32", isa=isa), weights.shape)
    assert np.abs(kernel - plain).max() < 1e-5 * np.abs(plain).max()


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize(
    ("precision", "median", "worst"), [("bfloat16", 0.9999, 0.9998), ("int8", 0.9985, 0.99), ("int4", 0.95, 0.9)]
)
@pytest.mark.parametrize("size", ["usual", "odd", "wide"])
def test_narrow_weights_stay_near(
    load: OpenDecoder, size: str, precision: str, median: float, worst: float, isa: str
) -> None:
    weights = RandomWeights(SHAPES[size])
    near = cosines(scores_of(load(weights, precision=precision, isa=isa), weights.shape), plain_scores(size))
    assert np.median(near) >= median
    assert near.min() >= worst


@pytest.mark.parametrize(
    "name",
    [
        "1.qkv",
        "0.self_out",
        "1.cross_q",
        "0.cross_k",
        "1.cross_v",
        "0.cross_out",
        "1.fc1",
        "0.fc2",
        "1.cross_norm.bias",
    ],
)
def test_a_layer_that_is_changed_is_noticed(load: OpenDecoder, name: str) -> None:
    weights = RandomWeights(TINY)
    plain = plain_scores("tiny")
    weights.tensors[name] = weights.tensors[name] + np.float32(0.05) * RandomWeights(TINY, seed=1).tensors[name]
    kernel = scores_of(load(weights, precision="float32"), TINY)
    assert np.abs(kernel - plain).max() > 1e-4 * np.abs(plain).max()


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "int8", "int4"])
def test_instruction_sets_agree_within_rounding(load: OpenDecoder, precision: str) -> None:
    weights = RandomWeights(ODD)
    best, avx2, portable = (
        scores_of(load(weights, precision=precision, isa=isa), ODD) for isa in (None, "avx2", "portable")
    )
    # what is rounded differently may fall into the next of 127 steps, or of bfloat16's, and the row goes on from there
    allowed = 1e-5 if precision == "float32" else 3e-2
    for other in (best, avx2):
        assert np.median(np.abs(other - portable)) < allowed / 30 * np.abs(portable).max()
        assert np.abs(other - portable).max() < allowed * np.abs(portable).max()


def test_a_long_past_is_attended_to_as_a_whole(load: OpenDecoder) -> None:
    weights = RandomWeights(TINY)
    plain, kernel = PlainStep(weights), load(weights, precision="float32", max_steps=400)
    inputs = np.random.default_rng(1).standard_normal((399, TINY.hidden)).astype(np.float32)
    codes = np.zeros((1, TINY.codebooks), np.int32)
    for decoder in (plain, kernel):
        decoder.begin(0, None)
        decoder.prefill(0, inputs)
    assert np.abs(kernel.step([0], codes) - plain.step([0], codes)).max() < 1e-4

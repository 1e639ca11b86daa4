"""What cannot be decoded is an error in Python, and the other rows go on."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bridge.engines.musicgen.decoder import DecoderShape
from bridge.errors import EngineError, EngineUnavailable
from tests.bridge.engines.musicgen.kernel.conftest import OpenDecoder
from tests.bridge.engines.musicgen.kernel.plain_step import MELODY, TINY, RandomWeights

CODES = np.zeros((1, TINY.codebooks), np.int32)


def test_rows_that_are_not_there_or_twice(load: OpenDecoder) -> None:
    decoder = load(RandomWeights(TINY), rows=2)
    for rows in ([2], [-1], [0, 1, 0], []):
        with pytest.raises(ValueError, match="rows"):
            decoder.step(rows, np.zeros((len(rows), TINY.codebooks), np.int32))
    with pytest.raises(ValueError, match="distinct"):
        decoder.step([1, 1], np.zeros((2, TINY.codebooks), np.int32))
    with pytest.raises(ValueError, match="rows 0 to 1"):
        decoder.begin(7, None)


def test_no_more_positions_than_there_is_room_for(load: OpenDecoder) -> None:
    decoder = load(RandomWeights(TINY), max_steps=17)
    decoder.begin(0, None)
    decoder.prefill(0, np.zeros((16, TINY.hidden), np.float32))
    decoder.step([0], CODES)
    with pytest.raises(ValueError, match="holds 17 positions and 18"):
        decoder.step([0], CODES)
    with pytest.raises(ValueError, match="holds 17 positions and 18"):
        decoder.prefill(1, np.zeros((18, TINY.hidden), np.float32))
    decoder.begin(0, None)
    decoder.step([0], CODES)


@pytest.mark.parametrize("code", [-1, TINY.vocabulary + 1, 2**31 - 1])
def test_codes_that_stand_for_nothing(load: OpenDecoder, code: int) -> None:
    decoder = load(RandomWeights(TINY))
    with pytest.raises(ValueError, match="codes go from 0 to 64"):
        decoder.step([0], CODES + code)
    with pytest.raises(ValueError, match="codes go from 0 to 64"):
        decoder.embed(CODES + code)


def test_codes_and_inputs_of_another_shape(load: OpenDecoder) -> None:
    decoder = load(RandomWeights(TINY))
    with pytest.raises(ValueError, match="codebooks"):
        decoder.step([0], np.zeros((1, 3), np.int32))
    with pytest.raises(ValueError, match="2 rows of codes for 1"):
        decoder.step([0], np.zeros((2, 4), np.int32))
    with pytest.raises(ValueError, match="shape"):
        decoder.prefill(0, np.zeros((2, 63), np.float32))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_inputs_that_are_not_finite(load: OpenDecoder, bad: float) -> None:
    decoder = load(RandomWeights(TINY))
    inputs = np.zeros((3, TINY.hidden), np.float32)
    inputs[1, 5] = bad
    with pytest.raises(EngineError, match="not finite"):
        decoder.prefill(0, inputs)
    with pytest.raises(EngineError, match="not finite"):
        decoder.begin(0, inputs)


@pytest.mark.parametrize("isa", [None, "avx2", "portable"])
@pytest.mark.parametrize("precision", ["float32", "bfloat16", "int8", "int4"])
def test_a_row_that_became_nan_says_so_and_spoils_no_other(load: OpenDecoder, precision: str, isa: str | None) -> None:
    weights = RandomWeights(TINY)
    weights.tensors["embed"][3] = 3e38  # finite, but the sum of squares is not
    weights.tensors["embed"][TINY.vocabulary + 1 + 3] = 3e38
    decoder = load(weights, precision=precision, isa=isa)
    alone = decoder.step([1], CODES)[0].copy()
    for row in (0, 1, 2):
        decoder.begin(row, None)
    both = decoder.step([0, 1, 2], np.array([[3, 3, 0, 0], [0] * 4, [0] * 4], np.int32))
    assert np.isnan(both[0]).all()
    assert np.array_equal(both[1], alone)
    assert np.array_equal(both[2], alone)


def test_a_model_without_cross_attention_takes_no_encoder_states(load: OpenDecoder) -> None:
    with pytest.raises(ValueError, match="prefix"):
        load(RandomWeights(MELODY)).begin(0, np.zeros((2, 64), np.float32))


def test_a_closed_decoder_does_nothing_more(load: OpenDecoder) -> None:
    decoder = load(RandomWeights(TINY))
    decoder.close()
    decoder.close()
    for call in (lambda: decoder.step([0], CODES), lambda: decoder.embed(CODES)):
        with pytest.raises(ValueError, match="closed"):
            call()


def test_no_encoder_states_are_the_same_as_none(load: OpenDecoder) -> None:
    decoder = load(RandomWeights(TINY))
    decoder.begin(0, None)
    nothing = decoder.step([0], CODES).copy()
    decoder.begin(0, np.zeros((0, TINY.hidden), np.float32))
    assert np.array_equal(decoder.step([0], CODES), nothing)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"hidden": 72, "heads": 4}, "multiples of 16"),
        ({"heads": 5}, "uneven"),
        ({"hidden": 1024, "heads": 4}, "wider than 128"),
        ({"layers": 0}, "not positive"),
    ],
)
def test_a_model_that_it_cannot_take_is_refused_with_why(load: OpenDecoder, change: dict[str, Any], why: str) -> None:
    weights = RandomWeights(TINY)
    sizes = {name: getattr(TINY, name) for name in TINY.__slots__}
    weights.shape = DecoderShape(**{**sizes, **change})
    with pytest.raises(EngineUnavailable, match=why):
        load(weights)


def test_an_instruction_set_that_is_not_there(load: OpenDecoder, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(EngineUnavailable, match="no kernel named sse9"):
        load(RandomWeights(TINY), isa="sse9")
    monkeypatch.setenv("MUSICGEN_KERNEL_ISA", "portable")
    assert load(RandomWeights(TINY)).description == {"device": "cpu", "precision": "int8", "kernel": "own portable"}


@pytest.mark.parametrize("name", ["heads", "1.fc2", "0.cross_norm.bias"])
def test_damaged_weights(load: OpenDecoder, name: str) -> None:
    weights = RandomWeights(TINY)
    weights.tensors[name].flat[7] = np.nan
    with pytest.raises(EngineUnavailable, match=f"{name} of the model is damaged"):
        load(weights)
    weights.tensors[name] = weights.tensors[name][:-1]
    with pytest.raises(EngineUnavailable, match="shape"):
        load(weights)

"""The C interface itself, called as an embedding program would: it refuses what it cannot take, and throws nothing."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bridge.engines.musicgen.decoder.kernel import KernelDecoder
from bridge.engines.musicgen.kernel import build, library
from bridge.errors import EngineUnavailable
from tests.bridge.engines.musicgen.kernel.plain_step import MELODY, TINY, RandomWeights

NOT_OPTIMISED = "-O0"


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    """The step's library, built so that a test can make the next call throw."""
    folder = tmp_path_factory.mktemp("faulty")
    return library._load(build.build(folder, extra=(NOT_OPTIMISED, "-DMUSICGEN_FAULTS")))


@pytest.fixture(scope="module")
def faulty_codec(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    folder = tmp_path_factory.mktemp("faulty-codec")
    (path,) = build.build_codec(folder, ["portable"], extra=(NOT_OPTIMISED, "-DCODEC_FAULTS"))
    codec = ctypes.CDLL(str(path))
    codec.codec_open.restype = ctypes.c_void_p
    codec.codec_set.argtypes = [ctypes.c_void_p, *[ctypes.c_int32] * 4, *[ctypes.c_void_p] * 2]
    for call in (codec.codec_close, codec.codec_lstm, codec.codec_decode):
        call.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int32][: 1 if call is codec.codec_close else 3]
    return codec


def opened(step: ctypes.CDLL, shape: Any = TINY) -> int:
    sizes = {name: int(getattr(shape, name)) for name, _ in library.Shape._fields_}
    return library.open_decoder(step, library.Shape(**sizes), "float32", 2, 8, 1, "portable")


@pytest.fixture
def decoder(faulty: ctypes.CDLL) -> Iterator[int]:
    handle = opened(faulty)
    yield handle
    faulty.musicgen_close(handle)


VALUES = np.zeros(1 << 16, np.float32)
AT = VALUES.ctypes.data


def step_table(**changes: Any) -> np.ndarray[Any, Any]:
    table = np.zeros(1, library.ROW)
    table["embedding"] = AT
    for name, value in changes.items():
        table[name] = value
    return table


def request(**changes: Any) -> np.ndarray[Any, Any]:
    """A request of one row and one column; its pointers lead to zeros."""
    entry = np.zeros(1, library.REQUEST)
    entry["rows"] = (0, -1)
    entry["last"] = 1
    entry["columns"] = entry["open"] = entry["uniform"] = AT
    for name, value in changes.items():
        entry[name] = value
    return entry


CALLS: dict[str, Callable[[ctypes.CDLL, int], int]] = {
    "pack": lambda step, handle: step.musicgen_pack(handle, 0, 0, AT),
    "prefill_cross": lambda step, handle: step.musicgen_prefill_cross(handle, 0, AT, 1),
    "step": lambda step, handle: step.musicgen_step(handle, 1, step_table().ctypes.data, AT),
    "run_steps": lambda step, handle: step.musicgen_run_steps(handle, 1, request().ctypes.data, 1, None, 0, AT),
    "draw": lambda step, _: step.musicgen_draw(
        np.zeros(1, library.SAMPLING).ctypes.data, AT, None, None, 0.5, 8, ctypes.byref(ctypes.c_int32())
    ),
}


@pytest.mark.parametrize(("how", "code"), [(1, library.NO_MEMORY), (2, library.FAILED)])
@pytest.mark.parametrize("name", CALLS)
def test_what_is_thrown_inside_leaves_as_a_code(
    faulty: ctypes.CDLL, decoder: int, name: str, how: int, code: int
) -> None:
    faulty.musicgen_fail_next(how)
    assert CALLS[name](faulty, decoder) == code
    assert CALLS[name](faulty, decoder) == library.DONE


def test_opening_and_closing_throw_nothing_either(faulty: ctypes.CDLL) -> None:
    faulty.musicgen_fail_next(1)
    with pytest.raises(EngineUnavailable, match="out of memory"):
        opened(faulty)
    faulty.musicgen_fail_next(2)
    with pytest.raises(EngineUnavailable, match="failed inside"):
        opened(faulty)
    handle = opened(faulty)
    faulty.musicgen_fail_next(2)
    faulty.musicgen_close(handle)  # it is lost, and the process lives
    faulty.musicgen_close(None)
    assert faulty.musicgen_isa(None) == b""
    assert faulty.musicgen_embeddings(None) is None


REFUSED: dict[str, tuple[Callable[[ctypes.CDLL, int], int], int]] = {
    "pack without values": (lambda s, h: s.musicgen_pack(h, 0, 0, None), library.BAD_TENSOR),
    "pack of a tensor that is not there": (lambda s, h: s.musicgen_pack(h, 18, 0, AT), library.BAD_TENSOR),
    "pack of a layer that is not there": (lambda s, h: s.musicgen_pack(h, 4, 2**31 - 1, AT), library.BAD_TENSOR),
    "prefill_cross without states": (lambda s, h: s.musicgen_prefill_cross(h, 0, None, 4), library.BAD_CALL),
    "prefill_cross of a negative length": (lambda s, h: s.musicgen_prefill_cross(h, 0, AT, -1), library.BAD_ROW),
    "step without rows": (lambda s, h: s.musicgen_step(h, 1, None, AT), library.BAD_CALL),
    "step of minus one row": (lambda s, h: s.musicgen_step(h, -1, step_table().ctypes.data, AT), library.BAD_CALL),
    "step without room for scores": (
        lambda s, h: s.musicgen_step(h, 1, step_table().ctypes.data, None),
        library.BAD_CALL,
    ),
    "step without codes and embedding": (
        lambda s, h: s.musicgen_step(h, 1, step_table(embedding=0).ctypes.data, AT),
        library.BAD_CODE,
    ),
    "run_steps without requests": (lambda s, h: s.musicgen_run_steps(h, 1, None, 1, None, 0, AT), library.BAD_CALL),
    "run_steps with a null pointer": (
        lambda s, h: s.musicgen_run_steps(h, 1, request(uniform=0).ctypes.data, 1, None, 0, AT),
        library.BAD_CALL,
    ),
    "run_steps of a negative column": (
        lambda s, h: s.musicgen_run_steps(h, 1, request(column=-1).ctypes.data, 1, None, 0, AT),
        library.BAD_POSITION,
    ),
    "run_steps of a column behind the last": (
        lambda s, h: s.musicgen_run_steps(h, 1, request(column=1).ctypes.data, 1, None, 0, AT),
        library.BAD_POSITION,
    ),
    "run_steps without its stop words": (
        lambda s, h: s.musicgen_run_steps(h, 1, request().ctypes.data, 1, None, 1, AT),
        library.BAD_CALL,
    ),
    "draw without scores": (
        lambda s, _: s.musicgen_draw(np.zeros(1, library.SAMPLING).ctypes.data, None, None, None, 0.5, 8, AT),
        library.BAD_CALL,
    ),
    "no decoder": (lambda s, _: s.musicgen_step(None, 1, step_table().ctypes.data, AT), library.BAD_CALL),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_is_refused(faulty: ctypes.CDLL, decoder: int, name: str) -> None:
    call, code = REFUSED[name]
    assert call(faulty, decoder) == code
    assert CALLS["step"](faulty, decoder) == library.DONE


def test_a_model_without_cross_attention_takes_none_of_its_tensors(faulty: ctypes.CDLL) -> None:
    handle = opened(faulty, MELODY)
    cross = [number for number, name in enumerate(library.TENSORS) if name.startswith("cross")]
    assert len(cross) == 6
    assert {faulty.musicgen_pack(handle, number, 0, AT) for number in cross} == {library.BAD_TENSOR}
    faulty.musicgen_close(handle)


def test_sizes_beyond_any_model_are_refused(faulty: ctypes.CDLL) -> None:
    sizes = {name: int(getattr(TINY, name)) for name, _ in library.Shape._fields_}
    with pytest.raises(EngineUnavailable, match="rows must be 1 to 4096"):
        library.open_decoder(faulty, library.Shape(**sizes), "int8", 2**31 - 1, 8, 1, "portable")


def test_a_library_with_other_structures_is_not_used(faulty: ctypes.CDLL, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "ROW", np.dtype([("row", np.int32)]))
    with pytest.raises(EngineUnavailable, match="other structures"):
        library._check_abi(faulty, Path("step.so"))


def test_the_usual_library_still_works(load: Callable[..., KernelDecoder]) -> None:
    scores = load(RandomWeights(TINY)).step([0], np.zeros((1, TINY.codebooks), np.int32))
    assert np.isfinite(scores).all()


def test_the_codec_refuses_what_cannot_be(faulty_codec: ctypes.CDLL) -> None:
    codec = faulty_codec
    strides = (ctypes.c_int32 * 1)(2)
    for sizes in ((-1, 1, strides), (1, 0, strides), (1, 1, None), (1, 1, (ctypes.c_int32 * 1)(0))):
        assert codec.codec_open(0, 1, *sizes) is None
    handle = codec.codec_open(0, 1, 1, 1, strides)
    for which, columns, taps, channels in ((-1, 16, 7, 16), (99, 16, 7, 16), (0, 15, 7, 16), (0, 16, 0, 16)):
        assert codec.codec_set(handle, which, columns, taps, channels, AT, AT) == 1
    assert codec.codec_set(handle, 1, 64, 1, 16, AT, AT) == 1, "the first matrix comes first"
    assert codec.codec_set(handle, 0, 16, 7, 16, None, None) == 3
    assert codec.codec_set(handle, 0, 16, 7, 16, AT, AT) == 0
    assert codec.codec_lstm(handle, None, 0) == 3, "matrices are missing"
    for how, code in ((1, 2), (2, 4)):
        codec.codec_fail_next(how)
        assert codec.codec_set(handle, 0, 16, 7, 16, AT, AT) == code
    for which, columns, taps, channels in (
        (1, 64, 1, 16), (2, 64, 1, 16), (3, 16, 2, 16), (4, 4, 3, 8), (5, 8, 1, 4), (6, 1, 7, 8),
    ):  # fmt: skip
        assert codec.codec_set(handle, which, columns, taps, channels, AT, AT) == 0
    assert codec.codec_lstm(handle, None, 0) == 0, "of no part there is nothing to do"
    assert codec.codec_lstm(handle, None, 1) == 3
    assert codec.codec_decode(handle, None, -1) == 3
    for call in (codec.codec_lstm, codec.codec_decode):
        codec.codec_fail_next(1)
        assert call(handle, None, 0) == (0 if call is codec.codec_lstm else 2)
        codec.codec_fail_next(0)
    codec.codec_close(handle)
    codec.codec_close(None)

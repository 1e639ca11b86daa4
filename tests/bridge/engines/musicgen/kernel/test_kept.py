"""Packed weights on disk: read when they are right, made again when they are not."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bridge.engines.musicgen.decoder.kernel import KernelDecoder
from tests.bridge.engines.musicgen.kernel.conftest import OpenDecoder
from tests.bridge.engines.musicgen.kernel.plain_step import TINY, RandomWeights

PRECISIONS = ("float32", "bfloat16", "int8", "int4")


def first_scores(decoder: KernelDecoder) -> Any:
    decoder.begin(0, np.ones((2, TINY.hidden), np.float32))
    return decoder.step([0], np.zeros((1, TINY.codebooks), np.int32)).copy()


@pytest.mark.parametrize("precision", PRECISIONS)
def test_the_second_start_reads_no_tensor_and_gives_the_same(load: OpenDecoder, tmp_path: Path, precision: str) -> None:
    first = first_scores(load(RandomWeights(TINY), precision=precision, keep=tmp_path / "new"))
    again = RandomWeights(TINY)
    assert np.array_equal(first_scores(load(again, precision=precision, keep=tmp_path / "new")), first)
    assert again.reads == []


def test_every_tensor_is_read_once(load: OpenDecoder, tmp_path: Path) -> None:
    weights = RandomWeights(TINY)
    load(weights, precision="int8", keep=tmp_path)
    assert sorted(weights.reads) == sorted(weights.tensors)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def overwrite_header(path: Path) -> None:
    path.write_bytes(b"x" + path.read_bytes()[1:])


def empty(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize("damage", [cut, overwrite_header, empty])
def test_a_damaged_file_is_made_again(load: OpenDecoder, tmp_path: Path, damage: Any) -> None:
    first = first_scores(load(RandomWeights(TINY), precision="int8", keep=tmp_path))
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    damage(path)
    again = RandomWeights(TINY)
    assert np.array_equal(first_scores(load(again, precision="int8", keep=tmp_path)), first)
    assert again.reads
    assert path.read_bytes() == whole


def test_models_and_precisions_are_kept_apart(load: OpenDecoder, tmp_path: Path) -> None:
    load(RandomWeights(TINY), precision="int8", keep=tmp_path)
    load(RandomWeights(TINY), precision="bfloat16", keep=tmp_path)
    load(RandomWeights(TINY, seed=1), precision="int8", keep=tmp_path)
    names = sorted(path.name.rpartition("-")[0] for path in tmp_path.iterdir())
    assert names == ["random0-bfloat16", "random0-int8", "random1-int8"]


def test_files_of_another_layout_are_removed(load: OpenDecoder, tmp_path: Path) -> None:
    old = tmp_path / "random0-int8-0.bin"
    old.write_bytes(b"of an older version")
    load(RandomWeights(TINY), precision="int8", keep=tmp_path)
    assert not old.exists()


def test_a_full_disk_only_costs_the_next_start(
    load: OpenDecoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    expected = first_scores(load(RandomWeights(TINY), precision="int8"))
    assert np.array_equal(first_scores(load(RandomWeights(TINY), precision="int8", keep=tmp_path)), expected)
    assert list(tmp_path.iterdir()) == []
    assert "No space left" in caplog.text


def test_a_digest_that_is_no_file_name_stays_in_its_folder(load: OpenDecoder, tmp_path: Path) -> None:
    weights = RandomWeights(TINY)
    weights.digest = "../../out"
    load(weights, precision="int8", keep=tmp_path / "kept")
    assert [path.parent.name for path in tmp_path.rglob("*.bin")] == ["kept"]

"""How many rows fit into the memory, and what is said when none do."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest

from bridge.engines.musicgen import memory
from bridge.engines.musicgen.decoder import Decoder, DecoderShape, DecoderWeights
from bridge.engines.musicgen.memory import Places, fitting_rows, free_bytes, row_bytes, weight_bytes, what_fits
from bridge.engines.musicgen.modes import Mode, mode_of
from bridge.engines.musicgen.picking import is_out_of_memory, load_fitting, usual_precision
from bridge.errors import EngineError, EngineUnavailable, JobCancelled

SMALL = DecoderShape(24, 1024, 16, 4096, 2048, 4, 2048, cross=True)
STEPS = 1504
GIB = 2**30


@dataclass
class Loader:
    """Loads anything of at most ``most`` rows, and notes what it was asked for."""

    most: int
    asked: list[int]
    error: type[Exception] = MemoryError

    def __call__(self, rows: int) -> Decoder:
        self.asked.append(rows)
        if rows > self.most:
            raise RuntimeError("could not load") from self.error("no room")
        return cast(Decoder, f"a decoder of {rows} rows")


@dataclass
class Weights:
    shape: DecoderShape = SMALL


def load(loader: Loader, free: int | None) -> Any:
    return load_fitting(loader, cast(DecoderWeights, Weights()), "int8", "cpu", STEPS, free, cell=2)


def test_the_small_model_takes_what_was_measured_of_the_prototype() -> None:
    assert 400e6 < weight_bytes(SMALL, "int8") < 450e6
    assert 1.6e9 < weight_bytes(SMALL, "float32") < 1.75e9
    assert row_bytes(SMALL, STEPS) == 2 * 24 * 1024 * 1504 * 2


def test_rows_are_halved_until_they_fit() -> None:
    fits = [fitting_rows(SMALL, "int8", STEPS, 16, free, 2) for free in (8 * GIB, 2 * GIB, int(1.2 * GIB), GIB // 2)]
    assert fits == [16, 8, 2, 0]
    assert fitting_rows(SMALL, "int8", STEPS, 16, None, 2) == 16


def test_the_memory_of_this_machine_is_known() -> None:
    free = free_bytes()
    assert free is None or free > 0


def test_a_limit_of_the_container_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "memory.max").write_text("1000000\n")
    (tmp_path / "memory.current").write_text("400000\n")
    monkeypatch.setattr(memory, "_CGROUP", tmp_path)
    assert free_bytes() == 600_000
    (tmp_path / "memory.max").write_text("max\n")
    assert free_bytes() != 600_000


def test_with_room_for_all_rows_all_are_loaded() -> None:
    loader = Loader(16, [])
    assert load(loader, 16 * GIB) == "a decoder of 16 rows"
    assert loader.asked == [16]


def test_a_reckoning_that_was_too_bold_is_mended_by_halves(caplog: pytest.LogCaptureFixture) -> None:
    loader = Loader(4, [])
    assert load(loader, None) == "a decoder of 4 rows"
    assert loader.asked == [16, 8, 4]
    assert "enough for 2 sounds at a time instead of 8" in caplog.text


def test_a_memory_that_fits_nothing_says_what_would() -> None:
    with pytest.raises(
        EngineUnavailable, match=r"not enough memory .* in int8 \(0\.2 GB are free\): not even the small"
    ):
        load(Loader(16, []), GIB // 5)
    with pytest.raises(EngineUnavailable, match="BRIDGE_MODEL="):
        load(Loader(0, []), 16 * GIB)


def test_any_other_error_is_not_taken_for_a_lack_of_memory() -> None:
    loader = Loader(4, [], error=KeyError)
    with pytest.raises(RuntimeError, match="could not load"):
        load(loader, None)
    assert loader.asked == [16]


def test_what_would_fit_is_the_largest_model_that_does() -> None:
    said = [what_fits("bfloat16", STEPS, free, 2) for free in (40 * GIB, 6 * GIB, 3 * GIB, int(1.1 * GIB), GIB // 4)]
    assert said[0] == "BRIDGE_MODEL=large in bfloat16 would fit, 8 sounds at a time"
    assert said[1].startswith("BRIDGE_MODEL=large in int8")
    assert said[2].startswith("BRIDGE_MODEL=medium in int8")
    assert said[3].startswith("BRIDGE_MODEL=small in")
    assert said[3].endswith("1 sound at a time")
    assert said[4].startswith("not even the small model")


def test_a_lack_of_memory_is_known_by_its_cause() -> None:
    class OutOfMemoryError(RuntimeError):
        pass

    failed = EngineError("it failed")
    assert not is_out_of_memory(failed)
    failed.__cause__ = OutOfMemoryError("CUDA")
    assert is_out_of_memory(failed)


def test_places_are_waited_for_and_whoever_waits_may_give_up() -> None:
    places = Places(2)
    with places.taken(lambda: None), places.taken(lambda: None):

        def give_up() -> None:
            raise JobCancelled("nobody listens")

        with pytest.raises(JobCancelled), places.taken(give_up):
            pass
    assert [places.halve(), places.halve()] == [1, 0]
    with places.taken(lambda: None):
        pass


@pytest.mark.parametrize(
    ("quality", "usual", "device", "mode"),
    [
        ("draft", "int8", "cpu", Mode("int8", guided=False)),
        ("balanced", "int8", "cpu", Mode("int8", guided=True)),
        ("high", "int8", "cpu", Mode("bfloat16", guided=True)),
        ("high", "float32", "cpu", Mode("float32", guided=True)),
        ("high", "float16", "cuda", Mode("float16", guided=True)),
        ("draft", "bfloat16", "cuda", Mode("bfloat16", guided=False)),
    ],
)
def test_a_quality_means_a_precision_and_guidance(quality: Any, usual: Any, device: str, mode: Mode) -> None:
    assert mode_of(quality, usual, device) == mode


@pytest.mark.parametrize(
    ("wanted", "precision"), [("auto", "int8"), ("int4", "int4"), ("bfloat16", "bfloat16"), ("float32", "float32")]
)
def test_on_a_cpu_the_usual_precision_is_int8_unless_another_is_set(wanted: str, precision: str) -> None:
    assert usual_precision(wanted, "cpu") == precision

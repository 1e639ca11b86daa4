"""What is longer than a window is made of several, and nobody hears where they meet."""

from __future__ import annotations

from collections.abc import Callable, Generator

import numpy as np
import pytest

from bridge.engines.musicgen.decoder import Codes
from bridge.engines.musicgen.windows import Window, generate, windows


def nobody(_: float) -> None:
    """Hears no progress."""


class Counter:
    """Makes frames that count on from the last one of their prompt, and notes what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, int, int]] = []
        self.closed = 0

    def __call__(
        self, number: int, frames: int, prompt: Codes | None, report: Callable[[float], None]
    ) -> Generator[Codes, None, None]:
        self.asked.append((number, frames, 0 if prompt is None else len(prompt)))
        first = 0 if prompt is None else int(prompt[-1, 0]) + 1
        try:
            for start in range(0, frames, 7):
                count = min(7, frames - start)
                report((start + count) / frames)
                yield np.repeat(np.arange(first + start, first + start + count, dtype=np.int32)[:, None], 4, axis=1)
        finally:
            self.closed += 1


def test_what_fits_is_one_window() -> None:
    assert list(windows(100, 0, 100, 40)) == [Window(0, 0, 100)]


def test_what_is_longer_goes_on_from_the_end_of_what_was_before() -> None:
    assert list(windows(150, 0, 100, 40)) == [Window(0, 0, 100), Window(1, 40, 50)]
    assert list(windows(221, 0, 100, 40)) == [Window(0, 0, 100), Window(1, 40, 60), Window(2, 40, 60), Window(3, 40, 1)]


def test_a_long_prompt_leaves_half_a_window() -> None:
    assert list(windows(60, 500, 100, 40)) == [Window(0, 50, 50), Window(1, 40, 10)]
    assert list(windows(60, 10, 100, 40)) == [Window(0, 10, 60)]


@pytest.mark.parametrize(("frames", "prompt", "window", "overlap"), [(1, 0, 1, 0), (999, 3, 50, 25), (500, 70, 64, 1)])
def test_every_window_fits_and_nothing_is_made_twice(frames: int, prompt: int, window: int, overlap: int) -> None:
    plan = list(windows(frames, prompt, window, overlap))
    assert sum(each.new for each in plan) == frames
    assert all(each.prompt + each.new <= window and each.new > 0 for each in plan)


def test_an_overlap_of_more_than_half_is_an_error() -> None:
    with pytest.raises(ValueError, match="more than half"):
        list(windows(10, 0, 10, 6))


def test_the_codes_go_on_over_all_windows() -> None:
    make = Counter()
    codes = np.concatenate(list(generate(make, 333, None, 100, 40, nobody)))
    assert np.array_equal(codes[:, 0], np.arange(333))
    assert make.asked == [(0, 100, 0), (1, 60, 40), (2, 60, 40), (3, 60, 40), (4, 53, 40)]


def test_the_codes_go_on_after_what_is_given() -> None:
    make, given = Counter(), np.repeat(np.arange(30, dtype=np.int32)[:, None], 4, axis=1)
    codes = np.concatenate(list(generate(make, 100, given, 64, 20, nobody)))
    assert np.array_equal(codes[:, 0], np.arange(30, 130))
    assert make.asked[0] == (0, 34, 30)


def test_progress_rises_over_all_windows() -> None:
    heard: list[float] = []
    list(generate(Counter(), 250, None, 100, 40, heard.append))
    assert heard == sorted(heard)
    assert heard[-1] == pytest.approx(1.0)
    assert heard[0] < 0.05


def test_closing_it_ends_the_window_that_is_made() -> None:
    make = Counter()
    codes = generate(make, 250, None, 100, 40, nobody)
    next(codes)
    codes.close()
    assert (make.closed, len(make.asked)) == (1, 1)

"""Drums change their tempo hit by hit."""

from __future__ import annotations

import numpy as np
import pytest

from bridge.audio.clip import Clip
from bridge.audio.slices import cuts, longest_slice, retime
from tests.material import RATE, drum, play


def hits(every: float, count: int) -> Clip:
    out = np.zeros(round(every * count * RATE) + RATE // 4)
    for each in range(count):
        sound = drum("snare", RATE)
        start = round((0.05 + each * every) * RATE)
        out[start : start + len(sound)] += sound[: len(out) - start]
    return Clip.of(out, RATE)


def test_slices_begin_a_millisecond_before_the_hits():
    at = np.array(cuts(hits(0.4, 6))) / RATE
    np.testing.assert_allclose(at, 0.05 + 0.4 * np.arange(6) - 0.001, atol=0.001)


@pytest.mark.parametrize("ratio", [0.9, 0.97, 1.04, 1.12])
def test_a_hit_stays_as_it_was_to_the_sample(ratio):
    clip = hits(0.4, 6)
    at = cuts(clip)
    frames = round(clip.frames * ratio)
    made = retime(clip, frames, at)
    assert made.frames == frames
    for start in at:
        moved, length = round(start * ratio), round(0.02 * RATE)
        np.testing.assert_array_equal(made.samples[:, moved : moved + length], clip.samples[:, start : start + length])


def test_no_splice_clicks():
    clip = play("keys", 120, seconds=4, drums=False).clip
    made = retime(clip, round(clip.frames * 1.06), cuts(clip))
    assert np.abs(np.diff(made.samples)).max() < 1.3 * np.abs(np.diff(clip.samples)).max()


def test_slices_shorter_than_a_splice_get_their_length_too():
    clip = hits(0.4, 2)
    made = retime(clip, clip.frames + 40, [100, 400, 420, 9000])
    assert made.frames == clip.frames + 40
    assert np.isfinite(made.samples).all()


def test_the_longest_slice_is_known():
    assert longest_slice(hits(0.4, 6), [RATE, RATE + 100]) == pytest.approx(2.65 - 1 - 100 / RATE)

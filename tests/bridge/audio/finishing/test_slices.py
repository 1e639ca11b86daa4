"""Drums change their tempo hit by hit."""

from __future__ import annotations

import numpy as np
import pytest

from bridge.audio.finishing.slices import cuts, longest_slice, retime
from bridge.plugins.clip import Clip
from tests.material import RATE, drum


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
    time = np.arange(2 * RATE) / RATE
    low = sum(np.sin(2 * np.pi * hertz * time) for hertz in (61.0, 97.3, 143.7)) / 4
    clip = Clip.of(low, RATE)
    made = retime(clip, round(clip.frames * 1.063), [round(each * RATE) for each in (0.31, 0.68, 1.2, 1.53)])
    assert np.abs(np.diff(made.samples)).max() < 1.5 * np.abs(np.diff(clip.samples)).max()


def test_a_pause_inside_of_an_attack_is_not_where_it_is_spliced():
    dice = np.random.default_rng(2)
    wave = 0.5 * dice.standard_normal(round(0.2 * RATE))
    wave[round(0.004 * RATE) : round(0.024 * RATE)] = 0.0
    clip = Clip.of(np.tile(wave, 3), RATE)
    made = retime(clip, clip.frames + 90, [len(wave), 2 * len(wave)])
    attack = round(0.0248 * RATE)
    np.testing.assert_array_equal(made.samples[:, :attack], clip.samples[:, :attack])


def test_slices_shorter_than_a_splice_get_their_length_too():
    clip = hits(0.4, 2)
    made = retime(clip, clip.frames + 40, [100, 400, 420, 9000])
    assert made.frames == clip.frames + 40
    assert np.isfinite(made.samples).all()


def test_the_longest_slice_is_known():
    assert longest_slice(hits(0.4, 6), [RATE, RATE + 100]) == pytest.approx(2.65 - 1 - 100 / RATE)

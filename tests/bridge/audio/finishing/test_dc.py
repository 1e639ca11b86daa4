"""Offset and sub-bass go; attacks and seams stay."""

from __future__ import annotations

import numpy as np
import pytest

from bridge.audio.finishing.dc import clean_low_end, remove_mean
from bridge.plugins.clip import Clip

RATE = 44100


def tone(hertz: float, seconds: float = 2.0, rate: int = RATE) -> Clip:
    return Clip.of(0.5 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate), rate)


def level(clip: Clip) -> float:
    return float(20 * np.log10(np.sqrt(np.mean(np.square(clip.samples[:, clip.frames // 2 :])))))


@pytest.mark.parametrize("loop", [False, True])
@pytest.mark.parametrize("rate", [8000, 44100, 192000])
def test_offset_and_sub_bass_go_and_the_bass_stays(loop, rate):
    offset = Clip(tone(50, rate=rate).samples + np.float32(0.3), rate)
    assert abs(float(clean_low_end(offset, loop=loop).samples.mean())) < 1e-3
    for hertz, lost in ((5, 24), (50, 0.2), (200, 0.05)):
        before = tone(hertz, rate=rate)
        change = level(clean_low_end(before, loop=loop)) - level(before)
        assert change < -lost + 2 if hertz == 5 else change > -lost


def test_nothing_rings_before_an_attack():
    clip = Clip.of(np.concatenate([np.zeros(RATE), tone(60, 0.5).samples[0]]), RATE)
    assert np.abs(clean_low_end(clip).samples[0, :RATE]).max() < 1e-7


def test_a_clip_that_starts_on_an_offset_does_not_jump():
    clip = Clip.of(np.full(RATE, 0.7) + tone(440, 1).samples[0] * 0.01, RATE)
    assert np.abs(clean_low_end(clip).samples[0, :100]).max() < 0.02


def test_a_loop_stays_a_loop_wherever_it_is_begun():
    dice = np.random.default_rng(1)
    ring = Clip.of(dice.standard_normal(20011), RATE)
    turned = Clip.of(np.roll(ring.samples[0], 7000), RATE)
    one, other = clean_low_end(ring, loop=True), clean_low_end(turned, loop=True)
    np.testing.assert_allclose(np.roll(one.samples[0], 7000), other.samples[0], atol=1e-4)


def test_a_mean_is_taken_out_of_each_channel_and_nothing_else():
    clip = Clip.of(np.array([[0.5, 0.7], [-0.1, -0.3]]), RATE)
    np.testing.assert_allclose(remove_mean(clip).samples, [[-0.1, 0.1], [0.1, -0.1]], atol=1e-6)
    assert remove_mean(Clip.of([[]], RATE)).frames == clean_low_end(Clip.of([[]], RATE)).frames == 0

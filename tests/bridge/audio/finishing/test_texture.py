"""Textures go round without a bump."""

from __future__ import annotations

import numpy as np
import pytest

from bridge.audio.finishing.loop import seam_z
from bridge.audio.finishing.texture import seamless
from bridge.plugins.clip import Clip
from tests.material import RATE, band, pad

DICE = np.random.default_rng(4)
MATERIAL = {
    "pad": pad((48, 55, 60), 8, RATE),
    "drone": pad((36,), 8, RATE, depth=0),
    "noise": 0.2 * DICE.standard_normal(8 * RATE),
    "wind": band(0.3 * DICE.standard_normal(8 * RATE), 300, 1500, RATE),
    "sine": 0.5 * np.sin(2 * np.pi * 110.3 * np.arange(8 * RATE) / RATE),
}


def dip(clip: Clip) -> float:
    """Lowest level of 50 ms near the join, dB relative to the lowest elsewhere."""
    wave = np.tile(clip.samples[0].astype(np.float64), 2)
    size = round(0.05 * RATE)
    levels = np.sqrt(np.convolve(wave**2, np.ones(size) / size, "valid"))
    join = levels[clip.frames - RATE // 2 : clip.frames + RATE]
    usual = levels[2 * RATE : clip.frames - RATE]
    return 20 * np.log10(join.min() / np.median(usual))


@pytest.mark.parametrize("name", MATERIAL)
@pytest.mark.parametrize("seconds", [6.0, 7.3, 7.999, 13.37])
def test_a_texture_is_exact_in_length_and_has_no_seam(name, seconds):
    made, facts = seamless(Clip.of(MATERIAL[name], RATE), seconds)
    assert made.frames == round(seconds * RATE)
    assert facts.repeats == (1 if seconds < 7.99 else 2)
    assert seam_z(made) <= 1.6


@pytest.mark.parametrize(("name", "least"), [("pad", -6), ("drone", -6), ("noise", -2), ("wind", -4), ("sine", -1)])
def test_the_level_goes_on_through_the_join(name, least):
    made, _ = seamless(Clip.of(MATERIAL[name], RATE), 6.0)
    assert dip(made) > least


def test_a_steady_tone_goes_round_in_phase():
    made, facts = seamless(Clip.of(MATERIAL["sine"], RATE), 6.0)
    assert facts.correlation > 0.99
    assert np.abs(made.samples).max() < 0.51


def test_every_channel_goes_round():
    clip = Clip.of(np.stack([MATERIAL["pad"], MATERIAL["wind"]]), RATE)
    made, _ = seamless(clip, 5.0)
    assert made.channels == 2
    assert seam_z(made) <= 1.6

"""Exact lengths and clean ends."""

from __future__ import annotations

import numpy as np

from bridge.audio.finishing.length import cut, exact, fade_out
from bridge.plugins.clip import Clip

RATE = 44100


def test_a_clip_is_cut_or_followed_by_silence():
    clip = Clip.of(np.ones((2, 100)), RATE)
    assert cut(clip, 40).frames == 40
    assert cut(clip, 400) is clip
    assert exact(clip, 40).frames == 40
    longer = exact(clip, 150)
    assert longer.frames == 150
    assert not longer.samples[:, 100:].any()


def test_an_end_that_is_not_silent_is_faded_to_zero_within_5_ms():
    clip = Clip.of(np.ones((2, RATE)), RATE)
    faded = fade_out(clip)
    assert not faded.samples[:, -1].any()
    assert (np.diff(faded.samples[0]) <= 1e-7).all()
    np.testing.assert_array_equal(faded.samples[:, : RATE - 221], clip.samples[:, : RATE - 221])
    assert clip.samples.all(), "the clip that was given is not changed"


def test_a_silent_end_and_a_tiny_clip_are_left_alone():
    clip = Clip.of([1.0, 1.0, 0.0], RATE)
    assert fade_out(clip) is clip
    tiny = Clip.of([1.0], RATE)
    assert fade_out(tiny) is tiny

"""Levels: equally loud, never over -1 dBTP, and honest where that cannot be."""

from __future__ import annotations

import numpy as np
import pytest

from bridge.audio.analysis.loudness import decibels, heard_loudness, true_peak
from bridge.audio.finishing.level import CEILING_DBTP, MOST_LIMITING_DB, limited, to_loudness, to_peak
from bridge.audio.finishing.seam import seam_z
from bridge.plugins.clip import Clip

RATE = 44100


def hits(decay: float, count: int = 8, seconds: float = 4.0) -> Clip:
    """Noise bursts; the faster they decay the further their peaks stand over their loudness."""
    dice = np.random.default_rng(1)
    time = np.arange(round(seconds / count * RATE)) / RATE
    return Clip.of(
        np.concatenate([dice.standard_normal(len(time)) * np.exp(-decay * time) for _ in range(count)]), RATE
    )


@pytest.mark.parametrize("level", [1e-3, 0.3, 25.0])
def test_a_peak_stands_where_it_is_asked_for(level):
    clip = Clip.of(level * np.sin(np.arange(RATE) * 0.7), RATE)
    raised, facts = to_peak(clip)
    assert decibels(true_peak(raised)) == pytest.approx(CEILING_DBTP, abs=0.01)
    assert facts.gain_db == pytest.approx(-1 - decibels(level), abs=0.1)
    assert not facts.peak_limited


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("level", [1e-4, 0.01, 0.5])
def test_what_is_known_of_a_levelled_clip_is_what_measuring_it_says(level, channels):
    dice = np.random.default_rng(2)
    rising = np.linspace(0.001, 1.0, 3 * RATE) * np.sin(np.arange(3 * RATE) * 0.7)
    clip = Clip.of(level * rising + level / 50 * dice.standard_normal((channels, 3 * RATE)), RATE)
    for levelled, facts in (to_peak(clip), to_loudness(clip, -30.0)):
        assert facts.known["true_peak_dbtp"] == pytest.approx(decibels(true_peak(levelled)), abs=0.01)
        assert facts.known.get("lufs", heard_loudness(levelled)) == pytest.approx(heard_loudness(levelled), abs=0.01)
    assert "lufs" in facts.known


@pytest.mark.parametrize("decay", [3, 10, 20, 30])
def test_loops_are_equally_loud_with_at_most_4_db_taken_off_their_peaks(decay):
    levelled, facts = to_loudness(hits(decay), -13.0, loop=True)
    assert decibels(true_peak(levelled, loop=True)) <= CEILING_DBTP + 0.01
    assert facts.limited_db <= MOST_LIMITING_DB + 0.01
    assert facts.peak_limited or heard_loudness(levelled) == pytest.approx(-13.0, abs=0.1)


def test_what_would_need_more_limiting_stays_quieter_and_says_so():
    levelled, facts = to_loudness(hits(120), -13.0, loop=True)
    assert facts.peak_limited
    assert heard_loudness(levelled) < -13.5
    assert decibels(true_peak(levelled, loop=True)) == pytest.approx(CEILING_DBTP, abs=0.1)


def test_what_is_under_the_ceiling_is_only_scaled():
    clip = Clip.of(np.sin(np.arange(3 * RATE) * 0.05), RATE)
    levelled, facts = to_loudness(clip, -18.0)
    ratio = levelled.samples[0, 1:-1] / clip.samples[0, 1:-1]
    assert float(np.ptp(ratio)) < 1e-4
    assert facts.limited_db == 0


def test_a_limited_loop_has_no_seam():
    clip = hits(20)
    clip.samples[0, :200] *= 3
    turned = Clip.of(np.roll(clip.samples[0], 9000), RATE)
    one, other = limited(clip, -12, loop=True), limited(turned, -12, loop=True)
    np.testing.assert_allclose(np.roll(one.samples[0], 9000), other.samples[0], atol=0.02)
    assert seam_z(one) <= 1.1 * seam_z(clip) + 0.2


def test_limiting_peaks_of_one_sign_leaves_no_offset():
    clip = hits(60)
    clip.samples[:] = np.maximum(clip.samples, 0)
    clip.samples[:] -= clip.samples.mean()
    levelled, facts = to_loudness(clip, -13.0, loop=True)
    assert facts.limited_db > 1
    assert abs(float(levelled.samples.mean(dtype=np.float64))) < 1e-4


def test_the_gain_falls_before_a_peak_and_the_quiet_far_from_it_is_untouched():
    wave = 0.1 * np.sin(np.arange(RATE) * 0.2)
    wave[RATE // 2] = 2.0
    clip = Clip.of(wave, RATE)
    calm = limited(clip)
    assert decibels(true_peak(calm)) <= CEILING_DBTP + 0.01
    np.testing.assert_allclose(calm.samples[0, : RATE // 2 - 500], clip.samples[0, : RATE // 2 - 500], rtol=0.01)
    np.testing.assert_allclose(calm.samples[0, -2000:], clip.samples[0, -2000:], rtol=0.02)


def test_silence_stays_silence():
    silence = Clip.of(np.zeros(1000), RATE)
    assert to_peak(silence)[0] is silence
    assert to_loudness(silence, -13)[0] is silence

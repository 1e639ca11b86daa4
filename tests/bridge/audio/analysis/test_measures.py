"""Measures, on signals whose values are known."""

from __future__ import annotations

import numpy as np
import pytest

from bridge.audio.analysis import measures
from bridge.plugins.clip import Clip

RATE = 44100
TIME = np.arange(RATE) / RATE


def tone(hertz: float = 1000, level: float = 0.5) -> np.ndarray:
    return level * np.sin(2 * np.pi * hertz * TIME)


def test_what_every_clip_has_is_json_and_true():
    facts = measures.measure(Clip.of(tone() + 0.01, RATE))
    assert facts["seconds"] == 1
    assert facts["peak_dbfs"] == pytest.approx(-5.85, abs=0.01)
    assert facts["rms_dbfs"] == pytest.approx(-9.03, abs=0.01)
    assert facts["true_peak_dbtp"] == pytest.approx(-5.85, abs=0.05)
    assert facts["lufs"] == pytest.approx(-6.0, abs=0.1)
    assert facts["centroid_hz"] == pytest.approx(1000, abs=10)
    assert facts["rolloff_hz"] == pytest.approx(1000, abs=10)
    assert facts["dc"] == pytest.approx(0.01, abs=1e-4)
    assert facts["mono_loss_db"] == facts["mono_loss_low_db"] == 0
    assert all(type(value) is float for value in facts.values())


def test_silence_and_nothing_have_measures():
    for clip in (Clip.of([[]], RATE), Clip.of([0.0], RATE), Clip.of(np.zeros(99), RATE)):
        assert all(np.isfinite(value) for value in measures.measure(clip).values())


def test_what_channels_lose_in_mono_is_told_of_all_and_of_the_bass():
    dice = np.random.default_rng(1)
    apart = measures.measure(Clip.of(dice.standard_normal((2, RATE)), RATE))
    assert apart["mono_loss_db"] == pytest.approx(-3.01, abs=0.1)
    bass = Clip.of(np.stack([tone(60) + tone(3000), -tone(60) + tone(3000)]), RATE)
    against = measures.measure(bass)
    assert against["mono_loss_low_db"] < -20
    assert against["mono_loss_db"] == pytest.approx(-3.01, abs=0.1)


def test_flat_tops_are_counted_and_a_low_wave_has_none():
    assert measures.flat_tops(Clip.of(tone(40, 1.0), RATE)) == 0
    assert measures.flat_tops(Clip.of(np.clip(tone(40, 2.0), -1, 1), RATE)) == 80
    assert measures.flat_tops(Clip.of(np.zeros(1000), RATE)) == 0


def test_silence_before_and_after_is_measured():
    clip = Clip.of(np.concatenate([np.zeros(441), tone(), np.zeros(882)]), RATE)
    assert measures.head_silence_ms(clip) == pytest.approx(10, abs=0.2)
    assert measures.tail_silence_ms(clip) == pytest.approx(20, abs=0.2)
    assert measures.last_sample(clip) == 0
    assert measures.last_sample(Clip.of([0.1, -0.4], RATE)) == pytest.approx(0.4)


def test_joins_are_measured():
    steady = Clip.of(np.random.default_rng(1).standard_normal(2 * RATE), RATE)
    fading = Clip.of(steady.samples[0] * np.linspace(1, 0.1, 2 * RATE), RATE)
    dipping = Clip.of(steady.samples[0] * np.minimum(1, np.abs(np.linspace(-9, 9, 2 * RATE) - 9) + 0.01), RATE)
    assert measures.seam_step_db(steady) < 1
    assert measures.seam_step_db(fading) > 15
    assert measures.join_dip_db(steady) > -1
    assert measures.join_dip_db(dipping) < -4
    assert measures.seam_flux(steady) == pytest.approx(1, abs=0.2)
    changing = Clip.of(np.concatenate([tone(300), tone(5000)]), RATE)
    assert measures.seam_flux(changing) > 3


def clicks(times: list[float], seconds: float = 4.0) -> Clip:
    out = np.zeros(round(seconds * RATE))
    burst = np.random.default_rng(1).standard_normal(800) * np.exp(-np.arange(800) / 150)
    for time in times:
        out[round(time * RATE) : round(time * RATE) + 800] += burst
    return Clip.of(out, RATE)


def test_the_distance_from_the_grid_follows_the_jitter_and_forgives_swing():
    dice = np.random.default_rng(1)
    beats = np.arange(0.0, 3.9, 0.25)
    assert measures.grid_deviation_ms(clicks(list(beats)), 120) < 4
    loose = measures.grid_deviation_ms(clicks(list(np.abs(beats + dice.normal(0, 0.02, len(beats))))), 120)
    assert 10 < loose < 30
    swung = [beat * 0.5 + (1 / 3 if late else 0.0) for beat in range(8) for late in (False, True)]
    assert measures.grid_deviation_ms(clicks(swung), 120) < 6
    assert measures.grid_deviation_ms(clicks([1.0]), 120) is None

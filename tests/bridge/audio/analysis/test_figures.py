"""Figures of audio whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest

from bridge.audio.analysis.figures import MEASURES, evaluate
from bridge.plugins.clip import Clip

RATE = 22_050
TIME = np.arange(8 * RATE) / RATE
RNG = np.random.default_rng(7)
SINE = 0.5 * np.sin(2 * np.pi * 440 * TIME)
NOISE = RNG.normal(size=len(TIME))


def beat(*seconds: float) -> np.ndarray:
    wave = np.zeros(len(TIME))
    hit = np.exp(-np.arange(2000) / 300) * RNG.normal(size=2000) * 0.3
    for at in seconds:
        start = round(at * RATE)
        wave[start : start + 2000] += hit[: len(wave) - start]
    return wave


@pytest.mark.parametrize("decibels", [0, 10, 20, 30])
def test_noise_of_a_known_level_is_found(decibels: int) -> None:
    noisy = SINE + NOISE * np.sqrt(0.125 / 10 ** (decibels / 10))
    assert evaluate(Clip.of(noisy, RATE))["snr"] == pytest.approx(decibels, abs=3)


def test_drums_strike_and_a_tone_lasts() -> None:
    assert evaluate(Clip.of(beat(*np.arange(0, 8, 0.5)), RATE))["harmonic_percussive_ratio"] < -10
    assert evaluate(Clip.of(SINE, RATE))["harmonic_percussive_ratio"] > 20


def test_a_tempo_that_moves_is_less_stable_than_one_that_does_not() -> None:
    steady = evaluate(Clip.of(beat(*np.arange(0, 8, 0.5)), RATE))["tempo_stability"]
    drifting = evaluate(Clip.of(beat(*np.cumsum(np.geomspace(0.53, 0.47, 15))), RATE))["tempo_stability"]
    assert steady > 0.95
    assert drifting is None or drifting < steady - 0.05


def test_a_pitch_that_moves_is_less_stable_than_one_that_does_not() -> None:
    phase = 2 * np.pi * 440 * np.cumsum(2 ** (0.8 / 12 * np.sin(2 * np.pi * 5 * TIME))) / RATE
    moving = evaluate(Clip.of(0.5 * np.sin(phase), RATE))["pitch_stability"]
    assert evaluate(Clip.of(SINE, RATE))["pitch_stability"] > 0.95
    assert moving is None or moving < 0.8


@pytest.mark.parametrize("samples", [np.zeros(RATE), np.zeros(10), SINE[:100], np.full(RATE, np.nan)])
def test_what_has_no_sound_has_no_figures_but_its_loudness(samples) -> None:
    found = evaluate(Clip.of(np.nan_to_num(samples), RATE))
    assert set(found) == set(MEASURES)
    assert {name for name, value in found.items() if value is not None} <= {"loudness_lufs"}

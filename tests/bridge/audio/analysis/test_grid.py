"""Tempo, beat and bar of clips of which the truth is known."""

from __future__ import annotations

import numpy as np
import pytest

from bridge.audio.analysis.grid import Grid, beat_seconds, fit_grid
from bridge.plugins.clip import Clip
from tests.material import RATE, Flaws, Played, clean_set, hard_set, pad, play


def fit(played: Played) -> Grid:
    beats, unit = played.groove.meter
    return fit_grid(played.clip, played.asked_bpm, beats_per_bar=beats, beat_unit=unit)


def tempo_error(grid: Grid, played: Played) -> float:
    return abs(grid.bpm / played.bpm - 1)


def from_bar_line(grid: Grid, played: Played) -> float:
    """Seconds from the nearest bar line of the truth."""
    bar = grid.bar_s
    return abs((grid.downbeat_s - played.bars[0] + bar / 2) % bar - bar / 2)


def test_the_tempo_of_tight_clips_is_found_to_a_tenth_of_a_per_cent_and_nine_bars_of_ten():
    played = clean_set(18)
    grids = [fit(each) for each in played]
    assert max(tempo_error(grid, each) for grid, each in zip(grids, played, strict=True)) < 0.001
    on_bar = [from_bar_line(grid, each) < 0.03 for grid, each in zip(grids, played, strict=True)]
    assert np.mean(on_bar) >= 0.9


def test_jitter_swing_drift_noise_and_saturation_cost_less_than_half_a_per_cent():
    played = hard_set(14)
    errors = sorted(tempo_error(fit(each), each) for each in played)
    assert errors[-1] < 0.005


@pytest.mark.parametrize("loudness", [0.1, 0.4])
@pytest.mark.parametrize("bpm", [100, 124, 174])
def test_a_beat_that_begins_at_once_is_not_taken_for_the_hats_between(bpm, loudness):
    time = np.arange(RATE) / RATE
    kick = np.sin(2 * np.pi * (50 * time + 6 * (1 - np.exp(-40 * time)))) * np.exp(-20 * time)
    hat = np.diff(np.random.default_rng(0).standard_normal(RATE + 1)) * np.exp(-60 * time) * loudness
    wave = np.zeros(10 * RATE)
    for number in range(int(9 * bpm / 30)):
        at = round(number * 30 / bpm * RATE)
        wave[at : at + RATE] += hat if number % 2 else kick * (1.0 if number % 8 == 0 else 0.7)
    grid = fit_grid(Clip.of(0.5 * wave[: 9 * RATE], RATE), bpm)
    assert (grid.phase_s + 0.1) % grid.beat_s == pytest.approx(0.1, abs=0.01)


@pytest.mark.parametrize("genre", ["waltz", "shuffle", "seven"])
def test_other_meters_have_their_bars(genre):
    for error in (-0.03, 0.0, 0.03):
        played = play(genre, 100, error=error, lead=0.12)
        grid = fit(played)
        assert tempo_error(grid, played) < 0.0005
        assert from_bar_line(grid, played) < 0.02
        assert grid.bar_s == pytest.approx(played.groove.steps * 15 / played.bpm, rel=0.001)


@pytest.mark.parametrize(("asked", "played_at"), [(170, 85), (85, 170)])
def test_half_and_double_time_are_the_grid_that_was_asked_for(asked, played_at):
    played = play("rock", played_at, error=0.02, lead=0.2)
    grid = fit_grid(played.clip, asked)
    assert grid.bpm == pytest.approx(asked * 1.02, rel=0.001)
    apart = (grid.downbeat_s - 0.2) / grid.beat_s
    assert apart == pytest.approx(round(apart), abs=0.03)


def test_double_time_is_told_from_straight():
    assert fit_grid(play("house", 170, lead=0.1).clip, 85).feel == 2.0
    assert fit_grid(play("rock", 170, lead=0.1).clip, 170).feel == 1.0


@pytest.mark.parametrize("error", [-0.2, -0.15, 0.15, 0.2])
@pytest.mark.parametrize("genre", ["house", "rock", "keys"])
def test_a_clip_at_quite_another_tempo_says_so(genre, error):
    played = play(genre, 120, error=error, lead=0.1)
    assert fit_grid(played.clip, 120).bpm == pytest.approx(played.bpm, rel=0.002)


def test_a_swung_clip_keeps_its_beats_on_the_beats():
    played = play("house", 110, flaws=Flaws(swing=0.25), lead=0.1)
    grid = fit(played)
    assert from_bar_line(grid, played) < 0.02


def test_what_has_no_onsets_says_so_and_keeps_the_tempo_asked_for():
    noise = np.random.default_rng(0).standard_normal(RATE * 6) * 0.2
    for wave in (pad((48, 55, 60), 6, RATE), noise):
        grid = fit_grid(Clip.of(wave, RATE), 97)
        assert (grid.has_onsets, grid.bpm, grid.confidence) == (False, 97, 0.0)


def test_both_channels_are_heard_even_out_of_phase():
    played = play("house", 120, error=0.02)
    wave = played.clip.samples[0]
    assert fit_grid(Clip.of(np.stack([wave, -wave]), RATE), 120).bpm == pytest.approx(played.bpm, rel=0.001)


def test_a_beat_is_counted_in_quarters_whatever_the_meter():
    assert beat_seconds(120) == 0.5
    assert beat_seconds(120, 8) == 0.25

"""So many bars, to the frame, without a click."""

from __future__ import annotations

import numpy as np
import pytest

from bridge.audio.analysis.grid import fit_grid
from bridge.audio.finishing.loop import cut_loop, loop_frames, seam_z
from bridge.plugins.clip import Clip
from tests.material import FOUR_FOUR, RATE, clean_set, pad, play


def twice(clip: Clip) -> Clip:
    return Clip(np.tile(clip.samples, (1, 2)), clip.rate)


@pytest.mark.parametrize("genre", FOUR_FOUR)
def test_a_loop_is_exact_in_length_tempo_and_beginning_and_has_no_seam(genre):
    for asked, error in ((92.0, 0.04), (133.7, -0.04)):
        played = play(genre, asked, error=error, lead=0.21, seed=5)
        loop, facts = cut_loop(played.clip, bars=2, bpm=asked)
        assert loop.frames == round(RATE * 480 / asked)
        assert abs(facts.tempo_error - error) < 0.0005
        assert facts.fits
        assert facts.method == "grid"
        assert seam_z(loop) <= 1.6
        again = fit_grid(twice(loop), asked)
        assert abs(again.bpm / asked - 1) <= 0.0002


def test_a_loop_begins_a_millisecond_before_its_first_hit():
    played = play("house", 120, error=0.03, lead=0.2)
    loop, facts = cut_loop(played.clip, bars=2, bpm=120)
    wave = np.abs(loop.samples[0])
    first = int(np.argmax(wave > 0.08 * wave[: RATE // 10].max())) / RATE
    assert 0 < first < 0.003
    assert min(abs(facts.start_s - line) for line in played.bars) < 0.003


def test_an_arbitrary_cut_clicks_and_ours_does_not():
    ours, cut = [], []
    for played in clean_set(8):
        loop, _ = cut_loop(played.clip, bars=2, bpm=played.asked_bpm)
        ours.append(seam_z(loop))
        start = round(0.37 * RATE)
        cut.append(seam_z(Clip(played.clip.samples[:, start : start + loop.frames].copy(), RATE)))
    assert np.median(cut) > 3 * np.median(ours)
    assert max(ours) <= 3


@pytest.mark.parametrize(
    ("genre", "seconds"), [("waltz", 2 * 3 * 0.5), ("shuffle", 2 * 6 * 0.25), ("seven", 2 * 7 * 0.25)]
)
def test_bars_of_other_meters(genre, seconds):
    played = play(genre, 120, error=0.02, lead=0.1)
    beats, unit = played.groove.meter
    loop, facts = cut_loop(played.clip, bars=2, bpm=120, beats_per_bar=beats, beat_unit=unit)
    assert loop.frames == round(seconds * RATE) == loop_frames(RATE, 2, 120, beats, unit)
    assert facts.method == "grid"
    assert min(abs(facts.start_s - line) for line in played.bars) < 0.02


@pytest.mark.parametrize("error", [0.16, -0.16])
def test_further_than_twelve_per_cent_does_not_fit_and_says_so(error):
    loop, facts = cut_loop(play("rock", 120, error=error).clip, bars=2, bpm=120)
    assert not facts.fits
    assert facts.tempo_error == pytest.approx(error, abs=0.002)
    assert loop.frames == 4 * RATE


def test_a_pad_is_cut_by_time_and_goes_round():
    clip = Clip.of(pad((48, 55, 60), 6, RATE), RATE)
    loop, facts = cut_loop(clip, bars=2, bpm=120)
    assert loop.frames == 4 * RATE
    assert (facts.method, facts.fits) == ("time", True)
    assert seam_z(loop) <= 1.6


def test_too_few_bars_go_round_until_there_are_enough():
    played = play("house", 120, seconds=4.6, lead=0.1)
    loop, facts = cut_loop(played.clip, bars=4, bpm=120)
    assert loop.frames == 8 * RATE
    assert facts.method == "repeated"
    half = loop.frames // 2
    np.testing.assert_allclose(loop.samples[:, :half], loop.samples[:, half:], atol=1e-6)


def test_a_clip_that_begins_on_its_first_beat_loses_nothing():
    played = play("house", 120, seconds=4.0)
    loop, facts = cut_loop(played.clip, bars=2, bpm=120)
    assert loop.frames == 4 * RATE
    assert facts.start_s < 0.003
    assert seam_z(loop) <= 3


@pytest.mark.parametrize("genre", ["house", "rock", "keys", "boombap"])
def test_a_clip_that_begins_on_its_first_beat_goes_round_into_what_follows_its_last(genre):
    played = play(genre, 120, error=0.01, seconds=5.5)
    loop, facts = cut_loop(played.clip, bars=2, bpm=120)
    assert facts.start_s == pytest.approx(0.0, abs=0.002)
    assert facts.seam_z <= 1.6
    end = round((facts.start_s + 2 * 240 / played.bpm - 0.001) * RATE)
    last, meant = loop.samples[:, -64:], played.clip.samples[:, end - 64 : end]
    assert np.abs(last).mean() > 0.5 * np.abs(meant).mean(), "its end is not faded out"


def test_stereo_stays_stereo():
    wave = play("house", 120, error=0.02, lead=0.1).clip.samples[0]
    loop, _ = cut_loop(Clip.of(np.stack([wave, 0.5 * wave]), RATE), bars=1, bpm=120)
    assert loop.channels == 2
    level = np.abs(loop.samples).max(axis=1)
    assert level[1] / level[0] == pytest.approx(0.5, rel=0.05)

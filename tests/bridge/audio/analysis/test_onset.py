"""Where sounds begin, and where one-shots start and end."""

from __future__ import annotations

import numpy as np
import pytest

from bridge.audio.analysis.onset import onsets, trim_onset, trim_tail
from bridge.plugins.clip import Clip
from tests.material import RATE, drum, note, pad, play

SHOTS = ("kick", "snare", "clap", "hat", "rim", "tom", "pluck")


def shot(name: str) -> np.ndarray:
    wave = note(60, 0.6, RATE) if name == "pluck" else drum(name, RATE)
    return wave / np.abs(wave).max()


def in_noise(name: str, at: float, floor_db: float, seconds: float = 2.5) -> Clip:
    dice = np.random.default_rng(7)
    out = 10 ** (floor_db / 20) * dice.standard_normal(round(seconds * RATE)) + 0.01
    wave = shot(name)
    start = round(at * RATE)
    out[start : start + len(wave)] += wave
    return Clip.of(out, RATE)


@pytest.mark.parametrize("name", SHOTS)
@pytest.mark.parametrize("floor_db", [-70, -55, -45])
def test_a_one_shot_starts_within_a_millisecond_of_its_attack(name, floor_db):
    wave = np.abs(shot(name))
    truth = 0.21 + int(np.argmax(wave > 0.05)) / RATE
    trimmed, facts = trim_onset(in_noise(name, 0.21, floor_db))
    assert facts.found
    assert -0.0021 < facts.start_s - truth < 0.0005
    heard = np.abs(trimmed.samples[0] - 0.01)
    assert int(np.argmax(heard > 0.08 * heard[: RATE // 50].max())) / RATE < 0.002


@pytest.mark.parametrize("floor_db", [-70, -55, -45])
def test_a_tail_ends_where_the_noise_begins(floor_db):
    clip = in_noise("pluck", 0.0, floor_db)
    trimmed, facts = trim_tail(clip)
    assert facts.end_s < 0.75
    assert not facts.sounding
    assert trimmed.samples[0, -1] == 0.0


def test_what_still_sounds_is_faded_out_longer():
    clip = Clip.of(pad((48, 55), 2, RATE), RATE)
    trimmed, facts = trim_tail(clip)
    assert facts.sounding
    assert facts.end_s == pytest.approx(2.0, abs=0.01)
    assert np.abs(trimmed.samples[0, -round(0.02 * RATE) :]).max() < 0.05
    shorter, facts = trim_tail(clip, longest=1.0)
    assert shorter.frames == RATE
    assert facts.sounding


def test_a_note_that_dies_away_keeps_its_tail():
    time = np.arange(2 * RATE) / RATE
    ringing = Clip.of(np.sin(2 * np.pi * 220 * time) * np.exp(-time / 0.35), RATE)
    _, facts = trim_tail(ringing)
    assert facts.end_s > 1.95
    swelling = Clip.of(pad((48, 55), 2, RATE), RATE)
    assert trim_onset(swelling)[1].start_s < 0.01


def test_the_flam_of_a_clap_is_one_sound():
    clip = in_noise("clap", 0.3, -70)
    start, facts = trim_onset(clip)
    assert facts.start_s == pytest.approx(0.3, abs=0.003)
    assert trim_tail(start)[0].seconds > 0.15


def test_a_sound_that_starts_with_its_attack_keeps_it():
    wave = shot("rim")
    trimmed, facts = trim_onset(Clip.of(wave, RATE))
    assert facts.start_s == 0.0
    np.testing.assert_allclose(trimmed.samples[0, 40:200], wave[40:200], atol=1e-6)


def test_onsets_are_where_the_hits_are():
    played = play("rock", 120, seconds=4, lead=0.13, tonal=False)
    found = np.array(onsets(played.clip))
    hits = 0.13 + 0.25 * np.arange(15)
    assert max(np.abs(found - hit).min() for hit in hits) < 0.003
    assert len(found) <= 17


def test_pads_and_noise_have_no_onsets():
    noise = 0.2 * np.random.default_rng(0).standard_normal(4 * RATE)
    assert onsets(Clip.of(noise, RATE)) == []
    assert len(onsets(Clip.of(pad((48, 55, 60), 4, RATE), RATE))) <= 1

"""Another length at the same pitch."""

from __future__ import annotations

import numpy as np
import pytest

from bridge.audio.analysis.onset import onsets
from bridge.audio.analysis.pitch import find_pitch
from bridge.audio.finishing import stretch as stretching
from bridge.audio.finishing._wsola import wsola
from bridge.audio.finishing.stretch import resampled, stretch
from bridge.plugins.clip import Clip
from tests.material import RATE, note, play


def held(seconds: float = 2.0, channels: int = 1) -> Clip:
    wave = note(57, seconds, RATE, partials=4)
    return Clip.of(np.stack([wave / (1 + each) for each in range(channels)]), RATE)


@pytest.mark.parametrize("ratio", [0.5, 0.88, 0.96, 0.99995, 1.0, 1.00005, 1.08, 1.12, 2.0, 7.0])
@pytest.mark.parametrize("percussive", [None, True, False])
def test_a_length_is_exact(ratio, percussive):
    for clip in (held(channels=2), play("break", 120, seconds=3).clip):
        frames = round(clip.frames * ratio)
        made = stretch(clip, frames, percussive=percussive)
        assert (made.channels, made.frames, made.rate) == (clip.channels, frames, RATE)
        assert np.isfinite(made.samples).all()


@pytest.mark.parametrize("ratio", [0.9, 1.1])
def test_notes_keep_their_pitch_with_the_library_and_without(ratio, monkeypatch):
    clip = held()
    frames = round(clip.frames * ratio)
    assert find_pitch(stretch(clip, frames)).midi == pytest.approx(57, abs=0.05)
    monkeypatch.setattr(stretching, "has_signalsmith", lambda: False)
    assert find_pitch(stretch(clip, frames)).midi == pytest.approx(57, abs=0.05)


def test_without_the_library_it_is_wsola(monkeypatch):
    clip = held()
    monkeypatch.setattr(stretching, "has_signalsmith", lambda: False)
    np.testing.assert_array_equal(stretch(clip, 70000).samples, wsola(clip, 70000).samples)


def test_the_same_clip_gives_the_same_audio():
    clip = held()
    np.testing.assert_array_equal(stretch(clip, 70000).samples, stretch(clip, 70000).samples)


@pytest.mark.parametrize("ratio", [0.92, 1.08])
@pytest.mark.parametrize(("percussive", "usual", "worst"), [(True, 0.001, 0.003), (False, 0.002, 0.006)])
def test_attacks_of_drums_come_in_time(ratio, percussive, usual, worst):
    source = play("rock", 120, seconds=4, tonal=False).clip
    frames = round(source.frames * ratio)
    wanted = [time * ratio for time in onsets(source)]
    found = np.array(onsets(stretch(source, frames, percussive=percussive)))
    late = [float(np.abs(found - time).min()) for time in wanted]
    assert np.median(late) < usual
    assert np.percentile(late, 90) < worst


def test_a_tiny_difference_is_resampled_and_stays_what_it_was():
    clip = held()
    made = stretch(clip, clip.frames + 5)
    assert np.abs(made.samples[0, : RATE // 50] - clip.samples[0, : RATE // 50]).max() < 0.01
    np.testing.assert_array_equal(made.samples, resampled(clip, clip.frames + 5).samples)


def test_channels_stay_apart():
    left, right = note(57, 1.5, RATE), note(64, 1.5, RATE)
    made = stretch(Clip.of(np.stack([left, right]), RATE), round(len(left) * 1.07), percussive=False)
    assert find_pitch(Clip.of(made.samples[0], RATE)).note == "a3"
    assert find_pitch(Clip.of(made.samples[1], RATE)).note == "e4"

"""Which note a sound is, and bringing it in tune."""

from __future__ import annotations

import numpy as np
import pytest

from bridge.audio.analysis.pitch import NO_PITCH, find_pitch, note_name, tune
from bridge.plugins.clip import Clip
from tests.material import drum, note, pad


@pytest.mark.parametrize("rate", [32000, 44100])
@pytest.mark.parametrize("partials", [1, 8])
@pytest.mark.parametrize("midi", [26.3, 33.0, 45.4, 57.71, 69.0, 84.2, 93.6])
def test_pitch_is_found_to_half_a_cent_and_tuned_to_five(rate, partials, midi):
    clip = Clip.of(note(midi, 0.8, rate, partials=partials), rate)
    pitch = find_pitch(clip)
    assert pitch.midi == pytest.approx(midi, abs=0.006)
    assert pitch.note == note_name(round(midi))
    assert pitch.confidence > 0.5
    tuned, name = tune(clip, pitch)
    assert name == pitch.note
    assert abs(find_pitch(tuned).cents) < 5


def test_tuning_keeps_the_attack():
    clip = Clip.of(note(57.3, 0.8, 44100), 44100)
    tuned, _ = tune(clip, find_pitch(clip))
    start = int(np.argmax(np.abs(tuned.samples[0]) > 0.02))
    assert abs(start - int(np.argmax(np.abs(clip.samples[0]) > 0.02))) <= 4


@pytest.mark.parametrize("name", ["snare", "clap", "hat"])
def test_drums_without_a_pitch_have_none(name):
    clip = Clip.of(drum(name, 44100), 44100)
    assert find_pitch(clip).midi is None
    same, root = tune(clip, find_pitch(clip))
    assert (same, root) == (clip, None)


def test_a_kick_that_glides_is_not_tuned():
    clip = Clip.of(drum("kick", 44100), 44100)
    same, root = tune(clip, find_pitch(clip))
    assert same is clip
    assert root is None


def test_vibrato_shows_in_the_stability():
    time = np.arange(44100 * 2) / 44100
    still = np.sin(2 * np.pi * 220 * time)
    shaking = np.sin(2 * np.pi * 220 * time + 0.6 * np.sin(2 * np.pi * 5 * time))
    assert find_pitch(Clip.of(still, 44100)).stability_cents < 1
    assert 5 < find_pitch(Clip.of(shaking, 44100)).stability_cents < 40


def test_piano_strings_are_stretched_and_still_in_tune():
    time = np.arange(44100) / 44100
    orders = [(order, order * np.sqrt(1 + 2e-4 * order**2)) for order in range(1, 12)]
    wave = sum(np.sin(2 * np.pi * 130.81 * place * time) / order * np.exp(-time * order) for order, place in orders)
    assert find_pitch(Clip.of(0.3 * wave, 44100)).midi == pytest.approx(48, abs=0.05)


def test_names_are_those_of_strudel():
    assert [note_name(midi) for midi in (60, 61, 36, 21)] == ["c4", "cs4", "c2", "a0"]


def test_nothing_has_no_pitch():
    for clip in (Clip.of(np.zeros(4410), 44100), Clip.of(np.ones(10), 44100), Clip.of(np.full(9000, 0.3), 44100)):
        assert find_pitch(clip) == NO_PITCH
    assert find_pitch(Clip.of(pad((48,), 2, 44100), 44100)).note == "c3"

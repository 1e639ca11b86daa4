"""From an engine's clip to a sample that fits."""

from __future__ import annotations

import math

import numpy as np
import pytest

from bridge.audio.clip import Clip
from bridge.audio.finishing import RATE, finish, measure
from bridge.errors import BadAudio
from prompts import SampleSpec

PEAK = 10 ** (-1 / 20)


def spec(kind: str, **fields: object) -> SampleSpec:
    return SampleSpec.model_validate({"prompt": "dusty tone", "kind": kind, **fields})


def noise(seconds: float, rate: int = RATE, channels: int = 1, level: float = 0.3) -> Clip:
    dice = np.random.default_rng(1)
    return Clip(dice.uniform(-level, level, (channels, round(seconds * rate))).astype(np.float32), rate)


@pytest.mark.parametrize("bpm", [92, 87.3, 133.7, 174, 61.803])
@pytest.mark.parametrize("bars", [1, 3])
@pytest.mark.parametrize("made", [0.4, 1.0, 1.6])
@pytest.mark.parametrize("rate", [RATE, 32000])
def test_a_loop_is_as_long_as_its_bars_to_the_frame(bpm, bars, made, rate):
    wanted = bars * 240 / bpm
    clip = finish(noise(wanted * made, rate), spec("loop", bars=bars, bpm=bpm))
    assert (clip.rate, clip.frames) == (RATE, round(wanted * RATE))


@pytest.mark.parametrize("kind", ["oneshot", "pitched", "texture", "stem"])
@pytest.mark.parametrize("duration", [0.1, 0.7654321, 3])
def test_a_duration_is_exact_whatever_the_engine_made(kind, duration):
    for made in (0.3, 1.0, 2.0):
        clip = finish(noise(duration * made, 32000, channels=2), spec(kind, duration=duration))
        assert (clip.rate, clip.channels, clip.frames) == (RATE, 2, round(duration * RATE))


def test_a_sound_without_a_length_rings_as_long_as_it_was_made():
    assert finish(noise(0.7), spec("oneshot")).frames == noise(0.7).frames


def test_raw_keeps_the_rate_of_the_engine_and_is_as_long_as_asked():
    clip = finish(noise(2, 32000), spec("raw", duration=1.5))
    assert (clip.rate, clip.frames) == (32000, 48000)


@pytest.mark.parametrize("kind", ["oneshot", "loop", "texture", "raw"])
def test_every_kind_peaks_at_minus_one_decibel(kind):
    for level in (0.001, 0.3, 25.0):
        fields = {"bars": 1, "bpm": 240} if kind == "loop" else {"duration": 1}
        clip = finish(noise(1, level=level, channels=2), spec(kind, **fields))
        assert float(np.abs(clip.samples).max()) == pytest.approx(PEAK, rel=1e-5)


def test_channels_keep_their_balance():
    clip = noise(1, channels=2)
    clip.samples[1] *= 0.25
    left, right = np.abs(finish(clip, spec("texture", duration=1)).samples).max(axis=1)
    assert right / left == pytest.approx(0.25, rel=0.01)


def test_no_offset_is_left_in_the_part_that_was_asked_for():
    """Twice as much was made, with an offset that cancels itself out over the whole."""
    clip = noise(2)
    clip.samples[:, :RATE] += 0.2
    clip.samples[:, RATE:] -= 0.2
    for kind in ("texture", "raw"):
        assert abs(float(finish(clip, spec(kind, duration=1)).samples.mean(dtype=np.float64))) < 1e-4


def test_silence_behind_a_short_clip_stays_silent():
    clip = noise(0.5)
    clip.samples[:] += 0.2
    finished = finish(clip, spec("texture", duration=1))
    assert not finished.samples[:, RATE // 2 + 10 :].any()
    assert abs(float(finished.samples.mean(dtype=np.float64))) < 1e-4


def test_a_one_shot_ends_at_zero_and_a_loop_is_not_faded():
    shot = finish(noise(1), spec("oneshot", duration=0.5))
    fade = round(0.005 * RATE)
    assert abs(float(shot.samples[0, -1])) < 1e-6
    assert np.abs(shot.samples[0, -fade // 4 :]).max() < 0.2
    loop = finish(noise(1), spec("loop", bars=1, bpm=240))
    raw = finish(noise(1), spec("raw", duration=1))
    assert np.abs(loop.samples[0, -fade:]).max() > 0.5
    np.testing.assert_allclose(loop.samples, raw.samples, atol=1e-6)


def test_an_attack_that_starts_in_the_middle_is_faded_in_and_one_from_zero_is_left_alone():
    clip = noise(0.5)
    clip.samples[:, 0] = 0.3
    assert finish(clip, spec("oneshot")).samples[0, 0] == 0
    time = np.arange(RATE // 2) / RATE
    drum = Clip.of(np.sin(2 * np.pi * 200 * time) * np.exp(-time * 20), RATE)
    finished = finish(drum, spec("oneshot")).samples[0]
    body = slice(1, round(0.004 * RATE))
    np.testing.assert_allclose(finished[body], drum.samples[0][body] * PEAK / np.abs(drum.samples).max(), atol=0.01)


def test_a_clip_shorter_than_its_fades_survives():
    clip = finish(Clip.of([0.5, -0.5, 0.4], RATE), spec("oneshot"))
    assert clip.frames == 3
    assert np.isfinite(clip.samples).all()


@pytest.mark.parametrize(
    "samples",
    [
        pytest.param([], id="nothing"),
        pytest.param([0.0] * 1000, id="silence"),
        pytest.param([0.5] * 1000, id="an offset alone"),
        pytest.param([0.1, math.nan] * 500, id="nan"),
        pytest.param([0.1, -math.inf] * 500, id="infinity"),
        pytest.param([3.4e38, -3.4e38, -3.4e38, 3.4e38, 3.4e38] * 500, id="numbers that overflow when resampled"),
    ],
)
def test_what_is_no_sound_is_refused_with_a_sentence(samples):
    clip = Clip(np.array([samples], dtype=np.float32), 32000)
    with pytest.raises(BadAudio, match=r"Try |choose"):
        finish(clip, spec("texture", duration=1))


def test_a_part_that_is_as_good_as_silent_is_not_blown_up_to_noise():
    clip = noise(2, level=1e-7)
    clip.samples[:, RATE + 100 :] *= 3e6
    with pytest.raises(BadAudio, match="part that was asked for"):
        finish(clip, spec("texture", duration=1))


def test_what_is_measured_is_json_and_true():
    time = np.arange(RATE) / RATE
    facts = measure(Clip.of(0.5 * np.sin(2 * np.pi * 1000 * time), RATE))
    assert facts["seconds"] == 1
    assert facts["peak_dbfs"] == pytest.approx(-6.02, abs=0.01)
    assert facts["rms_dbfs"] == pytest.approx(-9.03, abs=0.01)
    assert facts["centroid_hz"] == pytest.approx(1000, abs=1)
    assert all(type(value) is float for value in facts.values())

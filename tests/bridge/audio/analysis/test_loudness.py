"""Loudness and true peak against BS.1770's own test signals, and ffmpeg where it is installed."""

from __future__ import annotations

import re
import shutil
import subprocess

import numpy as np
import pytest
import scipy.signal
import soundfile

from bridge.audio.analysis.loudness import (
    SILENT_LUFS,
    decibels,
    heard_loudness,
    integrated_loudness,
    peak_envelope,
    true_peak,
)
from bridge.plugins.clip import Clip

RATE = 44100


def sine(hertz: float, seconds: float, level: float = 1.0, rate: int = RATE, channels: int = 1) -> Clip:
    wave = level * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)
    return Clip.of(np.tile(wave, (channels, 1)), rate)


@pytest.mark.parametrize("rate", [8000, 22050, 32000, 44100, 48000, 96000, 192000])
def test_a_full_scale_sine_of_997_hertz_has_minus_3_01_lufs_at_any_rate(rate):
    assert integrated_loudness(sine(997, 3, rate=rate)) == pytest.approx(-3.01, abs=0.04)
    assert integrated_loudness(sine(997, 3, rate=rate, channels=2)) == pytest.approx(0.0, abs=0.04)


def test_a_mono_clip_is_heard_from_both_loudspeakers():
    assert heard_loudness(sine(997, 3)) == pytest.approx(heard_loudness(sine(997, 3, channels=2)), abs=0.001)


def test_silence_between_sounds_does_not_count():
    loud = sine(1000, 2, 0.25).samples[0]
    quiet = sine(1000, 2, 0.25 * 10 ** (-15 / 20)).samples[0]
    gaps = Clip.of(np.concatenate([loud, np.zeros(4 * RATE), quiet]), RATE)
    assert integrated_loudness(gaps) == pytest.approx(integrated_loudness(Clip.of(loud, RATE)), abs=0.7)


def test_short_clips_have_a_loudness_and_shorter_ones_have_less():
    long, short, shorter = (integrated_loudness(sine(1000, seconds)) for seconds in (0.4, 0.1, 0.01))
    assert long - short == pytest.approx(6.0, abs=0.1)
    assert short - shorter == pytest.approx(10.0, abs=0.3)


def test_silence_is_minus_70():
    for clip in (Clip.of(np.zeros(RATE), RATE), Clip.of([0.0], RATE), Clip.of([[]], RATE)):
        assert integrated_loudness(clip) == SILENT_LUFS


def test_the_true_peak_lies_between_the_samples():
    wave = np.hanning(4000) ** 0.2 * np.sin(2 * np.pi * 0.25 * np.arange(4000) + np.pi / 4)
    clip = Clip.of(wave, RATE)
    assert decibels(float(np.abs(clip.samples).max())) == pytest.approx(-3.01, abs=0.05)
    assert decibels(true_peak(clip)) == pytest.approx(0.0, abs=0.05)


@pytest.mark.parametrize("frames", [1, 31, 32, 33, 1000])
def test_the_envelope_of_peaks_is_as_long_as_the_clip_and_never_under_its_samples(frames):
    clip = Clip.of(np.random.default_rng(frames).uniform(-1, 1, (2, frames)), RATE)
    envelope = peak_envelope(clip, 0.1)
    assert envelope.shape == (frames,)
    assert (envelope >= np.abs(clip.samples).max(axis=0)).all()
    assert envelope.max() == pytest.approx(true_peak(clip), rel=1e-6)


def test_the_true_peak_is_that_of_sixteen_fold_oversampling():
    dice = np.random.default_rng(1)
    for hertz in (800, 3000, 9000, 15000):
        filters = scipy.signal.butter(2, hertz, fs=RATE, output="sos")
        wave = scipy.signal.sosfilt(filters, dice.standard_normal(6000)) * np.hanning(6000)
        fine = scipy.signal.resample(np.pad(wave, 4000), 14000 * 16)
        assert decibels(true_peak(Clip.of(wave, RATE))) == pytest.approx(decibels(np.abs(fine).max()), abs=0.1)


def test_the_peak_of_a_loop_may_lie_in_its_seam():
    wave = np.zeros(2000)
    wave[0] = wave[-1] = 0.9
    assert true_peak(Clip.of(wave, RATE), loop=True) > true_peak(Clip.of(wave, RATE)) + 0.1


def test_an_envelope_has_the_highest_of_all_channels_at_each_frame():
    clip = Clip.of(np.stack([np.eye(1, 5000, 1000)[0], 0.5 * np.eye(1, 5000, 3000)[0]]), RATE)
    envelope = peak_envelope(clip, 0.1)
    assert envelope.shape == (5000,)
    assert envelope[1000] == pytest.approx(1.0, abs=0.01)
    assert envelope[3000] == pytest.approx(0.5, abs=0.01)
    assert envelope[2000] < 1e-3


@pytest.mark.extra
@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")
@pytest.mark.parametrize("rate", [32000, 44100, 48000])
def test_it_agrees_with_ffmpeg(rate, tmp_path):
    dice = np.random.default_rng(2)
    for number in range(6):
        filters = scipy.signal.butter(1, dice.uniform(200, 6000), fs=rate, output="sos")
        wave = scipy.signal.sosfilt(filters, dice.standard_normal((2, 5 * rate)), axis=1)
        wave *= np.repeat(dice.uniform(0.02, 1, 10), rate // 2) / np.abs(wave).max()
        file = tmp_path / f"{number}.wav"
        soundfile.write(file, wave.T, rate, subtype="FLOAT")
        said = subprocess.run(
            ["ffmpeg", "-nostats", "-i", file, "-af", "ebur128=peak=true", "-f", "null", "-"],
            capture_output=True, text=True, check=True,
        ).stderr  # fmt: skip
        summary = said[said.rindex("Summary") :]
        lufs = float(re.search(r"I:\s+(-?[\d.]+) LUFS", summary)[1])  # type: ignore[index]
        peak = float(re.search(r"Peak:\s+(-?[\d.]+) dBFS", summary)[1])  # type: ignore[index]
        clip = Clip.of(wave, rate)
        assert integrated_loudness(clip) == pytest.approx(lufs, abs=0.2)
        assert decibels(true_peak(clip)) == pytest.approx(peak, abs=0.3)

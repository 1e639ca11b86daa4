"""Change of rate."""

import numpy as np
import pytest

from bridge.audio.finishing.resample import resample
from bridge.plugins.clip import Clip


def test_a_tone_keeps_its_pitch_and_level():
    time = np.arange(32000) / 32000
    clip = resample(Clip.of(0.5 * np.sin(2 * np.pi * 1000 * time), 32000), 44100)
    assert (clip.rate, clip.frames) == (44100, 44100)
    spectrum = np.abs(np.fft.rfft(clip.samples[0]))
    assert int(spectrum.argmax()) == 1000
    assert np.abs(clip.samples[0][5000:-5000]).max() == pytest.approx(0.5, abs=1e-3)


def test_what_has_the_rate_already_comes_back_as_it_is():
    clip = Clip.of([0.1, 0.2], 44100)
    assert resample(clip, 44100) is clip

"""From 24 bits to 16."""

from __future__ import annotations

import numpy as np
import pytest

from bridge.audio.files.dither import to_16_bits

STEP = 1 << 16


def ramp(frames: int = 200_000, channels: int = 1) -> np.ndarray:
    return (np.linspace(-1e5, 1e5, frames * channels).astype(np.int32) << 8).reshape(-1, channels)


def test_the_same_seed_gives_the_same_file_for_ever():
    first = to_16_bits(ramp(), "0123")
    assert np.array_equal(first, to_16_bits(ramp(), "0123"))
    assert not np.array_equal(first, to_16_bits(ramp(), "0124"))
    # Numbers of this very day: the noise may never change, or a file made again would be another one.
    level = np.full((16, 1), 1 << 15, np.int32)
    assert to_16_bits(level, "0123")[:, 0].tolist() == [1, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0, 0, 1, 0, 0, 0]


def test_the_noise_is_triangular_and_independent_of_the_sound():
    """TPDF: the error's mean is 0 and its variance a quarter of a step squared, whatever lies under it."""
    for offset in (0.0, 0.25, 0.5):
        level = np.full((400_000, 1), round((100 + offset) * STEP) | 1, np.int32)
        error = to_16_bits(level, "seed")[:, 0] - level[:, 0] / STEP
        assert abs(error.mean()) < 0.01
        assert error.var() == pytest.approx(0.25, rel=0.02)
        assert np.abs(error).max() <= 1.5


def test_a_tone_below_the_last_bit_survives():
    time = np.arange(2**18)
    tone = np.rint(0.4 * STEP * np.sin(2 * np.pi * time / 64)).astype(np.int32)[:, np.newaxis]
    spectrum = np.abs(np.fft.rfft(to_16_bits(tone, "seed")[:, 0].astype(float)))
    assert spectrum.argmax() == 2**18 // 64
    assert spectrum[3 * 2**18 // 64] < spectrum.max() / 20, "rounding alone would leave its third harmonic"


def test_full_scale_is_held():
    loud = np.array([[2**31 - 1], [-(2**31)]] * 50, np.int32)
    quantised = to_16_bits(loud, "seed")[:, 0]
    assert (quantised[::2] >= 2**15 - 3).all()
    assert (quantised[1::2] <= -(2**15) + 2).all()


def test_what_fits_16_bits_stays_as_it_is():
    exact = np.array([[0], [5], [-5], [2**15 - 1]], np.int32) << 16
    assert to_16_bits(exact, "seed")[:, 0].tolist() == [0, 5, -5, 2**15 - 1]
    assert not to_16_bits(np.zeros((100, 2), np.int32), "seed").any()


@pytest.mark.parametrize("shape", [(0, 1), (1, 1), (3, 1), (262_145, 1), (131_073, 2)])
def test_any_length_and_shape_comes_back(shape):
    assert to_16_bits(np.full(shape, 12345, np.int32), "seed").shape == shape

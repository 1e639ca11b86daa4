"""The outline of a sample: the same from every kind of file, and true to the audio."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from bridge.audio.files.peaks import PIECES, peaks


def outline(path: Path) -> np.ndarray:
    """Lowest and highest value of each part, as (parts, 2); 1.0 is full scale."""
    return np.frombuffer(peaks(path), np.int8).reshape(-1, 2) / 128


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_each_part_has_the_lowest_and_the_highest_value_of_all_channels(tmp_path: Path, channels: int) -> None:
    audio = (
        np.random.default_rng(1).uniform(-0.9, 0.9, (PIECES * 100, channels)) * np.linspace(0, 1, PIECES * 100)[:, None]
    )
    soundfile.write(tmp_path / "a.wav", audio, 44100, subtype="PCM_24")
    parts = audio.reshape(PIECES, -1)
    expected = np.stack([parts.min(axis=1), parts.max(axis=1)], axis=1)
    assert np.abs(outline(tmp_path / "a.wav") - expected).max() <= 1 / 128


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_32"])
def test_a_master_of_another_kind_has_the_same_outline(tmp_path: Path, subtype: str) -> None:
    audio = np.random.default_rng(2).uniform(-0.9, 0.9, (50_000, 2))
    soundfile.write(tmp_path / "a.wav", audio, 44100, subtype="PCM_24")
    soundfile.write(tmp_path / "b.wav", audio, 44100, subtype=subtype)
    assert np.abs(outline(tmp_path / "a.wav") - outline(tmp_path / "b.wav")).max() <= 1 / 128


@pytest.mark.parametrize("frames", [0, 1, 7, PIECES + 1])
def test_a_sample_shorter_than_its_outline_has_one_too(tmp_path: Path, frames: int) -> None:
    soundfile.write(tmp_path / "a.wav", np.full((frames, 2), 0.5), 44100, subtype="PCM_24")
    found = outline(tmp_path / "a.wav")
    assert found.shape == (PIECES, 2)
    assert np.allclose(found, 0.5 if frames else 0.0, atol=1 / 128)

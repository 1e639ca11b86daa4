"""The input of melody models: the chroma of a melody."""

from __future__ import annotations

import importlib
import math
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

import torch
from transformers.audio_utils import chroma_filter_bank

from bridge.engines.musicgen.checkpoint import open_checkpoint
from bridge.engines.musicgen.chroma import CLASSES, HOP, RATE, WINDOW, chroma_of, follows_melody, pitch_classes
from bridge.engines.musicgen.decoder import Floats
from bridge.engines.musicgen.decoder.torch_step import TorchDecoder
from bridge.engines.musicgen.text import PromptEncoder
from bridge.errors import EngineError
from bridge.plugins.clip import Clip, Samples
from tests.tiny_musicgen import build_tiny_musicgen

pytestmark = pytest.mark.torch

C, E, G, A = 0, 4, 7, 9


def tones(classes: Sequence[int], seconds: float, rate: int = RATE, octave: int = 4) -> Samples:
    """One tone after the other, with four harmonics."""
    time = np.arange(round(seconds * rate)) / rate
    parts = []
    for tone in classes:
        pitch = 440.0 * 2 ** (octave - 4 + (tone - A) / 12)
        parts.append(sum(np.sin(2 * np.pi * pitch * k * time) / 4**k for k in range(1, 5)))
    return np.concatenate(parts)[None].astype(np.float32)


def classes_of(samples: Samples, rate: int = RATE) -> list[int]:
    chroma = chroma_of(Clip(samples, rate))
    assert chroma.dtype == np.float32
    assert chroma.shape[1] == CLASSES
    assert np.array_equal(chroma.sum(axis=1), np.ones(len(chroma)))
    return [int(row) for row in chroma.argmax(axis=1)]


class Spectrogram:
    """``torchaudio.transforms.Spectrogram`` from its documentation, in the one way that transformers uses it."""

    def __init__(self, **options: Any) -> None:
        known = {"win_length": WINDOW, "power": 2, "center": True, "pad": 0, "normalized": True}
        assert {name: options[name] for name in known} == known
        self.size, self.hop = options["n_fft"], options["hop_length"]

    def __call__(self, waveform: torch.Tensor) -> torch.Tensor:
        window = torch.hann_window(self.size)
        made = torch.stft(
            waveform, self.size, self.hop, window=window, center=True, pad_mode="reflect", return_complex=True
        )
        return (made / window.pow(2).sum().sqrt()).abs().pow(2)


@pytest.fixture
def extractor(monkeypatch: pytest.MonkeyPatch) -> Any:
    """transformers' own, with a stand-in for the one thing that it takes from torchaudio."""
    # as a module of its package, it is a stand-in that asks for torchaudio
    reference = importlib.import_module("transformers.models.musicgen_melody.feature_extraction_musicgen_melody")
    monkeypatch.setattr(
        reference, "torchaudio", SimpleNamespace(transforms=SimpleNamespace(Spectrogram=Spectrogram)), raising=False
    )
    return reference.MusicgenMelodyFeatureExtractor()


def noise(seconds: float, seed: int) -> Samples:
    return np.random.default_rng(seed).normal(0, 0.3, (1, round(seconds * RATE))).astype(np.float32)


@pytest.mark.parametrize(
    "samples",
    [
        tones([C, E, G, A, 11, 2], 0.7),
        tones([1, 6, 10], 1.3, octave=3) + 0.2 * noise(3.9, 1)[:, : 3 * round(1.3 * RATE)],
        noise(4, 2),
        noise(33, 3),
        tones([A], 0.3),
        tones([G], 100 / RATE),
        np.zeros((1, 3 * RATE), np.float32),
    ],
    ids=["tune", "tune-in-noise", "noise", "longer-than-30-s", "short", "very-short", "silence"],
)
def test_it_is_what_transformers_computes(extractor: Any, samples: Samples) -> None:
    wanted = extractor(samples[0], sampling_rate=RATE, return_tensors="np")["input_features"]
    assert np.array_equal(chroma_of(Clip(samples, RATE)), wanted[0])


def test_the_filter_bank_is_transformers() -> None:
    theirs = chroma_filter_bank(sampling_rate=RATE, num_frequency_bins=WINDOW, tuning=0, num_chroma=CLASSES)
    assert np.allclose(pitch_classes(), theirs, atol=1e-12)


def test_concert_pitch_is_an_a_in_every_octave() -> None:
    for octave in (2, 3, 4, 5, 6):
        assert set(classes_of(tones([A], 1.0, octave=octave))) == {A}


def test_an_arpeggio_is_its_tones_in_time() -> None:
    classes = classes_of(tones([C, E, G], 2.0))
    middles = [round(second * RATE / HOP) for second in (1.0, 3.0, 5.0)]
    assert [classes[at] for at in middles] == [C, E, G]
    assert classes == sorted(classes)


def test_a_transposed_tune_is_the_tune_rotated() -> None:
    tune = [C, 2, E, 5, G]
    here = classes_of(tones(tune, 1.0))
    for by in (1, 5, 7):
        there = classes_of(tones([tone + by for tone in tune], 1.0))
        assert np.mean([(tone + by) % CLASSES == other for tone, other in zip(here, there, strict=True)]) > 0.9


@pytest.mark.parametrize("rate", [8_000, 22_050, 44_100, 48_000, 96_000])
def test_any_rate_gives_the_same(rate: int) -> None:
    classes = classes_of(tones([C, G, A], 1.5, rate=rate), rate)
    assert len(classes) == 1 + math.floor(4.5 * RATE / HOP)
    assert classes == classes_of(tones([C, G, A], 1.5))


def test_channels_are_mixed() -> None:
    tune, quiet = tones([E, A], 1.0), np.zeros((1, 2 * RATE), np.float32)
    assert classes_of(np.concatenate([tune, quiet])) == classes_of(tune)


def test_thirty_seconds_are_as_many_frames_as_the_models_take() -> None:
    assert len(classes_of(noise(30, 4))) == 235
    assert len(classes_of(noise(40, 4))) == 235


def test_silence_is_a_c_as_no_melody_is() -> None:
    assert set(classes_of(np.zeros((1, RATE), np.float32))) == {C}


@pytest.mark.parametrize("samples", [np.zeros((1, 0)), np.full((1, RATE), np.nan), np.full((2, 9), np.inf)])
def test_what_is_no_sound_is_an_error(samples: Any) -> None:
    with pytest.raises(EngineError, match="holds no sound"):
        chroma_of(Clip(samples.astype(np.float32), RATE))


class Deaf(TorchDecoder):
    """Loses what stands before the codes."""

    def prefill(self, row: int, inputs: Floats) -> None:
        super().prefill(row, np.zeros_like(inputs))


@pytest.mark.parametrize(("kind", "follows"), [(TorchDecoder, True), (Deaf, False)])
def test_a_decoder_that_loses_the_melody_is_found_out(
    one_thread: None, tmp_path: Path, kind: type[TorchDecoder], follows: bool
) -> None:
    checkpoint = open_checkpoint(build_tiny_musicgen(tmp_path / "melody", melody=True))
    decoder = kind.load(checkpoint.decoder_weights(), rows=1, max_steps=300)
    assert follows_melody(PromptEncoder(checkpoint), decoder) is follows

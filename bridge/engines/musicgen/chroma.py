"""The melody of a sound as MusicGen-Melody gets it: which of the twelve pitch classes is the strongest, 7.8 times a
second (Copet et al. 2023, arXiv:2306.05284, section 2.3).

Equal to what transformers' MusicgenMelodyFeatureExtractor computes of a sound at 32 kHz, without torchaudio. At other
rates that one resamples with torchaudio, we with soxr.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from bridge.audio.finishing.resample import resample
from bridge.engines.musicgen.decoder.interface import Floats
from bridge.errors import EngineError
from bridge.plugins.clip import Clip

if TYPE_CHECKING:
    from bridge.engines.musicgen.decoder.interface import Decoder
    from bridge.engines.musicgen.text import PromptEncoder

RATE: Final = 32_000
"""Hz"""
LONGEST_SECONDS: Final = 30
"""What comes later is ignored."""
CLASSES: Final = 12
"""C, C sharp, and so on up to B."""
WINDOW: Final = 16_384
HOP: Final = 4_096

_LOWEST_A: Final = 27.5  # Hz
_CENTRE_OCTAVE: Final = 5.0  # above the lowest A: around 880 Hz has the largest weight
_WIDTH_OCTAVES: Final = 2.0
_TUNES: Final = ((0, 4, 7), (6, 10, 1))  # C major and F sharp major have no tone in common
_TOLD_APART: Final = 1e-4  # of the scores' spread; one and the same tune on a GPU may differ by its rounding


def chroma_of(melody: Clip) -> Floats:
    """Return the melody as (frames, 12), a single 1 in each row; one frame for 128 ms, and one for the end.

    Any rate and number of channels: they are mixed. A silent frame counts as C, which is also what these models were
    trained to hear where there is no melody at all. A sound shorter than half a second stands between silences.
    Raises EngineError for a sound without any frames, or with numbers that are none.
    """
    if melody.frames == 0 or not np.isfinite(melody.samples).all():
        raise EngineError("the melody holds no sound: send a second or more of a tune")
    longest = Clip(melody.samples[:, : LONGEST_SECONDS * melody.rate], melody.rate)
    samples = resample(longest, RATE).samples[:, : LONGEST_SECONDS * RATE].mean(axis=0, dtype=np.float32)
    missing = max(0, WINDOW - len(samples))
    samples = np.pad(samples, (missing // 2, missing - missing // 2))
    samples = np.pad(samples, WINDOW // 2, mode="reflect")
    moments = np.lib.stride_tricks.sliding_window_view(samples, WINDOW)[::HOP]
    power = np.abs(np.fft.rfft(moments * _hann())) ** 2
    # no frame's level matters: only which class is the strongest
    strongest: Floats = np.eye(CLASSES, dtype=np.float32)[(power @ pitch_classes().T).argmax(axis=1)]
    return strongest


@cache
def pitch_classes() -> npt.NDArray[np.float64]:
    """Return how much each frequency of the spectrum counts for each pitch class: (12, WINDOW / 2 + 1).

    A Gaussian around each class (Ellis, "Chroma feature analysis and synthesis", 2007), as wide as the spectrum is
    coarse there; every frequency counts for 1 in all (the sum of squares), then less the further it is from 880 Hz.
    """
    frequencies = np.arange(1, WINDOW) * RATE / WINDOW
    tones = CLASSES * np.log2(frequencies / _LOWEST_A)
    tones = np.concatenate([[tones[0] - 1.5 * CLASSES], tones])  # 0 Hz has no pitch: an octave and a half below
    widths = np.concatenate([np.maximum(np.diff(tones), 1.0), [1.0]])
    half = CLASSES // 2
    away = (tones - np.arange(CLASSES)[:, None] + half) % CLASSES - half  # semitones to the nearest of each class
    weights = np.exp(-0.5 * (2 * away / widths) ** 2)
    weights /= np.sqrt((weights**2).sum(axis=0))
    weights *= np.exp(-0.5 * ((tones / CLASSES - _CENTRE_OCTAVE) / _WIDTH_OCTAVES) ** 2)
    from_c: npt.NDArray[np.float64] = np.roll(weights, -3, axis=0)[:, : WINDOW // 2 + 1]  # they began at A
    return from_c


def follows_melody(text: PromptEncoder, decoder: Decoder) -> bool:
    """Say whether two tunes give two different scores, for a melody model.

    Melodies have been lost without any error before (transformers issue 45647). It takes a moment, and clears the KV
    cache of the decoder's first row, so it is for a decoder that is not in use yet.
    """
    scores = []
    for tune in _TUNES:
        chroma = np.eye(CLASSES, dtype=np.float32)[list(tune)]
        conditioning = text.conditioning("", chroma)
        decoder.begin(0, conditioning.encoder_states)
        if conditioning.prefix is not None:
            decoder.prefill(0, conditioning.prefix)
        nothing_yet = np.full((1, decoder.shape.codebooks), decoder.shape.vocabulary, np.int32)
        scores.append(decoder.step([0], nothing_yet).copy())
    first, second = scores
    return bool(np.abs(first - second).max() > _TOLD_APART * first.std())


@cache
def _hann() -> npt.NDArray[np.float64]:
    window: npt.NDArray[np.float64] = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW) / WINDOW)
    return window

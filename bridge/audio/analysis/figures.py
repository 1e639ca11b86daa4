"""What can be said of audio without a model and without anything to compare it with."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import median_filter

from bridge.audio.analysis.features import find_tempo
from bridge.audio.analysis.grid import fit_grid
from bridge.audio.analysis.loudness import integrated_loudness
from bridge.audio.analysis.pitch import find_pitch
from bridge.audio.analysis.spectrum import Numbers, Signal, magnitudes, mono
from bridge.plugins.clip import Clip

MEASURES = ("snr", "harmonic_percussive_ratio", "tempo_stability", "pitch_stability", "loudness_lufs")

_MOST_SECONDS = 40.0
"""The middle of longer audio speaks for the whole."""
_SILENT = 1e-5
_SIZE, _HOP = 2048, 1024
_LOWEST_HZ, _HIGHEST_HZ = 40.0, 16000.0
_MOST_DB = 80.0
_MEDIAN = 17
"""Frames, and bins, over which the medians of the separation go (Fitzgerald takes 17)."""
_FLOOR_BINS = 61
_QUIETEST = 0.2
"""Share of the frames that may be without sound: the noise is heard in them."""
_QUIET_OF_NOISE = -float(np.log(1.0 - _QUIETEST))
"""That quantile of the power of noise over its mean: it is distributed exponentially."""
_WINDOW_SECONDS, _STEP_SECONDS = 4.0, 2.0
_TEMPO_TOLERANCE = 0.1
_STEADY_CENTS = 50.0


def evaluate(clip: Clip) -> dict[str, float | None]:
    """Measure ``clip``; what it has none of (a beat, one pitch, any sound) is None.

    ``snr``: dB, what stands out over what is always and everywhere there, 80 at most. ``harmonic_percussive_ratio``:
    dB, energy of what lasts over that of what strikes, -80..80. ``tempo_stability``: 0..1, how little the tempo moves.
    ``pitch_stability``: 0..1, how little the pitch of a single voice moves (50 cents are 0.37). ``loudness_lufs``:
    integrated, BS.1770.
    """
    loudness = round(integrated_loudness(clip), 2)
    signal = _middle(mono(clip), clip.rate)
    if not float(np.abs(signal).max(initial=0.0)) > _SILENT or len(signal) < _SIZE:
        return dict.fromkeys(MEASURES) | {"loudness_lufs": loudness}
    power = np.square(np.concatenate(list(magnitudes(signal, _SIZE, _HOP))).astype(np.float64))
    first, last = round(_LOWEST_HZ * _SIZE / clip.rate), round(_HIGHEST_HZ * _SIZE / clip.rate)
    power = power[:, max(1, first) : max(2, last)]
    middle = Clip.of(signal, clip.rate)
    return {
        "snr": round(_snr(power), 2),
        "harmonic_percussive_ratio": round(_harmonic_percussive(power), 2),
        "tempo_stability": _tempo_stability(middle),
        "pitch_stability": _pitch_stability(middle),
        "loudness_lufs": loudness,
    }


def _middle(signal: Signal, rate: int) -> Signal:
    count = round(_MOST_SECONDS * rate)
    start = max(0, (len(signal) - count) // 2)
    return signal[start : start + count]


def _snr(power: Numbers) -> float:
    """Everything over the noise: what a bin has both in the quietest frames and between the peaks next to it."""
    always = np.quantile(power, _QUIETEST, axis=0) / _QUIET_OF_NOISE
    everywhere = median_filter(power.mean(axis=0), _FLOOR_BINS, mode="nearest")
    noise = float(np.minimum(always, everywhere).sum())
    total = float(power.mean(axis=0).sum())
    return _decibels(max(0.0, total - noise), noise)


def _harmonic_percussive(power: Numbers) -> float:
    """Median filters along time and along frequency, and soft masks of them (Fitzgerald 2010)."""
    sizes = np.sqrt(power).astype(np.float32)
    lasting = np.square(median_filter(sizes, (_MEDIAN, 1)), dtype=np.float64)
    striking = np.square(median_filter(sizes, (1, _MEDIAN)), dtype=np.float64)
    both = lasting + striking + 1e-20
    return _decibels(float((power * lasting / both).sum()), float((power * striking / both).sum()))


def _tempo_stability(clip: Clip) -> float | None:
    """One for a tempo that is the same in every four seconds; it falls by a tenth for each per cent that it varies."""
    tempo = find_tempo(clip)
    if tempo is None:
        return None
    size, step = round(_WINDOW_SECONDS * clip.rate), round(_STEP_SECONDS * clip.rate)
    tempi = []
    for start in range(0, max(1, clip.frames - size + 1), step):
        grid = fit_grid(Clip(clip.samples[:, start : start + size], clip.rate), tempo.bpm, tolerance=_TEMPO_TOLERANCE)
        if grid.has_onsets:
            tempi.append(grid.bpm)
    if len(tempi) < 2:
        return None
    return round(float(np.exp(-10.0 * np.std(tempi) / np.mean(tempi))), 3)


def _pitch_stability(clip: Clip) -> float | None:
    pitch = find_pitch(clip)
    return None if pitch.midi is None else round(float(np.exp(-pitch.stability_cents / _STEADY_CENTS)), 3)


def _decibels(above: float, below: float) -> float:
    return float(np.clip(10.0 * np.log10((above + 1e-20) / (below + 1e-20)), -_MOST_DB, _MOST_DB))

"""Features: what a piece of audio is like, in plain numbers that can be kept as JSON.

Tempo and key are looked for in the middle of the piece, where most music has started and not yet ended.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.fft

from bridge.audio.analysis.grid import fit_grid
from bridge.audio.analysis.key import find_key
from bridge.audio.analysis.loudness import decibels, heard_loudness, true_peak
from bridge.audio.analysis.onset import OnsetEnvelope, attack_near, flux_peaks, onset_envelope
from bridge.audio.analysis.pitch import find_pitch
from bridge.audio.analysis.spectrum import Numbers, Signal, magnitudes, mono, sustain
from bridge.plugins.clip import Clip

BANDS_HZ = (31.25, 62.5, 125.0, 250.0, 500.0, 1000.0, 2000.0, 4000.0, 8000.0, 16000.0)
"""Middles of ten octaves."""

_MIDDLE_SECONDS = 40.0
_SLOWEST, _FASTEST = 60.0, 190.0
_USUAL_BPM, _OCTAVES = 110.0, 0.6
"""Where most tempi lie, and the standard deviation around it: of two an octave apart, the likelier one is taken."""
_LEAST_PULSE = 0.15
_GUESSES, _NEAR = 4, 0.03
"""So many tempi are looked at closely, each no further away than this share of it."""
_SLOWEST_CLICK, _CLICK_SECONDS = 30.0, 0.03
"""A click is looked for down to this tempo; all that begins has to be this near its beats."""
_SIZE, _HOP = 2048, 1024
_FLOOR_DB = -60.0
"""Below the loudest octave: what is less counts as this much."""


@dataclass(frozen=True, slots=True)
class Tempo:
    """How fast it is."""

    bpm: float
    confidence: float
    """Share of what begins that agrees with the beat, 0..1."""


def describe(clip: Clip) -> dict[str, Any]:
    """Describe ``clip``: tempo, key, loudness, spectrum and timbre. Whatever cannot be said is None.

    Units stand in the names; shares lie between 0 and 1. Silence has a level and nothing else.
    """
    signal = mono(clip)
    middle = Clip.of(_middle(signal, clip.rate), clip.rate)
    loudness = {
        "lufs": round(heard_loudness(clip), 2),
        "true_peak_dbtp": round(decibels(true_peak(clip)), 2),
        "rms_dbfs": round(decibels(float(np.sqrt(np.mean(np.square(signal, dtype=np.float64))))), 2),
    }
    if not float(np.abs(signal).max(initial=0.0)) > 1e-5:
        return {"tempo": None, "key": None, "loudness": loudness, "spectrum": None, "timbre": None}
    tempo, key = find_tempo(middle), find_key(middle)
    return {
        "tempo": None if tempo is None else {"bpm": round(tempo.bpm, 2), "confidence": round(tempo.confidence, 3)},
        "key": None if key is None else {"name": key.name, "confidence": key.confidence},
        "loudness": loudness,
        "spectrum": _spectrum(middle),
        "timbre": _timbre(clip, middle),
    }


def find_tempo(clip: Clip) -> Tempo | None:
    """Find the tempo of a clip of which nothing is known; None when nothing in it keeps a beat.

    The envelope of what begins is compared with itself a beat and its multiples later; the grid then says exactly.
    """
    if clip.seconds < 2.0:
        return None
    envelope = onset_envelope(mono(clip), clip.rate)
    if len(flux_peaks(envelope)) < 4:
        return None
    flux = envelope.flux - float(envelope.flux.mean())
    size = scipy.fft.next_fast_len(2 * len(flux), real=True)
    likeness = scipy.fft.irfft(np.abs(scipy.fft.rfft(flux, size)) ** 2, size)[: len(flux)]
    likeness = likeness / (float(likeness[0]) + 1e-12)
    tempi = np.geomspace(_SLOWEST, _FASTEST, 240)
    beats = 60.0 / tempi / envelope.hop
    lags = np.arange(len(likeness))
    found = np.zeros(len(tempi))
    for multiple, share in ((1, 1.0), (2, 0.6), (4, 0.4), (0.5, 0.3)):
        found += share * np.interp(multiple * beats, lags, likeness, right=0.0)
    peaks = np.flatnonzero((found[1:-1] >= found[:-2]) & (found[1:-1] >= found[2:])) + 1
    likely = sorted(peaks, key=lambda peak: -float(found[peak]) * _usual(float(tempi[peak])))[:_GUESSES]
    grids = [fit_grid(clip, float(tempi[peak]), tolerance=_NEAR) for peak in likely]
    best = max(grids, key=lambda grid: grid.confidence * _usual(grid.bpm), default=None)
    if best is None or not best.has_onsets or best.confidence < _LEAST_PULSE:
        return None
    return Tempo(_without_empty_beats(clip, envelope, best.bpm), best.confidence)


def _without_empty_beats(clip: Clip, envelope: OnsetEnvelope, bpm: float) -> float:
    """Halve a tempo of which every other beat is empty: a bare click at 60 is not 120.

    Only where nothing but beats begins; a pause of one instrument is filled by another.
    """
    signal = mono(clip)
    begins = np.array([attack_near(signal, clip.rate, time) for time in flux_peaks(envelope)])
    while bpm / 2 >= _SLOWEST_CLICK:
        beat = 120.0 / bpm
        place = (begins - begins[len(begins) // 2]) / beat
        off = np.abs(place - np.round(place)) * beat
        if float(off.max()) > _CLICK_SECONDS:
            break
        bpm /= 2
    return bpm


def _usual(bpm: float) -> float:
    """How likely a tempo is before anything was heard, 0..1."""
    return float(np.exp(-0.5 * (np.log2(bpm / _USUAL_BPM) / _OCTAVES) ** 2))


def octave_levels(signal: Signal, rate: int) -> Numbers:
    """Give the level of each of the ten octaves of ``signal`` (frames,) in dB, the loudest 0, at least -60: (10,)."""
    return levels_of(mean_power(signal), rate)


def mean_power(signal: Signal) -> Numbers:
    """Give the mean power spectrum of ``signal`` (frames,): (1025,)."""
    total, count = np.zeros(_SIZE // 2 + 1), 0
    for piece in magnitudes(signal, _SIZE, _HOP):
        total += np.square(piece, dtype=np.float64).sum(axis=0)
        count += len(piece)
    return total / max(1, count)


def levels_of(power: Numbers, rate: int) -> Numbers:
    """Give the levels of the ten octaves of a power spectrum, as ``octave_levels``."""
    hertz = np.arange(len(power)) * rate / (2 * (len(power) - 1))
    sums = np.array([power[(hertz >= at / 2**0.5) & (hertz < at * 2**0.5)].sum() for at in BANDS_HZ])
    levels = 10.0 * np.log10(sums / (float(sums.max()) + 1e-30) + 1e-30)
    return np.maximum(levels, _FLOOR_DB)


def _middle(signal: Signal, rate: int) -> Signal:
    frames = round(_MIDDLE_SECONDS * rate)
    start = max(0, (len(signal) - frames) // 2)
    return signal[start : start + frames]


def _spectrum(clip: Clip) -> dict[str, Any]:
    """What lies where: centre, width and upper end in Hz, and the ten octaves."""
    power = mean_power(mono(clip))
    hertz = np.arange(len(power)) * clip.rate / _SIZE
    total = float(power.sum()) + 1e-30
    centroid = float((power * hertz).sum() / total)
    running = np.cumsum(power) / total
    heard = power[(hertz > 100) & (hertz < min(10_000, 0.45 * clip.rate))] + 1e-20
    return {
        "centroid_hz": round(centroid, 1),
        "bandwidth_hz": round(float(np.sqrt((power * (hertz - centroid) ** 2).sum() / total)), 1),
        "rolloff_hz": round(float(hertz[min(int(np.searchsorted(running, 0.85)), len(hertz) - 1)]), 1),
        "flatness": round(float(np.exp(np.mean(np.log(heard))) / np.mean(heard)), 4),
        "octaves_db": [round(float(level), 2) for level in levels_of(power, clip.rate)],
    }


def _timbre(clip: Clip, middle: Clip) -> dict[str, Any]:
    """How it sounds: how often something begins, how fast it dies away, how much of it lasts, how wide it is."""
    signal = mono(middle)
    envelope = onset_envelope(signal, middle.rate)
    begins = [attack_near(signal, middle.rate, time) for time in flux_peaks(envelope)]
    pitch = find_pitch(middle)
    return {
        "onsets_per_second": round(len(begins) / max(middle.seconds, 0.1), 3),
        "decay_db_per_s": _decay(signal, middle.rate, begins),
        "sustain": round(sustain(signal, middle.rate), 4),
        "pitch": pitch.note,
        "pitch_confidence": pitch.confidence,
        "width": _width(clip),
    }


def _decay(signal: Signal, rate: int, begins: list[float]) -> float | None:
    """How fast what began dies away: dB per second, the median over the first 20; None without a beginning."""
    found = []
    for start, end in list(zip(begins, [*begins, len(signal) / rate][1:], strict=True))[:20]:
        piece = np.square(signal[round(start * rate) : round(min(end, start + 1.5) * rate)], dtype=np.float64)
        size = max(1, round(0.02 * rate))
        count = len(piece) // size
        if count < 5:
            continue
        levels = 10.0 * np.log10(piece[: count * size].reshape(count, size).mean(axis=1) + 1e-12)
        top = int(np.argmax(levels[: max(2, count // 2)]))
        fall = levels[top:]
        if len(fall) >= 4:
            found.append(-float(np.polyfit(np.arange(len(fall)) * 0.02, fall, 1)[0]))
    return round(max(0.0, float(np.median(found))), 2) if found else None


def _width(clip: Clip) -> float:
    """Share of the energy that is not the same in both channels, 0 (mono) .. 1."""
    if clip.channels < 2:
        return 0.0
    left, right = clip.samples[0].astype(np.float64), clip.samples[1].astype(np.float64)
    side, total = float(np.square(left - right).sum()) / 2, float(np.square(left).sum() + np.square(right).sum())
    return round(min(1.0, side / total), 4) if total > 0 else 0.0

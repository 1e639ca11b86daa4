"""Finishing: an engine's clip becomes a sample that fits."""

from __future__ import annotations

from typing import Any

import numpy as np

from bridge.audio.clip import Clip
from bridge.audio.length import exact, fade_ends
from bridge.audio.level import peak_to, remove_dc
from bridge.audio.resample import resample
from bridge.errors import BadAudio
from prompts import Kind, SampleSpec

RATE = 44100
"""Hz of everything finished; ``raw`` keeps the engine's rate."""

_SILENCE = 1e-5


def finish(clip: Clip, spec: SampleSpec) -> Clip:
    """Make ``clip`` exactly as long as ``spec`` says, free of offset, peaking at -1 dBFS, with clean ends.

    A loop gets no fades: its end meets its beginning. Raises BadAudio for NaN, silence or an empty clip.
    """
    _check(clip)
    clip = remove_dc(clip)
    if spec.kind is not Kind.RAW:
        clip = resample(clip, RATE)
    if spec.seconds is not None:
        clip = exact(clip, max(1, round(clip.rate * spec.seconds)))
    if spec.kind in (Kind.ONESHOT, Kind.PITCHED):
        clip = fade_ends(clip)
    clip = peak_to(clip)
    if float(np.abs(clip.samples).max(initial=0.0)) < _SILENCE:
        raise BadAudio("The engine's clip is silent in the part that was asked for. Try other words or another seed.")
    return clip


def measure(clip: Clip) -> dict[str, Any]:
    """Facts about a finished clip: seconds, peak and RMS in dBFS, spectral centroid in Hz."""
    mono = clip.samples.mean(axis=0, dtype=np.float64)
    spectrum = np.abs(np.fft.rfft(mono)) ** 2
    frequencies = np.fft.rfftfreq(len(mono), 1 / clip.rate)
    power = float(spectrum.sum())
    return {
        "seconds": round(clip.seconds, 6),
        "peak_dbfs": _decibels(float(np.abs(clip.samples).max(initial=0.0))),
        "rms_dbfs": _decibels(float(np.sqrt(np.mean(np.square(clip.samples, dtype=np.float64))))),
        "centroid_hz": round(float((spectrum * frequencies).sum() / power), 1) if power > 0 else 0.0,
    }


def _check(clip: Clip) -> None:
    if clip.frames == 0:
        raise BadAudio("The engine answered no audio at all. Try again, or choose another engine.")
    if not bool(np.isfinite(clip.samples).all()):
        raise BadAudio("The engine answered numbers that are no audio (NaN or infinity). Try another seed or engine.")
    if float(np.abs(clip.samples).max()) < _SILENCE:
        raise BadAudio("The engine answered silence. Try other words, another seed or another engine.")


def _decibels(value: float) -> float:
    return round(20.0 * float(np.log10(max(value, 1e-10))), 2)

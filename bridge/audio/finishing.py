"""Finishing: an engine's clip becomes a sample that fits."""

from __future__ import annotations

from typing import Any

import numpy as np

from bridge.audio.clip import Clip
from bridge.audio.length import cut, exact, fade_ends
from bridge.audio.level import peak_to, remove_dc
from bridge.audio.resample import resample
from bridge.errors import BadAudio
from prompts import Kind, SampleSpec

RATE = 44100
"""Hz of everything finished; ``raw`` keeps the engine's rate."""

_SILENCE = 1e-5
"""-100 dBFS: raised to full level, what is below is nothing but noise."""
_MADE = "What the engine made"
_MADE_AS_LONG_AS_ASKED = "The part that was asked for of what the engine made"


def finish(clip: Clip, spec: SampleSpec) -> Clip:
    """Make ``clip`` exactly as long as ``spec`` says, free of offset, peaking at -1 dBFS, with clean ends.

    A loop gets no fades: its end meets its beginning. Raises BadAudio for NaN, silence or an empty clip.
    """
    _check(clip, _MADE)
    if spec.kind is not Kind.RAW:
        clip = resample(remove_dc(clip), RATE)  # an offset would ring at both ends
    frames = None if spec.seconds is None else max(1, round(clip.rate * spec.seconds))
    if frames is not None:
        clip = cut(clip, frames)
    # Of what is heard: after the cut, and before silence is put behind it.
    clip = remove_dc(clip)
    if frames is not None:
        clip = exact(clip, frames)
    if spec.kind in (Kind.ONESHOT, Kind.PITCHED):
        clip = fade_ends(clip)
    _check(clip, _MADE_AS_LONG_AS_ASKED)
    return peak_to(clip)


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


def _check(clip: Clip, what: str) -> None:
    if clip.frames == 0:
        raise BadAudio("The engine answered no audio at all. Try again, or choose another engine.")
    if not bool(np.isfinite(clip.samples).all()):
        raise BadAudio("The engine answered numbers that are no audio (NaN or infinity). Try another seed or engine.")
    if float(np.abs(clip.samples).max()) < _SILENCE:
        raise BadAudio(f"{what} is silent. Try other words, another seed or another engine.")


def _decibels(value: float) -> float:
    return round(20.0 * float(np.log10(max(value, 1e-10))), 2)

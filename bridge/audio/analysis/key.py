"""Key: in which key a sound is."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import median_filter

from bridge.audio.analysis.spectrum import Numbers, Signal, magnitudes, mono, sustain
from bridge.audio.finishing.resample import resample
from bridge.plugins.clip import Clip

NAMES = ("c", "c#", "d", "d#", "e", "f", "f#", "g", "g#", "a", "a#", "b")

_MAJOR = np.array([6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88])
_MINOR = np.array([6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17])
"""Krumhansl and Kessler 1982: how well each tone goes with a key, tonic first."""

_MAJOR_SCALE, _MINOR_SCALE = (0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10)
_IN_SCALE = 0.8
"""Share of the tones from which a sound is in a scale; of loops a semitone off 95 % have less than 0.66."""

_RATE = 4410
"""Hz; notes are looked for below 2 kHz, so that is enough, and a tenth of the work."""
_SIZE, _HOP = 2048, 512
_LOWEST_HZ, _HIGHEST_HZ = 55.0, 2000.0
_SHORTEST_SECONDS = 0.5
"""A single hit has a pitch at best."""
_LEAST_SUSTAIN = 0.05
_LEAST_CORRELATION = 0.5
_LEAST_CONTRAST = 0.3
"""Standard deviation of a chroma over its mean: below, all twelve tones are there."""
_FLATS = {"cb": "b", "db": "c#", "eb": "d#", "fb": "e", "gb": "f#", "ab": "g#", "bb": "a#", "e#": "f", "b#": "c"}


@dataclass(frozen=True, slots=True)
class Key:
    """A key and how sure it is."""

    name: str
    """Canonical: ``c``, ``f#``, with an ``m`` for minor: ``cm``, ``f#m``."""
    confidence: float
    """Correlation with the profile of the key, 0..1; the relative key usually comes close."""
    tones: tuple[float, ...] = ()
    """How much of each of the twelve tones there is, c first, sum 1."""


def find_key(clip: Clip) -> Key | None:
    """Find the key of ``clip``; None for drums, noise, single tones that slide and whatever else has none.

    Chroma of the spectral peaks that last (55 Hz to 2 kHz, tuned), correlated with the profiles of Krumhansl and
    Kessler.
    """
    if clip.seconds < _SHORTEST_SECONDS or clip.rate < 1000:
        return None
    signal = mono(clip)
    signal = signal - np.float32(np.mean(signal, dtype=np.float64))
    if not float(np.abs(signal).max(initial=0.0)) > 1e-6 or sustain(signal, clip.rate) < _LEAST_SUSTAIN:
        return None
    reduced = resample(Clip.of(signal, clip.rate), _RATE).samples[0] if clip.rate > _RATE else signal
    tones = chroma(reduced, min(clip.rate, _RATE))
    if tones is None or float(tones.std() / tones.mean()) < _LEAST_CONTRAST:
        return None
    scores = [
        (float(np.corrcoef(tones, np.roll(profile, tonic))[0, 1]), NAMES[tonic] + suffix)
        for profile, suffix in ((_MAJOR, ""), (_MINOR, "m"))
        for tonic in range(12)
    ]
    best, name = max(scores)
    if best < _LEAST_CORRELATION:
        return None
    return Key(name, round(best, 3), tuple(round(float(tone), 4) for tone in tones))


def chroma(signal: Signal, rate: int) -> Numbers | None:
    """How much of each of the twelve tones is in ``signal`` (frames,), c first, sum 1; None where there are no
    tones."""
    table = np.concatenate(list(magnitudes(signal, _SIZE, _HOP)))
    hertz = np.arange(table.shape[1]) * rate / _SIZE
    chosen = (hertz > _LOWEST_HZ) & (hertz < min(_HIGHEST_HZ, 0.48 * rate))
    first, last = int(np.argmax(chosen)), int(np.nonzero(chosen)[0][-1]) + 1 if chosen.any() else 0
    if last - first < 8 or first < 1:
        return None
    # Fitzgerald's medians: what lasts in time is a tone, what is wide in frequency is a drum.
    piece = table[:, first - 1 : last + 1]
    lasting, wide = median_filter(piece, (5, 1)), median_filter(piece, (1, 17))
    toned = piece * (lasting**2 / (lasting**2 + wide**2 + 1e-12))
    middle = toned[:, 1:-1]
    peaks = (middle > toned[:, :-2]) & (middle >= toned[:, 2:]) & (middle > 1e-3 * toned.max())
    if not peaks.any():
        return None
    frames, bins = np.nonzero(peaks)
    heights = middle[frames, bins].astype(np.float64)
    # Where the peak lies between the bins: at low notes a bin is wider than a semitone.
    left, right = toned[frames, bins].astype(np.float64), toned[frames, bins + 2].astype(np.float64)
    shift = np.clip(0.5 * (right - left) / (2 * heights - left - right + 1e-12), -0.5, 0.5)
    midis = 69 + 12 * np.log2((bins + first + shift) * rate / _SIZE / 440.0)
    tuning = float(np.angle((heights * np.exp(2j * np.pi * midis)).sum()) / (2 * np.pi))
    midis = midis - tuning
    off = midis - np.round(midis)
    amounts = np.log1p(3 * heights / heights.max()) * np.exp(-0.5 * (off / 0.2) ** 2)
    tones = np.bincount(np.round(midis).astype(int) % 12, weights=amounts, minlength=12)
    total = float(tones.sum())
    return tones / total if total > 0 else None


def mirex_score(found: str, wanted: str) -> float:
    """Compare two keys as MIREX does: 1 the same, 0.5 a fifth away, 0.3 the relative, 0.2 the parallel key, else 0.

    0, too, when one of them is not a key.
    """
    one, other = _parsed(found), _parsed(wanted)
    if one is None or other is None:
        return 0.0
    (tonic, minor), (wanted_tonic, wanted_minor) = one, other
    apart = (tonic - wanted_tonic) % 12
    if minor == wanted_minor:
        return {0: 1.0, 5: 0.5, 7: 0.5}.get(apart, 0.0)
    if apart == (9 if minor else 3):
        return 0.3
    return 0.2 if apart == 0 else 0.0


def key_match(found: Key, wanted: str) -> float:
    """Say how well a sound goes with a key, 0..1: the score of MIREX, and what the relative key gets for equal tones.

    A loop of two chords tells its tones and seldom its tonic. Overtones and passing notes lie outside the scale, too.
    """
    score, key = mirex_score(found.name, wanted), _parsed(wanted)
    if key is None or not found.tones:
        return score
    tonic, minor = key
    inside = sum(found.tones[(tonic + step) % 12] for step in (_MINOR_SCALE if minor else _MAJOR_SCALE))
    return max(score, 0.3) if inside >= _IN_SCALE else score


def _parsed(name: str) -> tuple[int, bool] | None:
    match = re.fullmatch(r"([a-g](?:#|b|s)?)\s*(m|min|minor|maj|major)?", name.strip().lower())
    if match is None:
        return None
    tonic = match[1].replace("s", "#")
    tonic = _FLATS.get(tonic, tonic)
    return NAMES.index(tonic), (match[2] or "").startswith("m") and not (match[2] or "").startswith("maj")

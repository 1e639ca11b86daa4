"""Bars: on which of the possible beats the beat is, and on which of the beats the bar begins."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import maximum_filter1d

from bridge.audio.analysis.onset import OnsetEnvelope
from bridge.audio.analysis.spectrum import Numbers, Signal, magnitudes, power_of_two

_CHORDS, _BEGINNING = 2.0, 0.7
"""What a new chord and the first onset of the clip weigh against the drums."""


def comb(novelty: Numbers, hop: float, beat: float) -> tuple[Numbers, Numbers]:
    """How much novelty a comb of beats meets, for 128 phases of the beat: (phases in seconds, mean met)."""
    times = np.arange(len(novelty)) * hop
    count = max(1, int(times[-1] / beat))
    phases = np.linspace(0.0, beat, 128, endpoint=False)
    at = phases[:, np.newaxis] + np.arange(count) * beat
    return phases, np.interp(at.ravel(), times, novelty).reshape(at.shape).mean(axis=1)


def phases(envelope: OnsetEnvelope, beat: float) -> list[float]:
    """List the phases, in seconds, at which the comb has its highest peaks, at most four."""
    phases, met = comb(_scaled(envelope.flux) + _scaled(envelope.low), envelope.hop, beat)
    peaks = np.nonzero(met == maximum_filter1d(met, 13, mode="wrap"))[0]
    return [float(phases[each]) for each in peaks[np.argsort(met[peaks])[::-1]][:4]]


def lateness(envelope: OnsetEnvelope, beat: float, phase: float) -> float:
    """Tell swing from its mirror image, -1..1: what is played between two beats comes late, never early."""
    phases, met = comb(envelope.flux, envelope.hop, beat)
    place = (phases - phase) / beat % 1.0
    early, late = met[(place > 0.3) & (place < 0.43)].max(), met[(place > 0.57) & (place < 0.7)].max()
    return float((late - early) / (met.max() + 1e-9))


def bar_line(
    envelope: OnsetEnvelope, newness: Newness, beat: float, phase: float, beats_per_bar: int, beat_unit: int
) -> tuple[float, float]:
    """Find the beat that begins a bar when beats fall on ``phase``: (seconds from 0 to a bar, how well it fits).

    The bars are laid over each other, in sixteenths, and compared with where low and high drums are used to stand;
    chords are used to change, and clips to begin, on the first beat.
    """
    slots = 4 if beat_unit <= 4 else 2
    bar, slot = beats_per_bar * beat, beat / slots
    times: Numbers = envelope.hop * np.arange(len(envelope.flux), dtype=np.float64)
    seconds = len(times) * envelope.hop
    count = (int(seconds / bar) + 2) * beats_per_bar * slots
    at: Numbers = np.linspace(phase - bar, phase - bar + count * slot, count, endpoint=False, dtype=np.float64)
    around: Numbers = min(slot, 0.08) * np.arange(-3, 3, dtype=np.float64) / 6
    low_weights, high_weights = _habits(beats_per_bar, slots)
    low = _folded(envelope.low, times, at, around, len(low_weights))
    high = _folded(envelope.high, times, at, around, len(low_weights))
    count = max(beats_per_bar, int((seconds - phase) / beat) + 1)
    beats: Numbers = phase + beat * np.arange(count, dtype=np.float64)
    new = newness.at(beats)
    new /= float(new.mean()) + 0.01
    # What sounds from the very first moment on has no rise.
    first = 0.0 if newness.at_once else float(times[int(np.argmax(envelope.flux > 0.3 * envelope.flux.max()))])
    best, found = -np.inf, phase
    for start in range(beats_per_bar):
        turn = -start * slots
        score = float((np.roll(low, turn) * low_weights).sum() + (np.roll(high, turn) * high_weights).sum())
        score += _CHORDS * float(new[start::beats_per_bar].mean())
        distance = abs((first - phase - start * beat + bar / 2) % bar - bar / 2)
        score += _BEGINNING if distance < 0.25 * slot + 0.01 else 0.0
        if score > best:
            best, found = score, phase + start * beat
    return found % bar, best


def _habits(beats_per_bar: int, slots: int) -> tuple[Numbers, Numbers]:
    """Give the weights of low and high drums on each sixteenth of a bar; each sums to nothing."""
    low, high = np.full(beats_per_bar * slots, -0.2), np.full(beats_per_bar * slots, -0.1)
    low[::slots], high[::slots] = 0.15, 0.25
    low[slots // 2 :: slots] = -0.1
    low[0], high[0] = 1.0, 0.0
    if beats_per_bar == 4:
        low[2 * slots], high[slots], high[2 * slots], high[3 * slots] = 0.3, 0.5, 0.3, 0.5
        low[2 * slots + slots // 2] = 0.2
    elif beats_per_bar == 6:
        low[3 * slots], high[3 * slots] = 0.2, 0.5
    return low - low.mean(), high - high.mean()


def _folded(novelty: Numbers, times: Numbers, at: Numbers, around: Numbers, size: int) -> Numbers:
    """Lay all bars over each other: mean novelty on each slot of a bar, scaled to a mean of 1."""
    inside = (at > times[0] + around[0]) & (at < times[-1])
    met = np.interp((at[:, np.newaxis] + around).ravel(), times, novelty).reshape(-1, len(around)).max(axis=1)
    sums = np.where(inside, met, 0.0).reshape(-1, size).sum(axis=0)
    return _scaled(sums / np.maximum(inside.reshape(-1, size).sum(axis=0), 1))


class Newness:
    """How different the notes after a time are from those before it."""

    def __init__(self, signal: Signal, rate: int, beat: float) -> None:
        size, hop = power_of_two(0.128 * rate), max(1, round(0.032 * rate))
        top = max(2, min(size // 2, round(1200.0 * size / rate)))
        notes = np.sqrt(np.concatenate([piece[:, 1:top] for piece in magnitudes(signal, size, hop)]))
        self._running = np.concatenate((np.zeros((1, notes.shape[1])), np.cumsum(notes, axis=0, dtype=np.float64)))
        self._per_second = rate / hop
        self._beat = beat
        self._seconds = len(signal) / rate
        block = max(1, round(0.02 * rate))
        levels = np.sqrt(np.square(signal[: len(signal) // block * block].reshape(-1, block)).mean(axis=1))
        self.at_once = bool(len(levels) and levels[0] > 0.3 * np.percentile(levels, 95))
        """Is the clip as loud as anywhere from its first moment on?"""

    def at(self, times: Numbers) -> Numbers:
        """Compare what comes after each of ``times`` with what was before it: 0 (the same notes) to 1.

        At the ends of the clip, where less than a beat can be compared, it is what it is on average.
        """
        inside = (times >= self._beat) & (times + self._beat <= self._seconds)
        found = np.array([self._compared(time) if judged else 0.0 for time, judged in zip(times, inside, strict=True)])
        return np.where(inside, found, found[inside].mean() if inside.any() else 0.0)

    def _compared(self, time: float) -> float:
        before, after = self._mean(time - 2 * self._beat, time), self._mean(time, time + 2 * self._beat)
        length = float(np.linalg.norm(before) * np.linalg.norm(after))
        return 1.0 - float(before @ after) / length if length > 0 else 0.0

    def _mean(self, start: float, end: float) -> Numbers:
        last = len(self._running) - 1
        margin = 0.05 * self._beat
        first = min(max(round((start + margin) * self._per_second), 0), last)
        past = min(max(round((end - margin) * self._per_second), 0), last)
        mean: Numbers = (self._running[past] - self._running[first]) / max(1, past - first)
        return mean


def _scaled(values: Numbers) -> Numbers:
    scaled: Numbers = values / (float(values.mean()) + 1e-9)
    return np.minimum(scaled, 4.0)

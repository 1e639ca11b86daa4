"""Pitch: which note a sound is, and bringing it in tune with the others."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.fft

from bridge.audio.analysis.spectrum import Numbers, Signal, mono
from bridge.audio.finishing.resample import resample
from bridge.audio.finishing.stretch import resampled
from bridge.plugins.clip import Clip

LOWEST_HZ, HIGHEST_HZ = 27.5, 4200.0
"""The notes of a piano."""
NAMES = ("c", "cs", "d", "ds", "e", "f", "fs", "g", "gs", "a", "as", "b")

_RATE = 44100
_IN_TUNE_CENTS = 2.0
"""Less is not heard as out of tune; the clip is then left as it is."""
"""Higher rates are brought down to this; beyond it nothing about the pitch is learnt."""
_WINDOW_SECONDS = 0.05
_MOST_FRAMES = 32
_THRESHOLD = 0.12
"""A dip under this is a period (de Cheveigné and Kawahara use 0.1)."""
_VOICED = 0.2
"""Aperiodicity up to which a frame has a pitch."""
_ATTACK_SECONDS = 0.03
_SURE = 0.4
_STEADY_CENTS = 60.0
_FAR_PERIODS = 8


@dataclass(frozen=True, slots=True)
class Pitch:
    """The pitch of a whole sound."""

    midi: float | None
    """MIDI number with its fraction (60 is middle C, c4); None: it has none (drums, noise, chords)."""
    note: str | None
    """Nearest note as Strudel writes it: ``c3``, ``cs3`` with a sharp."""
    cents: float
    """How far above the nearest note, -50..50."""
    confidence: float
    """Share of the energy that is periodic at one pitch, 0..1."""
    stability_cents: float
    """Robust standard deviation over time; vibrato is 10 to 20, a gliding kick hundreds."""

    @property
    def hertz(self) -> float | None:
        """The pitch as a frequency."""
        return None if self.midi is None else 440.0 * 2.0 ** ((self.midi - 69) / 12)


NO_PITCH = Pitch(None, None, 0.0, 0.0, 0.0)


def note_name(midi: int) -> str:
    """Write a MIDI number as Strudel does: 60 is ``c4``, 61 is ``cs4``."""
    return f"{NAMES[midi % 12]}{midi // 12 - 1}"


def find_pitch(clip: Clip) -> Pitch:
    """Find the pitch of ``clip``: the energy-weighted median over time of YIN (de Cheveigné and Kawahara 2002).

    The first 30 ms, in which many attacks glide, count only where there is nothing else. Each period is measured
    again over as many periods as still resemble each other, which divides the error of its reading by their number.
    """
    if clip.frames < 64 or clip.rate < 1000:
        return NO_PITCH
    reduced = resample(Clip.of(mono(clip), clip.rate), _RATE) if clip.rate > _RATE else clip
    signal, rate = mono(reduced), reduced.rate
    signal = signal - np.float32(np.mean(signal, dtype=np.float64))
    level = float(np.abs(signal).max(initial=0.0))
    if not level > 1e-6:
        return NO_PITCH
    starts, window, longest = _frames(signal, rate, level)
    if len(starts) == 0:
        return NO_PITCH
    table, energies = _normalised_differences(signal, starts, window, longest)
    shortest = max(2, int(rate / HIGHEST_HZ))
    periods, aperiodicity = _periods(table, shortest)
    voiced = (aperiodicity < _VOICED) & (energies > 0.003 * energies.max())
    settled = voiced & (starts >= starts[0] + _ATTACK_SECONDS * rate)
    chosen = settled if settled.sum() >= 3 else voiced
    if not chosen.any():
        return NO_PITCH
    midis = 69 + 12 * np.log2(rate / periods[chosen] / 440.0)
    weights = np.sqrt(energies[chosen])
    middle = _weighted_median(midis, weights)
    off = np.abs(midis - middle)
    spread = 1.4826 * 100 * _weighted_median(off, weights)
    near = chosen.copy()
    near[chosen] = off < 0.5
    confidence = float(energies[near].sum() / max(1e-20, energies.sum())) * float(1 - aperiodicity[near].mean())
    nearest = round(middle)
    return Pitch(
        midi=round(middle, 4),
        note=note_name(nearest),
        cents=round((middle - nearest) * 100, 2),
        confidence=round(min(1.0, max(0.0, confidence)), 3),
        stability_cents=round(spread, 2),
    )


def tune(clip: Clip, pitch: Pitch) -> tuple[Clip, str | None]:
    """Bring a pitched sound to its nearest semitone, exactly, and give that note.

    It is played a little faster or slower (at most 3 %), which keeps the attack whole. What has no certain pitch is
    left as it is and gets no note; what glides or wavers by more than 60 cents is left as it is, but gets its note.
    """
    if pitch.midi is None or pitch.note is None or pitch.confidence < _SURE:
        return clip, None
    if abs(pitch.cents) < _IN_TUNE_CENTS or pitch.stability_cents > _STEADY_CENTS:
        return clip, pitch.note
    return resampled(clip, max(1, round(clip.frames * 2.0 ** (pitch.cents / 1200)))), pitch.note


def _frames(signal: Signal, rate: int, level: float) -> tuple[npt.NDArray[np.intp], int, int]:
    """Choose where to look: (first samples of the frames, window, longest period), all in samples."""
    longest = min(int(rate / LOWEST_HZ) + 2, len(signal) // 3)
    window = min(max(round(_WINDOW_SECONDS * rate), longest), len(signal) - longest - 1)
    loud = np.abs(signal) > 0.02 * level
    first = int(np.argmax(loud))
    last = min(len(signal) - 1 - int(np.argmax(loud[::-1])), len(signal) - window - longest - 1)
    if longest < 4 or window < longest // 2 or last < 0:
        return np.zeros(0, dtype=np.intp), window, longest
    first = min(first, last)
    hop = max(1, round(0.01 * rate), (last - first) // _MOST_FRAMES)
    return np.arange(first, last + 1, hop), window, longest


def _normalised_differences(
    signal: Signal, starts: npt.NDArray[np.intp], window: int, longest: int
) -> tuple[Numbers, Numbers]:
    """Compute the cumulative mean normalised difference: (frames, longest + 1), and the energy of each frame."""
    pieces = np.lib.stride_tricks.sliding_window_view(signal, window + longest)[starts]
    size = scipy.fft.next_fast_len(window + longest, real=True)  # what goes round it meets no lag that is read
    spectrum = scipy.fft.rfft(pieces, size, axis=1)
    head = scipy.fft.rfft(pieces[:, :window], size, axis=1)
    products = scipy.fft.irfft(spectrum * np.conj(head), size, axis=1)[:, : longest + 1]
    running = np.concatenate(([0.0], np.cumsum(np.square(signal), dtype=np.float64)))
    spans = np.lib.stride_tricks.sliding_window_view(running, longest + 1)
    energies = running[starts + window] - running[starts]
    shifted = spans[starts + window] - spans[starts]
    difference = np.maximum(0.0, energies[:, np.newaxis] + shifted - 2 * products)
    lags = np.arange(1, longest + 1)
    table = np.ones_like(difference)
    table[:, 1:] = difference[:, 1:] * lags / np.maximum(np.cumsum(difference[:, 1:], axis=1), 1e-12)
    return table, energies / window


def _periods(table: Numbers, shortest: int) -> tuple[Numbers, Numbers]:
    """Read the period (samples, with a fraction) and the aperiodicity (0..1) of each frame."""
    periods, aperiodicity = np.ones(len(table)), np.ones(len(table))
    last = table.shape[1] - 2
    for index, row in enumerate(table):
        below = np.nonzero(row[shortest:last] < _THRESHOLD)[0]
        lag = shortest + int(below[0] if len(below) else np.argmin(row[shortest:last]))
        while lag + 1 < last and row[lag + 1] < row[lag]:
            lag += 1
        aperiodicity[index] = min(1.0, float(row[lag]))
        period = lag + _vertex(row, lag)
        for count in range(2, _FAR_PERIODS + 1):
            far = round(count * period)
            if far + 2 >= last:
                break
            reach = max(1, round(0.02 * far))
            around = row[far - reach : min(far + reach + 1, last)]
            far = far - reach + int(np.argmin(around))
            # Partials that are not harmonic, and vibrato, make later periods unlike the first.
            if float(row[far]) > 2 * float(row[lag]) + 0.02:
                break
            period = (far + _vertex(row, far)) / count
        periods[index] = period
    return periods, aperiodicity


def _vertex(row: Numbers, lag: int) -> float:
    """Find the bottom of the parabola through three readings, relative to the middle one, -0.5..0.5."""
    before, here, after = row[lag - 1 : lag + 2].tolist()
    bend = before - 2 * here + after
    return min(0.5, max(-0.5, 0.5 * (before - after) / bend)) if bend > 1e-12 else 0.0


def _weighted_median(values: Numbers, weights: Numbers) -> float:
    order = np.argsort(values)
    running = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(running, running[-1] / 2)])

"""Grid: tempo, beat and bar of a clip that was asked for at a known tempo.

A blind beat tracker has to guess the octave and is off by a per cent or so. We know what was asked for, so we look at
how well the onsets agree with each tempo near it (a Fourier sum of the onset envelope at the beat and its
subdivisions), and then draw the straight line through the attacks themselves.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from bridge.audio.analysis._bars import Newness, bar_line, comb, lateness, phases
from bridge.audio.analysis.onset import OnsetEnvelope, attack_near, flux_peaks, onset_envelope
from bridge.audio.analysis.spectrum import Numbers, mono
from bridge.plugins.clip import Clip

TOLERANCE = 0.12
"""How far from the tempo that was asked for a clip may be: more stretching is heard."""
SLOWEST, FASTEST = 10.0, 1000.0

_PRIOR = 0.08
"""Standard deviation of the tempo error that is expected, as a share."""
_WIDE = 0.32
"""How far around the tempo asked for we look for proof that a clip was played at quite another one."""
_STRAIGHT = 0.12
"""Median distance from the sixteenths, in sixteenths, above which a clip swings."""
_LATENESS = 3.0
"""What late offbeats weigh against what stands on the beats."""
_OCTAVES = (0.5, 1.0, 2.0)


@dataclass(frozen=True, slots=True)
class Grid:
    """Where the beats of a clip are. A beat is a note of ``beat_unit``: a quarter in 4/4, an eighth in 7/8."""

    bpm: float
    """Quarter notes per minute, as played; what was asked for when nothing could be found."""
    phase_s: float
    """The first beat, seconds, 0 <= phase_s < one beat."""
    downbeat_s: float
    """The first beat that begins a bar, seconds, 0 <= downbeat_s < one bar."""
    confidence: float
    """How much of what begins agrees with the grid, 0..1; under 0.15 it is a guess."""
    has_onsets: bool
    """False: nothing begins in it that could be on a grid (pads, drones, noise); the times mean nothing."""
    beats_per_bar: int = 4
    beat_unit: int = 4
    feel: float = 1.0
    """0.5: it moves in half time, 2: in double time; the bars are the same."""

    @property
    def beat_s(self) -> float:
        """Seconds of one beat."""
        return beat_seconds(self.bpm, self.beat_unit)

    @property
    def bar_s(self) -> float:
        """Seconds of one bar."""
        return self.beats_per_bar * self.beat_s


def beat_seconds(bpm: float, beat_unit: int = 4) -> float:
    """Give the length of a beat; ``bpm`` counts quarter notes in every meter."""
    return 240.0 / (bpm * beat_unit)


def fit_grid(
    clip: Clip, bpm: float, *, beats_per_bar: int = 4, beat_unit: int = 4, tolerance: float = TOLERANCE
) -> Grid:
    """Find the grid of ``clip``, which was asked for at ``bpm`` quarter notes per minute.

    Half and double time are the same grid: their bars are ours, and ``feel`` tells which one it is. When the clip
    clearly runs at a tempo further away than ``tolerance``, that one is reported, so that it can be refused.
    """
    asked = float(np.clip(bpm, SLOWEST, FASTEST)) if np.isfinite(bpm) else 120.0
    beats_per_bar, beat_unit = max(1, beats_per_bar), max(1, beat_unit)
    nothing = Grid(asked, 0.0, 0.0, 0.0, has_onsets=False, beats_per_bar=beats_per_bar, beat_unit=beat_unit)
    if clip.seconds < 0.25:
        return nothing
    signal = mono(clip)
    envelope = onset_envelope(signal, clip.rate)
    peaks = flux_peaks(envelope)
    if len(peaks) < 3:
        return nothing
    # Everything below counts beats: the tempo is turned into beats per minute of the meter and back at the end.
    per_quarter = beat_unit / 4.0
    harmonics = (1, 2, 4) if beat_unit <= 4 else (1, 2)
    tempo, agreement = _tempo(envelope, asked * per_quarter, tolerance, harmonics)
    attacks = np.array([attack_near(signal, clip.rate, time) for time in peaks])
    weights = np.interp(peaks, np.arange(len(envelope.flux)) * envelope.hop, envelope.flux)
    beat = 60.0 / tempo
    guesses = phases(envelope, beat)
    beat, guesses[0] = _line_through(attacks, weights, beat, guesses[0])
    newness = Newness(signal, clip.rate, beat)
    fits = []
    for guess in guesses:
        phase = _settle(attacks, weights, beat, guess) % beat
        downbeat, fit = bar_line(envelope, newness, beat, phase, beats_per_bar, beat_unit)
        fits.append((fit + _LATENESS * lateness(envelope, beat, phase), phase, downbeat))
    _, phase, downbeat = max(fits)
    return replace(
        nothing,
        bpm=60.0 / beat / per_quarter,
        phase_s=phase,
        downbeat_s=downbeat,
        confidence=round(agreement, 3),
        has_onsets=True,
        feel=_feel(envelope, 60.0 / beat),
    )


def _agreement(envelope: OnsetEnvelope, tempi: Numbers, harmonics: tuple[int, ...]) -> Numbers:
    """Share of the onsets that agree with each tempo and its subdivisions, 0..1."""
    flux = envelope.flux * np.hanning(len(envelope.flux) + 2)[1:-1] ** 0.25
    used = np.nonzero(flux)[0]
    times, flux = used * envelope.hop, flux[used]
    total = np.zeros(len(tempi))
    amounts = dict(zip((1, 2, 4), (1.0, 0.7, 0.5), strict=True))
    for harmonic in harmonics:
        turns = np.exp(-2j * np.pi * harmonic / 60.0 * np.outer(tempi, times))
        total += amounts[harmonic] * np.abs(turns @ flux)
    return total / (sum(amounts[each] for each in harmonics) * (float(flux.sum()) + 1e-12))


def _tempo(envelope: OnsetEnvelope, asked: float, tolerance: float, harmonics: tuple[int, ...]) -> tuple[float, float]:
    """Find the tempo that the onsets agree with most, and how much they do."""
    seconds = len(envelope.flux) * envelope.hop
    step = 60.0 / seconds / 8.0
    tempi = np.arange(asked * (1 - _WIDE), asked * (1 + _WIDE) + step, step)
    scores = _agreement(envelope, tempi, harmonics)
    near = np.abs(tempi / asked - 1) <= tolerance
    if not near.any():
        return asked, 0.0
    expected = scores * np.exp(-0.5 * ((tempi / asked - 1) / _PRIOR) ** 2)
    best = float(tempi[near][np.argmax(expected[near])])
    inside, outside = float(scores[near].max()), float(scores[~near].max(initial=0.0))
    if outside > 0.35 and outside > 1.7 * inside:
        best = float(tempi[~near][np.argmax(scores[~near])])
    for _ in range(2):
        tempi = np.linspace(best - 1.5 * step, best + 1.5 * step, 61)
        scores = _agreement(envelope, tempi, harmonics)
        best, step = float(tempi[np.argmax(scores)]), step / 20
    return best, float(scores.max())


def _line_through(attacks: Numbers, weights: Numbers, beat: float, phase: float) -> tuple[float, float]:
    """Move beat and phase to the weighted straight line through the attacks (least squares, outliers left out).

    Attacks on any quarter of a beat tell the tempo when they are straight; with swing only those on the beat do.
    """
    for reach in (0.18, 0.12, 0.08):
        position = (attacks - phase) / (beat / 4)
        numbers = np.round(position)
        off = np.abs(position - numbers)
        chosen = off < reach * 4
        if float(np.median(off)) > _STRAIGHT:
            chosen &= numbers % 4 == 0
        if len(set(numbers[chosen])) >= 4:
            slope, start = _robust_line(numbers[chosen], attacks[chosen], weights[chosen])
            if abs(slope * 4 / beat - 1) < 0.005:
                phase, beat = start, slope * 4
        phase = _settle(attacks, weights, beat, phase)
    return beat, phase


def _robust_line(numbers: Numbers, times: Numbers, weights: Numbers) -> tuple[float, float]:
    """Fit times = start + slope * number; attacks that stand off like few others count little (Cauchy weights)."""
    slope = start = 0.0
    trust = np.ones(len(times))
    for _ in range(5):
        weight = weights * trust + 1e-9
        mean_number, mean_time = np.average(numbers, weights=weight), np.average(times, weights=weight)
        spread = float((weight * (numbers - mean_number) ** 2).sum())
        slope = float((weight * (numbers - mean_number) * (times - mean_time)).sum()) / (spread + 1e-12)
        start = float(mean_time - slope * mean_number)
        off = np.abs(times - start - slope * numbers)
        trust = 1.0 / (1.0 + (off / max(0.001, 1.5 * float(np.median(off)))) ** 2)
    return slope, start


def _settle(attacks: Numbers, weights: Numbers, beat: float, phase: float) -> float:
    """Move ``phase`` to the middle of the attacks within 30 ms of the beats."""
    position = (attacks - phase) / beat
    off = (position - np.round(position)) * beat
    close = np.abs(off) < min(0.03, 0.12 * beat)
    return phase + (_weighted_median(off[close], weights[close]) if close.sum() >= 2 else 0.0)


def _weighted_median(values: Numbers, weights: Numbers) -> float:
    order = np.argsort(values)
    running = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(running, running[-1] / 2)])


def _feel(envelope: OnsetEnvelope, tempo: float) -> float:
    """Tell half, straight or double time: where the onsets per grid line are strongest, the grids made comparable.

    A denser grid meets more flux by chance, a sparser one leaves more out: each is scored by what its lines meet above
    the mean, times the square root of their number.
    """
    times = np.arange(len(envelope.flux)) * envelope.hop
    scores = []
    for octave in _OCTAVES:
        beat = 60.0 / (tempo * octave)
        phases, met = comb(envelope.flux, envelope.hop, beat)
        start = float(phases[np.argmax(met)])
        lines = start + np.arange(max(1, int((times[-1] - start) / beat) + 1)) * beat
        on_lines = np.interp(lines, times, envelope.flux)
        scores.append((float(on_lines.mean()) - float(envelope.flux.mean())) * np.sqrt(len(lines)))
    return _OCTAVES[int(np.argmax(scores))]

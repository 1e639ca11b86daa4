"""Onsets: where sounds begin, and where a one-shot starts and ends.

``trim_onset`` and ``trim_tail`` follow the noise of the clip: thresholds stand above its floor, since a fixed one never
closes on a noisy clip and closes too early on a clean one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import maximum_filter1d, uniform_filter1d

from bridge.audio.analysis.spectrum import Numbers, Signal, band_energies, mono, power_of_two
from bridge.plugins.clip import Clip

HOP_SECONDS = 0.005
PRE_ROLL_SECONDS = 0.001
"""Kept before an attack; half of it is faded in."""
LONGEST_SECONDS = 120.0
LEAST_RISE = 0.35
"""Flux (log units) from which something begins: noise and beating pads stay under 0.2, quiet notes in noise are 0.9."""

_WINDOW_SECONDS = 0.032
_LOCAL_SECONDS = 0.4
_LOW_HZ = 150.0
_FRAME_SECONDS = 0.005
_FLAT_DB, _LOUDEST_NOISE_DB = 2.5, -30.0
_GAP_SECONDS = 0.12
"""A pause that ends a one-shot: shorter ones lie inside of claps and flams."""
_SHARE_OF_PEAK = 0.08
"""An attack begins where the wave first passes this share of the peak near it."""


@dataclass(frozen=True, slots=True)
class OnsetEnvelope:
    """How much begins at each time; one value a hop, the first at 0 s."""

    flux: Numbers
    """Rise of the log spectrum, mean over bands, above its local mean; 0 where nothing begins."""
    low: Numbers
    """Rise below 150 Hz: where kicks and bass notes begin."""
    high: Numbers
    """Rise above 1 kHz: where snares, claps and hats begin."""
    hop: float
    """Seconds from value to value."""


@dataclass(frozen=True, slots=True)
class OnsetFacts:
    """What was cut off the front."""

    start_s: float
    """Where the clip now starts in what it was."""
    found: bool
    """False: nothing stands above the noise, the start was left alone."""
    floor_db: float
    """Level of the noise under the loudest frame, dB."""


@dataclass(frozen=True, slots=True)
class TailFacts:
    """What was cut off the end."""

    end_s: float
    """Where the clip now ends in what it was."""
    sounding: bool
    """True: it was still sounding where the clip ends, and is faded out over a longer time."""
    floor_db: float
    """Level of the noise under the loudest frame, dB."""


def onset_envelope(signal: Signal, rate: int) -> OnsetEnvelope:
    """Measure what begins when in ``signal`` (frames,): log-band spectral flux, a value every 5 ms.

    Böck and Widmer's SuperFlux without its maximum filter, over 32 bands from 30 Hz; a rise is taken over two hops.
    """
    hop = max(1, round(HOP_SECONDS * rate))
    size = power_of_two(_WINDOW_SECONDS * rate)
    width = rate / size
    top = size // 2 + 1
    edges = np.unique(
        np.clip(np.round(np.geomspace(30.0, 0.47 * min(rate, 44100), 33) / width), 0, top).astype(np.intp)
    )
    if len(edges) < 2:
        edges = np.array([0, top], dtype=np.intp)
    bands = band_energies(signal, size, hop, edges)
    level = np.log1p(100.0 * bands / (float(np.percentile(bands, 99)) + 1e-9))
    rise = np.zeros_like(level)
    if len(level) > 2:
        rise[1:-1] = np.maximum(0.0, level[2:] - level[:-2])
    flux = rise.mean(axis=1)
    local = uniform_filter1d(flux, 2 * round(_LOCAL_SECONDS / HOP_SECONDS) + 1, mode="nearest")
    hertz = edges[:-1] * width
    low, high = hertz < _LOW_HZ, hertz > 1000.0
    return OnsetEnvelope(
        flux=np.maximum(0.0, flux - local),
        low=_rise_of(bands[:, low] if low.any() else bands[:, :1]),
        high=rise[:, high].mean(axis=1) if high.any() else flux,
        hop=hop / rate,
    )


def onsets(clip: Clip, *, closest: float = 0.05) -> list[float]:
    """List the times at which sounds begin, in seconds, rising, at least ``closest`` apart.

    Peaks of the flux that stand out, each moved to the attack in the wave near it (within about 1 ms for drums).
    """
    if clip.frames < 2:
        return []
    signal = mono(clip)
    envelope = onset_envelope(signal, clip.rate)
    return [attack_near(signal, clip.rate, time) for time in flux_peaks(envelope, closest=closest)]


def flux_peaks(envelope: OnsetEnvelope, *, closest: float = 0.05) -> list[float]:
    """List the times in seconds at which the flux has peaks that stand out of it."""
    flux = envelope.flux
    highest = float(flux.max(initial=0.0))
    if highest < LEAST_RISE:
        return []
    reach = max(1, round(closest / envelope.hop))
    peaks = (flux == maximum_filter1d(flux, 2 * reach + 1)) & (flux > max(LEAST_RISE / 2, 0.12 * highest))
    kept: list[int] = []
    for index in np.nonzero(peaks)[0]:
        if not kept or index - kept[-1] >= reach:
            kept.append(int(index))
    return [index * envelope.hop for index in kept]


def attack_near(signal: Signal, rate: int, time: float, *, reach: float = 0.02) -> float:
    """Find the attack within ``reach`` seconds of ``time``, in seconds: the first of the steepest rises of the
    level."""
    step = max(1, round(0.001 * rate))
    first = max(0, round((time - reach) * rate) - 3 * step)
    piece = signal[first : round((time + reach) * rate) + 3 * step].astype(np.float64)
    count = len(piece) // step
    if count < 8:
        return time
    # The difference weighs high notes: the click of a kick says more about its time than its body.
    edged = np.abs(np.diff(piece, prepend=piece[0])) + 0.1 * np.abs(piece)
    running = np.concatenate(([0.0], np.cumsum(edged[: count * step].reshape(count, step).mean(axis=1))))
    levels = (running[3:] - running[:-3]) / 3  # 3 ms; levels[i] covers milliseconds i to i + 3
    before, after = levels[:-3], levels[3:]
    rise = np.maximum(0.0, after - before) / (before + 0.05 * levels.max() + 1e-12) * np.sqrt(after)
    highest = float(rise.max(initial=0.0))
    if highest <= 0.0:
        return time
    index = int(np.argmax(rise > 0.6 * highest))
    while index + 1 < len(rise) and rise[index + 1] > rise[index]:
        index += 1
    # The rise lies between the two windows: the wave passes there what it had before, and a fifth of what comes.
    window = edged[(index + 1) * step : (index + 6) * step]
    passed = before[index] + 0.2 * (float(window.max()) - before[index])
    return (first + (index + 1) * step + int(np.argmax(window > passed))) / rate


def trim_onset(clip: Clip, *, offset: bool = True) -> tuple[Clip, OnsetFacts]:
    """Start ``clip`` 1 ms before its attack, the first half of that faded in (linear).

    The attack begins where the level passes -30 dB under the loudest 5 ms, or 12 dB above the noise where that is
    higher, and in that frame where the wave passes 8 % of its peak. A clip without any is returned as it is.
    ``offset``: False says that the wave swings around zero already, which saves looking for its middle.
    """
    whole = _wave(clip, offset)
    levels, frame = _levels(whole, clip.rate)
    if levels is None:
        return clip, OnsetFacts(0.0, found=False, floor_db=0.0)
    floor = _noise_floor(levels)
    loud = np.nonzero(levels > min(-3.0, max(-30.0, floor + 12.0)))[0]
    near = int(loud[0]) * frame
    first = max(0, near - 2 * frame)
    wave = whole[first : near + 2 * frame]
    attack = first + int(np.argmax(wave > _SHARE_OF_PEAK * wave.max()))
    start = max(0, attack - round(PRE_ROLL_SECONDS * clip.rate))
    samples = _finite(clip)[:, start:].copy()
    fade = min(round(PRE_ROLL_SECONDS / 2 * clip.rate), samples.shape[1] // 2)
    if start > 0 or float(np.abs(samples[:, 0]).max()) > 0.0:
        fade = min(fade, attack - start)  # what starts with its attack keeps it
        samples[:, :fade] *= np.arange(fade, dtype=np.float32) / max(1, fade)
    return Clip(samples, clip.rate), OnsetFacts(start / clip.rate, found=True, floor_db=round(floor, 1))


def trim_tail(clip: Clip, *, longest: float = LONGEST_SECONDS, offset: bool = True) -> tuple[Clip, TailFacts]:
    """End ``clip`` where it has died away, faded out with cos² over 15 % of it.

    It has died away before the first pause of 120 ms under -60 dB, or under 9 dB above the noise where that is higher.
    What still sounds at the end, or after ``longest`` seconds, is faded out over 250 ms (at most half of it).
    ``offset``: as for ``trim_onset``.
    """
    levels, frame = _levels(_wave(clip, offset), clip.rate)
    if levels is None:
        return clip, TailFacts(clip.seconds, sounding=False, floor_db=0.0)
    floor = _noise_floor(levels)
    loud = np.nonzero(levels > min(-3.0, max(-60.0, floor + 9.0)))[0]
    pauses = np.nonzero(np.diff(loud) > round(_GAP_SECONDS * clip.rate / frame))[0]
    last = int(loud[pauses[0]] if len(pauses) else loud[-1])
    end = min(clip.frames, (last + 1) * frame)
    sounding = end >= clip.frames - frame and float(levels[-2:].max()) > -40.0
    limit = max(1, round(longest * clip.rate))
    if end > limit:
        end, sounding = limit, True
    samples = _finite(clip)[:, :end].copy()
    fade = round(0.25 * clip.rate) if sounding else max(round(0.01 * clip.rate), round(0.15 * end))
    fade = min(fade, end // 2)
    if fade > 0:
        samples[:, end - fade :] *= (np.cos(np.linspace(0.0, np.pi / 2, fade)) ** 2).astype(np.float32)
        samples[:, -1] = 0.0
    return Clip(samples, clip.rate), TailFacts(end / clip.rate, sounding=sounding, floor_db=round(floor, 1))


def _levels(wave: Signal, rate: int) -> tuple[Numbers | None, int]:
    """Level of every 5 ms in dB under the loudest, and the frames in those 5 ms; None for silence."""
    frame = max(1, round(_FRAME_SECONDS * rate))
    if len(wave) == 0 or float(wave.max()) <= 1e-6:
        return None, frame
    starts = np.arange(0, len(wave), frame)
    energy = np.add.reduceat(np.square(wave), starts).astype(np.float64)
    rms = np.sqrt(energy / np.diff(np.append(starts, len(wave))))
    levels: Numbers = 20.0 * np.log10(np.maximum(rms / rms.max(), 1e-6))
    return levels, frame


def _noise_floor(levels: Numbers) -> float:
    """Level of steady noise, dB under the loudest frame; -120 where there is none.

    What is quietest in a note that dies away is not noise: noise is flat over a tenth of the clip at least, and low.
    """
    lower, floor, upper = np.percentile(levels, (4, 9, 14))
    return float(floor) if upper - lower < _FLAT_DB and floor < _LOUDEST_NOISE_DB else -120.0


def _wave(clip: Clip, offset: bool) -> Signal:
    """Take the highest channel at each time, without its offset when it may have one: (frames,), not negative."""
    samples = _finite(clip)
    if samples.size == 0:
        return np.zeros(0, dtype=np.float32)
    centred = samples - np.median(samples, axis=1, keepdims=True) if offset else samples
    wave: Signal = np.abs(centred).max(axis=0)
    return wave


def _finite(clip: Clip) -> Signal:
    if bool(np.isfinite(clip.samples).all()):
        return clip.samples
    return np.nan_to_num(clip.samples, nan=0.0, posinf=0.0, neginf=0.0)


def _rise_of(bands: Numbers) -> Numbers:
    total = bands.sum(axis=1) / (float(np.percentile(bands.sum(axis=1), 95)) + 1e-9)
    # Half by ratio, half by amount: a bass note rises as steeply as a kick, but not as far.
    level = 0.5 * np.log1p(10.0 * total) + 0.5 * total
    rise: Numbers = np.maximum(0.0, np.diff(level, prepend=level[:1]))
    return rise

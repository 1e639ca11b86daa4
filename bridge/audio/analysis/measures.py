"""What is measured of a finished sample. Each measure is a plain number, so that it can be kept as JSON."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt
import scipy.fft

from bridge.audio.analysis.loudness import decibels, heard_loudness, true_peak
from bridge.audio.analysis.onset import attack_near, flux_peaks, onset_envelope
from bridge.audio.analysis.spectrum import mono
from bridge.plugins.clip import Clip

Numbers = npt.NDArray[np.float64]

_MOST_FOR_SPECTRUM = 1 << 19
"""Frames: of longer clips (12 s) the beginning speaks for the whole."""
_FLAT_TOP = 4
"""Equal samples in a row at the highest level that a wave does not have by itself."""


def measure(clip: Clip, *, loop: bool = False, known: Mapping[str, float] | None = None) -> dict[str, float]:
    """Measure what every clip has.

    ``seconds``; ``peak_dbfs`` and ``rms_dbfs`` of the samples; ``true_peak_dbtp``; ``lufs`` as heard (a mono clip comes
    from both loudspeakers); ``centroid_hz`` and ``rolloff_hz`` (99 % of the energy lies below); ``dc`` (share of full
    scale); ``mono_loss_db`` (what is lost when both channels are mixed, 0 or less; -3 for channels that have nothing in
    common) and ``mono_loss_low_db`` of what lies under 120 Hz. ``known``: those that need not be taken again.
    """
    if clip.samples.size == 0:
        clip = Clip(np.zeros((1, 1), dtype=np.float32), clip.rate)
    samples = clip.samples
    flat = samples.reshape(-1)
    known = known or {}
    centroid, rolloff = _spectral(clip)
    whole, low = _mono_losses(clip)
    return {
        "seconds": round(clip.seconds, 6),
        "peak_dbfs": round(decibels(float(max(samples.max(), -samples.min()))), 2),
        "rms_dbfs": round(decibels(float(np.sqrt(np.dot(flat, flat) / flat.size))), 2),
        "true_peak_dbtp": _known(known, "true_peak_dbtp", lambda: decibels(true_peak(clip, loop=loop))),
        "lufs": _known(known, "lufs", lambda: heard_loudness(clip)),
        "centroid_hz": round(centroid, 1),
        "rolloff_hz": round(rolloff, 1),
        "dc": round(float(np.abs(samples.mean(axis=1)).max()), 6),
        "mono_loss_db": round(whole, 2),
        "mono_loss_low_db": round(low, 2),
    }


def _known(known: Mapping[str, float], name: str, take: Callable[[], float]) -> float:
    return known[name] if name in known else round(take(), 2)


def flat_tops(clip: Clip) -> int:
    """Count places where the wave was cut off flat: four or more equal samples at a channel's highest level."""
    count = 0
    for channel in np.abs(clip.samples):
        highest = float(channel.max(initial=0.0))
        if highest <= 0.0 or len(channel) < _FLAT_TOP:
            continue
        high = np.nonzero(channel >= 0.999 * highest)[0]  # a few of all
        flat = (np.diff(high) == 1) & (np.diff(channel[high]) == 0)
        edges = np.diff(np.concatenate(([0], flat.astype(np.int8), [0])))
        lengths = np.nonzero(edges == -1)[0] - np.nonzero(edges == 1)[0]
        count += int((lengths >= _FLAT_TOP - 1).sum())
    return count


def head_silence_ms(clip: Clip) -> float:
    """Give the milliseconds before the wave first comes within 40 dB of its peak."""
    return _first_over(np.abs(clip.samples).max(axis=0), 0.01) / clip.rate * 1000.0


def tail_silence_ms(clip: Clip) -> float:
    """Give the milliseconds after the wave was last within 60 dB of its peak."""
    return _first_over(np.abs(clip.samples).max(axis=0)[::-1], 0.001) / clip.rate * 1000.0


def last_sample(clip: Clip) -> float:
    """Give the magnitude of the last frame, 1 = full scale: what is not 0 clicks."""
    return float(np.abs(clip.samples[:, -1]).max()) if clip.frames else 0.0


def seam_step_db(clip: Clip) -> float:
    """Give how much louder the first 20 ms are than the last, as a magnitude in dB."""
    size = max(1, min(round(0.02 * clip.rate), clip.frames // 2))
    first, last = (float(np.square(piece).mean()) for piece in (clip.samples[:, :size], clip.samples[:, -size:]))
    return abs(10.0 * float(np.log10((first + 1e-12) / (last + 1e-12))))


def join_dip_db(clip: Clip) -> float:
    """Give the lowest level of any 50 ms near the join over what is usual for the clip, dB; 0 where nothing dips."""
    size = max(1, round(0.05 * clip.rate))
    side = min(5 * size, clip.frames // 4)
    if side < 2 * size:
        return 0.0
    power = np.square(clip.samples, dtype=np.float64).mean(axis=0)
    around = np.concatenate((power[-side:], power[:side]))
    total = np.concatenate(([0.0], np.cumsum(around)))
    lowest = float((total[size:] - total[:-size]).min()) / size
    usual = float(np.percentile(power[: len(power) // size * size].reshape(-1, size).mean(axis=1), 25))
    return min(0.0, 10.0 * float(np.log10((lowest + 1e-12) / (usual + 1e-12))))


def seam_flux(clip: Clip) -> float:
    """Give the change of the spectrum over the join in units of its usual change from 46 ms to the next."""
    size = 2048
    signal = mono(clip)
    count = min(len(signal) // size, 200)
    if count < 8:
        return 0.0
    window = np.hanning(size)
    frames = [signal[-size:], *(signal[index * size : (index + 1) * size] for index in range(count))]
    spectra = np.log10(np.abs(scipy.fft.rfft(np.array(frames) * window, axis=1)) + 1e-4)
    steps = np.abs(np.diff(spectra, axis=0)).mean(axis=1)
    return float(steps[0] / (np.median(steps[1:]) + 1e-6))


def grid_deviation_ms(clip: Clip, bpm: float) -> float | None:
    """Give how far what begins lies from the grid that starts at the first frame, weighted RMS in milliseconds.

    The grid is that of sixteenths or of triplet eighths, whichever fits better: swing is not a mistake. None without at
    least four onsets.
    """
    signal = mono(clip)
    envelope = onset_envelope(signal, clip.rate)
    peaks = flux_peaks(envelope)
    if len(peaks) < 4:
        return None
    times = np.array([attack_near(signal, clip.rate, time) for time in peaks])
    weights = np.interp(peaks, np.arange(len(envelope.flux)) * envelope.hop, envelope.flux)
    beat = 60.0 / bpm
    found = []
    for slot in (beat / 4, beat / 3):
        off = times - np.round(times / slot) * slot
        found.append(float(np.sqrt(np.average(np.square(off), weights=weights + 1e-9))))
    return min(found) * 1000.0


def _first_over(wave: npt.NDArray[np.float32], share: float) -> int:
    highest = float(wave.max(initial=0.0))
    return int(np.argmax(wave >= share * highest)) if highest > 0.0 else len(wave)


def _spectral(clip: Clip) -> tuple[float, float]:
    """Centroid and 99 % roll-off of the power spectrum, Hz."""
    signal = mono(clip)[:_MOST_FOR_SPECTRUM]
    spectrum = scipy.fft.rfft(signal, n=scipy.fft.next_fast_len(len(signal), real=True))
    power = np.square(spectrum.real) + np.square(spectrum.imag)
    hertz = np.linspace(0.0, clip.rate / 2, len(power), dtype=np.float32)
    running = np.cumsum(power, dtype=np.float64)
    total = float(running[-1])
    if not total > 0.0:
        return 0.0, 0.0
    rolloff = hertz[min(int(np.searchsorted(running, 0.99 * total)), len(hertz) - 1)]
    return float(np.dot(power, hertz) / total), float(rolloff)


def _mono_losses(clip: Clip) -> tuple[float, float]:
    """Energy of the mix over that of the channels in dB: of all, and under 120 Hz (averaged over 8 ms)."""
    if clip.channels < 2:
        return 0.0, 0.0
    box = max(1, round(clip.rate / 240))
    whole = clip.samples[:2]
    count = clip.frames // box
    low = whole[:, : count * box].reshape(2, count, box).mean(axis=2) if count > 1 else whole
    return _mono_loss(whole), _mono_loss(low)


def _mono_loss(pair: npt.NDArray[np.float32]) -> float:
    left, right = (float(np.dot(each, each)) for each in pair)
    mixed = max(0.0, (left + right + 2.0 * float(np.dot(pair[0], pair[1]))) / 4.0)
    both = (left + right) / 2.0
    return max(-60.0, min(0.0, 10.0 * float(np.log10((mixed + 1e-12) / (both + 1e-12)))))

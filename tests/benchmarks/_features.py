"""What can be measured of a sound: one number each, of samples (channels, frames) at 44.1 kHz.

Ratios are taken of Hz, seconds and counts, differences of decibels.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.ndimage import median_filter

RATE = 44_100
Samples = npt.NDArray[np.float32]
Curve = npt.NDArray[np.float64]


def _mono(x: Samples) -> Curve:
    return np.asarray(x.mean(axis=0, dtype=np.float64))


def _power(m: Curve) -> tuple[Curve, Curve]:
    """Power spectrum and its Hz."""
    return np.abs(np.fft.rfft(m)) ** 2, np.fft.rfftfreq(len(m), 1 / RATE)


def _levels(m: Curve, seconds: float) -> Curve:
    """Mean power of each piece of so many seconds."""
    size = max(1, round(seconds * RATE))
    whole = m[: max(1, len(m) // size) * size]
    return np.asarray((np.resize(whole, (max(1, len(whole) // size), min(size, len(whole)))) ** 2).mean(axis=1))


def _onset(m: Curve) -> int:
    """The first frame over a twentieth of the peak."""
    return int(np.argmax(np.abs(m) > 0.05 * np.abs(m).max()))


def centroid(x: Samples) -> float:
    """Hz: centre of gravity of the power spectrum."""
    power, hertz = _power(_mono(x))
    return float((hertz * power).sum() / power.sum())


def edge(x: Samples) -> float:
    """Hz under which 95 % of the power lie."""
    power, hertz = _power(_mono(x))
    return float(hertz[np.searchsorted(np.cumsum(power), 0.95 * power.sum())])


def touch(x: Samples) -> float:
    """Hz: centroid of the first 80 ms, which a harder touch raises."""
    m = _mono(x)
    start = _onset(m)
    power, hertz = _power(m[start : start + round(0.08 * RATE)])
    return float((hertz * power).sum() / power.sum())


def crest(x: Samples) -> float:
    """dB: peak over mean level of the part before 95 % of the energy have passed; distortion lowers it."""
    m = _mono(x)
    body = m[: max(64, round(decay(x) * RATE))]
    return float(20 * np.log10(np.abs(body).max() / np.sqrt(np.mean(body**2))))


def floor(x: Samples) -> float:
    """dB: geometric over arithmetic mean of the power from 100 Hz to 6 kHz: noise between and over the partials."""
    power, hertz = _power(_mono(x))
    some = power[(hertz > 100) & (hertz < 6000)] + 1e-12 * power.max()
    return float(10 * np.log10(np.exp(np.log(some).mean()) / some.mean()))


def width(x: Samples) -> float:
    """dB: side over middle, -40 for mono."""
    if len(x) == 1:
        return -40.0
    left, right = x.astype(np.float64)
    return float(10 * np.log10(1e-4 + np.sum((left - right) ** 2) / np.sum((left + right) ** 2)))


def decay(x: Samples) -> float:
    """Seconds until 95 % of the energy have passed."""
    energy = np.cumsum(_mono(x) ** 2)
    return float((np.searchsorted(energy, 0.95 * energy[-1]) + 1) / RATE)


def tail(x: Samples) -> float:
    """Seconds until the level stays 40 dB under its loudest 10 ms."""
    level = _levels(_mono(x), 0.01)
    return float((np.flatnonzero(level > 1e-4 * level.max())[-1] + 1) * 0.01)


def rise(x: Samples) -> float:
    """Seconds from 10 % to 90 % of the highest amplitude of 4 ms pieces, at least 4 ms."""
    level = np.sqrt(_levels(_mono(x), 0.004))
    top = level.max()
    return float(max(1, np.argmax(level > 0.9 * top) - np.argmax(level > 0.1 * top)) * 0.004)


def onsets(x: Samples) -> float:
    """Onsets a second: peaks of the rise of the log levels of eight bands, 10 ms apart, twice around a loop."""
    m = _mono(x)
    hop, size = 220, 1024
    around = np.concatenate([m, m])
    count = (len(around) - size) // hop
    pieces = np.lib.stride_tricks.sliding_window_view(around, size)[::hop][:count] * np.hanning(size)
    spectra = np.abs(np.fft.rfft(pieces, axis=1)) ** 2
    bounds = np.array([1, 3, 6, 12, 24, 48, 96, 192, 400])
    bands = np.add.reduceat(spectra[:, :400], bounds[:-1], axis=1)
    loud = np.log10(bands + 1e-4 * bands.max() * np.array([1, 1, 1, 0.5, 0.3, 0.2, 0.1, 0.05]))
    flux = np.maximum(loud[3:] - loud[:-3], 0).sum(axis=1)
    wide = np.lib.stride_tricks.sliding_window_view(np.pad(flux, 6), 13).max(axis=1)
    found = np.flatnonzero((flux >= wide) & (flux > max(0.22 * np.percentile(flux, 99.5), 0.8)))
    return float(max(1, len(found)) / (len(around) / RATE))


def major(x: Samples) -> float:
    """dB: how much more of the major third (E) there is than of the minor one (E flat) over a tonic of C."""
    power, hertz = _power(_mono(x))
    classes = 12 * np.log2(np.maximum(hertz, 1) / 16.3516) % 12
    inside = (hertz > 100) & (hertz < 1400)

    def of(note: float) -> float:
        return float(power[inside & (np.abs(classes - note) < 0.3)].sum()) + 1e-5 * float(power[inside].sum())

    return float(10 * np.log10(of(4) / of(3)))


def swell(x: Samples) -> float:
    """dB between the loud and the soft quarters of a loop: range of the level over 400 ms."""
    level = 10 * np.log10(np.maximum(_levels(_mono(x), 0.4), 1e-9))
    return float(level.max() - level.min())


def harmonic(x: Samples) -> float:
    """dB: what stays in time over what stays in frequency, by median filters over 17 frames and 17 bins.

    D. Fitzgerald, "Harmonic/percussive separation using median filtering", DAFx 2010.
    """
    m = _mono(x)[: 3 * RATE]
    m = np.pad(m, (0, max(0, 2048 * 2 - len(m))))
    pieces = np.lib.stride_tricks.sliding_window_view(m, 2048)[::512] * np.hanning(2048)
    size = np.abs(np.fft.rfft(pieces, axis=1))[:, :512]
    stays = median_filter(size, (min(17, len(size)), 1)) ** 2
    struck = median_filter(size, (1, 17)) ** 2
    share = stays / (stays + struck + 1e-12)
    power = size**2
    return float(10 * np.log10(((power * share).sum() + 1e-9) / ((power * (1 - share)).sum() + 1e-9)))

"""Likeness: the colour of a finished sound is pulled towards that of another one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.fft import irfft, rfft

from bridge.audio.features import BANDS_HZ, octave_levels

from .dsp.signal import RATE, Signal, mono, peak_normalised
from .polish import PEAK

_MOST_DB = 30.0
"""More than this would bring up what is only the rounding of a sound."""
_PASSES = 3
"""Neighbouring octaves reach into each other; what is left over is corrected again."""


def strength_of(guidance: float) -> float:
    """Turn guidance into a share: 1 and less pull a little, 10 all the way."""
    return 0.1 + 0.9 * min(max((guidance - 1.0) / 9.0, 0.0), 1.0)


def pulled(signal: Signal, wanted: Sequence[float], strength: float) -> Signal:
    """Move the levels of the ten octaves of ``signal`` by the share ``strength`` of the way to ``wanted`` (dB).

    The filter has no phase and is as wide as an octave, and goes round: a loop stays one.
    """
    own = octave_levels(mono(signal).astype(np.float32), RATE)
    goal = own + strength * (_centred(np.asarray(wanted)) - _centred(own))
    for _ in range(_PASSES):
        now = octave_levels(mono(signal).astype(np.float32), RATE)
        signal = _filtered(signal, np.clip(_centred(goal) - _centred(now), -_MOST_DB, _MOST_DB))
    return peak_normalised(signal, PEAK)


def _centred(levels: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return levels - float(levels.max())


def _filtered(signal: Signal, gains_db: npt.NDArray[np.float64]) -> Signal:
    count = signal.shape[-1]
    hertz = np.fft.rfftfreq(count, 1 / RATE)
    gains = np.interp(np.log2(np.maximum(hertz, 1.0)), np.log2(BANDS_HZ), gains_db)
    return np.asarray(irfft(rfft(signal, count, axis=-1) * 10.0 ** (gains / 20.0), count, axis=-1))

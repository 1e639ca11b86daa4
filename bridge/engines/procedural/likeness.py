"""Likeness: the colour of a finished sound is pulled towards that of another one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.fft import irfft, rfft

from bridge.audio.analysis.features import BANDS_HZ, octave_levels

from .dsp.signal import RATE, Signal, mono, peak_normalised
from .polish import PEAK

_MOST_DB = 40.0
"""More than this would bring up what is only the rounding of a sound."""
_PASSES = 3
"""Neighbouring octaves reach into each other; what is left over is corrected again."""
_NOTHING_DB = np.array([-35.0] * 2 + [-58.0] * 8)
"""An octave that is louder than this holds something; what is under 90 Hz may be rumble."""


def strength_of(guidance: float) -> float:
    """Turn guidance into a share: 1 and less pull a little, 10 all the way."""
    return 0.1 + 0.9 * min(max((guidance - 1.0) / 9.0, 0.0), 1.0)


def pulled(signal: Signal, wanted: Sequence[float], strength: float) -> Signal:
    """Move the levels of the ten octaves of ``signal`` by the share ``strength`` of the way to ``wanted`` (dB).

    Octaves in which it has nothing stay as they are next to their neighbours: there is nothing to bring up. The filter
    has no phase, is as wide as an octave, and goes round: a loop stays one.
    """
    own = octave_levels(mono(signal).astype(np.float32), RATE)
    heard = own > _NOTHING_DB
    if not heard.any():
        return signal
    away = np.asarray(wanted) - own
    goal = own + strength * (away - away[heard].mean())
    for _ in range(_PASSES):
        left = goal - octave_levels(mono(signal).astype(np.float32), RATE)
        left = np.clip(left - left[heard].mean(), -_MOST_DB, _MOST_DB)
        signal = _filtered(signal, np.interp(np.arange(len(left)), np.flatnonzero(heard), left[heard]))
    return peak_normalised(signal, PEAK)


def _filtered(signal: Signal, gains_db: npt.NDArray[np.float64]) -> Signal:
    count = signal.shape[-1]
    hertz = np.fft.rfftfreq(count, 1 / RATE)
    gains = np.interp(np.log2(np.maximum(hertz, 1.0)), np.log2(BANDS_HZ), gains_db)
    return np.asarray(irfft(rfft(signal, count, axis=-1) * 10.0 ** (gains / 20.0), count, axis=-1))

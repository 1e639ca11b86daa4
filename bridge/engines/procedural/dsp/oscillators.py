"""Oscillators without audible aliasing: sine, PolyBLEP saw and pulse, band-limited tables.

PolyBLEP: V. Välimäki and A. Huovilainen, "Antialiasing oscillators in subtractive synthesis", IEEE Signal Processing
Magazine 24(2), 2007: each step is rounded by a two-sample polynomial.
"""

from __future__ import annotations

import numpy as np

from .signal import RATE, Curve, Signal

_TABLE = 4096
"""Frames of one cycle in a table; linear reading keeps errors under -60 dB up to the 80th harmonic."""


def phase(pitch: Curve, count: int, start: float = 0.0) -> Signal:
    """Cycles passed at each frame for a pitch in Hz (a number or one a frame), from ``start`` cycles on."""
    if isinstance(pitch, int | float):
        return start + np.arange(count, dtype=np.float64) * (pitch / RATE)
    return start + np.concatenate([[0.0], np.cumsum(pitch[: count - 1])]) / RATE


def sine(pitch: Curve, count: int, start: float = 0.0) -> Signal:
    """Sine of ``pitch`` Hz, (count,)."""
    return np.sin(2 * np.pi * phase(pitch, count, start))


def saw(pitch: Curve, count: int, start: float = 0.0) -> Signal:
    """Rising sawtooth of ``pitch`` Hz between -1 and 1, (count,)."""
    step = np.broadcast_to(np.asarray(pitch, dtype=np.float64) / RATE, (count,))
    cycle = phase(pitch, count, start) % 1.0
    y = 2 * cycle - 1
    after = np.flatnonzero(cycle < step)
    q = cycle[after] / step[after]
    y[after] -= 2 * q - q * q - 1
    before = np.flatnonzero(cycle > 1 - step)
    q = (cycle[before] - 1) / step[before]
    y[before] -= q * q + 2 * q + 1
    return y


def pulse(pitch: Curve, count: int, width: float = 0.5, start: float = 0.0) -> Signal:
    """Pulse wave of ``pitch`` Hz with duty ``width`` (0..1), without DC, (count,)."""
    return 0.5 * (saw(pitch, count, start) - saw(pitch, count, start + width))


def table(amplitudes: Signal, phases: Signal | None = None) -> Signal:
    """One cycle of harmonics 1, 2, 3 ... with these amplitudes and phases (radians), (4096,)."""
    amplitudes = amplitudes[: _TABLE // 4]
    spectrum = np.zeros(_TABLE // 2 + 1, dtype=np.complex128)
    turn = np.exp(1j * phases[: len(amplitudes)]) if phases is not None else 1.0
    spectrum[1 : 1 + len(amplitudes)] = -0.5j * _TABLE * amplitudes * turn
    return np.fft.irfft(spectrum, _TABLE)


def read(cycle: Signal, at: Signal) -> Signal:
    """Read a table at phases ``at`` (cycles), with linear interpolation."""
    position = (at - np.floor(at)) * len(cycle)
    index = position.astype(np.int32)
    position -= index
    around = np.append(cycle, cycle[:2])  # a phase just under 1 may round up to it
    here = np.take(around, index)
    position *= np.take(np.diff(around), index)
    position += here
    return position

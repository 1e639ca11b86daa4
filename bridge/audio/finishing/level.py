"""Level: finished sounds of one kind are equally loud, and none is over -1 dBTP.

A live coder layers loops without touching a fader, so loops match in loudness. Where drums stand too far above their
loudness for that, a look-ahead limiter takes at most 4 dB off their peaks, which is not heard on drums; what would need
more stays quieter and says so.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy.ndimage import maximum_filter1d, uniform_filter1d

from bridge.audio.analysis.loudness import (
    DUAL_MONO_DB,
    block_powers,
    decibels,
    gated_loudness,
    heard_loudness,
    peak_envelope,
    true_peak,
)
from bridge.audio.finishing.dc import remove_mean
from bridge.plugins.clip import Clip

CEILING_DBTP = -1.0
"""No finished sample stands higher, and one-shots stand here: room for resampling and lossy formats."""
LOOP_LUFS = -13.0
"""Loudness of loops and stems as they are heard, see ``loudness.heard_loudness``."""
SUSTAINED_LUFS = -18.0
"""Loudness of textures and of pitched sounds that hold."""
MOST_LIMITING_DB = 4.0

_TOO_SHORT_OF_IT = 0.5
"""LU under the target from which a sample counts as limited by its peaks."""
_LOOK_AHEAD_SECONDS = 0.0015
_RELEASE_SECONDS = 0.06
_ROUNDS = 3
"""Limiting makes a clip a little quieter; it is raised again this often."""


@dataclass(frozen=True, slots=True)
class LevelFacts:
    """What was done to the level."""

    gain_db: float
    """How much all channels were raised."""
    limited_db: float
    """How much the limiter took off the highest peak, 0 where there was none."""
    peak_limited: bool
    """True: its peaks kept it more than 0.5 LU under its target."""
    known: dict[str, float] = field(default_factory=dict)
    """Measures of the levelled clip (named as by ``measures.measure``) that follow from those of the clip before."""


def to_peak(clip: Clip, dbtp: float = CEILING_DBTP, *, loop: bool = False) -> tuple[Clip, LevelFacts]:
    """Scale all channels alike so that the true peak stands at ``dbtp``; silence stays silence."""
    peak = true_peak(clip, loop=loop)
    if peak <= 0.0:
        return clip, LevelFacts(0.0, 0.0, peak_limited=False)
    gain = dbtp - decibels(peak)
    return _scaled(clip, gain), LevelFacts(
        round(gain, 2), 0.0, peak_limited=False, known={"true_peak_dbtp": round(dbtp, 2)}
    )


def to_loudness(clip: Clip, lufs: float, *, loop: bool = False) -> tuple[Clip, LevelFacts]:
    """Bring ``clip`` to ``lufs`` as it is heard, its true peak to -1 dBTP at most.

    ``loop``: it goes round, so the limiter's gain at its end is that of its beginning.
    """
    peak, blocks = true_peak(clip, loop=loop), block_powers(clip)
    both = DUAL_MONO_DB if clip.channels == 1 else 0.0
    loudness = gated_loudness(blocks) + both
    if peak <= 0.0:
        return clip, LevelFacts(0.0, 0.0, peak_limited=False)
    most = CEILING_DBTP - decibels(peak) + MOST_LIMITING_DB
    gain = min(lufs - loudness, most)
    if gain <= most - MOST_LIMITING_DB:
        known = {
            "true_peak_dbtp": round(decibels(peak) + gain, 2),
            "lufs": round(gated_loudness(blocks * 10.0 ** (gain / 10.0)) + both, 2),
        }
        return _scaled(clip, gain), LevelFacts(round(gain, 2), 0.0, peak_limited=False, known=known)
    for _ in range(_ROUNDS):
        levelled = limited(_scaled(clip, gain), loop=loop)
        short = lufs - heard_loudness(levelled)
        if abs(short) < 0.05 or (short > 0.0 and gain >= most):
            break
        gain = min(gain + short, most)
    limited_db = max(0.0, decibels(peak) + gain - CEILING_DBTP)
    short = lufs - heard_loudness(levelled)
    return levelled, LevelFacts(round(gain, 2), round(limited_db, 2), peak_limited=short > _TOO_SHORT_OF_IT)


def limited(clip: Clip, dbtp: float = CEILING_DBTP, *, loop: bool = False) -> Clip:
    """Keep the true peak under ``dbtp``: the gain falls within 1.5 ms before a peak and comes back in 60 ms."""
    envelope = peak_envelope(clip, 10.0 ** (dbtp / 20.0), loop=loop)
    over = 20.0 * np.log10(np.maximum(envelope, 1e-10)) - dbtp
    if not bool((over > 0.0).any()):
        return clip
    ahead = 2 * round(_LOOK_AHEAD_SECONDS * clip.rate) + 1
    mode = "wrap" if loop else "nearest"
    reduction = _released(np.maximum(over, 0.0), _RELEASE_SECONDS * clip.rate, loop)
    # Held as long as it is smoothed, so that it is whole where the peak is; twice a box is a triangle.
    reduction = maximum_filter1d(reduction, 2 * ahead - 1, mode=mode)
    for _ in range(2):
        reduction = uniform_filter1d(reduction, ahead, mode=mode)
    quieter = Clip((clip.samples * 10.0 ** (-reduction / 20.0)).astype(np.float32), clip.rate)
    if loop:
        # Peaks of one sign were taken down; a constant more or less makes no seam.
        quieter = remove_mean(quieter)
    # The gain moves between the samples as well: what that leaves over is a few hundredths of a dB.
    left = decibels(true_peak(quieter, loop=loop)) - dbtp
    return _scaled(quieter, -left) if left > 0.0 else quieter


def _released(over: npt.NDArray[np.floating], frames: float, loop: bool) -> npt.NDArray[np.float64]:
    """Let every value fall by a factor of e in ``frames``, or follow what is higher."""
    turns = np.concatenate((over, over)) if loop else over
    with np.errstate(divide="ignore"):
        level = np.log(turns.astype(np.float64)) + np.arange(len(turns)) / frames
    highest = np.maximum.accumulate(level) - np.arange(len(turns)) / frames
    return np.exp(highest[-len(over) :])


def _scaled(clip: Clip, decibels_more: float) -> Clip:
    return Clip((clip.samples * 10.0 ** (decibels_more / 20.0)).astype(np.float32), clip.rate)

"""Loops: an exact number of bars, to the frame, that begin on a bar line and go round without a click."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from bridge.audio.analysis.grid import FASTEST, SLOWEST, TOLERANCE, Grid, beat_seconds, fit_grid
from bridge.audio.analysis.onset import PRE_ROLL_SECONDS, attack_near
from bridge.audio.analysis.spectrum import mono
from bridge.audio.finishing.seam import crossfade, seam_z
from bridge.audio.finishing.stretch import stretch
from bridge.audio.finishing.texture import ring
from bridge.plugins.clip import Clip

__all__ = ["CONTEXT_SECONDS", "LoopFacts", "cut_loop", "loop_frames", "seam_z"]

CONTEXT_SECONDS = 0.25
"""Audio that is stretched along on both sides, so that no window of the stretcher meets an edge."""

_CROSSFADE_SECONDS = 0.012
_LEAD_SECONDS = 0.03
_REACH_SECONDS = 0.015
"""How far from its bar line a first hit may stand and still be it."""


@dataclass(frozen=True, slots=True)
class LoopFacts:
    """How a loop was cut."""

    method: str
    """``grid``: from a bar line; ``beat``: from another beat, since no bar line left enough; ``repeated``: fewer bars
    than asked for, going round; ``time``: by the clock, since nothing in it is on a grid."""
    stretch_ratio: float
    """New length over old."""
    tempo_error: float
    """How far the tempo was from what was asked, as a share: 0.02 is two per cent too fast."""
    fits: bool
    """False: further than 12 % from what was asked; it was stretched all the same, and one hears it."""
    seam_z: float
    """See ``bridge.audio.finishing.seam``."""
    start_s: float
    """Where the loop begins in what the clip was."""
    confidence: float
    """Of the grid, 0..1."""


def loop_frames(rate: int, bars: int, bpm: float, beats_per_bar: int = 4, beat_unit: int = 4) -> int:
    """Give the length of a loop in frames; ``bpm`` counts quarter notes."""
    return max(1, round(rate * bars * beats_per_bar * beat_seconds(bpm, beat_unit)))


def cut_loop(
    clip: Clip, *, bars: int, bpm: float, beats_per_bar: int = 4, beat_unit: int = 4, grid: Grid | None = None
) -> tuple[Clip, LoopFacts]:
    """Cut ``bars`` bars at ``bpm`` quarter notes per minute out of ``clip``, exactly ``loop_frames`` long.

    From the first bar line that leaves enough, started 1 ms before its attack, with 0.25 s of context on both sides,
    stretched to the tempo. The last 12 ms are faded into the audio that comes before bar one, so that the end goes on
    into the beginning as the clip did; where the clip begins with bar one, what follows the last bar is faded into the
    first 12 ms instead. ``grid`` is what ``fit_grid`` said, when somebody has asked it already.
    """
    bpm = float(np.clip(bpm, SLOWEST, FASTEST)) if np.isfinite(bpm) else 120.0
    bars = max(1, bars)
    frames = loop_frames(clip.rate, bars, bpm, beats_per_bar, beat_unit)
    grid = grid or fit_grid(clip, bpm, beats_per_bar=beats_per_bar, beat_unit=beat_unit)
    if not grid.has_onsets:
        return _by_time(clip, frames)
    start, method = _start(clip, grid, bars)
    if start is None:
        return _repeated(clip, bars, bpm, grid)
    loop, start, ratio = _cut(clip, start, bars * grid.bar_s, frames)
    error = grid.bpm / bpm - 1
    facts = LoopFacts(
        method=method,
        stretch_ratio=round(ratio, 6),
        tempo_error=round(error, 6),
        fits=abs(error) <= TOLERANCE,
        seam_z=round(seam_z(loop), 2),
        start_s=round(start, 6),
        confidence=grid.confidence,
    )
    return loop, facts


def _start(clip: Clip, grid: Grid, bars: int) -> tuple[float | None, str]:
    """Find where ``bars`` bars begin, seconds: on a bar line with something before it, on any bar line, on any beat."""
    latest = clip.seconds - bars * grid.bar_s + 0.005
    for first, every, method in ((grid.downbeat_s, grid.bar_s, "grid"), (grid.phase_s, grid.beat_s, "beat")):
        if first - every > -_REACH_SECONDS:  # the clip begins with its beat, read a hair early
            first = 0.0
        lines = np.arange(first, latest, every) if latest > first else np.zeros(0)
        roomy = lines[lines >= _CROSSFADE_SECONDS + PRE_ROLL_SECONDS]
        if len(roomy):
            return float(roomy[0]), method
        if len(lines):
            return float(lines[0]), method
    return None, ""


def _cut(clip: Clip, line: float, seconds: float, frames: int) -> tuple[Clip, float, float]:
    """Cut ``seconds`` from ``line`` and make them ``frames``: (loop, where it begins in seconds, stretch ratio)."""
    rate = clip.rate
    begins = line < _CROSSFADE_SECONDS + PRE_ROLL_SECONDS
    if begins:  # with silence before it, so that its attack is found and the loop can begin before that
        silence = round(_LEAD_SECONDS * rate)
        clip = Clip(np.pad(clip.samples, ((0, 0), (silence, 0))), rate)
        line += silence / rate
    start = _begun_at_attack(clip, line)
    first = max(0, round(start * rate))
    length = seconds * rate
    ratio = frames / length
    context = round(CONTEXT_SECONDS * rate)
    left, right = max(0, first - context), min(clip.frames, first + round(length) + context)
    piece = Clip(np.ascontiguousarray(clip.samples[:, left:right]), rate)
    stretched = stretch(piece, round(piece.frames * ratio)).samples
    head = round((first - left) * ratio)
    core = stretched[:, head : head + frames]
    if core.shape[1] < frames:  # the clip ends with its last bar, a few frames early
        core = np.pad(core, ((0, 0), (0, frames - core.shape[1])))
    core = core.copy()
    shortest = max(1, round(0.002 * rate))
    fade = min(round(_CROSSFADE_SECONDS * rate), head, frames // 4)
    follows = stretched[:, head + frames :][:, : min(round(_CROSSFADE_SECONDS * rate), frames // 4)]
    if fade >= shortest and not begins:
        core[:, frames - fade :], _ = crossfade(core[:, frames - fade :], stretched[:, head - fade : head])
    elif follows.shape[1] >= shortest:
        fade = follows.shape[1]
        core[:, :fade], _ = crossfade(follows, core[:, :fade])
    else:  # nothing comes before bar one: it begins out of silence, and the end goes there
        rise = min(round(PRE_ROLL_SECONDS / 2 * rate), frames)
        core[:, :rise] *= np.arange(rise, dtype=np.float32) / max(1, rise)
        fade = min(round(_CROSSFADE_SECONDS * rate), frames // 4)
        core[:, frames - fade :] *= (np.cos(np.linspace(0, np.pi / 2, fade)) ** 2).astype(np.float32)
    return Clip(np.ascontiguousarray(core), rate), max(0.0, first / rate - begins * _LEAD_SECONDS), ratio


def _begun_at_attack(clip: Clip, line: float) -> float:
    """Move a bar line to 1 ms before the hit that stands on it, when one does; seconds."""
    rate = clip.rate
    around = round((2 * _REACH_SECONDS) * rate)
    first = max(0, round(line * rate) - around)
    signal = mono(clip)
    attack = attack_near(signal, rate, line, reach=_REACH_SECONDS)
    at = round(attack * rate)
    after = float(np.abs(signal[at : at + around]).max(initial=0.0))
    before = float(np.abs(signal[first:at]).max(initial=0.0)) if at > first else 0.0
    return max(0.0, attack - PRE_ROLL_SECONDS) if after > 1.5 * before else line


def _repeated(clip: Clip, bars: int, bpm: float, grid: Grid) -> tuple[Clip, LoopFacts]:
    """Cut as many bars as there are and let them go round; by time when there is not one."""
    frames = loop_frames(clip.rate, bars, bpm, grid.beats_per_bar, grid.beat_unit)
    for fewer in range(bars - 1, 0, -1):
        if bars % fewer == 0 and _start(clip, grid, fewer)[0] is not None:
            part, facts = cut_loop(
                clip, bars=fewer, bpm=bpm, beats_per_bar=grid.beats_per_bar, beat_unit=grid.beat_unit, grid=grid
            )
            starts = [round(turn * frames * fewer / bars) for turn in range(bars // fewer)]
            whole = np.zeros((clip.channels, frames + part.frames), dtype=np.float32)
            for start in starts:  # a frame may be missing or double between two turns, where rounding wants it
                whole[:, start : start + part.frames] = part.samples
            return Clip(np.ascontiguousarray(whole[:, :frames]), clip.rate), replace(facts, method="repeated")
    return _by_time(clip, frames)


def _by_time(clip: Clip, frames: int) -> tuple[Clip, LoopFacts]:
    made, facts = ring(clip, frames)
    return made, LoopFacts("time", 1.0, 0.0, fits=True, seam_z=facts.seam_z, start_s=facts.start_s, confidence=0.0)

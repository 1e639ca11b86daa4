"""Finishing: an engine's clip becomes a sample that fits. Each kind is a chain of steps."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import numpy as np

from bridge.audio.analysis.measures import flat_tops
from bridge.audio.finishing import steps
from bridge.audio.finishing.gate import Quality, judge
from bridge.audio.finishing.take import Step, Take
from bridge.errors import BadAudio, BridgeError
from bridge.plugins.clip import Clip
from prompts import Kind, SampleSpec

logger = logging.getLogger(__name__)

RATE: Final = 44100
"""Hz of everything finished, unless 48,000 is set; ``raw`` keeps the engine's rate."""

Chain: TypeAlias = tuple[Step, ...]

_TO_RATE: Final[Chain] = (steps.two_channels, steps.clean_low_end, steps.at_rate)

CHAINS: Final[Mapping[Kind, Chain]] = {
    Kind.ONESHOT: (
        *_TO_RATE,
        steps.start_at_attack,
        steps.end_when_gone,
        steps.exact_length,
        steps.effects,
        steps.clean_end,
        steps.audible,
        steps.to_peak,
    ),
    Kind.PITCHED: (
        *_TO_RATE,
        steps.start_at_attack,
        steps.end_when_gone,
        steps.in_tune,
        steps.exact_length,
        steps.effects,
        steps.clean_end,
        steps.audible,
        steps.to_note_level,
    ),
    Kind.LOOP: (*_TO_RATE, steps.whole_bars, steps.exact_length, steps.effects, steps.audible, steps.to_loop_loudness),
    Kind.TEXTURE: (
        *_TO_RATE,
        steps.seamless_ring,
        steps.exact_length,
        steps.effects,
        steps.audible,
        steps.to_sustained_loudness,
    ),
    Kind.STEM: (*_TO_RATE, steps.exact_length, steps.effects, steps.clean_end, steps.audible, steps.to_loop_loudness),
    Kind.RAW: (steps.exact_length, steps.no_offset, steps.effects, steps.audible, steps.to_peak),
}
"""What is done to each kind, in order."""

_LOUDEST = 1e6
"""No engine means this; the filters would overflow."""
_CONTEXT_SECONDS, _SLOWER, _LEAD_BARS = 0.5, 1.06, 0.5
_TEXTURE_FADE_SECONDS = 1.5
_STEM_TAIL_SECONDS = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Finished:
    """A sample, and what is known of it."""

    clip: Clip
    quality: Quality
    facts: dict[str, Any] = field(default_factory=dict)
    """For the catalogue: ``root`` of pitched sounds."""
    decisions: list[str] = field(default_factory=list)
    """What was done, a sentence each."""

    @property
    def fits(self) -> bool:
        """False: the engine played at another tempo; another seed may do better."""
        return "off_grid" not in self.quality.flags


def needed_seconds(spec: SampleSpec, *, exact_loops: bool, longest: float) -> float | None:
    """How much an engine is asked for: what is wanted, and what finishing needs around it; None lets it ring.

    Loops: 6 % more, since the engine may play slower, half a bar until a bar line, and 0.5 s of context; textures: what
    their ends are joined over; stems: the last second, which models spoil. ``exact_loops``: the engine's loops and
    textures come exactly as long as asked and go round, so nothing is added. Never more than ``longest``, nor less than
    what is wanted.
    """
    seconds = spec.seconds
    if seconds is None or spec.kind in {Kind.RAW, Kind.ONESHOT, Kind.PITCHED} or exact_loops:
        return seconds
    if spec.kind is Kind.LOOP:
        bar = spec.bar_beats * 60.0 / (spec.bpm or 120.0)
        more = (seconds + _LEAD_BARS * min(bar, 3.0)) * _SLOWER + _CONTEXT_SECONDS
    elif spec.kind is Kind.TEXTURE:
        more = seconds + _TEXTURE_FADE_SECONDS
    else:
        more = seconds + _STEM_TAIL_SECONDS
    return max(seconds, min(more, longest))


def finish(
    clip: Clip,
    spec: SampleSpec,
    *,
    rate: int = RATE,
    exact_loops: bool = False,
    note: int | None = None,
    between: Callable[[], None] = lambda: None,
) -> Finished:
    """Send what an engine made through the chain of its kind, and judge it.

    ``exact_loops``: loops and textures come exactly as long as asked and go round. ``note``: the MIDI number that a
    pitched sound is, where the engine knows it; otherwise it is measured. ``between`` is called between the steps,
    which take seconds for a clip of minutes; it may raise, to stop them. Odd material gives the best honest
    result with its flags. Raises BadAudio for NaN, silence and an empty clip, EngineError for an effect that fails.
    """
    _check(clip)
    kind = spec.kind or Kind.RAW
    take = Take(clip, spec, clip.rate if kind is Kind.RAW else rate, exact_loops, note)
    take.measures["flat_tops"] = flat_tops(clip)
    for step in CHAINS[kind]:
        between()
        take = _done(step, take)
    between()
    quality = judge(take.clip, spec, found=take.measures, flags=take.flags)
    return Finished(take.clip, quality, take.facts, take.decisions)


def best_of(takes: list[Finished]) -> Finished:
    """Choose among takes of one spec: one that fits, else the one whose tempo is nearest; the earlier of equals."""
    return min(takes, key=lambda each: (not each.fits, each.quality.measures.get("tempo_error_percent", 0.0)))


def _done(step: Step, take: Take) -> Take:
    """Do one step; one that trips over odd material is left out and says so, rather than lose the sound."""
    name = step.__name__
    try:
        after = step(take)
    except BridgeError:
        raise
    except Exception:
        logger.exception("step %s of finishing failed", name)
        after = None
    if after is None or after.clip.frames == 0 or not _finite(after.clip):
        take.flags.append("step_skipped")
        take.decisions.append(f"left out step {name}, which failed")
        return take
    return after


def _finite(clip: Clip) -> bool:
    """Is every sample a number? One sum tells, unless it overflows."""
    samples = clip.samples.reshape(-1)
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isfinite(np.dot(samples, samples))) or bool(np.isfinite(samples).all())


def _check(clip: Clip) -> None:
    if clip.samples.size == 0:
        raise BadAudio("The engine returned no audio. Try again, or choose another engine.")
    highest = float(max(clip.samples.max(), -clip.samples.min()))
    if not highest < _LOUDEST:
        raise BadAudio("The engine returned numbers that are not audio (NaN or infinity). Try another seed or engine.")
    if float((clip.samples.max(axis=1) - clip.samples.min(axis=1)).max()) < steps.SILENCE:
        raise BadAudio("What the engine made is silent. Try other words, another seed or another engine.")

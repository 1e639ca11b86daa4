"""The course of a stream: what its passages are, one after the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from bridge.plugins.engine import EngineInfo
from prompts import Kind, SampleSpec

OVERLAP_SECONDS: Final = 0.25
"""Over which one passage becomes the next."""
CONTEXT_SECONDS: Final = 5.0
"""How much of what was heard a model continues from, where it can."""
PASSAGE_SECONDS: Final = 8.0
"""Longest passage: long enough to cost little, short enough to be made while the one before plays."""
STREAMED_SECONDS: Final = 24.0
"""Longest passage of a model that is heard while it is made: with what it continues from it fits into the 30 s that
MusicGen hears at once."""
HEARD_SECONDS: Final = 24.0
"""A loop goes round for this long before another takes its place: to make it costs most of what a stream costs."""
_FIRST_SECONDS = 0.5
"""Longest first passage: it is heard as soon as it is made."""
_DEFAULT_BPM = 120.0


@dataclass(frozen=True, slots=True)
class Step:
    """One passage of a course."""

    spec: SampleSpec
    """What the engine is asked for."""
    seconds: float
    """How far it goes the first time."""
    skip: float = 0.0
    """How much at its beginning was heard already."""
    round: float = 0.0
    """After this many seconds it repeats itself, and may be heard as often as wanted; 0: it does not."""
    again: int = 0
    """How many further rounds it is heard."""
    first: bool = False
    """Silence lasts until it is there."""


def step(base: SampleSpec, info: EngineInfo, number: int) -> Step:
    """Return passage ``number``, from 0, of a stream of ``base``.

    Of an engine whose loops are exact the first one is short, so that something is heard soon; the second one, a bar,
    continues it and gives time to make a long one. Each long one goes round for ``HEARD_SECONDS``.
    """
    seed = base.seed_of_take(max(0, number - 1))
    whole_pieces = info.streams and not info.instant
    longest = min(STREAMED_SECONDS if whole_pieces else PASSAGE_SECONDS, info.max_seconds - OVERLAP_SECONDS)
    update: dict[str, Any] = {"seed": seed, "bars": None, "bpm": base.bpm}
    if not info.exact_loops:
        return Step(base.model_copy(update=update | {"kind": Kind.RAW, "duration": longest}), longest, first=not number)
    if base.kind is Kind.TEXTURE:
        first, whole = _FIRST_SECONDS, 2.0 if number == 1 else longest
        update |= {"kind": Kind.TEXTURE, "duration": whole}
    else:
        bpm = base.bpm or _DEFAULT_BPM
        first, bar = 60 / bpm, base.bar_beats * 60 / bpm
        while first > _FIRST_SECONDS + 0.1:
            first /= 2
        bars = 1 if number == 1 else max(1, int(longest / bar + 1e-6))
        whole = bars * bar
        update |= {"kind": Kind.LOOP, "bpm": bpm, "bars": bars, "duration": None}
    if number == 0:
        spec = base.model_copy(update=update | {"bars": None, "duration": first})
        return Step(spec, first, round=first, first=True)
    spec = base.model_copy(update=update)
    if number == 1:
        return Step(spec, 2 * whole - first, first, round=whole)
    return Step(spec, whole, round=whole, again=max(0, round(HEARD_SECONDS / whole) - 1))

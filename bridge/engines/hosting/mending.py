"""Seams of loops that finishing could not hide, painted again by an engine that can fill a gap."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np

from bridge.audio.finishing.chains import Finished
from bridge.audio.finishing.gate import judge
from bridge.audio.finishing.resample import resample
from bridge.audio.finishing.seam import crossfade
from bridge.errors import EngineError
from bridge.plugins.clip import Clip
from bridge.plugins.engine import Engine, FillingEngine, Report
from prompts import Kind, SampleSpec

if TYPE_CHECKING:
    from bridge.plugins.clip import Samples

SEAMS: Final = frozenset({"audible_seam", "seam_bump"})
_GAP_SECONDS: Final = 0.4
"""Painted again, half of it on either side of the seam; at most a quarter of the loop."""
_AROUND_SECONDS: Final = 6.0
"""Heard on either side of the gap, as far as the loop and the engine's window go."""
_EDGE_SECONDS: Final = 0.02
"""Over which old and new change places at each end of the gap."""


def mended(engine: Engine, finished: Finished, spec: SampleSpec, report: Report) -> Finished:
    """Paint the seam of a loop or texture again when the quality gate hears it, and keep that if it is better.

    Raises JobCancelled out of ``report``.
    """
    quality = finished.quality
    if spec.kind not in {Kind.LOOP, Kind.TEXTURE} or SEAMS.isdisjoint(quality.flags):
        return finished
    if not isinstance(engine, FillingEngine):
        return finished
    try:
        clip = _painted(engine, finished.clip, spec, report)
    except EngineError as error:
        finished.decisions.append(f"left the seam as it is, since painting it anew failed ({error.message})")
        return finished
    fresh = judge(clip, spec).measures
    found = {name: value for name, value in quality.measures.items() if name not in fresh}
    again = judge(clip, spec, found=found, flags=[flag for flag in quality.flags if flag not in SEAMS])
    change = f"score {quality.score:.2f} before, {again.score:.2f} with it"
    if again.score <= quality.score:
        finished.decisions.append(f"painted the seam anew and left it as it was ({change})")
        return finished
    return replace(
        finished, clip=clip, quality=again, decisions=[*finished.decisions, f"painted the seam anew ({change})"]
    )


def _painted(engine: FillingEngine, clip: Clip, spec: SampleSpec, report: Report) -> Clip:
    rate, frames = clip.rate, clip.frames
    half = max(1, min(round(_GAP_SECONDS / 2 * rate), frames // 8))
    around = min(frames // 2, half + round(_AROUND_SECONDS * rate), int((engine.info.max_seconds / 2 - 0.1) * rate))
    # The seam in the middle: the end, and then the beginning.
    heard = np.concatenate((clip.samples[:, frames - around :], clip.samples[:, :around]), axis=1)
    start, end = (around - half) / rate, (around + half) / rate
    answer = resample(engine.fill(spec, Clip(np.ascontiguousarray(heard), rate), start, end, report), rate)
    if answer.channels != clip.channels or answer.frames < around + half or not np.isfinite(answer.samples).all():
        raise EngineError("what came back does not fit")
    joined = _joined(
        heard, answer.samples, around - half, around + half, max(1, min(round(_EDGE_SECONDS * rate), half // 2))
    )
    samples = clip.samples.copy()
    samples[:, frames - around :] = joined[:, :around]
    samples[:, :around] = joined[:, around:]
    return Clip(np.ascontiguousarray(samples), rate)


def _joined(old: Samples, new: Samples, first: int, last: int, edge: int) -> Samples:
    """The old with the new between two frames, no louder than the old was."""
    made = old.copy()
    peak = float(np.abs(new[:, first:last]).max(initial=0.0))
    gain = np.float32(min(1.0, float(np.abs(old).max(initial=0.0)) / peak)) if peak > 0 else np.float32(1.0)
    made[:, first:last] = gain * new[:, first:last]
    for begin, leaving, coming in ((first, old, gain * new), (last - edge, gain * new, old)):
        made[:, begin : begin + edge], _ = crossfade(leaving[:, begin : begin + edge], coming[:, begin : begin + edge])
    return made

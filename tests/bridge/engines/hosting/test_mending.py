"""Seams that the quality gate hears are painted anew where the engine can fill a gap."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from bridge.audio.finishing.chains import Finished
from bridge.audio.finishing.gate import judge
from bridge.engines.hosting.mending import SEAMS, mended
from bridge.engines.tone import ToneEngine
from bridge.errors import EngineError
from bridge.plugins.clip import Clip
from bridge.plugins.engine import FillingEngine, Report
from prompts import SampleSpec

RATE = 44100
TIME = np.arange(2 * RATE) / RATE
SPEC = SampleSpec.model_validate({"prompt": "pad", "kind": "texture", "duration": 2}).resolved("painter", None)


class Painter:
    """Paints what it is told to, and notes where."""

    def __init__(self, paint: Any) -> None:
        self.info = ToneEngine().info
        self.gaps: list[tuple[float, float, float]] = []
        self._paint = paint

    def stream(self, spec: SampleSpec, seconds: float | None, report: Report) -> Iterator[Clip]:
        raise NotImplementedError

    def fill(self, spec: SampleSpec, clip: Clip, start: float, end: float, report: Report) -> Clip:
        del spec, report
        self.gaps.append((start, end, clip.seconds))
        return self._paint(clip)


def finished(wave: np.ndarray) -> Finished:
    clip = Clip.of(np.stack([wave, wave]), RATE)
    return Finished(clip, judge(clip, SPEC))


def broken() -> Finished:
    """A second and a quarter of a wave: its end meets its beginning with a jump."""
    found = finished(0.3 * np.sin(2 * np.pi * 220.3 * TIME + 0.5))
    assert SEAMS & set(found.quality.flags)
    return found


def smooth(clip: Clip) -> Clip:
    """Join both sides of the middle by a straight change of phase: no jump is left."""
    frames = clip.frames
    middle = np.arange(frames) - frames / 2
    left, right = (0.3 * np.sin(2 * np.pi * 220.3 * at + 0.5) for at in ((middle / RATE + 2), middle / RATE))
    turn = np.clip((middle / RATE + 0.15) / 0.3, 0, 1)
    wave = left * np.cos(turn * np.pi / 2) ** 2 + right * np.sin(turn * np.pi / 2) ** 2
    return Clip.of(np.stack([wave, wave]), RATE)


def test_a_seam_that_is_heard_is_painted_anew_and_the_rest_stays() -> None:
    painter, before = Painter(smooth), broken()
    assert isinstance(painter, FillingEngine)
    after = mended(painter, before, SPEC, lambda _: None)
    ((start, end, seconds),) = painter.gaps
    assert (start + end) / 2 == pytest.approx(seconds / 2)
    assert end - start == pytest.approx(0.4, abs=0.001)
    assert after.quality.score > before.quality.score
    assert after.quality.measures["seam_z"] < before.quality.measures["seam_z"]
    assert after.clip.frames == before.clip.frames
    kept = slice(round(0.25 * RATE), -round(0.25 * RATE))
    assert np.array_equal(after.clip.samples[:, kept], before.clip.samples[:, kept])
    assert np.abs(after.clip.samples).max() <= np.abs(before.clip.samples).max() * 1.02
    assert after.decisions[-1].startswith("painted the seam anew (score")


def test_what_is_no_better_is_not_kept() -> None:
    before = broken()
    after = mended(Painter(lambda clip: clip), before, SPEC, lambda _: None)
    assert after.clip is before.clip
    assert "left it as it was" in after.decisions[-1]


@pytest.mark.parametrize("answer", ["short", "nan", "error"])
def test_an_engine_that_cannot_leaves_the_seam_as_it_was(answer: str) -> None:
    def paint(clip: Clip) -> Clip:
        if answer == "error":
            raise EngineError("no colours left")
        return Clip.of(clip.samples[:, :100] if answer == "short" else clip.samples * np.nan, RATE)

    before = broken()
    after = mended(Painter(paint), before, SPEC, lambda _: None)
    assert after.clip is before.clip
    assert "failed" in after.decisions[-1]


def test_a_seam_that_nobody_hears_and_engines_that_cannot_fill_are_left_alone() -> None:
    painter = Painter(smooth)
    good = finished(0.3 * np.sin(2 * np.pi * 220 * TIME))
    assert mended(painter, good, SPEC, lambda _: None) is good
    assert painter.gaps == []
    bad = broken()
    assert mended(ToneEngine(), bad, SPEC, lambda _: None) is bad
    raw = SPEC.model_copy(update={"kind": "raw"})
    assert mended(painter, bad, raw, lambda _: None) is bad

"""The built-in engine: real synthesis from words, no model, the same sound for the same seed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bridge.plugins.clip import Clip
from bridge.plugins.engine import EngineInfo, Report

from .asking import note_played
from .dsp.signal import RATE, stereo
from .likeness import pulled, strength_of
from .render import render

if TYPE_CHECKING:
    from prompts import SampleSpec

__all__ = ["ProceduralEngine"]


class ProceduralEngine:
    """Plays instruments as the words of a spec say.

    ``model``, ``device`` and ``data_dir`` are taken because every engine is built with them; it needs none of them.
    """

    def __init__(self, model: str | None = None, device: str = "auto", data_dir: Path | None = None) -> None:
        del model, device, data_dir
        self._info = EngineInfo(
            name="procedural",
            revision="4",
            rate=RATE,
            channels=2,
            max_seconds=120.0,
            streams=False,
            concurrency=2,
            instant=True,
            generative_model=False,
            licence="CC0-1.0",
            commercial=True,
            exact_loops=True,
        )

    @property
    def info(self) -> EngineInfo:
        """What it is, can and costs."""
        return self._info

    def note(self, spec: SampleSpec) -> int | None:
        """Which note a single sound of ``spec`` plays, as a MIDI number; None for what has none (drums, noise)."""
        return note_played(spec)

    def stream(self, spec: SampleSpec, seconds: float | None, report: Report) -> Iterator[Clip]:
        """Yield the one clip of ``spec``: float32, one or two channels at 44,100 Hz, peak at most 1."""
        report(0.0)
        signal = render(spec, seconds, report)
        if spec.octaves:
            signal = pulled(signal, spec.octaves, strength_of(spec.guidance))
        samples = signal[np.newaxis] if signal.ndim == 1 else stereo(signal)
        yield Clip(samples.astype(np.float32), RATE)
        report(1.0)

"""The simplest engine: sines. It is the first thing to run on a new machine, and the tests' own.

The prompt may hold a frequency (``tone 440 hz``); otherwise the words choose one. For tests of everything around an
engine the prompt can also ask it to misbehave: ``tone fail``, ``tone crash``, ``tone hang``, ``tone nan``,
``tone silence``, ``tone slow`` (a second for each second of audio).
"""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Iterator

import numpy as np

from bridge.errors import EngineError
from bridge.plugins.clip import Clip
from bridge.plugins.engine import EngineInfo, Report
from prompts import SampleSpec

_RATE = 44100
_PIECE_SECONDS = 0.5
_FREQUENCY = re.compile(r"(\d+(?:\.\d+)?)\s*hz\b", re.IGNORECASE)


class ToneEngine:
    """Answers every spec with one sine of 0.5 full scale, in pieces of half a second."""

    def __init__(self, **_: object) -> None:
        """Take what every engine is built with; a tone needs none of it."""
        self._info = EngineInfo(
            name="tone",
            revision="1",
            rate=_RATE,
            channels=1,
            max_seconds=120.0,
            streams=True,
            concurrency=4,
            instant=True,
            generative_model=False,
            licence="CC0-1.0",
            commercial=True,
        )

    @property
    def info(self) -> EngineInfo:
        """What it is, can and costs."""
        return self._info

    def stream(self, spec: SampleSpec, seconds: float | None, report: Report) -> Iterator[Clip]:
        """Yield a sine in pieces; see the module for prompts that ask for trouble."""
        words = set(re.findall(r"[a-z]+", spec.prompt.lower()))
        total = round((seconds if seconds is not None else 1.0) * _RATE)
        frequency = frequency_of(spec.prompt)
        piece = round(_PIECE_SECONDS * _RATE)
        for start in range(0, total, piece):
            report(start / total)
            if "tone" in words:
                _misbehave(words, report, start / total)
            time_axis = np.arange(start, min(start + piece, total)) / _RATE
            wave = 0.5 * np.sin(2 * np.pi * frequency * time_axis)
            if "nan" in words:
                wave[:] = np.nan
            elif "silence" in words:
                wave[:] = 0.0
            yield Clip.of(wave, _RATE)


def frequency_of(prompt: str) -> float:
    """The frequency in Hz that the prompt names, or one of 220..880 chosen by its words."""
    named = _FREQUENCY.search(prompt)
    if named:
        return min(max(float(named[1]), 20.0), 16000.0)
    return 220.0 + int(hashlib.sha256(prompt.lower().encode()).hexdigest()[:6], 16) % 661


def _misbehave(words: set[str], report: Report, fraction: float) -> None:
    if "fail" in words:
        raise EngineError("The tone engine was asked to fail.")
    if "crash" in words:
        os._exit(9)
    if "hang" in words:
        time.sleep(3600)
    if "slow" in words:
        for _ in range(50):
            report(fraction)
            time.sleep(_PIECE_SECONDS / 50)

"""An engine in one file: it hums on the key's root note, whatever you ask for."""

from collections.abc import Iterator

import numpy as np

from bridge.plugins import Clip, EngineInfo, Report, Spec

RATE = 44100
NOTES = ("c", "c#", "d", "d#", "e", "f", "f#", "g", "g#", "a", "a#", "b")


class HumEngine:
    """Five harmonics and a slow vibrato."""

    def __init__(self, **_: object) -> None:
        """Take what every engine is built with (model, device, data_dir); humming needs none of it."""
        self._info = EngineInfo(
            name="hum", revision="1", rate=RATE, channels=1, max_seconds=60, streams=False, concurrency=2, instant=True,
            generative_model=False, licence="CC0-1.0", commercial=True,
        )  # fmt: skip

    @property
    def info(self) -> EngineInfo:
        """What it is, can and costs."""
        return self._info

    def stream(self, spec: Spec, seconds: float | None, report: Report) -> Iterator[Clip]:
        """Yield one clip."""
        report(0.0)
        note = NOTES.index((spec.key or "c").removesuffix("m"))
        time = np.arange(round((seconds or 2.0) * RATE)) / RATE
        phase = 2 * np.pi * 130.81 * 2 ** (note / 12) * (time + 0.0004 * np.sin(2 * np.pi * 5 * time))
        yield Clip.of(sum(np.sin(k * phase) / k**2 for k in range(1, 6)) / 2, RATE)

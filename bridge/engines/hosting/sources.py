"""Audio that a sound is made from: where it lies, and how it reaches an engine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bridge.errors import EngineError, NotFound
from bridge.plugins.engine import ConditionedEngine, EngineInfo, Report
from bridge.plugins.spec import Spec

if TYPE_CHECKING:
    from bridge.plugins.clip import Clip

UPLOADS: Final = "uploads"
"""Folder of uploaded audio below the data folder."""


def source_file(data_dir: Path, audio_id: str) -> Path:
    """Find an upload or a kept sample by its id, 32 hexadecimal digits. Raises NotFound."""
    places = (data_dir / UPLOADS / f"{audio_id}.flac", data_dir / "masters" / audio_id[:2] / f"{audio_id}.wav")
    for place in places:
        if place.is_file():
            return place
    raise NotFound(
        "source: no audio with that id is kept. Upload it (again) at POST /api/upload, or name a kept sample.",
        code="unknown_audio",
        field="source",
    )


def read_source(data_dir: Path, audio_id: str) -> Clip:
    """Read the audio of that id. Raises NotFound, and EngineError when it cannot be read."""
    import soundfile

    from bridge.plugins.clip import Clip

    path = source_file(data_dir, audio_id)
    try:
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except (OSError, RuntimeError) as error:  # libsndfile's errors are RuntimeErrors
        raise EngineError(
            f"The audio that this sound is made from cannot be read ({error}). Upload it again."
        ) from error
    return Clip.of(samples.T, rate)


class WithSource:
    """An engine that makes every sound from the same audio; an ``Engine`` itself."""

    def __init__(self, engine: ConditionedEngine, source: Clip) -> None:
        self._engine = engine
        self._source = source

    @property
    def info(self) -> EngineInfo:
        """The engine's."""
        return self._engine.info

    def stream(self, spec: Spec, seconds: float | None, report: Report) -> Iterator[Clip]:
        """Yield the pieces; see ``ConditionedEngine.stream_from``."""
        return self._engine.stream_from(spec, seconds, report, self._source)

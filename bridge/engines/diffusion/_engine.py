"""What all engines of diffusion share: loading a pipeline, one sound at a time, progress and cancel at every step."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar, Final, TypeAlias

import numpy as np

from bridge.errors import BadAudio, EngineError, EngineUnavailable
from bridge.plugins.clip import Clip
from bridge.plugins.engine import EngineInfo, Report
from prompts import Kind, SampleSpec, SourceUse

_NEEDED: Final = ("torch", "transformers", "diffusers")
_STEPS_SHARE: Final = 0.93
"""Of the work; the rest is decoding."""
_NATURAL_SECONDS: Final = {Kind.ONESHOT: 3.0, Kind.PITCHED: 4.0}
_OTHER_SECONDS: Final = 8.0
_MARGIN_SECONDS: Final = 0.05
"""Asked for in addition, since pipelines round down."""
_USUAL_GUIDANCE: Final = 3.0
"""The default of a spec; it stands for the model's own default."""


Stepped: TypeAlias = Callable[[int, int], None]
"""Called at every step: (done, of)."""
Ask: TypeAlias = Callable[[float, Any, Stepped], Any]
"""Runs a pipeline for this many seconds, with a torch.Generator; returns its ``audios``."""


class DiffusionEngine(ABC):
    """One pipeline. ``model``: hub id or folder in diffusers' layout, None for the engine's own; ``device`` as usual.

    Building loads the weights, and fetches them when they are not on this machine. Raises EngineUnavailable.
    """

    name: ClassVar[str]
    default: ClassVar[str]
    """Hub id."""
    licence: ClassVar[str]
    """Of the weights published under the same owner as ``default``."""
    commercial: ClassVar[bool]
    pipelines: ClassVar[tuple[str, ...]]
    """Names of diffusers' classes that this engine knows how to ask."""
    guidance: ClassVar[float]
    steps: ClassVar[int]
    quick_steps: ClassVar[int] = 8
    """Of distilled models."""
    half: ClassVar[str] = "float16"
    """Type of numbers on a GPU."""
    shortest: ClassVar[float] = 0.0
    """Seconds: what is shorter is made that long, and cut."""
    needs: ClassVar[tuple[str, ...]] = ()
    """Further packages."""
    version: ClassVar[str] = "1"
    """Changes when the same spec comes out otherwise."""
    conditions: ClassVar[tuple[SourceUse, ...]] = ()
    """What audio can be to it; see EngineInfo."""

    def __init__(
        self,
        model: str | None = None,
        device: str = "auto",
        data_dir: Path | None = None,
    ) -> None:
        if lacks := self.missing(model, data_dir):
            raise EngineUnavailable(f"The engine {self.name} cannot play yet. {lacks}", engine=self.name)
        # read by torch's OpenMP when it is loaded: threads that wait by spinning take the cores from the browser
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        from bridge.engines.diffusion._loading import load

        self._model = model or self.default
        self._pipeline, self._device, kind = load(self._model, self.name, self.pipelines, device, self.half)
        self._lock = threading.Lock()
        ours = self._model.partition("/")[0] == self.default.partition("/")[0]
        self._info = EngineInfo(
            name=self.name,
            revision=f"{self.version}:{_mark(self._model)}:{self._device}-{kind}",
            rate=self.rate(),
            channels=self.channels(),
            max_seconds=self.longest(),
            streams=False,
            concurrency=1,
            instant=False,
            generative_model=True,
            licence=self.licence if ours else "as the model's card says",
            commercial=self.commercial and ours,
            model=self._model,
            device=self._device,
            conditions=self.conditions,
        )

    @classmethod
    def missing(cls, model: str | None = None, data_dir: Path | None = None) -> str | None:
        """What has to be installed before this engine plays, as a sentence; None when nothing is missing."""
        del model, data_dir
        lacks = [name for name in (*_NEEDED, *cls.needs) if importlib.util.find_spec(name) is None]
        return f"It lacks {', '.join(lacks)}: pip install 'sample-bridge[diffusion]'." if lacks else None

    @property
    def info(self) -> EngineInfo:
        """What it is, can and costs."""
        return self._info

    def stream(self, spec: SampleSpec, seconds: float | None, report: Report) -> Iterator[Clip]:
        """Yield the clip, once, at the model's rate. Raises EngineError; JobCancelled out of ``report``, at a step."""

        def ask(made: float, generator: Any, stepped: Stepped) -> Any:
            return self.ask(spec, made, generator, stepped)

        yield self._clip(spec, seconds, report, ask)

    def _clip(self, spec: SampleSpec, seconds: float | None, report: Report, ask: Ask) -> Clip:
        """Have a pipeline asked for this many seconds, and cut the clip to what is wanted."""
        wanted = seconds if seconds is not None else _NATURAL_SECONDS.get(spec.kind or Kind.RAW, _OTHER_SECONDS)
        if wanted > self._info.max_seconds:
            raise EngineError(
                f"{self.name} makes at most {self._info.max_seconds:g} seconds at once and this sound is {wanted:g} "
                "seconds long: ask for a shorter duration or fewer bars."
            )
        with self._lock:
            report(0.0)
            made = min(max(wanted + _MARGIN_SECONDS, self.shortest), self._info.max_seconds)
            samples = self._made(spec, report, lambda generator, stepped: ask(made, generator, stepped))
        if not np.isfinite(samples).all():
            raise BadAudio(f"{self.name}'s numbers overflowed and gave no sound. Lower guidance.")
        report(1.0)
        frames = max(1, int(np.ceil(round(wanted * self._info.rate, 6))))
        return Clip(np.ascontiguousarray(samples[:, :frames]), self._info.rate)

    @abstractmethod
    def rate(self) -> int:
        """Hz of what the pipeline makes."""

    @abstractmethod
    def channels(self) -> int:
        """How many channels it makes."""

    @abstractmethod
    def longest(self) -> float:
        """Seconds it makes at once."""

    @abstractmethod
    def ask(self, spec: SampleSpec, seconds: float, generator: Any, stepped: Stepped) -> Any:
        """Run the pipeline and return its ``audios``; call ``stepped(done, of)`` at every step."""

    def guided(self, spec: SampleSpec) -> float:
        """The model's own guidance, as much more or less of it as the spec's differs from its default."""
        return max(1.0, self.guidance * spec.guidance / _USUAL_GUIDANCE)

    def _made(
        self, spec: SampleSpec, report: Report, ask: Callable[[Any, Stepped], Any]
    ) -> np.ndarray[Any, np.dtype[np.float32]]:
        from bridge.engines.diffusion._loading import as_array, generator_of, quiet

        def stepped(done: int, of: int) -> None:
            report(min(done / max(of, 1), 1.0) * _STEPS_SHARE)

        try:
            with quiet():
                audio = ask(generator_of(spec.seed or 0), stepped)
        except (RuntimeError, ValueError) as error:
            if type(error).__name__ == "OutOfMemoryError":
                raise
            said = (str(error).splitlines() or [type(error).__name__])[0][:200]
            raise EngineError(f"{self.name} could not make this sound ({said}).") from error
        return as_array(audio, self.channels())


def _mark(model: str) -> str:
    """Which weights: of a folder what its files are, of the hub the name."""
    folder = Path(model).expanduser()
    if not folder.is_dir():
        return model
    facts = [(str(file.relative_to(folder)), file.stat().st_size) for file in sorted(folder.rglob("*.*"))]
    index = (folder / "model_index.json").read_bytes()
    return hashlib.sha256(repr(facts).encode() + index).hexdigest()[:12]

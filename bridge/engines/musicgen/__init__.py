"""MusicGen (Copet et al. 2023, arXiv:2306.05284): text to music, with weights from the Hugging Face hub or a folder.

Importing this package loads neither torch nor transformers; building ``MusicGenEngine`` does.
"""

from __future__ import annotations

import importlib.util
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from bridge.engines.musicgen.models import SIZES, ModelRef, ModelSize, resolve_model
from bridge.engines.musicgen.speed import forget as forget_speed
from bridge.engines.musicgen.weights import download, find, local_folder, weights_present
from bridge.errors import BridgeError, EngineError, EngineUnavailable
from bridge.plugins.engine import ConditionedEngine, Engine, EngineInfo, Report

if TYPE_CHECKING:
    from bridge.plugins.clip import Clip
    from bridge.plugins.spec import Spec

__all__ = [
    "SIZES",
    "ModelRef",
    "ModelSize",
    "MusicGenEngine",
    "download",
    "forget_speed",
    "installed",
    "kernel_found",
    "resolve_model",
    "weights_present",
]

log = logging.getLogger(__name__)

_NOT_INSTALLED = (
    "engine 'musicgen' needs torch and transformers: make run ENGINE=musicgen, or pip install 'sample-bridge[musicgen]'"
)


def installed() -> bool:
    """Say whether torch and transformers are there, without loading them."""
    return all(importlib.util.find_spec(name) is not None for name in ("torch", "transformers", "huggingface_hub"))


def kernel_found() -> str:
    """Say which kernel computes on the CPU here, or why there is none and what that costs; loads no model."""
    from bridge.engines.musicgen.kernel import kernel_library

    found = kernel_library()
    if isinstance(found, Path):
        return "by its own kernel"
    return f"by torch, at half the speed or less, since {found}"


class MusicGenEngine:
    """The engine ``musicgen``.

    ``model``: ``small``, ``medium``, ``large``, ``melody`` (text only), a hub id or a folder; None = small.
    ``device``: "auto", "cpu" or "cuda". ``data_dir``: where quantised weights and measured speeds are kept; the
    checkpoints themselves belong to the Hugging Face cache, where other programs find them too. ``precision``: of the
    weights, see the setting of that name; None reads it from ``BRIDGE_PRECISION``.

    Building loads the weights, and fetches them from the hub when they are not on this machine.
    Raises EngineUnavailable, with what to do, when that cannot be done.
    """

    def __init__(
        self,
        model: str | None = None,
        device: str = "auto",
        data_dir: Path | None = None,
        precision: str | None = None,
    ) -> None:
        if not installed():
            raise EngineUnavailable(_NOT_INSTALLED)
        ref = resolve_model(model)
        folder = local_folder(ref) if ref.folder is not None else find(ref) or _fetch(ref)
        # read by torch's OpenMP when it is loaded: threads that wait by spinning take the cores from the browser that
        # plays, and from each other (measured on two busy cores: 3 times slower)
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        # but between the layers of the text encoder, which come every half millisecond, they may (a quarter faster)
        os.environ.setdefault("GOMP_SPINCOUNT", "100000")
        precision = precision or os.environ.get("BRIDGE_PRECISION") or "auto"
        try:
            self._engine: ConditionedEngine | Engine
            if precision == "reference":
                from bridge.engines.musicgen.reference import TransformersEngine

                self._engine = TransformersEngine(ref, folder, device)
            else:
                self._engine = _own(ref, folder, device, precision, data_dir)
        except ImportError as error:
            raise EngineUnavailable(f"{_NOT_INSTALLED} (what is there cannot be loaded: {error})") from error

    @property
    def info(self) -> EngineInfo:
        """What it is, can and costs."""
        return self._engine.info

    def stream(self, spec: Spec, seconds: float | None, report: Report) -> Iterator[Clip]:
        """Yield the clip in pieces; see ``Engine.stream``."""
        return self._engine.stream(spec, seconds, report)

    def stream_from(self, spec: Spec, seconds: float | None, report: Report, source: Clip) -> Iterator[Clip]:
        """Yield a clip made from audio; see ``ConditionedEngine.stream_from``."""
        if not isinstance(self._engine, ConditionedEngine):
            raise EngineError("The reference engine takes only words: set BRIDGE_PRECISION=auto.")
        return self._engine.stream_from(spec, seconds, report, source)


def _own(ref: ModelRef, folder: Path, device: str, precision: str, data_dir: Path | None) -> Engine:
    """Build our own engine; when it breaks in an unforeseen way, the reference stands in."""
    from bridge.engines.musicgen.engine import OwnEngine

    try:
        return OwnEngine(ref, folder, device, precision, data_dir)
    except (BridgeError, MemoryError):
        raise
    except Exception:
        log.exception("our own decoder cannot take %s, so transformers runs it, many times slower", ref.name)
    from bridge.engines.musicgen.reference import TransformersEngine

    return TransformersEngine(ref, folder, device)


def _fetch(ref: ModelRef) -> Path:
    size = f"about {ref.megabytes} MB" if ref.megabytes else "of a size that the hub will say"
    log.info("fetching %s from huggingface.co: %s, licence %s", ref.name, size, ref.licence or "see its README")
    heard = -1

    def tell(done: int, total: int) -> None:
        nonlocal heard
        tenth = 10 * done // max(total, 1)
        if tenth > heard:
            heard = tenth
            log.info("fetching %s: %d of %d MB", ref.name, done // 10**6, total // 10**6)

    return download(ref, tell)

"""The decoders of one engine: that of the usual precision, and others when a request wants another quality."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from bridge.engines.musicgen.batching import Batch
from bridge.engines.musicgen.core_lock import CoreLock
from bridge.engines.musicgen.decoder import Decoder, DecoderWeights
from bridge.engines.musicgen.modes import Precision
from bridge.engines.musicgen.picking import pick


class Source(Protocol):
    """Where weights come from: a ``Checkpoint``."""

    @property
    def channels(self) -> int:
        """Of the audio."""
        ...

    def decoder_weights(self) -> DecoderWeights:
        """The decoder's."""
        ...


class Running:
    """A decoder and the batch that steps it."""

    def __init__(self, decoder: Decoder, why: str, channels: int, core_lock: CoreLock | None) -> None:
        self.batch = Batch(decoder, channels=channels, core_lock=core_lock)
        self.why = why
        self.rows = decoder.rows
        self.description = decoder.description
        self._decoder = decoder

    @property
    def mark(self) -> str:
        """What the numbers depend on, in addition to the weights."""
        said = self.description
        return f"{said['device']}-{said['precision']}-{said['kernel']}".replace(" ", "_")

    def close(self) -> None:
        """End the batch's thread, and free the memory."""
        self.batch.close()
        self._decoder.close()


class Decoders:
    """One decoder per precision, loaded when a request first needs it."""

    def __init__(
        self,
        checkpoint: Source,
        device: str,
        steps: int,
        keep: Path | None,
        check: Callable[[Decoder], None],
        core_lock: CoreLock | None = None,
    ) -> None:
        """``steps``: positions of a row; ``keep``: folder for quantised weights, None keeps none.

        ``check`` tries each decoder before it is used, and raises when it does not work. ``core_lock``: see ``Batch``.
        """
        self._checkpoint = checkpoint
        self._device = device
        self._steps = steps
        self._keep = keep
        self._check = check
        self._core_lock = core_lock
        self._running: dict[Precision, Running] = {}
        self._loading = threading.Lock()

    def of(self, precision: Precision) -> Running:
        """Return the decoder in ``precision``. Raises EngineUnavailable when it is not available or does not fit."""
        with self._loading:
            if precision not in self._running:
                weights = self._checkpoint.decoder_weights()
                picked = pick(weights, precision, self._device, self._steps, self._keep)
                self._check(picked.decoder)
                self._running[precision] = Running(
                    picked.decoder, picked.why, self._checkpoint.channels, self._core_lock
                )
            return self._running[precision]

    def close(self) -> None:
        """Close all of them."""
        with self._loading:
            for running in self._running.values():
                running.close()
            self._running.clear()

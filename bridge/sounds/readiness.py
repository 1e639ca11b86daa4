"""Can new sounds be made, by what, and if not, why."""

from __future__ import annotations

from bridge.engines.choice import Choice, weights_on_disk
from bridge.engines.hosting.engines import EngineRoom
from bridge.errors import BridgeError, EngineUnavailable
from bridge.plugins.engine import EngineInfo
from bridge.system.disk import DiskWatch


class Readiness:
    """How the engine of new sounds stands."""

    def __init__(self, engines: EngineRoom, choice: Choice, disk: DiskWatch, model: str | None) -> None:
        self._engines = engines
        self._choice = choice
        self._disk = disk
        self._model = model

    @property
    def engine_error(self) -> BridgeError | None:
        """Why the chosen engine cannot make anything new, None when it can or has not been tried."""
        if self._choice.name not in self._engines.names:
            return None
        hosted = self._engines.hosted(self._choice.name)
        if hosted.error is None and hosted.silent:
            return EngineUnavailable(
                f"Engine '{self._choice.name}' does not answer. If that continues, its process is started again.",
                code="engine_silent",
            )
        return hosted.error

    @property
    def why(self) -> str:
        """Which engine makes new sounds and why, what it is doing while it starts, or why it cannot."""
        hosted = self._engines.hosted(self._choice.name) if self._choice.name in self._engines.names else None
        if hosted and hosted.note:
            return hosted.note
        if self.engine_error:
            return self.engine_error.message
        info = hosted.info if hosted else None
        return f"{self._choice.why}{_how(info)}" if info else self._choice.why

    @property
    def ready(self) -> bool:
        """Does the engine make new sounds?"""
        hosted = self._engines.hosted(self._choice.name) if self._choice.name in self._engines.names else None
        # One that has ended since it was started is started again by the next request.
        return hosted is not None and hosted.info is not None and self.engine_error is None

    @property
    def has_weights(self) -> bool:
        """Are MusicGen's weights on disk?"""
        return weights_on_disk(self._model)

    async def trouble(self) -> BridgeError | None:
        """Why no new sound can be made: the engine's reason, or the disk's. Takes a quarter of a second at most."""
        return self.engine_error or await self._disk.look()


def _how(info: EngineInfo) -> str:
    """Say what computes a model, and how fast, as a sentence after another one."""
    if info.kernel is None:
        return ""
    speed = f", {info.speed:.1f} s of audio per second" if info.speed is not None else ""
    return f" {info.device.upper()}, {info.precision}, {info.kernel}{speed}."

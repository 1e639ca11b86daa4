"""All engines of one server, each in its process, started when first asked for."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import logging
from collections.abc import Mapping
from pathlib import Path

from bridge.engines import registry
from bridge.engines.choice import DIFFUSION
from bridge.engines.cloud.keys import CLOUD
from bridge.engines.cloud.keys import environment as cloud_environment
from bridge.engines.hosting.client import HostedEngine
from bridge.engines.hosting.pool import EnginePool
from bridge.errors import InvalidRequest
from bridge.plugins.engine import EngineInfo
from bridge.settings import Settings
from bridge.system.threads import WRITES
from cache import StoreError, replace_file

logger = logging.getLogger(__name__)

HUB = frozenset({"musicgen", *DIFFUSION})
"""Engines that load models from Hugging Face, and need its token for some."""


class EngineRoom:
    """Hands out engines by name, and remembers what each said about itself.

    What an engine says is kept in ``engines.json`` of the data folder: a kept sound is found again after a restart
    without loading a model first.
    """

    def __init__(self, settings: Settings, incoming: Path) -> None:
        self._settings = settings
        self._incoming = incoming
        self._known_file = settings.data_dir / "engines.json"
        self._hosted: dict[str, EnginePool] = {}
        self._names = registry.names()
        self._known = self._read_known()

    @property
    def names(self) -> list[str]:
        """All registered engines."""
        return self._names

    def hosted(self, name: str) -> EnginePool:
        """The engine of that name; its processes may not run yet. Raises InvalidRequest for an unknown name."""
        if name not in self._names:
            raise InvalidRequest(
                f"engine: there is no engine '{name}'. Choose one of {', '.join(self._names)}, or auto.",
                code="unknown_engine",
                field="engine",
                engines=self._names,
            )
        if name not in self._hosted:
            options = {
                "model": self._model(name),
                "device": self._settings.device,
                "data_dir": str(self._settings.data_dir),
            }
            token = self._settings.hf_token
            asked = self._settings.ensemble if name == "ensemble" else (name,)
            loads = token is not None and not HUB.isdisjoint(asked)
            environment = {"HF_TOKEN": token.get_secret_value()} if token and loads else {}
            environment |= cloud_environment(self._settings, asked)
            if "musicgen" in asked:
                environment["BRIDGE_PRECISION"] = self._settings.precision
            members = [
                HostedEngine(
                    name,
                    incoming=self._incoming,
                    options=options,
                    environment=environment,
                    members=(name, *asked),
                    rate=self._settings.sample_rate,
                )
                for _ in range(self._settings.workers)
            ]
            self._hosted[name] = EnginePool(members)
        return self._hosted[name]

    @property
    def pools(self) -> Mapping[str, EnginePool]:
        """The engines that somebody has asked for."""
        return self._hosted

    def known(self, name: str) -> EngineInfo | None:
        """What the engine said last, now or before a restart, without starting it."""
        hosted = self._hosted.get(name)
        return (hosted.info if hosted else None) or self._known.get(self._key(name))

    def is_paid(self, name: str) -> bool:
        """May a request of this engine cost money? Also one that has not been started yet is known by its name."""
        info = self.known(name)
        asked = self._settings.ensemble if name == "ensemble" else (name,)
        return any(each in CLOUD for each in asked) or (info is not None and info.paid)

    def capacity(self, name: str) -> int:
        """How many requests the engine takes at the same time, over all its processes."""
        info = self.known(name)
        return (info.concurrency if info else 1) * self._settings.workers

    async def info(self, name: str) -> EngineInfo:
        """What the engine says about itself, starting it when nothing is known. Raises EngineUnavailable."""
        hosted = self.hosted(name)
        info = self.known(name)
        if info is None or hosted.running:
            info = await hosted.start()
            if self._known.get(self._key(name)) != info:
                self._known[self._key(name)] = info
                await WRITES.run(self._write_known)
        return info

    async def close(self) -> None:
        """End all processes."""
        await asyncio.gather(*(engine.close() for engine in self._hosted.values()))

    def _model(self, name: str) -> str | None:
        """Which model the engine of that name is given: the set one belongs to MusicGen, unless an engine of diffusion
        is set.
        """
        settings = self._settings
        if name in DIFFUSION:
            return settings.model if settings.engine == name else None
        if name == "ensemble":
            return ",".join(settings.ensemble) or None
        return settings.model if name == "musicgen" and settings.engine not in DIFFUSION else None

    def _key(self, name: str) -> str:
        if name == "musicgen":
            # What it says belongs to what computes it.
            precision = f":{self._settings.precision}" if self._settings.precision != "auto" else ""
            return f"{name}:{self._model(name) or ''}{precision}"
        # What such an engine said holds for as long as it is told the same.
        told = f"{self._model(name) or ''}{cloud_environment(self._settings, (name, *self._settings.ensemble))}"
        if name not in {"ensemble", *CLOUD, *DIFFUSION}:
            return name
        return f"{name}:{hashlib.sha256(told.encode()).hexdigest()[:12]}"

    def _read_known(self) -> dict[str, EngineInfo]:
        try:
            if not self._known_file.is_file():
                return {}
            document = json.loads(self._known_file.read_text())
            known = {key: EngineInfo(**info) for key, info in document.items()}
            return {key: info for key, info in known.items() if _is_whole(info)}
        except (OSError, ValueError, TypeError, AttributeError):
            return {}

    def _write_known(self) -> None:
        text = json.dumps({key: info.as_dict() for key, info in self._known.items()}, indent=1)
        with contextlib.suppress(StoreError):  # it only saves time
            replace_file(self._known_file, text.encode())


def _is_whole(info: EngineInfo) -> bool:
    """Are the values of the kinds that they should be? The file may be damaged, and the engine can say them again."""
    numbers = (info.rate, info.channels, info.max_seconds, info.concurrency)
    texts = (info.name, info.revision, info.licence, info.device)
    several = (*info.conditions, *info.qualities)
    return all(isinstance(each, str) for each in (*texts, *several)) and all(
        isinstance(each, (int, float)) and each > 0 for each in numbers
    )

"""From an order to specs that can be made: engine, model, effects, source, seed, and with them the identity."""

from __future__ import annotations

import secrets
from typing import NamedTuple

from pydantic import ValidationError

from bridge.audio.processors import check_names
from bridge.engines.choice import Choice
from bridge.engines.hosting.engines import EngineRoom
from bridge.engines.hosting.sources import source_file
from bridge.errors import InvalidRequest
from bridge.plugins.engine import EngineInfo
from bridge.settings import Settings
from bridge.sounds.facts import recipe_of
from bridge.sounds.orders import Order, from_validation
from bridge.sounds.prompt_filter import Prompts
from bridge.system.threads import SERVING
from prompts import SampleSpec, sound_name


class Resolved(NamedTuple):
    """A spec that can be made."""

    spec: SampleSpec
    spec_id: str
    """Its identity: equal ones sound the same."""
    info: EngineInfo
    """The engine that makes it."""


class Resolver:
    """Knows what this server makes of an order."""

    def __init__(self, settings: Settings, engines: EngineRoom, choice: Choice) -> None:
        self._settings = settings
        self._engines = engines
        self._choice = choice
        self._prompts = Prompts(settings.prompt_filter)

    async def takes(self, order: Order) -> list[Resolved]:
        """Resolve each variation and each root of an order.

        Raises InvalidRequest, NotFound (an upload that is gone), EngineUnavailable.
        """
        try:
            takes = order.takes()
        except ValidationError as error:
            raise from_validation(error) from None
        return [await self._resolve(order.model_copy(update={"spec": spec}), number) for spec, number in takes]

    async def first(self, order: Order) -> Resolved:
        """Resolve the first variation of an order; raises as ``takes``."""
        return await self._resolve(order, 0)

    async def conditions(self) -> tuple[str, ...]:
        """What the engine that makes new sounds can do with audio; see EngineInfo. Raises EngineUnavailable."""
        return (await self._engines.info(self._choice.name)).conditions

    async def _resolve(self, order: Order, number: int) -> Resolved:
        spec = order.spec
        if number == 0:
            await self._prompts.check(spec.prompt)
        name = self._choice.name if spec.engine == "auto" else spec.engine
        effects = tuple(dict.fromkeys((*self._settings.effects, *spec.effects)))
        check_names(effects)
        spec = spec.model_copy(update={"effects": effects})
        info = await self._engines.info(name)
        if spec.model is not None and spec.model != info.model and spec.model != self._settings.model:
            raise InvalidRequest(
                f"model: '{spec.model}' is not configured here. Set BRIDGE_MODEL, or leave the model out.",
                code="unknown_model",
                field="model",
            )
        spec = await self._conditioned(spec, info)
        try:
            resolved = spec.resolved(name, info.model)
        except ValidationError as error:
            raise from_validation(error) from None
        seconds = resolved.seconds or 0.0
        longest = min(self._settings.max_duration, info.max_seconds)
        if seconds > longest + 1e-9:
            raise InvalidRequest(
                f"duration: {seconds:g} s is more than the {longest:g} s that engine '{name}' makes here.",
                code="too_long",
                field="duration",
            )
        if order.fresh:
            resolved = resolved.model_copy(update={"seed": secrets.randbits(32)})
        elif number:
            resolved = resolved.model_copy(update={"seed": resolved.seed_of_take(number)})
        return Resolved(resolved, resolved.spec_id(recipe_of(info, self._settings.sample_rate)), info)

    async def _conditioned(self, spec: SampleSpec, info: EngineInfo) -> SampleSpec:
        """Settle what audio is used for and which quality there is. Raises InvalidRequest, NotFound."""
        quality = spec.quality_mode if spec.quality_mode in info.qualities else "balanced"
        if spec.source is None:
            return spec.model_copy(update={"quality_mode": quality, "source_as": None})
        use = spec.source_as or next(iter(info.conditions), None)
        if use not in info.conditions:
            can = (
                f"takes audio as {' or '.join(info.conditions)}" if info.conditions else "only makes sounds from words"
            )
            raise InvalidRequest(
                f"source: engine '{info.name}' {can} here. Change `source_as`, or choose another engine or model.",
                code="cannot_use_source",
                field="source" if not info.conditions else "source_as",
            )
        await SERVING.run(source_file, self._settings.data_dir, spec.source)
        return spec.model_copy(update={"quality_mode": quality, "source_as": use})


def named(order: Order) -> Order:
    """Give all notes of one sound one name: its words differ by the note, the sound is one."""
    if order.roots and order.name is None:
        return order.model_copy(update={"name": sound_name(order.spec.prompt)})
    return order

"""Pre-generation: the common stems are there before anybody asks."""

from __future__ import annotations

import asyncio
import logging

from bridge.engines.choice import PROCEDURAL
from bridge.errors import BridgeError, Busy, JobCancelled, is_hopeless
from bridge.jobs import Priority
from bridge.sounds.orders import Order
from bridge.sounds.patience import ask_patiently
from bridge.sounds.service import SampleService
from prompts import Stem, common_stems

logger = logging.getLogger(__name__)


async def pregenerate(service: SampleService) -> None:
    """Make the common stems that are not there yet, at once and procedurally; a player's wishes go first.

    One that somebody has deleted stays away until it is asked for.
    A model's versions follow as further slots: one by one, each when no player waits, or as many at once as
    an engine makes together, which lets a player's go first, less a place for that player.
    """
    try:
        await service.engines.info(PROCEDURAL)
        # No more at a time than keep the engine busy: a queue full of them would have no place for players.
        at_once = asyncio.Semaphore(service.maker.capacity(PROCEDURAL) + 1)
        async with asyncio.TaskGroup() as making:
            for stem in common_stems():
                making.create_task(_make(service, stem, PROCEDURAL, at_once))
        if service.choice.name != PROCEDURAL:
            await service.engines.info(service.choice.name)
            at_once = asyncio.Semaphore(max(1, service.maker.capacity(service.choice.name) - 1))
            async with asyncio.TaskGroup() as making:
                for stem in common_stems():
                    making.create_task(_make(service, stem, service.choice.name, at_once))
    except* BridgeError as group:
        # The others would fail in the same way: an engine that cannot start, a full disk.
        logger.warning("The common stems are not made: %s", group.exceptions[0])


async def _make(service: SampleService, stem: Stem, engine: str, at_once: asyncio.Semaphore) -> None:
    # Only the procedural engine takes a note name for the root that it is.
    specs = (stem.spec, *stem.roots) if engine == PROCEDURAL else (stem.spec,)
    async with at_once:
        for spec in specs:
            if stem.sound in await service.library.unwanted():
                return
            order = Order(spec=spec.model_copy(update={"engine": engine}), name=stem.sound, aliases=stem.aliases)
            try:
                for ticket in await ask_patiently(service, order, Priority.PREGENERATION):
                    service.placed(await service.queue.wait(ticket.id))
            except (JobCancelled, Busy):
                return  # somebody does not want this one, or the bridge is being stopped
            except BridgeError as error:
                if is_hopeless(error):
                    raise
                logger.warning("common stem %s: %s", stem.name, error.message)

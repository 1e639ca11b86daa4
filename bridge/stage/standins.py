"""Something to play at once, in the slot of a sound that takes long, until that sound takes its place."""

from __future__ import annotations

import logging

from bridge.engines.choice import PROCEDURAL
from bridge.errors import BridgeError
from bridge.jobs import Standin
from bridge.sounds.service import SampleService, Wanted

logger = logging.getLogger(__name__)


async def stand_in(service: SampleService, wanted: Wanted) -> Standin | None:
    """Make what the procedural engine plays for the first sound of an order that has to be made.

    None where nothing has to be made, where that takes no time, and where it cannot be made. Raises Busy, StorageFull
    and DiskFailed when the wanted sound itself would be refused.
    """
    if not wanted.missing or service.settings.mock_generation is False:
        return None
    first = wanted.missing[0]
    if first.info.instant:
        return None
    await service.check_room(wanted)
    name = wanted.name_of(first)
    quick = wanted.order.model_copy(
        update={
            "spec": wanted.order.spec.model_copy(update={"engine": PROCEDURAL, "model": None}),
            "name": name,
            "numbered": False,
            "variations": 1,
            "roots": (),
        }
    )
    try:
        ticket, *_ = await service.take(await service.look_up(quick), is_standin=True)
        placed = service.placed(await service.queue.wait(ticket.id))
    except BridgeError as error:
        logger.info("no stand-in for %s: %s", name, error.message)
        return None
    return Standin(placed.n, placed.sample.sample_id, placed.facts.root)

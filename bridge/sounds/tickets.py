"""Tasks and jobs as a caller may see them: what is not its own is unknown to it, as if it had never been."""

from __future__ import annotations

from bridge.errors import Forbidden, NotFound
from bridge.jobs import Ticket
from bridge.rights import Caller, current_caller
from bridge.sounds.service import SampleService


async def visible_ticket(service: SampleService, ticket_id: str, caller: Caller | None = None) -> Ticket:
    """Look a ticket up for ``caller``, the current one unless given. Raises NotFound."""
    ticket = await service.queue.ticket(ticket_id)
    if not (caller or current_caller()).may_see(ticket.claim.owner):
        raise NotFound(f"No job has the id '{ticket_id[:80]}'.", code="unknown_job")
    return ticket


async def cancel_ticket(service: SampleService, ticket_id: str, caller: Caller | None = None) -> Ticket:
    """Take a ticket back for ``caller``. Raises NotFound, Conflict, and Forbidden where it is somebody else's."""
    caller = caller or current_caller()
    ticket = await visible_ticket(service, ticket_id, caller)
    if not caller.may_cancel(ticket.claim.owner):
        raise Forbidden("Somebody else asked for that sound, so only they can cancel it.", code="not_yours")
    return await service.cancel(ticket_id)

"""Where sounds go: a sample is put into the slots of those who asked for it, in one transaction with its events."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from bridge.audio.facts import SampleFacts
from bridge.errors import JobCancelled
from bridge.events import JobMessage, strudel_code
from bridge.jobs import Claim, RunningJob, State, Ticket
from bridge.sounds.facts import search_terms
from bridge.sounds.library import Library, LookUp
from bridge.system.disk import remove_files
from cache import NewSample, Sample, Target

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Placed:
    """Where one asker's sound has gone."""

    name: str
    n: int
    sample: Sample
    cached: bool
    """True when the audio was there before it was asked for."""

    @property
    def facts(self) -> SampleFacts:
        """What is known of the sample."""
        return SampleFacts.of(self.sample.facts)

    @property
    def strudel(self) -> str:
        """Code to paste."""
        return strudel_code(self.name, self.n, self.facts)


class Placer:
    """Publishes samples for those who claim them."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self._placing: set[str] = set()

    def is_placing(self, ticket_id: str) -> bool:
        """Is this ticket's sound being published? Then it is too late to cancel."""
        return ticket_id in self._placing

    async def place_ranked(self, running: RunningJob, takes: Sequence[NewSample]) -> None:
        """Give the best take to the tickets of rank 0, the next to those of rank 1, and so on."""
        kept: dict[int, Sample] = {}
        try:
            while waiting := [each for each in await running.waiting() if each.claim.rank < len(takes)]:
                rank = min(ticket.claim.rank for ticket in waiting)
                # Published once; who joined meanwhile gets a slot of the kept sample.
                new = None if rank in kept else takes[rank]
                tickets = [ticket for ticket in waiting if ticket.claim.rank == rank]
                placed = await self._place_ended(tickets, kept.get(rank), new)
                kept[rank] = placed[0].sample
                await running.give(dict(zip((ticket.id for ticket in tickets), placed, strict=True)))
        finally:
            await remove_takes(take for rank, take in enumerate(takes) if rank not in kept)
        if not kept:
            raise JobCancelled("No request waits for it any more.")

    async def place(self, claim: Claim, *, kept: Sample | None = None, new: NewSample | None = None) -> Placed:
        """Put a sample that needed no job into the slot of a claim; ``kept`` or ``new``."""
        (placed,) = await self._publish([claim], kept, new)
        return placed

    async def _place_ended(self, tickets: Sequence[Ticket], kept: Sample | None, new: NewSample | None) -> list[Placed]:
        """Put one sample into the slot of every ticket; their jobs end with it, which is an event of its own.

        From here on there is no way back: a cancelled caller is held until it is done, and continues.
        """
        placing = {ticket.id for ticket in tickets}
        self._placing |= placing
        try:
            ends = [_completed(ticket) for ticket in tickets]
            return await self._publish([ticket.claim for ticket in tickets], kept, new, ends)
        finally:
            self._placing -= placing

    async def _publish(
        self,
        claims: Sequence[Claim],
        kept: Sample | None,
        new: NewSample | None,
        ends: Sequence[dict[str, Any]] | None = None,
    ) -> list[Placed]:
        """Put one sample into the slot of every claim, in one transaction with the events that say so."""
        spec_id = new.spec_id if new else kept.spec_id if kept else ""

        def targets(look: LookUp) -> list[Target]:
            listed = [_target(claim, spec_id) for claim in claims]
            alone = [_alone(target, look) for claim, target in zip(claims, listed, strict=True) if claim.numbered]
            return [*listed, *alone]

        try:
            # what is in its slots already does not wait for others that are being published
            published = None if new or ends is not None else await self._library.shown(targets)
            if published is None:
                patient = ends is not None
                work = self._library.publish(new, targets, list(ends or ()), patient=patient)
                published = await _not_to_be_cancelled(work)
        except BaseException:
            if new:
                await remove_takes([new])
            raise
        sample = published.sample
        assert sample is not None  # noqa: S101  there was at least one target
        slots = published.slots[: len(claims)]
        return [Placed(name, n, sample, cached=new is None) for name, n in slots]

    def kept_outcome(self, plain: Mapping[str, Any]) -> Placed | None:
        """Where a sound of an earlier run went; None when it is not kept any more."""
        sample = self._library.with_store(lambda store: store.take(plain["spec_id"]))
        return Placed(plain["name"], plain["n"], sample, plain["cached"]) if sample else None


def _alone(listed: Target, look: LookUp) -> Target:
    """The second name of contract A: the slot that ``listed`` gets, as a sound of its own, counted from 1."""
    sound = look(listed.name)
    slots = sound.slots if sound else ()
    held = [slot.n for slot in slots if slot.n == listed.n and slot.standin and not listed.standin]
    shown = [slot.n for slot in slots if slot.spec_id == listed.spec_id]
    n = [*held, *shown, len(slots)][0]
    return replace(listed, name=f"{listed.name}_{n + 1}", n=None, aliases=())


def job_message(ticket: Ticket) -> JobMessage:
    """How a ticket's job goes, as the message that listeners get."""
    job, placed, claim = ticket.job, ticket.outcome, ticket.claim
    message = JobMessage(
        job_id=ticket.id,
        spec_id=job.key,
        name=placed.name if isinstance(placed, Placed) else claim.name,
        n=placed.n if isinstance(placed, Placed) else claim.n,
        state=str(ticket.state),
        progress=round(job.progress.fraction, 4),
        eta_s=job.progress.eta_s,
        session=claim.session,
    )
    if job.error is not None and not isinstance(placed, Placed):
        message["error"] = {"code": job.error.code, "message": job.error.message}
    return message


def plain_outcome(outcome: Any) -> dict[str, Any] | None:
    """A ticket's outcome as JSON values, for the journal."""
    if not isinstance(outcome, Placed):
        return None
    return {"name": outcome.name, "n": outcome.n, "spec_id": outcome.sample.spec_id, "cached": outcome.cached}


def _target(claim: Claim, spec_id: str) -> Target:
    return Target(
        name=claim.name,
        n=claim.n,
        standin=claim.is_standin,
        aliases=claim.aliases,
        session=claim.session,
        terms=search_terms(claim.prompt, claim.name, claim.aliases),
        spec_id=spec_id,
    )


def _completed(ticket: Ticket) -> dict[str, Any]:
    return {**job_message(ticket), "state": str(State.COMPLETED), "progress": 1.0, "eta_s": 0.0}


async def remove_takes(takes: Iterable[NewSample]) -> None:
    """Delete the files of takes that have no slot."""
    await remove_files(path for take in takes for path in (take.master, *take.deliveries.values()))


async def _not_to_be_cancelled(work: Coroutine[Any, Any, T]) -> T:
    """Await ``work`` to its end although the caller is cancelled, and then continue."""
    task = asyncio.create_task(work)
    while not task.done():
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait([task])
    return task.result()

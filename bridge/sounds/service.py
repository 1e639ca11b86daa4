"""The one service behind every door: what is wanted in, a playable sound out."""

from __future__ import annotations

import contextlib
import hashlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bridge.engines.choice import Choice, choose
from bridge.engines.hosting.engines import EngineRoom
from bridge.errors import BridgeError, Conflict, JobCancelled, NotFound
from bridge.jobs import (
    TERMINAL,
    Book,
    Claim,
    EmbeddedQueue,
    JobQueue,
    Journal,
    Priority,
    Standin,
    State,
    Ticket,
    Work,
)
from bridge.jobs.happenings import Asked, AskEnded, Ended, Happening, Happenings
from bridge.logs import current_request, working_for
from bridge.rights import current_caller
from bridge.settings import Settings
from bridge.sounds.library import Library
from bridge.sounds.making import TakeMaker, score
from bridge.sounds.orders import Order
from bridge.sounds.placing import Placed, Placer, job_message, plain_outcome
from bridge.sounds.readiness import Readiness
from bridge.sounds.resolving import Resolved, Resolver, named
from bridge.sounds.running import JobRunner
from bridge.sounds.slicing import Slicer
from bridge.sounds.warnings import Warnings
from bridge.system.background import Background
from cache import Sample
from prompts import sound_aliases, sound_name

logger = logging.getLogger(__name__)

KEPT_LANE = "kept"


@dataclass(frozen=True, slots=True)
class Wanted:
    """An order, looked up: what of it is kept, and what has to be made."""

    order: Order
    kept: tuple[tuple[Resolved, Sample], ...]
    """The best score first."""
    missing: tuple[Resolved, ...]

    def name_of(self, found: Resolved) -> str:
        """The sound that one of its variations is registered as."""
        return self.order.name or sound_name(found.spec.prompt, found.spec_id)

    @property
    def key(self) -> str:
        """What its job is known by: two orders that miss the same share one job."""
        if len(self.missing) == 1:
            return self.missing[0].spec_id
        return hashlib.sha256(" ".join(each.spec_id for each in self.missing).encode()).hexdigest()[:32]


class SampleService:
    """Makes, keeps and finds sounds. All methods belong to one event loop; disk work is done in threads."""

    def __init__(
        self,
        settings: Settings,
        library: Library,
        engines: EngineRoom,
        journal: Journal | None = None,
        notes: Sequence[str] = (),
    ) -> None:
        self.settings = settings
        self.library = library
        self.happenings: Happenings = library.happenings
        """Everything that happens here, for who subscribes."""
        self.engines = engines
        self.choice: Choice = choose(settings)
        self.disk = library.watch_disk()
        self.readiness = Readiness(engines, self.choice, self.disk, settings.model)
        self.resolver = Resolver(settings, engines, self.choice)
        self.maker = TakeMaker(settings, engines)
        self._placer = Placer(library)
        self.slicer = Slicer(library, self._placer, self.disk)
        self.queue: JobQueue = EmbeddedQueue(
            JobRunner(settings, self.maker, self._placer).run,
            capacity=self.maker.capacity,
            gives_way=self.maker.gives_way,
            repeatable=self.maker.repeatable,
            estimate=self.maker.estimate,
            limit=settings.max_queue,
            job_seconds=settings.job_timeout,
            book=Book(journal, to_plain=plain_outcome, from_plain=self._placer.kept_outcome) if journal else None,
            happenings=self.happenings,
        )
        self.happenings.subscribe(self._on_happening)
        self.missing = Warnings(library, notes)
        """What may be missing of what is kept."""
        self.pages: Callable[[], int] = lambda: 0
        """How many pages are connected; sounds that they know are not evicted."""
        self.background = Background()
        """What continues until the service is closed."""
        self._telling = Background()
        """What follows an end, and is waited for."""

    # ------------------------------------------------------------------ asking

    async def ask(self, order: Order, *, priority: Priority = Priority.PLAYER) -> list[Ticket]:
        """Take a ticket for each variation; ``queue.wait`` waits for one and ``placed`` says where it went.

        Players ask by ``Stage.ask``, which knows their session. Raises as ``look_up`` and ``take``.
        """
        return await self.take(await self.look_up(order), priority=priority)

    async def look_up(self, order: Order) -> Wanted:
        """Find out what an order comes to: nothing is made or promised.

        Raises InvalidRequest, NotFound (an upload that is gone), EngineUnavailable.
        """
        order = named(order)
        found = [(each, await self.library.take(each.spec_id)) for each in await self.resolver.takes(order)]
        kept = [(each, sample) for each, sample in found if sample is not None]
        kept.sort(key=lambda pair: -score(pair[1]))
        return Wanted(order, tuple(kept), tuple(each for each, sample in found if sample is None))

    async def take(
        self,
        wanted: Wanted,
        *,
        priority: Priority = Priority.PLAYER,
        standin: Standin | None = None,
        is_standin: bool = False,
    ) -> list[Ticket]:
        """Take a ticket for each variation of an order that was looked up.

        Tickets come in the order of their slots. Variations that are kept already keep the slots they have, or get the
        next ones; the others are one job, and are published together when the last of them is made, the best score of
        the quality gate first: so no slot moves, and ``n`` counts from the best.

        ``standin``: what plays meanwhile in the slot of the first that has to be made. ``is_standin``: this order is
        such a thing itself, and no listener is told of it. Raises Busy, StorageFull, DiskFailed.
        """
        settled = [await self._settled(wanted, *each, priority, is_standin) for each in wanted.kept]
        submitted = await self._submitted(wanted, priority, standin, is_standin) if wanted.missing else []
        if not is_standin:
            for ticket in settled:
                self.happenings.tell(Asked(ticket, kept=True))
                self.happenings.tell(AskEnded(ticket))
            for ticket in submitted:
                self.happenings.tell(Asked(ticket, kept=False))
        return settled + submitted

    async def check_room(self, wanted: Wanted) -> None:
        """Raise Busy, StorageFull or DiskFailed when ``take`` would."""
        if wanted.missing:
            await self.disk.check()
            await self.queue.check_room(wanted.key, len(wanted.missing))

    async def _settled(
        self, wanted: Wanted, found: Resolved, sample: Sample, priority: Priority, is_standin: bool
    ) -> Ticket:
        """A ticket for a sample that is kept."""
        claim = _claim(wanted, found, is_standin=is_standin)
        placed = await self._placer.place(claim, kept=sample)
        ticket = await self.queue.settle(found.spec_id, KEPT_LANE, claim, placed)
        if priority < Priority.PREGENERATION and not is_standin:
            await self.queue.keep(ticket.id)
        return ticket

    async def _submitted(
        self, wanted: Wanted, priority: Priority, standin: Standin | None, is_standin: bool
    ) -> list[Ticket]:
        """A ticket for each sample that has to be made; several are one job, since they are ranked among themselves."""
        await self.check_room(wanted)
        key, lane = wanted.key, wanted.missing[0].spec.engine
        work = Work(tuple(each.spec for each in wanted.missing))
        tickets: list[Ticket] = []
        for rank, found in enumerate(wanted.missing):
            covered = standin if rank == 0 else None
            claim = _claim(wanted, found, rank=rank, standin=covered, is_standin=is_standin)
            try:
                tickets.append(await self.queue.submit(key, lane, work, priority=priority, claim=claim))
            except BaseException:  # a client that is refused one of them is not given the others
                for ticket in tickets:
                    with contextlib.suppress(BridgeError):
                        await self.queue.cancel(ticket.id)
                raise
        return tickets

    async def make(self, order: Order, *, priority: Priority = Priority.PLAYER) -> Placed:
        """Ask, wait, and answer the (first) sound. Raises what the job failed with."""
        ticket, *_ = await self.ask(order, priority=priority)
        return self.placed(await self.queue.wait(ticket.id))

    def placed(self, ticket: Ticket) -> Placed:
        """Where a completed ticket's sound is. Raises the job's own error, or Conflict while it is not made."""
        if isinstance(ticket.outcome, Placed):
            return ticket.outcome
        if ticket.withdrawn:
            raise JobCancelled("This request was cancelled. Ask again if the sound is wanted after all.")
        if ticket.job.error is not None and ticket.state in TERMINAL:
            raise ticket.job.error
        if ticket.state is State.COMPLETED:
            raise NotFound("That sound has been deleted since it was made. Ask for it again.", code="lost")
        raise Conflict(
            f"That sound is {ticket.state}; ask again when it is completed.", code="not_ready", status=str(ticket.state)
        )

    async def cancel(self, ticket_id: str) -> Ticket:
        """Take back one ask; see JobQueue.cancel. What is being published already counts as ended."""
        if self._placer.is_placing(ticket_id):
            raise Conflict("That job is completed already.", code="already_finished")
        ticket = await self.queue.cancel(ticket_id)
        await self._log_ends([ticket])
        return ticket

    # ------------------------------------------------------------------ from start to end

    def begin(self, engines: Sequence[str] = ()) -> None:
        """Start what continues while requests are answered: engines in this order, the upkeep of the store."""
        self.background.spawn(self._warm_up(engines or [self.choice.name]))
        self.background.spawn(self.library.sweep())
        self.background.spawn(self.library.copy_each_hour())

    async def close(self) -> None:
        """Stop working; what is kept stays kept."""
        await self.background.cancel()
        await self.queue.close()
        # The ends of the jobs that have just been cancelled are logged, too.
        await self._telling.finish()
        await self.engines.close()

    async def _warm_up(self, engines: Sequence[str]) -> None:
        for name in dict.fromkeys(engines):
            try:
                await self.engines.info(name)
                await self.engines.hosted(name).start()
            except BridgeError as error:
                logger.warning("%s", error.message)

    def _on_happening(self, happening: Happening) -> None:
        if isinstance(happening, Ended):
            # What was completed has been announced with its sound, in one transaction.
            self._telling.spawn(self._log_ends([ticket for ticket in happening.tickets if ticket.outcome is None]))
            if happening.job.state is State.COMPLETED and not self.pages():
                self._telling.spawn(self.library.evict())

    async def _log_ends(self, tickets: Sequence[Ticket]) -> None:
        for ticket in tickets:
            with working_for(ticket.claim.request_id):
                await self.library.log("job", dict(job_message(ticket)))


def _claim(
    wanted: Wanted, found: Resolved, *, rank: int = 0, standin: Standin | None = None, is_standin: bool = False
) -> Claim:
    order, name, caller = wanted.order, wanted.name_of(found), current_caller()
    return Claim(
        name=name,
        prompt=order.spec.prompt,
        numbered=order.numbered,
        aliases=(*sound_aliases(name), *order.aliases),
        session=order.session,
        rank=rank,
        is_standin=is_standin,
        standin=standin,
        request_id=current_request(),
        who=caller.name or None,
        owner=caller.owner,
    )

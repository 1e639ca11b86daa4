"""The one service behind every door: what is wanted in, a playable sound out.

``open_service`` is the only place where store, engines and queue are put together; server, command line and tests
all come through it.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import os
import secrets
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple, TypeAlias
from weakref import WeakValueDictionary

from pydantic import ValidationError

from bridge.audio.files.c2pa_signing import open_signer
from bridge.audio.files.delivery import FileMaker
from bridge.audio.processors import check_names
from bridge.engines.choice import PROCEDURAL, Choice, choose, weights_on_disk
from bridge.engines.cloud.spending import check_spending
from bridge.engines.hosting.engines import EngineRoom
from bridge.engines.hosting.sources import source_file
from bridge.errors import (
    BridgeError,
    Busy,
    Conflict,
    EngineUnavailable,
    InvalidRequest,
    JobCancelled,
    NotFound,
    StartupError,
)
from bridge.jobs import TERMINAL, Book, EmbeddedQueue, Job, JobQueue, Journal, Priority, State, Ticket
from bridge.jobs.happenings import Asked, AskEnded, Ended, Happening, Happenings
from bridge.logs import current_request, working_for
from bridge.plugins.engine import EngineInfo
from bridge.rights import current_caller
from bridge.settings import Settings
from bridge.sounds.facts import recipe_of
from bridge.sounds.library import Library
from bridge.sounds.making import TakeMaker, score
from bridge.sounds.orders import Order, from_validation
from bridge.sounds.placing import Placed, Placer, job_message, plain_outcome, remove_takes
from bridge.sounds.prompt_filter import Prompts
from bridge.sounds.slicing import cut_slices, slices_name
from bridge.sounds.warnings import Warnings
from bridge.system.disk import on_disk
from bridge.system.ledgers import JOURNAL, LOSSES, refuse_newer
from bridge.system.threads import SERVING, WRITES
from cache import Sample, SampleStore, Sound, StoreError
from prompts import SampleSpec, sound_aliases, sound_name

logger = logging.getLogger(__name__)

_Resolved: TypeAlias = tuple[SampleSpec, str, EngineInfo]
"""A spec that can be made, its identity, and the engine that makes it."""

KEPT_LANE = "kept"
_NO_LIMIT = 2**62
_QUICKLY_LOOKED_FOR = 2000
"""Sounds whose files are looked at before the first answer."""


class RequestKey(NamedTuple):
    """How a repeated request is known: the name that its client gave it, and a digest of what was asked for."""

    name: str
    fingerprint: str


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
        self.prompts = Prompts(settings.prompt_filter)
        self.maker = TakeMaker(settings, engines)
        self.placer = Placer(library)
        self.disk = library.watch_disk()
        self.queue: JobQueue = EmbeddedQueue(
            self._run,
            capacity=self.maker.capacity,
            gives_way=self.maker.gives_way,
            repeatable=self.maker.repeatable,
            estimate=self.maker.estimate,
            limit=settings.max_queue,
            job_seconds=settings.job_timeout,
            book=Book(journal, to_plain=plain_outcome, from_plain=self.placer.kept_outcome) if journal else None,
            happenings=self.happenings,
        )
        self.happenings.subscribe(self._on_happening)
        self.missing = Warnings(library, notes)
        """What may be missing of what is kept."""
        self.pages: Callable[[], int] = lambda: 0
        """How many pages are connected; sounds that they know are not evicted."""
        self._beside: set[asyncio.Task[Any]] = set()
        self._telling: set[asyncio.Task[Any]] = set()
        self._once: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    # ------------------------------------------------------------------ asking

    async def ask(
        self,
        order: Order,
        *,
        priority: Priority = Priority.PLAYER,
        standin: bool = False,
        key: RequestKey | None = None,
    ) -> list[Ticket]:
        """Take a ticket for each variation; ``queue.wait`` waits for one and ``placed`` says where it went.

        Tickets come in the order of their slots. Variations that are kept already keep the slots they have, or get the
        next ones; the others are one job, and are published together when the last of them is made, the best score of
        the quality gate first: so no slot moves, and ``n`` counts from the best. With ``standin`` a name whose wanted
        sound takes long gets something to play at once, in the slot of the first.
        The same request with the same ``key`` gets the tickets that it got before: a repeated POST is harmless.

        Raises InvalidRequest, also when the key came with another request; EngineUnavailable, Busy.
        """
        if key is None:
            return await self._ask(order, priority, standin)
        async with self._once.setdefault(key.name, asyncio.Lock()):
            known = await self.queue.repeated(key.name)
            if known and known[0] != key.fingerprint:
                raise InvalidRequest(
                    "This Idempotency-Key came with another request before. Use a new key for a new request.",
                    code="idempotency_mismatch",
                )
            with contextlib.suppress(NotFound):
                if known:
                    return [self.queue.ticket(ticket_id) for ticket_id in known[1]]
            tickets = await self._ask(order, priority, standin)
            await self.queue.remember(key.name, key.fingerprint, [ticket.id for ticket in tickets])
        return tickets

    async def _ask(self, order: Order, priority: Priority, standin: bool) -> list[Ticket]:
        if order.roots and order.name is None:  # the words that follow a note differ, the sound is one
            order = order.model_copy(update={"name": sound_name(order.spec.prompt)})
        wanted = [
            await self._resolve(order.model_copy(update={"spec": spec}), number) for spec, number in _takes(order)
        ]
        found = [(each, await self.library.take(each[1])) for each in wanted]
        kept = [(spec, spec_id, sample) for (spec, spec_id, _), sample in found if sample is not None]
        kept.sort(key=lambda each: -score(each[2]))
        settled = [await self._settled(self._asked(order, *each[:2]), *each[1:], priority) for each in kept]
        missing = [each for each, sample in found if sample is None]
        submitted = await self._submitted(order, missing, priority, standin) if missing else []
        for ticket in settled:
            self.happenings.tell(Asked(ticket, kept=True))
            self.happenings.tell(AskEnded(ticket))
        for ticket in submitted:
            self.happenings.tell(Asked(ticket, kept=False))
        return settled + submitted

    async def _settled(self, asked: dict[str, Any], spec_id: str, sample: Sample, priority: Priority) -> Ticket:
        """A ticket for a sample that is kept."""
        ticket = self.queue.settle(spec_id, KEPT_LANE, {}, asked=asked)
        await self.placer.place([ticket], kept=sample)
        if priority < Priority.PREGENERATION:
            self.queue.keep(ticket)
        return ticket

    async def _submitted(
        self, order: Order, wanted: Sequence[_Resolved], priority: Priority, standin: bool
    ) -> list[Ticket]:
        """A ticket for each sample that has to be made; several are one job, since they are ranked among themselves."""
        await self.disk.check()
        (spec, spec_id, info), *others = wanted
        work: dict[str, Any] = {"spec": spec.model_dump(mode="json"), "spec_id": spec_id}
        key = spec_id
        if others:
            work |= {"others": [each.model_dump(mode="json") for each, _, _ in others], "count": len(wanted)}
            key = hashlib.sha256(" ".join(each for _, each, _ in wanted).encode()).hexdigest()[:32]
        self.queue.check_room(key, len(wanted))
        tickets: list[Ticket] = []
        for rank, (each, each_id, _) in enumerate(wanted):
            asked = self._asked(order, each, each_id) | {"rank": rank}
            if standin and rank == 0 and not info.instant and self.settings.mock_generation is not False:
                asked |= await self._stand_in(order, asked["name"])
            try:
                tickets.append(await self.queue.submit(key, spec.engine, work, priority=priority, asked=asked))
            except BaseException:  # who is refused one of them is not given the others
                for ticket in tickets:
                    with contextlib.suppress(BridgeError):
                        await self.queue.cancel(ticket.id)
                raise
        return tickets

    async def make(self, order: Order, *, priority: Priority = Priority.PLAYER) -> Placed:
        """Ask, wait, and answer the (first) sound. Raises what the job failed with."""
        ticket, *_ = await self.ask(order, priority=priority)
        return self.placed(await self.queue.wait(ticket.id))

    async def slices(self, name: str, n: int = 0) -> Sound:
        """Cut slot ``n`` of a sound before its attacks, and register the pieces, at most 16, as ``<name>_sl``.

        Asked for again, the same slices are in the same slots. Raises NotFound, and InvalidRequest when nothing begins
        in it.
        """
        sound = await self.library.sound(name)
        if n >= len(sound.slots):
            raise NotFound(f"'{sound.name}' has no slot {n}; it has {len(sound.slots)}.", code="unknown_slot")
        source = await self.library.take(sound.slots[n].spec_id)
        assert source is not None  # noqa: S101  a slot shows what is kept
        await self.disk.check()
        try:
            pieces = await cut_slices(source, self.library.master(source.sample_id), self.library.incoming)
        except BridgeError:
            self.disk.suspect()  # the child says only that it could not
            if (trouble := await self.disk.look()) is not None:
                raise trouble from None
            raise
        if len(pieces) < 2:
            await remove_takes(pieces)
            raise InvalidRequest(
                f"Nothing begins in the middle of '{sound.name}', so there is nothing to cut. Take a loop with hits.",
                code="no_slices",
            )
        asked = {
            "name": slices_name(sound.name, n),
            "numbered": False,
            "aliases": [],
            "session": sound.session,
            "prompt": source.facts["prompt"],
        }
        for piece in pieces:
            ticket = self.queue.settle(piece.spec_id, KEPT_LANE, {}, asked=asked)
            kept = await self.library.take(piece.spec_id)
            if kept is not None:
                await remove_takes([piece])
            await self.placer.place([ticket], kept=kept, new=None if kept else piece)
        return await self.library.sound(asked["name"])

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
        if self.placer.is_placing(ticket_id):
            raise Conflict("That job is completed already.", code="already_finished")
        ticket = await self.queue.cancel(ticket_id)
        await self._log_ends([ticket])
        return ticket

    # ------------------------------------------------------------------ readiness

    @property
    def engine_error(self) -> BridgeError | None:
        """Why the chosen engine cannot make anything new, None when it can or has not been tried."""
        if self.choice.name not in self.engines.names:
            return None
        hosted = self.engines.hosted(self.choice.name)
        if hosted.error is None and hosted.silent:
            return EngineUnavailable(
                f"Engine '{self.choice.name}' does not answer. If that goes on, its process is started again.",
                code="engine_silent",
            )
        return hosted.error

    @property
    def why(self) -> str:
        """Which engine makes new sounds and why, what it is doing while it starts, or why it cannot."""
        hosted = self.engines.hosted(self.choice.name) if self.choice.name in self.engines.names else None
        if hosted and hosted.note:
            return hosted.note
        if self.engine_error:
            return self.engine_error.message
        info = hosted.info if hosted else None
        return f"{self.choice.why}{_how(info)}" if info else self.choice.why

    @property
    def ready(self) -> bool:
        """Does the engine make new sounds?"""
        hosted = self.engines.hosted(self.choice.name) if self.choice.name in self.engines.names else None
        # One that has ended since it was started is started again by whoever asks.
        return hosted is not None and hosted.info is not None and self.engine_error is None

    async def trouble(self) -> BridgeError | None:
        """Why no new sound can be made: the engine's reason, or the disk's. Takes a quarter of a second at most."""
        return self.engine_error or await self.disk.look()

    @property
    def has_weights(self) -> bool:
        """Are MusicGen's weights on disk?"""
        return weights_on_disk(self.settings.model)

    def begin(self, pregenerate: Callable[[], Coroutine[Any, Any, None]] | None = None) -> None:
        """Start what runs beside the requests: the engine, pre-generation once it runs, the upkeep of the store."""
        self._spawn(self._beside, self._warm_up(pregenerate))
        self._spawn(self._beside, self.library.sweep())
        self._spawn(self._beside, self.library.copy_each_hour())

    async def close(self) -> None:
        """Stop working; what is kept stays kept."""
        for task in list(self._beside):
            task.cancel()
        await asyncio.gather(*self._beside, return_exceptions=True)
        await self.queue.close()
        # Also of the jobs that have just been cancelled it is told how they ended.
        await asyncio.gather(*self._telling, return_exceptions=True)
        await self.engines.close()

    # ------------------------------------------------------------------ from order to spec

    async def resolve(self, order: Order) -> tuple[SampleSpec, EngineInfo]:
        """What would be made of an order, and by which engine; nothing is made. Raises as ``ask`` does."""
        spec, _, info = await self._resolve(order, 0)
        return spec, info

    async def conditions(self) -> tuple[str, ...]:
        """What the engine that makes new sounds can do with audio; see EngineInfo. Raises EngineUnavailable."""
        return (await self.engines.info(self.choice.name)).conditions

    async def _resolve(self, order: Order, number: int) -> tuple[SampleSpec, str, EngineInfo]:
        spec = order.spec
        if number == 0:
            await self.prompts.check(spec.prompt)
        name = self.choice.name if spec.engine == "auto" else spec.engine
        effects = tuple(dict.fromkeys((*self.settings.effects, *spec.effects)))
        check_names(effects)
        spec = spec.model_copy(update={"effects": effects})
        info = await self.engines.info(name)
        if spec.model is not None and spec.model != info.model and spec.model != self.settings.model:
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
        longest = min(self.settings.max_duration, info.max_seconds)
        if seconds > longest + 1e-9:
            raise InvalidRequest(
                f"duration: {seconds:g} s is more than the {longest:g} s that engine '{name}' makes here.",
                code="too_long",
                field="duration",
            )
        if order.fresh:
            resolved = resolved.model_copy(update={"seed": secrets.randbits(32)})
        elif number:
            resolved = resolved.model_copy(update={"seed": ((resolved.seed or 0) + number * 0x9E3779B1) % 2**32})
        return resolved, resolved.spec_id(recipe_of(info, self.settings.sample_rate)), info

    async def _conditioned(self, spec: SampleSpec, info: EngineInfo) -> SampleSpec:
        """Settle what audio is used for and which quality there is. Raises InvalidRequest, NotFound."""
        quality = spec.quality_mode if spec.quality_mode in info.qualities else "balanced"
        if spec.source is None:
            return spec.model_copy(update={"quality_mode": quality, "source_as": None})
        use = spec.source_as or next(iter(info.conditions), None)
        if use not in info.conditions:
            can = f"takes audio as {' or '.join(info.conditions)}" if info.conditions else "makes sounds of words alone"
            raise InvalidRequest(
                f"source: engine '{info.name}' {can} here. Change `source_as`, or choose another engine or model.",
                code="cannot_use_source",
                field="source" if not info.conditions else "source_as",
            )
        await SERVING.run(source_file, self.settings.data_dir, spec.source)
        return spec.model_copy(update={"quality_mode": quality, "source_as": use})

    def _asked(self, order: Order, spec: SampleSpec, spec_id: str) -> dict[str, Any]:
        name = order.name or sound_name(spec.prompt, spec_id)
        return {
            "name": name,
            "numbered": order.numbered,
            "aliases": [*sound_aliases(name), *order.aliases],
            "session": order.session,
            "prompt": order.spec.prompt,
            "request_id": current_request(),
            "who": current_caller().name or None,
            "owner": current_caller().owner,
        }

    async def _stand_in(self, order: Order, name: str) -> dict[str, Any]:
        """Put something that can be made at once into a new slot, until the wanted sound takes its place."""
        quick = order.model_copy(
            update={
                "spec": order.spec.model_copy(update={"engine": PROCEDURAL, "model": None}),
                "name": name,
                "numbered": False,
                "variations": 1,
            }
        )
        try:
            spec, spec_id, _ = await self._resolve(quick, 0)
            asked = self._asked(quick, spec, spec_id) | {"standin": True}
            work = {"spec": spec.model_dump(mode="json"), "spec_id": spec_id}
            sample = await self.library.take(spec_id)
            if sample is not None:
                ticket = self.queue.settle(spec_id, KEPT_LANE, {}, asked=asked)
                await self.placer.place([ticket], kept=sample)
            else:
                ticket = await self.queue.submit(spec_id, PROCEDURAL, work, priority=Priority.PLAYER, asked=asked)
                await self.queue.wait(ticket.id)
            placed = self.placed(ticket)
        except BridgeError as error:
            logger.info("no stand-in for %s: %s", name, error.message)
            return {}
        return {
            "n": placed.n,
            "standin_id": placed.sample.sample_id,
            "standin_root": placed.sample.facts.get("root"),
        }

    # ------------------------------------------------------------------ doing a job

    async def _run(self, job: Job, report: Callable[[float], None]) -> Sample:
        """The body of every job: make the audio, then publish it for everybody who waits."""
        asker = next((ticket.asked.get("request_id") for ticket in job.tickets.values()), None)
        with working_for(asker), on_disk(self.settings.data_dir, perhaps=True):
            return await self._make(job, report)

    async def _make(self, job: Job, report: Callable[[float], None]) -> Sample:
        specs = [SampleSpec.model_validate(each) for each in (job.work["spec"], *job.work.get("others", ()))]
        begun = time.monotonic()
        background = job.priority >= Priority.PREGENERATION
        takes, error = await self.maker.takes(job.lane, specs, report, background=background)
        took = time.monotonic() - begun
        if not takes:
            raise error or JobCancelled("Nothing was made.")
        seconds = sum(take.frames / take.rate for take in takes)
        sample = await self.placer.place_ranked(job, takes)
        if error is not None:
            raise error  # for those tickets that are left without a sound
        level = logging.INFO if job.priority < Priority.PREGENERATION else logging.DEBUG
        askers = ", ".join(job.tickets)
        logger.log(level, "made for %s: %.1f s of sound in %.2f s by %s", askers, seconds, took, job.lane)
        if not self.pages():
            self._spawn(self._telling, self.library.evict())
        return sample

    # ------------------------------------------------------------------ telling

    def _on_happening(self, happening: Happening) -> None:
        if isinstance(happening, Ended):
            # What was completed has been announced with its sound, in one transaction.
            unplaced = [ticket for ticket in happening.job.tickets.values() if ticket.outcome is None]
            self._spawn(self._telling, self._log_ends(unplaced))

    async def _log_ends(self, tickets: Sequence[Ticket]) -> None:
        for ticket in tickets:
            with working_for(ticket.asked.get("request_id")):
                await self.library.log("job", dict(job_message(ticket)))

    # ------------------------------------------------------------------ small things

    async def _warm_up(self, pregenerate: Callable[[], Coroutine[Any, Any, None]] | None) -> None:
        first = [PROCEDURAL] if pregenerate else []
        for name in dict.fromkeys((*first, self.choice.name)):
            try:
                await self.engines.info(name)
                await self.engines.hosted(name).start()
            except BridgeError as error:
                logger.warning("%s", error.message)
            if name == PROCEDURAL and pregenerate:
                self._spawn(self._beside, pregenerate())

    def _spawn(self, tasks: set[asyncio.Task[Any]], work: Coroutine[Any, Any, Any]) -> None:
        def done(task: asyncio.Task[Any]) -> None:
            tasks.discard(task)
            error = None if task.cancelled() else task.exception()
            if isinstance(error, BridgeError):
                logger.warning("beside the requests: %s", error.message)
            elif error is not None:
                logger.error("something beside the requests failed", exc_info=error)

        task = asyncio.create_task(work)
        tasks.add(task)
        task.add_done_callback(done)


def _takes(order: Order) -> list[tuple[SampleSpec, int]]:
    try:
        return order.takes()
    except ValidationError as error:
        raise from_validation(error) from None


def _how(info: EngineInfo) -> str:
    """Say what computes a model, and how fast, as a sentence after another one."""
    if info.kernel is None:
        return ""
    speed = f", {info.speed:.1f} s of audio in a second" if info.speed is not None else ""
    return f" {info.device.upper()}, {info.precision}, {info.kernel}{speed}."


def _open_journal(store: SampleStore) -> tuple[Journal, list[str]]:
    """Open the journal of jobs, and say what is wrong with it. Raises StartupError."""
    path = store.path / JOURNAL
    missing = bool(store.count()) and not os.path.lexists(path)
    try:
        return Journal(path), [f"The journal of jobs, {path}, was missing. {LOSSES[JOURNAL].lost}"] if missing else []
    except BridgeError as error:
        raise StartupError(error.message, code=error.code) from None


def _look_for_lost(store: SampleStore) -> None:
    """Know what is lost from the first answer on, where the look is quick; otherwise the sweep tells it."""
    try:
        if store.count() <= _QUICKLY_LOOKED_FOR:
            store.look_for_lost()
    except StoreError as error:
        logger.warning("The sound files could not be looked at: %s", error)


@asynccontextmanager
async def open_service(settings: Settings) -> AsyncIterator[SampleService]:
    """Open the store, the engines and the queue of one data folder, and close them again.

    Raises StartupError when the folder cannot be used (locked, read-only, full, of a newer version), and when there is
    no engine of the name that is set.
    """
    await WRITES.run(refuse_newer, settings.data_dir)
    try:
        store = await WRITES.run(
            SampleStore.open,
            settings.data_dir,
            masters_limit=settings.masters_limit_mb * 2**20 or _NO_LIMIT,
            deliveries_limit=settings.deliveries_limit_mb * 2**20,
            undo_seconds=settings.undo_seconds,
        )
    except StoreError as error:
        raise StartupError(str(error), code=error.code) from None
    try:
        await WRITES.run(_look_for_lost, store)
        await WRITES.run(check_spending, settings.data_dir)
        engines = EngineRoom(settings, store.incoming)
        journal, notes = await WRITES.run(_open_journal, store)
        files = FileMaker(settings.prompts_in_files, open_signer(settings.c2pa_certificate, settings.c2pa_key))
        service = SampleService(settings, Library(store, files), engines, journal, notes)
        if service.choice.name not in engines.names:
            raise StartupError(
                f"There is no engine '{service.choice.name}'. Choose one of {', '.join(engines.names)}, or auto.",
                code="unknown_engine",
            )
        try:
            await service.queue.resume()
            await service.missing.look()
            yield service
        finally:
            await service.close()
    finally:
        try:
            await WRITES.run(store.close)
        except (StoreError, Busy) as error:  # what was promised is on the disk already
            logger.warning("The data folder could not be closed cleanly: %s", error)

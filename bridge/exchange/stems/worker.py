"""Makes what was promised: every stem of a request, its file in storage, the callback at the end."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import logging
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

from bridge.errors import BridgeError, Busy, Conflict, DiskFailed, InvalidRequest, NotFound, StartupError, StorageFull
from bridge.exchange.callbacks import ATTEMPTS, CallbackFailed, Callbacks, wait_before
from bridge.exchange.object_storage import Storage, stem_key
from bridge.exchange.stems.leader import Leader
from bridge.exchange.stems.ledger import COMPLETED, DELIVERED, FAILED, FILE, GIVEN_UP, PROCESSING, WAITING, Ledger, Row
from bridge.exchange.stems.plan import PlannedStem, StemPlan, StemRequest, read_request
from bridge.jobs import Priority, State
from bridge.rights import current_caller
from bridge.sounds.orders import Order
from bridge.sounds.patience import ask_patiently
from bridge.sounds.placing import Placed
from bridge.sounds.service import SampleService
from bridge.system.threads import WRITES

logger = logging.getLogger(__name__)

CHANNELS: Final = 2
"""Contract D's files are stereo, whichever engine made them; 44.1 kHz is what kind ``stem`` is finished at."""
_AT_ONCE = 8
"""Callbacks that are on their way at the same time."""
_BUSY_SECONDS = 1.0
_MOST_OWNERS = 10_000
_LOOK_SECONDS = 60.0
"""How often storage is looked at, and old requests are removed."""
_DAY = 86400.0


class Stems:
    """Requests for many stems. All methods belong to one event loop; they work inside ``running``."""

    def __init__(self, service: SampleService, storage: Storage, callbacks: Callbacks) -> None:
        self.storage = storage
        self.storage_error: str | None = None
        """Why files could not be stored when it was last tried, None when they could."""
        self._service = service
        self._settings = service.settings
        self._callbacks = callbacks
        self._open: Ledger | None = None
        self._tasks: dict[tuple[str, str], asyncio.Task[None]] = {}
        self._done: dict[str, list[dict[str, Any]]] = {}
        """Stored stems of requests that are being made."""
        self._again: dict[tuple[str, str], Callable[[], Coroutine[Any, Any, None]]] = {}
        """What begins when a task of the same kind and request has ended."""
        self._promised: set[tuple[str, str]] = set()
        """Accepted stems that are not at the queue yet: request and type."""
        self._owners: OrderedDict[str, str | None] = OrderedDict()
        """Whose the requests of this run are, for callers who are told of their own alone."""
        self._sending = asyncio.Semaphore(_AT_ONCE)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Go on with what was left, accept requests, and stop; what is not done then is done after the next start."""
        try:
            self._open = await WRITES.run(Ledger, self._settings.data_dir / FILE)
        except BridgeError as error:
            raise StartupError(error.message, code=error.code) from None
        try:
            for row in await WRITES.run(self._ledger.unfinished):
                self._begin(row.id)
            for row in await WRITES.run(self._ledger.undelivered):
                self._call_back(row.id)
            self._spawn("look", "", self._look_after)
            yield
        finally:
            self._again.clear()
            tasks = list(self._tasks.values())
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await WRITES.run(self._ledger.close)
            self._open = None

    async def accept(self, document: Mapping[str, Any], base: str) -> StemRequest:
        """Promise a request: it is written down, and its callback will come. ``base``: our address for this caller.

        The same request sent again starts no new work; one that failed is tried again, a finished one is called back
        once more. Raises InvalidRequest, Busy, StorageFull, and Conflict for an id that means another request.
        """
        request, plan = read_request(document)
        if plan.seconds > self._settings.max_duration + 1e-9:
            raise InvalidRequest(
                f"parameters.duration_seconds: at most {self._settings.max_duration:g} s are made here.",
                code="too_long",
                field="parameters.duration_seconds",
            )
        if request.callback_url is not None:
            await self._callbacks.check(request.callback_url)
        body = request.model_dump(mode="json")
        digest = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
        request_id = request.generation_request_id
        before = await WRITES.run(self._ledger.get, request_id)
        if before is None:
            await self._service.disk.check()
            await self._refuse_too_much(len(plan.stems))
            self._promised |= {(request_id, stem.stem_type) for stem in plan.stems}
            before = await WRITES.run(self._ledger.accept, request_id, digest, body, base, time.time())
        if before is None:
            self._owners[request_id] = current_caller().owner
            while len(self._owners) > _MOST_OWNERS:
                self._owners.popitem(last=False)
            self._begin(request_id)
        elif before.digest != digest:
            raise Conflict(
                "generation_request_id: another request has this id already. Give each request its own.",
                code="request_id_taken",
            )
        else:
            await self._once_more(before, body)
        return request

    async def document(self, request_id: str) -> dict[str, Any]:
        """Contract D's callback document, as far as it is. Raises NotFound, StorageUnavailable."""
        row = await WRITES.run(self._ledger.get, request_id)
        if row is None or not current_caller().may_see(self._owners.get(request_id)):
            raise NotFound(f"No job and no request has the id '{request_id[:80]}'.", code="unknown_job")
        return await self._document(row)

    # ------------------------------------------------------------------ making

    async def _refuse_too_much(self, stems: int) -> None:
        waiting = await self._service.queue.count(State.QUEUED) + len(self._promised)
        if waiting + stems > self._settings.max_queue:
            raise Busy(f"{waiting} sounds are waiting to be made already. Ask again in a moment.", code="queue_full")

    async def _once_more(self, row: Row, body: dict[str, Any]) -> None:
        if row.state == FAILED:
            await WRITES.run(self._ledger.begin_again, row.id, body)
            self._begin(row.id)
        elif row.state == COMPLETED and row.body.get("callback_url") is not None:
            await WRITES.run(self._ledger.note_callback, row.id, WAITING)
            self._call_back(row.id)

    def _begin(self, request_id: str) -> None:
        self._spawn("make", request_id, lambda: self._work(request_id))

    def _call_back(self, request_id: str) -> None:
        waiting = self._tasks.get(("callback", request_id))
        if waiting is not None:  # perhaps for an hour
            waiting.cancel()
        self._spawn("callback", request_id, lambda: self._deliver(request_id))

    async def _work(self, request_id: str) -> None:
        row = await WRITES.run(self._ledger.get, request_id)
        if row is None or row.state != PROCESSING:
            return
        done = self._done.setdefault(request_id, [])
        try:
            request, plan = read_request(row.body)
            heard = await self._leader(plan)
            failures = await asyncio.gather(*(self._store(row, stem, done, heard) for stem in plan.stems))
            failed = [failure for failure in failures if failure is not None]
            await self._finish(row, request, plan, done, failed)
        finally:
            del self._done[request_id]
            self._promised = {each for each in self._promised if each[0] != request_id}
        if request.callback_url is not None:
            self._call_back(request_id)

    async def _finish(
        self, row: Row, request: StemRequest, plan: StemPlan, done: list[dict[str, Any]], failed: list[dict[str, Any]]
    ) -> None:
        asked = [text.strip() for text in request.target_stems]
        for stems in (done, failed):
            stems.sort(key=lambda stem: asked.index(stem["stem_type"]))
        result = {"generated": done, "failed": failed, "parameters": plan.parameters}
        state = COMPLETED if done else FAILED
        for each in failed:
            logger.warning("request for stems: %s failed: %s", each["stem_type"], each["error"])
        callback = request.callback_url is not None
        await self._write(lambda: self._ledger.finish(row.id, state, result, time.time(), callback=callback))

    async def _leader(self, plan: StemPlan) -> Leader | None:
        """The stem that the others listen to: the first with notes, where the engine follows a tune."""
        pitched = [stem for stem in plan.stems if stem.pitched]
        if len(pitched) < 2:
            return None
        with contextlib.suppress(BridgeError):  # each stem will say so itself
            _, _, info = await self._service.resolver.first(pitched[0].order)
            if "melody" in info.conditions:
                return Leader(pitched[0])
        return None

    async def _store(
        self, row: Row, stem: PlannedStem, done: list[dict[str, Any]], leader: Leader | None
    ) -> dict[str, Any] | None:
        """Make one stem and store it; what went wrong is answered, so that the others continue."""
        try:
            if leader is None:
                placed = await self._placed(row.id, stem, stem.order)
            elif leader.stem is stem:
                with leader.told():
                    placed = await self._placed(row.id, stem, stem.order)
                    leader.sample_id = placed.sample.sample_id
            else:
                placed = await self._placed(row.id, stem, await leader.followed_by(stem))
            data = await self._service.library.wav(placed.sample, CHANNELS)
            key = stem_key(row.id, stem.stem_type, placed.sample.sample_id)
            await self.storage.put(key, data)
        except BridgeError as error:
            return {"stem_type": stem.stem_type, "error": error.message, "code": error.code}
        except Exception:
            logger.exception("a stem could not be made")
            message = "Something broke in the bridge; its log has the details."
            return {"stem_type": stem.stem_type, "error": message, "code": "internal"}
        rate = placed.sample.rate
        done.append({"stem_type": stem.stem_type, "key": key, "file_size_bytes": len(data), "sample_rate": rate})
        return None

    async def _placed(self, request_id: str, stem: PlannedStem, order: Order) -> Placed:
        service = self._service
        # It was promised: others fill the queue, and it empties.
        ticket, *_ = await ask_patiently(service, order, Priority.BATCH)
        self._promised.discard((request_id, stem.stem_type))
        return service.placed(await service.queue.wait(ticket.id))

    # ------------------------------------------------------------------ telling

    async def _deliver(self, request_id: str) -> None:
        """Call back until it is taken, or until it has failed too often."""
        while True:
            row = await WRITES.run(self._ledger.get, request_id)
            if row is None or row.callback != WAITING:
                return
            await asyncio.sleep(row.due - time.time())
            try:
                async with self._sending:
                    body = json.dumps(await self._document(row)).encode()
                    await self._callbacks.send(row.body["callback_url"], body, _idempotency_key(row))
            except BridgeError as error:
                await self._failed(row, error)
            else:
                await self._write(lambda: self._ledger.note_callback(request_id, DELIVERED))
                return

    async def _failed(self, row: Row, error: BridgeError) -> None:
        attempts = row.attempts + 1
        if attempts >= ATTEMPTS:
            logger.warning(
                "callback given up after %d attempts: %s. GET /generate/<id> still answers it.", attempts, error.message
            )
            await self._write(lambda: self._ledger.note_callback(row.id, GIVEN_UP, attempts))
            return
        level = logging.INFO if isinstance(error, CallbackFailed) else logging.WARNING
        logger.log(level, "callback failed, attempt %d of %d: %s", attempts, ATTEMPTS, error.message)
        due = time.time() + wait_before(attempts)
        await self._write(lambda: self._ledger.note_callback(row.id, WAITING, attempts, due))

    async def _document(self, row: Row) -> dict[str, Any]:
        result = row.result
        if result is None:  # from the beginning it has all its members
            _, plan = read_request(row.body)
            result = {"generated": list(self._done.get(row.id, ())), "failed": [], "parameters": plan.parameters}
        stems = [
            {
                "stem_type": stem["stem_type"],
                "blob_url": await self.storage.url(stem["key"], row.base),
                "file_size_bytes": stem["file_size_bytes"],
                "format": "wav",
                "sample_rate": stem["sample_rate"],
                "channels": CHANNELS,
            }
            for stem in result["generated"]
        ]
        document = {
            "generation_request_id": row.id,
            "audio_file_id": row.body["audio_file_id"],
            "status": row.state,
            "processing_time_seconds": round((row.ended or time.time()) - row.created, 3),
            "generated_stems": stems,
            "parameters": result["parameters"],
        }
        if result["failed"]:
            document["failed_stems"] = result["failed"]
        if row.state == FAILED:
            document["error_message"] = " ".join(dict.fromkeys(each["error"] for each in result["failed"]))
        return document

    # ------------------------------------------------------------------ in the background

    async def _look_after(self) -> None:
        while True:
            try:
                await self.storage.check()
                error = None
            except BridgeError as found:
                error = found.message
            if error != self.storage_error:
                logger.log(logging.WARNING if error else logging.INFO, "storage of stems: %s", error or "works again")
            self.storage_error = error
            if self._settings.stem_days:
                with contextlib.suppress(BridgeError):
                    before = time.time() - self._settings.stem_days * _DAY
                    for request_id in await WRITES.run(self._ledger.remove_before, before):
                        await self.storage.forget(request_id)
            await asyncio.sleep(_LOOK_SECONDS)

    async def _write(self, change: Callable[[], None]) -> None:
        """Write something down that must not be lost; a full disk is waited for."""
        while True:
            try:
                return await WRITES.run(change)
            except (StorageFull, DiskFailed) as error:
                logger.warning("%s", error.message)
                await asyncio.sleep(_BUSY_SECONDS)

    @property
    def _ledger(self) -> Ledger:
        if self._open is None:
            raise Busy("The bridge is being stopped. Ask again in a moment.")
        return self._open

    def _spawn(self, what: str, request_id: str, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run alongside the requests; of one kind there is one task per request, another begins after it."""
        key = (what, request_id)
        if key in self._tasks:
            self._again[key] = work
            return

        def ended(task: asyncio.Task[None]) -> None:
            del self._tasks[key]
            if not task.cancelled() and (error := task.exception()):
                logger.error("a request for stems stopped; it goes on after the next start", exc_info=error)
            if (following := self._again.pop(key, None)) is not None:
                self._spawn(what, request_id, following)

        task = asyncio.create_task(work(), name=f"stems {what}")
        self._tasks[key] = task
        task.add_done_callback(ended)


def _idempotency_key(row: Row) -> str:
    return hashlib.sha256(f"{row.created}/{row.ended}/{row.id}".encode()).hexdigest()[:32]

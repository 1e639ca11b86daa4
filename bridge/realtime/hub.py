"""The Socket.IO hub: hello, generate, cancel, session; numbered events out to everybody."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Hashable, Iterator
from typing import Any, NamedTuple

import socketio
from aiohttp import hdrs, web
from pydantic import ValidationError

from bridge import __version__
from bridge.errors import BridgeError, InvalidRequest
from bridge.events import GenerateReply, HelloReply, ServerFacts, SessionMessage, sample_url
from bridge.jobs.happenings import Happening, Numbered, Progressed
from bridge.logs import current_request, working_for
from bridge.monitoring.metrics import Metrics
from bridge.realtime.clients import LISTENERS, STRANGERS, Clients
from bridge.realtime.driver import use_our_driver
from bridge.realtime.fanout import fan_out
from bridge.realtime.large import LargeAnswer, Server
from bridge.realtime.slow import cut, drop_slow_clients
from bridge.realtime.sync import events_reply, missed, reset_reply, wire
from bridge.rights import Caller, Callers, calling
from bridge.rights.redacting import blank_job, without_words
from bridge.sounds.orders import from_validation, generate_order
from bridge.sounds.placing import job_message
from bridge.sounds.service import SampleService
from bridge.sounds.snapshots import Snapshots
from bridge.sounds.tickets import cancel_ticket
from bridge.sounds.turns import Turns, client_of
from bridge.stage.stage import Stage
from bridge.system.disk import of_disk
from bridge.system.incoming import checked
from prompts import sound_name

logger = logging.getLogger(__name__)

HEAD_SECONDS = 10.0
SILENT_SECONDS = 60.0
"""A connection that has said nothing of ours for this long after it was opened is closed."""
KEYLESS_SHARE = 4
"""Where there are keys, one address may have so small a part of the places for clients without one: a quarter."""
MAX_MESSAGE_BYTES = 64 * 1024
"""Largest message that a client may send; announcements going out are under 2 KB."""

Handler = Callable[[str, dict[str, Any]], Coroutine[Any, Any, Any]]


class _Post(NamedTuple):
    """A message on its way to every page."""

    name: str
    message: dict[str, Any]
    at: float
    request_id: str | None


class Hub:
    """Owns the Socket.IO server of one application."""

    def __init__(
        self,
        service: SampleService,
        stage: Stage,
        metrics: Metrics,
        callers: Callers,
        snapshots: Snapshots,
        turns: Turns,
    ) -> None:
        self._service = service
        self._metrics = metrics
        self._snapshots = snapshots
        self._turns = turns
        self._stage = stage
        self.sio = Server(
            async_mode="aiohttp",
            transports=["websocket"],
            # The guard in front of everything has already looked at the Origin, by better rules.
            cors_allowed_origins="*",
            max_http_buffer_size=MAX_MESSAGE_BYTES,
            http_compression=False,
            logger=False,
            engineio_logger=False,
        )
        use_our_driver(self.sio)
        self._clients = Clients(self.sio, callers)
        self.sio.on("connect", self._connect)
        self.sio.on("disconnect", self._disconnect)
        for name, handler in {
            "hello": self._hello,
            "generate": self._generate,
            "cancel": self._cancel,
            "session": self._session,
        }.items():
            self.sio.on(name, _answering(handler, service, self._metrics))
        service.pages = self._pages
        service.happenings.subscribe(self._on_happening)
        self._outbox: asyncio.Queue[_Post] = asyncio.Queue()

    def attach(self, app: web.Application) -> None:
        """Serve ``/socket.io/`` in ``app`` and run the hub's tasks while it runs."""
        self.sio.attach(app)
        app.cleanup_ctx.append(self._tasks)
        app.on_shutdown.append(self._say_goodbye)

    async def _tasks(self, _: web.Application) -> AsyncIterator[None]:
        tasks = [
            asyncio.create_task(work)
            for work in (
                self._send_outbox(),
                self._send_heads(),
                drop_slow_clients(self.sio, self._dropped),
                self._drop_silent(),
            )
        ]
        yield
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _say_goodbye(self, _: web.Application) -> None:
        # Before aiohttp waits for open requests: a connected page would hold it up for the whole grace time.
        for eio_sid in [*self.sio.eio.sockets]:
            cut(self.sio, eio_sid)
        await self.sio.shutdown()

    # ------------------------------------------------------------------ in

    def _pages(self) -> int:
        # Asked of Socket.IO, not counted here: a client may send events named "connect" and "disconnect" as often as
        # it likes.
        return len(self.sio.manager.rooms.get("/", {}).get(None, ()))

    async def _connect(self, sid: str, environ: dict[str, Any], auth: Any = None) -> bool:
        self._clients.came(sid, environ["aiohttp.request"])
        if isinstance(auth, dict) and isinstance(token := auth.get("token"), str):
            await self._clients.show(sid, token)
        limit = self._service.settings.max_clients
        if limit:
            share = max(limit // KEYLESS_SHARE, 1)
            if self._service.settings.all_keys and self._clients.beside(sid) > share:
                self._clients.left(sid)
                raise socketio.exceptions.ConnectionRefusedError("Too many pages of this address are connected.")
            if self._pages() > limit and not self._make_room(sid):  # it is among them already
                self._clients.left(sid)
                raise socketio.exceptions.ConnectionRefusedError("Too many pages are connected.")
        return True

    def _make_room(self, sid: str) -> bool:
        """Let somebody without a key go for a page that has one."""
        if not self._clients.has_key(sid):
            return False
        other = self._clients.oldest_without_key()
        if other is None:
            return False
        cut(self.sio, self.sio.manager.eio_sid_from_sid(other, "/"))
        return True

    async def _disconnect(self, sid: str, *_: Any) -> None:
        self._clients.left(sid)

    async def _hello(self, sid: str, data: dict[str, Any]) -> LargeAnswer:
        token = data.get("token")
        if isinstance(token, str):
            await self._clients.show(sid, token)
        caller = self._clients.allowed(sid, "hello")
        session = data.get("session")
        if isinstance(session, str) and session:
            await self._enter_session(sid, f"session:{session[:64]}")
            if state := self._stage.sessions.state(session[:64]):
                await self.sio.emit("session", state, to=sid)
        # In the room first: what is published from now on comes as an event, what was before in the answer.
        await self._clients.listen(sid)
        return LargeAnswer(lambda: self._turns.of(self._client(sid, caller)), lambda: self._hello_parts(data, caller))

    async def _hello_parts(self, said: dict[str, Any], caller: Caller) -> Iterator[bytes]:
        """The answer to a hello, once its turn has come: what was missed, or everything."""
        library = self._service.library
        facts = HelloReply(epoch=library.epoch, head=0, server=self._server_facts())
        since = said.get("since")
        if said.get("epoch") == library.epoch and isinstance(since, int) and not isinstance(since, bool):
            events = await self._snapshots.aside(lambda: library.with_store(lambda store: missed(store, since)))
            if events is not None:
                if caller.secluded:
                    events = [await self._redacted(event["type"], event, caller.owner) for event in events]
                self._metrics.resync_events.inc(len(events))
                facts["head"] = events[-1]["seq"] if events else since
                return events_reply(facts, events)
        return reset_reply(facts, await self._snapshots.everything(redacted=caller.secluded))

    def _client(self, sid: str, caller: Caller) -> Hashable:
        request: web.Request = self.sio.get_environ(sid)["aiohttp.request"]
        return client_of(caller.name, request.remote, request.headers.get(hdrs.ORIGIN))

    async def _generate(self, sid: str, data: dict[str, Any]) -> GenerateReply:
        caller = self._clients.allowed(sid, "generate")
        order, body = generate_order(data, guess_kind=True)
        name = order.name or sound_name(order.spec.prompt)
        near = await self._service.library.mistyped(name)
        if near and not body.make:
            raise InvalidRequest(
                f"{name} looks like a typing error of {' or '.join(near)}, so it is not being made.",
                code="mistyped_name",
                nearest=near,
            )
        with calling(caller):
            ticket, *_ = await self._stage.ask(order, standin=True, playing=_playing_bpm(data))
        message = job_message(ticket)
        reply = GenerateReply(job_id=ticket.id, name=message["name"], n=message["n"], state=message["state"])
        if ticket.claim.standin is not None:
            reply["standin_url"] = sample_url(ticket.claim.standin.sample_id)
        if near:
            reply["nearest"] = near
        return reply

    async def _cancel(self, sid: str, data: dict[str, Any]) -> dict[str, Any]:
        caller = self._clients.allowed(sid, "cancel")
        job_id = data.get("job_id")
        if not isinstance(job_id, str):
            raise InvalidRequest("job_id: name the job by the id that generate answered.", field="job_id")
        ticket = await cancel_ticket(self._service, job_id, caller)
        return {"job_id": ticket.id, "state": str(ticket.state)}

    async def _session(self, sid: str, data: dict[str, Any]) -> SessionMessage:
        self._clients.allowed(sid, "session")
        message = self._stage.sessions.change(data)
        room = f"session:{message['session']}"
        await self._enter_session(sid, room)
        await self.sio.emit("session", message, room=room, skip_sid=sid)
        return message

    async def _enter_session(self, sid: str, room: str) -> None:
        """Enter one and leave the last: a client that names a new session each time must not fill the memory."""
        for other in [*self.sio.rooms(sid)]:
            if isinstance(other, str) and other.startswith("session:") and other != room:
                await self.sio.leave_room(sid, other)
        await self.sio.enter_room(sid, room)

    # ------------------------------------------------------------------ out

    def _dropped(self) -> None:
        self._metrics.dropped.labels("slow").inc()

    def _on_happening(self, happening: Happening) -> None:
        match happening:
            case Numbered(event):
                self._post(event.type, wire(event))
            case Progressed(_, tickets):
                for ticket in tickets:
                    self._post("job", dict(job_message(ticket)))

    def _post(self, name: str, message: dict[str, Any]) -> None:
        self._outbox.put_nowait(_Post(name, message, time.perf_counter(), current_request()))

    async def _send_outbox(self) -> None:
        while True:
            post = await self._outbox.get()
            with self._going_on(), working_for(post.request_id):
                await fan_out(self.sio, LISTENERS, post.name, post.message)
                await self._tell_strangers(post.name, post.message)
                took = time.perf_counter() - post.at
                self._metrics.pushed(post.name, took)
                logger.debug("pushed %s to %d pages in %.1f ms", post.name, self._pages(), took * 1000)

    async def _send_heads(self) -> None:
        while True:
            await asyncio.sleep(HEAD_SECONDS)
            with self._going_on():
                library = self._service.library
                head = await library.head()
                for room in (LISTENERS, *self._clients.strangers):
                    await fan_out(self.sio, room, "head", {"epoch": library.epoch, "head": head})
                await self._clients.look_again()

    async def _tell_strangers(self, name: str, message: dict[str, Any]) -> None:
        """Tell clients that get neither others' words nor others' jobs; each room has one owner's listeners."""
        for room in self._clients.strangers:
            owner = room.removeprefix(STRANGERS) or None
            if name != "job" or "seq" in message or await self._is_of(message["job_id"], owner):
                await fan_out(self.sio, room, name, await self._redacted(name, message, owner))

    async def _redacted(self, name: str, message: dict[str, Any], owner: str | None) -> dict[str, Any]:
        if name == "sound":
            return without_words(message)
        if name == "job" and not await self._is_of(message["job_id"], owner):
            return {**({"type": name} if "type" in message else {}), **blank_job(message)}
        return message

    async def _is_of(self, job_id: str, owner: str | None) -> bool:
        """Tell whether a job was asked for by ``owner``; of a job that is forgotten nothing is told."""
        if owner is None:
            return False
        try:
            return (await self._service.queue.ticket(job_id)).claim.owner == owner
        except BridgeError:
            return False

    @contextlib.contextmanager
    def _going_on(self) -> Iterator[None]:
        """One message that cannot be sent must not end the push for everybody."""
        try:
            yield
        except Exception:
            logger.exception("a message could not be sent")

    async def _drop_silent(self) -> None:
        """Close connections that take a place and say nothing."""
        opened: dict[str, float] = {}
        while True:
            await asyncio.sleep(min(1.0, SILENT_SECONDS / 4))
            now, spoke = time.monotonic(), self._clients.spoke
            opened = {eio_sid: opened.get(eio_sid, now) for eio_sid in self.sio.eio.sockets}
            for eio_sid, since in opened.items():
                sid = self.sio.manager.sid_from_eio_sid(eio_sid, "/")
                if now - since > SILENT_SECONDS and sid not in spoke:
                    logger.info("a connection that never said hello: closed")
                    cut(self.sio, eio_sid)

    def _server_facts(self) -> ServerFacts:
        choice = self._service.choice
        info = self._service.engines.known(choice.name)
        why = self._service.readiness.why
        return ServerFacts(version=__version__, engine=choice.name, device=info.device if info else "cpu", why=why)


def _answering(handler: Handler, service: SampleService, metrics: Metrics) -> Callable[..., Coroutine[Any, Any, Any]]:
    """Give a handler an object, whatever came, and turn its errors into ``{"error": {code, message}}``."""

    async def answer(sid: str, data: Any = None, *_: Any) -> Any:
        try:
            return await handler(sid, checked(data) if isinstance(data, dict) else {})
        except ValidationError as error:
            found: BridgeError = from_validation(error)
        except BridgeError as error:
            found = error
        except Exception as error:
            ours = of_disk(error, service.settings.data_dir)
            if ours is None:
                logger.exception("a message could not be answered")
            found = ours or BridgeError("Something broke in the bridge; its log has the details.")
        metrics.refused("page", found)
        near = {"nearest": found.details["nearest"]} if "nearest" in found.details else {}
        return {"error": {"code": found.code, "message": found.message, **near}}

    return answer


def _playing_bpm(data: dict[str, Any]) -> float | None:
    """``hint_bpm``: the tempo of the pattern in which a name turned up; anything odd is not a hint."""
    hint = data.get("hint_bpm")
    return float(hint) if isinstance(hint, int | float) and not isinstance(hint, bool) and 20 <= hint <= 400 else None

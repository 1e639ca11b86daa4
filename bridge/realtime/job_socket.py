"""``/ws`` of contract C: every job's status document as it changes, over a plain WebSocket."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any

from aiohttp import WSCloseCode, WSMsgType, web

from bridge.errors import BridgeError, Busy, InvalidRequest
from bridge.exchange.job_status import job_status
from bridge.jobs import Ticket
from bridge.jobs.happenings import Asked, AskEnded, Happening, Progressed
from bridge.monitoring.metrics import Metrics
from bridge.realtime.messages import read_message
from bridge.rights import current_caller
from bridge.rights.keys import SUBPROTOCOL
from bridge.sounds.service import SampleService
from bridge.sounds.tickets import visible_ticket

logger = logging.getLogger(__name__)

MAX_MESSAGE_BYTES = 4096
"""Largest message that a client may send."""
MAX_WAITING = 1000
"""Jobs whose news wait for one client: one further behind is dropped."""
SEND_SECONDS = 5.0
"""A client that takes nothing for this long is dropped."""
MAX_MISTAKES = 10
"""Messages that cannot be understood until the connection is closed."""
PING_SECONDS = 20.0


class JobSocket:
    """Owns the job listeners of one application."""

    def __init__(self, service: SampleService, metrics: Metrics) -> None:
        self._service = service
        self._metrics = metrics
        self._listeners: set[_Listener] = set()
        service.happenings.subscribe(self._on_happening)

    def attach(self, app: web.Application) -> None:
        """Serve ``/ws`` in ``app``, and close what is open when it ends."""
        app.router.add_get("/ws", self.serve, allow_head=False)
        app.on_shutdown.append(self._say_goodbye)

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """One connection, from its handshake to its end."""
        socket = web.WebSocketResponse(
            heartbeat=PING_SECONDS, max_msg_size=MAX_MESSAGE_BYTES, compress=False, protocols=(SUBPROTOCOL,)
        )
        if not socket.can_prepare(request).ok:
            raise InvalidRequest("This address speaks WebSocket: connect to it with ws:// instead of http://.")
        limit = self._service.settings.max_clients
        if limit and len(self._listeners) >= limit:
            raise Busy("Too many clients are connected. Try again in a moment.")
        await socket.prepare(request)
        listener = _Listener(self._service, self._metrics, socket, request)
        self._listeners.add(listener)
        try:
            await listener.listen()
        finally:
            self._listeners.discard(listener)
        return socket

    async def _say_goodbye(self, _: web.Application) -> None:
        closing = [
            one.socket.close(code=WSCloseCode.GOING_AWAY, message=b"The bridge stops.") for one in self._listeners
        ]
        await asyncio.gather(*closing, return_exceptions=True)

    def _on_happening(self, happening: Happening) -> None:
        match happening:
            case Asked(ticket) | AskEnded(ticket):
                self._tell(ticket)
            case Progressed(_, tickets):
                for ticket in tickets:
                    self._tell(ticket)

    def _tell(self, ticket: Ticket) -> None:
        for listener in self._listeners:
            listener.tell(ticket)


class _Listener:
    """One client. Of a job only the newest state waits for it, so that a slow one costs little."""

    def __init__(
        self, service: SampleService, metrics: Metrics, socket: web.WebSocketResponse, request: web.Request
    ) -> None:
        self.socket = socket
        self._service = service
        self._metrics = metrics
        self._request = request
        self._caller = current_caller()
        self._only: str | None = None
        self._news: dict[str, Ticket] = {}
        self._answers: list[dict[str, Any]] = []
        self._woken = asyncio.Event()

    def tell(self, ticket: Ticket) -> None:
        """Let the client know how this job stands, unless it asked for another one."""
        if self._only in (None, ticket.id) and self._caller.may_see(ticket.claim.owner):
            self._news[ticket.id] = ticket
            self._woken.set()
            if len(self._news) > MAX_WAITING:
                self._drop()

    async def listen(self) -> None:
        """Answer what the client says until it goes."""
        writer = asyncio.create_task(self._write())
        mistakes = 0
        try:
            async for message in self.socket:
                if message.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
                    break
                try:
                    await self._answer(read_message(message.data, '{"type": "ping"}'))
                except BridgeError as error:
                    mistakes += 1
                    self._metrics.refused("jobs", error)
                    self._say({"type": "error", "error": {"code": error.code, "message": error.message}})
                if mistakes >= MAX_MISTAKES or len(self._answers) > MAX_WAITING:
                    await self.socket.close(code=WSCloseCode.POLICY_VIOLATION, message=b"Too much was not understood.")
        finally:
            writer.cancel()
            await asyncio.gather(writer, return_exceptions=True)

    async def _answer(self, said: dict[str, Any]) -> None:
        match said.get("type"):
            case "ping":
                self._say({"type": "pong"})
            case "subscribe":
                await self._subscribe(said.get("job_id"))
            case _:
                raise InvalidRequest(
                    'type: send {"type": "subscribe", "job_id": "gen_..."} or {"type": "ping"}.', field="type"
                )

    async def _subscribe(self, job_id: Any) -> None:
        if job_id is None:
            self._only = None
            return
        if not isinstance(job_id, str):
            raise InvalidRequest("job_id: give the id that POST /api/v1/generate answered.", field="job_id")
        ticket = await visible_ticket(self._service, job_id, self._caller)
        self._only = job_id
        self._news = {job_id: ticket}
        self._woken.set()

    def _say(self, answer: dict[str, Any]) -> None:
        self._answers.append(answer)
        self._woken.set()

    async def _write(self) -> None:
        while True:
            await self._woken.wait()
            self._woken.clear()
            answers, self._answers = self._answers, []
            for answer in answers:
                await self._send(answer)
            while self._news:
                ticket = self._news.pop(next(iter(self._news)))
                await self._send({"type": "job", **job_status(ticket)})

    async def _send(self, document: dict[str, Any]) -> None:
        try:
            async with asyncio.timeout(SEND_SECONDS):
                await self.socket.send_str(json.dumps(document, ensure_ascii=False, allow_nan=False))
        except TimeoutError:
            self._drop()

    def _drop(self) -> None:
        if self._request.transport is not None:
            logger.info("a listener of /ws stopped reading: dropped")
            self._request.transport.abort()

"""``/ws/stream/{session_id}`` of contract B: sound while it is made, over a plain WebSocket."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import re
import socket as sockets
import time
from typing import Any

from aiohttp import WSCloseCode, WSMsgType, web

from bridge.errors import BridgeError, Busy, Conflict, InvalidRequest
from bridge.jobs import State
from bridge.monitoring.metrics import Metrics
from bridge.monitoring.usage_log import UsageLog
from bridge.realtime.messages import read_message
from bridge.rights import Callers, Scope, current_caller, require
from bridge.rights.keys import SUBPROTOCOL
from bridge.sounds.service import SampleService
from bridge.streaming import AudioChunk, Stream, Streams

logger = logging.getLogger(__name__)

AHEAD_CHUNKS = 3
AHEAD_SECONDS = 1.0
"""A client is never sent more than this much, whichever is longer, before it is to be heard."""
MARGIN_SECONDS = 0.15
"""So much earlier than a client needs it the next chunk is cut."""
SEND_SECONDS = 4.0
"""A client that takes nothing for this long has stopped reading: it is dropped."""
IDLE_SECONDS = 30.0
"""A client that says nothing, and for which nothing plays, is asked to come back."""
MAX_MISTAKES = 10
"""Messages that cannot be understood until the connection is closed."""
MAX_MESSAGE_BYTES = 64 * 1024
PING_SECONDS = 20.0
_SEND_BUFFER = 128 * 1024
"""Bytes in the kernel; little, so that a client which stops reading is noticed."""
_SESSION_ID = re.compile(r"[A-Za-z0-9_.:-]{1,64}")


class StreamSocket:
    """Owns the streaming connections of one application."""

    def __init__(
        self, service: SampleService, streams: Streams, metrics: Metrics, usage: UsageLog, callers: Callers
    ) -> None:
        self._service = service
        self._streams = streams
        self._metrics = metrics
        self._usage = usage
        self._callers = callers
        metrics.streams.set_function(lambda: len(streams.sessions()))
        self._sessions: dict[str, _Session] = {}

    def attach(self, app: web.Application) -> None:
        """Serve the address in ``app``, and end what plays when it ends."""
        app.router.add_get("/ws/stream/{session_id}", self.serve, allow_head=False)
        app.on_shutdown.append(self._say_goodbye)

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """One connection, from its handshake to its end."""
        session_id = request.match_info["session_id"]
        socket = web.WebSocketResponse(
            heartbeat=PING_SECONDS, max_msg_size=MAX_MESSAGE_BYTES, compress=False, protocols=(SUBPROTOCOL,)
        )
        if not socket.can_prepare(request).ok:
            raise InvalidRequest("This address speaks WebSocket: connect to it with ws:// instead of http://.")
        if not _SESSION_ID.fullmatch(session_id):
            raise InvalidRequest("session_id: take 1 to 64 letters, digits and _ . : -", field="session_id")
        limit = self._service.settings.max_clients
        if limit and len(self._sessions) >= limit:
            raise Busy("Too many clients are connected. Try again in a moment.")
        if session_id in self._sessions:
            raise Conflict("That session is connected already. Take another session_id.", code="session_in_use")
        session = self._sessions[session_id] = _Session(self, session_id, socket, request)
        try:
            await socket.prepare(request)
            _keep_little(request)
            await session.listen()
        finally:
            del self._sessions[session_id]
        return socket

    async def open(self, session_id: str, request: Any) -> Stream:
        """Begin a stream unless too many play. Raises Forbidden, Busy, InvalidRequest, EngineUnavailable."""
        require(self._callers.still(current_caller()), Scope.MAKE)  # the connection may be older than its rights
        limit = self._service.settings.max_streams
        if limit and sum(one.plays for one in self._sessions.values()) > limit:  # the asker is among them
            raise Busy(f"{limit} streams play already. Stop one, or try again in a moment.", code="too_many_streams")
        return await self._streams.open(session_id, request)

    def ended(self, stream: Stream, state: State, error: BridgeError | None = None) -> None:
        """End a stream, and note who heard how much of it."""
        stream.close()
        self._usage.streamed(
            stream.session_id,
            stream.request,
            state,
            engine=stream.info.name,
            seconds=stream.seconds_sent,
            started=stream.started,
            works=stream.works,
            error=error,
        )

    def refused(self, error: BridgeError) -> None:
        """A client was told of an error."""
        self._metrics.refused("stream", error)

    async def _say_goodbye(self, _: web.Application) -> None:
        closing = [
            one.socket.close(code=WSCloseCode.GOING_AWAY, message=b"The bridge stops.")
            for one in self._sessions.values()
        ]
        await asyncio.gather(*closing, return_exceptions=True)


class _Session:
    """One client."""

    def __init__(
        self, owner: StreamSocket, session_id: str, socket: web.WebSocketResponse, request: web.Request
    ) -> None:
        self.socket = socket
        self._owner = owner
        self._id = session_id
        self._request = request
        self._stream: Stream | None = None
        self._playing: asyncio.Task[None] | None = None
        self._sending = asyncio.Lock()
        self._starting = False

    @property
    def plays(self) -> bool:
        """A stream plays, or is about to."""
        return self._starting or self._stream is not None

    async def listen(self) -> None:
        """Do what the client says until it goes."""
        mistakes = 0
        try:
            while mistakes < MAX_MISTAKES:
                message = await self._heard()
                if message is None:
                    return
                try:
                    await self._do(message)
                except BridgeError as error:
                    mistakes += 1
                    await self._say_error(error)
            await self.socket.close(code=WSCloseCode.POLICY_VIOLATION, message=b"Too much was not understood.")
        finally:
            await self._end(State.CANCELLED)

    async def _heard(self) -> str | bytes | None:
        """The next message; None when the client has gone, or has had nothing to say for too long."""
        while True:
            try:
                message = await self.socket.receive(timeout=IDLE_SECONDS)
            except TimeoutError:
                if self._stream is not None:
                    continue
                await self._say_error(
                    InvalidRequest(
                        'Nothing was sent. Start with {"type": "start_streaming", "request": {"prompt": "..."}}.',
                        code="idle",
                    )
                )
                await self.socket.close(code=WSCloseCode.POLICY_VIOLATION, message=b"Nothing was said.")
                return None
            if message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
                data: str | bytes = message.data
                return data
            return None

    async def _do(self, data: str | bytes) -> None:
        said = read_message(data, '{"type": "stop"}')
        match said.get("type"):
            case "start_streaming":
                await self._start(said.get("request"))
            case "update":
                await self._update(said.get("request"))
            case "stop":
                await self._stop()
            case "ping":
                await self._say({"type": "pong"})
            case _:
                raise InvalidRequest("type: send start_streaming, update or stop.", field="type")

    async def _start(self, request: Any) -> None:
        if self._stream is not None:
            raise Conflict(
                "This session streams already. Send update to change it, or stop before you start again.",
                code="already_streaming",
            )
        self._starting = True
        try:
            self._stream = await self._owner.open(self._id, request)
        finally:
            self._starting = False
        self._playing = asyncio.create_task(self._play(self._stream))

    async def _update(self, request: Any) -> None:
        stream = self._streaming()
        await stream.update(request)
        await self._tell_progress(stream)

    async def _stop(self) -> None:
        stream = self._streaming()
        await self._end(State.COMPLETED)
        await self._say_completed(stream, "stopped")

    def _streaming(self) -> Stream:
        if self._stream is None:
            raise Conflict(
                'Nothing plays. Start with {"type": "start_streaming", "request": {"prompt": "..."}}.',
                code="not_streaming",
            )
        return self._stream

    async def _end(self, state: State) -> None:
        playing, self._playing = self._playing, None
        stream, self._stream = self._stream, None
        # Nothing is awaited before the work is ended: a handler that is being cancelled gets no further.
        if playing is not None:
            playing.cancel()
        if stream is not None:
            self._owner.ended(stream, state)
        if playing is not None:
            await asyncio.gather(playing, return_exceptions=True)

    async def _play(self, stream: Stream) -> None:
        failure: BridgeError | None = None
        try:
            await self._say(_started(stream))
            await self._send_chunks(stream)
        except BridgeError as error:
            logger.warning("stream %s: %s", self._id, error.message)
            failure = error
            ended = self._say_error(error)
        except (ConnectionError, TimeoutError):
            return self._drop()
        else:
            ended = self._say_completed(stream, "finished")
        self._stream = self._playing = None
        self._owner.ended(stream, State.FAILED if failure else State.COMPLETED, failure)
        with contextlib.suppress(ConnectionError):
            await ended
        return None

    async def _send_chunks(self, stream: Stream) -> None:
        clock = time.monotonic
        begun, told = clock(), 0.0
        while (chunk := await stream.chunk(self._patience(stream, begun - clock()))) is not None:
            if chunk.index == 0:
                begun = clock()
            # What could not be sent in time is not caught up with: the client's clock has moved, too.
            begun = max(begun, clock() - chunk.start)
            ahead = max(AHEAD_SECONDS, AHEAD_CHUNKS * stream.options.chunk_duration)
            await asyncio.sleep(max(0.0, begun + chunk.start + chunk.duration - ahead - clock()))
            before = clock()
            await self._send_chunk(chunk)
            if clock() - before > chunk.duration and stream.options.quality_mode != "draft":
                # A line that is too slow gets half as much.
                await stream.update({"quality_mode": "draft"})
            if stream.seconds_sent - told >= 1.0:
                told = stream.seconds_sent
                await self._tell_progress(stream)

    @staticmethod
    def _patience(stream: Stream, begun: float) -> float | None:
        """Seconds until the client has heard all, a little less; ``started``: when it began, seconds from now."""
        return max(0.0, begun + stream.seconds_sent - MARGIN_SECONDS) if stream.seconds_sent else None

    async def _send_chunk(self, chunk: AudioChunk) -> None:
        event = {
            "type": "chunk",
            "index": chunk.index,
            "start": round(chunk.start, 6),
            "duration": round(chunk.duration, 6),
            "sample_rate": chunk.rate,
            "channels": chunk.channels,
        }
        async with self._sending, asyncio.timeout(SEND_SECONDS):
            await self.socket.send_str(json.dumps(event))
            await self.socket.send_bytes(chunk.pcm)

    async def _tell_progress(self, stream: Stream) -> None:
        await self._say(
            {
                "type": "progress",
                "session_id": self._id,
                "seconds_sent": round(stream.seconds_sent, 3),
                "progress": stream.progress,
                "quality_mode": stream.options.quality_mode,
            }
        )

    async def _say_completed(self, stream: Stream, reason: str) -> None:
        await self._say(
            {
                "type": "completed",
                "session_id": self._id,
                "seconds_sent": round(stream.seconds_sent, 3),
                "reason": reason,
            }
        )

    async def _say_error(self, error: BridgeError) -> None:
        self._owner.refused(error)
        await self._say({"type": "error", "error": {"code": error.code, "message": error.message}})

    async def _say(self, event: dict[str, Any]) -> None:
        try:
            async with self._sending, asyncio.timeout(SEND_SECONDS):
                await self.socket.send_str(json.dumps(event, ensure_ascii=False, allow_nan=False))
        except TimeoutError:
            self._drop()
        except ConnectionError:
            logger.debug("stream %s: the client has gone", self._id)

    def _drop(self) -> None:
        if self._request.transport is not None:
            logger.info("stream %s: the client stopped reading: dropped", self._id)
            self._request.transport.abort()


def _started(stream: Stream) -> dict[str, Any]:
    return {
        "type": "started",
        "session_id": stream.session_id,
        "sample_rate": stream.info.rate,
        "channels": stream.channels,
        "chunk_duration": stream.options.chunk_duration,
        "quality_mode": stream.options.quality_mode,
        "engine": stream.info.name,
    }


def _keep_little(request: web.Request) -> None:
    connection = request.transport.get_extra_info("socket") if request.transport else None
    if connection is not None:
        with contextlib.suppress(OSError):
            connection.setsockopt(sockets.SOL_SOCKET, sockets.SO_SNDBUF, _SEND_BUFFER)

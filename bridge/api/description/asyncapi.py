"""The sockets' description (AsyncAPI 3.0), made from the types of their messages."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, NotRequired

from pydantic import TypeAdapter
from typing_extensions import TypedDict

from bridge import __version__
from bridge.events import (
    ErrorBody,
    GenerateReply,
    HeadMessage,
    HelloReply,
    JobMessage,
    SessionMessage,
    SoundMessage,
    SoundRemovedMessage,
)
from bridge.exchange.job_status import JobEvent, SocketError
from bridge.sounds.orders import GenerateBody

_HUB, _JOBS, _STREAM = "push", "jobs", "stream"


class Hello(TypedDict):
    """What a page knows already; answered with what it missed, or with everything."""

    epoch: NotRequired[str]
    since: NotRequired[int]
    session: NotRequired[str]
    token: NotRequired[str]


class Cancel(TypedDict):
    """Take a job back."""

    job_id: str


class RefusedBody(ErrorBody):
    """Why, and which names were probably meant."""

    nearest: NotRequired[list[str]]


class Refused(TypedDict):
    """Why a message was not done."""

    error: RefusedBody


class Subscribe(TypedDict):
    """Hear of one job alone and at once how it stands; without an id of all again."""

    type: Literal["subscribe"]
    job_id: NotRequired[str | None]


class Ping(TypedDict):
    """Is anybody there?"""

    type: Literal["ping"]


class Pong(TypedDict):
    """Yes."""

    type: Literal["pong"]


class StreamRequest(GenerateBody):
    """What is to be heard; every field of ``POST /generate`` may stand next to these."""

    prompt: str
    chunk_duration: float = 1.0
    """Seconds of audio in one chunk."""
    quality_mode: Literal["draft", "balanced", "high"] = "balanced"


class StartStreaming(TypedDict):
    """Begin; without ``duration`` it continues until stop."""

    type: Literal["start_streaming"]
    request: StreamRequest


class Update(TypedDict):
    """Change what is heard while it plays; fields that are left out stay."""

    type: Literal["update"]
    request: dict[str, Any]


class Stop(TypedDict):
    """End it."""

    type: Literal["stop"]


class Started(TypedDict):
    """It begins."""

    type: Literal["started"]
    session_id: str
    sample_rate: int
    channels: int
    chunk_duration: float
    quality_mode: Literal["draft", "balanced", "high"]
    engine: str


class Chunk(TypedDict):
    """Announces one binary frame: interleaved 16-bit little-endian PCM."""

    type: Literal["chunk"]
    index: int
    start: float
    duration: float
    sample_rate: int
    channels: int


class StreamProgress(TypedDict):
    """How far it is, about once per second and after each update."""

    type: Literal["progress"]
    session_id: str
    seconds_sent: float
    progress: float | None
    """0..1; null without a duration"""
    quality_mode: Literal["draft", "balanced", "high"]
    """draft also when the line is too slow for more"""


class Completed(TypedDict):
    """It has ended."""

    type: Literal["completed"]
    session_id: str
    seconds_sent: float
    reason: Literal["finished", "stopped"]


@dataclass(frozen=True)
class _Message:
    channel: str
    action: Literal["send", "receive"]
    """As the bridge sees it: what it receives, clients say."""
    name: str
    shape: Any
    answer: Any = None


_CHANNELS = {
    _HUB: ("/socket.io/", "Socket.IO 5, websocket transport, default namespace: what the page listens to."),
    _JOBS: ("/ws", "Contract C, a plain WebSocket: every job's status document as it changes."),
    _STREAM: ("/ws/stream/{session_id}", "Contract B, a plain WebSocket: sound while it is made."),
}
_MESSAGES = (
    _Message(_HUB, "receive", "hello", Hello, HelloReply),
    _Message(_HUB, "receive", "generate", GenerateBody, GenerateReply | Refused),
    _Message(_HUB, "receive", "cancel", Cancel),
    _Message(_HUB, "receive", "session", SessionMessage),
    _Message(_HUB, "send", "sound", SoundMessage),
    _Message(_HUB, "send", "sound_removed", SoundRemovedMessage),
    _Message(_HUB, "send", "job", JobMessage),
    _Message(_HUB, "send", "head", HeadMessage),
    _Message(_HUB, "send", "session", SessionMessage),
    _Message(_JOBS, "receive", "subscribe", Subscribe),
    _Message(_JOBS, "receive", "ping", Ping),
    _Message(_JOBS, "send", "job", JobEvent),
    _Message(_JOBS, "send", "pong", Pong),
    _Message(_JOBS, "send", "error", SocketError),
    _Message(_STREAM, "receive", "start_streaming", StartStreaming),
    _Message(_STREAM, "receive", "update", Update),
    _Message(_STREAM, "receive", "stop", Stop),
    _Message(_STREAM, "send", "started", Started),
    _Message(_STREAM, "send", "chunk", Chunk),
    _Message(_STREAM, "send", "progress", StreamProgress),
    _Message(_STREAM, "send", "completed", Completed),
    _Message(_STREAM, "send", "error", SocketError),
)


@functools.lru_cache(maxsize=1)
def describe_sockets() -> dict[str, Any]:
    """Build the document."""
    messages: dict[str, Any] = {}
    for message in _MESSAGES:
        messages[_key(message)] = _payload(message.name, message.shape)
        if message.answer is not None:
            messages[f"{_key(message)}_answer"] = _payload(f"{message.name}, answered", message.answer)
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Sample Bridge: sockets",
            "version": __version__,
            "description": "The messages on the bridge's sockets. They carry addresses; bytes come over HTTP.",
            "license": {"name": "AGPL-3.0-or-later"},
        },
        "defaultContentType": "application/json",
        "channels": {name: _channel(name) for name in _CHANNELS},
        "operations": {_key(message): _operation(message) for message in _MESSAGES},
        "components": {"messages": messages},
    }


def _key(message: _Message) -> str:
    return f"{message.channel}_{'in' if message.action == 'receive' else 'out'}_{message.name}"


def _payload(name: str, shape: Any) -> dict[str, Any]:
    schema = TypeAdapter(shape).json_schema(mode="validation")
    summary = " ".join(str(schema.get("description", "")).split("\n\n")[0].split())
    return {"name": name, "summary": summary, "payload": schema}


def _channel(name: str) -> dict[str, Any]:
    address, about = _CHANNELS[name]
    keys = [_key(message) for message in _MESSAGES if message.channel == name]
    keys += [f"{_key(each)}_answer" for each in _MESSAGES if each.channel == name and each.answer is not None]
    channel: dict[str, Any] = {"address": address, "description": about, "messages": _references(keys)}
    if "{session_id}" in address:
        channel["parameters"] = {"session_id": {"description": "A name of the client's choice."}}
    return channel


def _references(keys: Iterable[str]) -> dict[str, Any]:
    return {key: {"$ref": f"#/components/messages/{key}"} for key in keys}


def _operation(message: _Message) -> dict[str, Any]:
    channel = {"$ref": f"#/channels/{message.channel}"}
    operation: dict[str, Any] = {
        "action": message.action,
        "channel": channel,
        "messages": [{"$ref": f"#/channels/{message.channel}/messages/{_key(message)}"}],
    }
    if message.answer is not None:
        answer = {"$ref": f"#/channels/{message.channel}/messages/{_key(message)}_answer"}
        operation["reply"] = {"channel": channel, "messages": [answer]}
    return operation

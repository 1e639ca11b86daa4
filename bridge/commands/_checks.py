"""What a smoke test looks at: each check is a function that answers a short finding, or raises CheckFailed."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from aiohttp import ClientResponse, ClientSession, ClientTimeout

QUICK = ClientTimeout(total=10.0)
MAKING = ClientTimeout(total=300.0)
"""A model on a processor takes its time for the first sound."""
_READY_SECONDS = 20.0
"""So long an engine may still be starting."""
_PUSH_SECONDS = 10.0
_SHORT = {"prompt": "short click", "kind": "oneshot", "duration": 0.2}


class CheckFailed(Exception):
    """The server does not do what it should; the message says what it did."""


class NotTried(Exception):
    """Nothing to look at, because an earlier check failed."""


@dataclass
class Probe:
    """One server under test, and what the checks have learned of it."""

    session: ClientSession
    url: str
    """Base URL, without a slash at its end."""
    key: str | None = None
    name: str = field(default_factory=lambda: f"check_{secrets.token_hex(4)}")
    """The sound that is made for the test; no pattern uses it."""
    seed: int = field(default_factory=lambda: secrets.randbits(32))
    """Makes it a sound that is not kept yet."""
    made: dict[str, Any] = field(default_factory=dict)
    """The answer of the first ``POST /generate``."""
    events: asyncio.Queue[dict[str, Any]] = field(default_factory=asyncio.Queue)
    """``sound`` messages that were pushed."""
    leave: set[str] = field(default_factory=set)
    """Names of sounds to take away in the end."""
    hang_up: Callable[[], Awaitable[None]] | None = None
    """Ends the Socket.IO connection."""

    def wanted(self, **more: Any) -> dict[str, Any]:
        """Build the body that asks for the test's own sound."""
        return {**_SHORT, "name": self.name, "seed": self.seed, **more}

    def sound(self) -> dict[str, Any]:
        """Answer the sound that was made. Raises NotTried."""
        if not self.made:
            raise NotTried("no sound was made")
        return self.made

    async def json(self, path: str, **keywords: Any) -> Any:
        """GET a JSON document that must be there."""
        async with self.session.get(self.url + path, timeout=QUICK, **keywords) as answer:
            await expect(answer, 200)
            return await answer.json()

    async def post(self, path: str, body: Mapping[str, Any], status: int = 200) -> Any:
        """POST JSON and answer JSON."""
        async with self.session.post(self.url + path, json=body, timeout=MAKING) as answer:
            await expect(answer, status)
            return await answer.json()


Check: TypeAlias = Callable[[Probe], Awaitable[str]]


async def expect(answer: ClientResponse, status: int) -> None:
    """Raise CheckFailed unless the answer has that status."""
    if answer.status != status:
        text = " ".join((await answer.text(errors="replace"))[:200].split())
        raise CheckFailed(f"{answer.method} {answer.url.path} answered {answer.status} instead of {status}: {text}")


def demand(holds: bool, otherwise: str) -> None:
    """Raise CheckFailed unless something holds."""
    if not holds:
        raise CheckFailed(otherwise)


async def health(probe: Probe) -> str:
    """``/health`` answers, and new sounds can be made."""
    document = await probe.json("/health")
    status = document.get("status")
    why = " ".join(document.get("warnings") or [str(document.get("engine_reason"))])
    demand(status == "healthy", f"status is {status!r}: {why}")
    return f"version {document['version']}, engine {document['engine']}, {document['sounds']} sounds"


async def ready(probe: Probe) -> str:
    """``/health/ready`` is 200; an engine may take a while to start."""
    give_up = asyncio.get_running_loop().time() + _READY_SECONDS
    while True:
        async with probe.session.get(probe.url + "/health/ready", timeout=QUICK) as answer:
            if answer.status != 503 or asyncio.get_running_loop().time() > give_up:
                await expect(answer, 200)
                return f"engine {(await answer.json())['engine']}"
        await asyncio.sleep(0.2)


async def sample_map(probe: Probe) -> str:
    """``/strudel.json`` is a map of names to addresses from the root."""
    document = await probe.json("/strudel.json")
    demand("_base" not in document, "the map carries _base; its addresses must start at the root")
    for name, urls in document.items():
        entries = urls.values() if isinstance(urls, dict) else [urls]
        listed = [url for entry in entries for url in (entry if isinstance(entry, list) else [entry])]
        demand(bool(listed) and all(url.startswith("/samples/") for url in listed), f"{name} leads to {listed[:1]}")
    return f"{len(document)} names"


async def hello(probe: Probe) -> str:
    """Socket.IO connects and answers ``hello``; pushes are listened for from now on."""
    import socketio

    # The session is ours, and closed however it ends; Ctrl-C is ours, too, since there is something to clean up.
    client = socketio.AsyncClient(reconnection=False, handle_sigint=False, http_session=probe.session)
    client.on("sound", probe.events.put)
    try:
        await client.connect(probe.url, transports=["websocket"], wait_timeout=10)
        probe.hang_up = client.disconnect
        reply = await client.call("hello", {"token": probe.key} if probe.key else {}, timeout=10)
    except socketio.exceptions.SocketIOError as error:
        raise CheckFailed(f"Socket.IO does not connect: {error or type(error).__name__}") from None
    demand(isinstance(reply, dict) and "head" in reply and "epoch" in reply, f"hello was answered {str(reply)[:120]}")
    return f"event {reply['head']}"


async def generate(probe: Probe) -> str:
    """``POST /generate`` makes a sound that was not there."""
    probe.leave.add(probe.name)
    answer = await probe.post("/generate", probe.wanted())
    demand(answer.get("success") is True, "success is not true")
    demand(answer.get("name") == probe.name, f"it is called {answer.get('name')!r} instead of {probe.name!r}")
    demand(str(answer.get("audio_base64", "")).startswith("UklGR"), "audio_base64 is not a WAV file")
    demand(answer.get("cached") is False, "it was kept already, although its seed is new")
    probe.made = answer
    return f"{answer['duration']:.3f} s by {answer['engine']} in {answer['generation_time']:.2f} s"


async def push(probe: Probe) -> str:
    """The sound that was made is pushed, with an address that leads to it."""
    sound = probe.sound()
    if probe.hang_up is None:
        raise NotTried("Socket.IO is not connected")
    try:
        async with asyncio.timeout(_PUSH_SECONDS):
            while (message := await probe.events.get())["name"] != probe.name:
                pass  # somebody else's
    except TimeoutError:
        raise CheckFailed(f"no sound event came within {_PUSH_SECONDS:.0f} s") from None
    urls = message["urls"]
    listed = list(urls.values()) if isinstance(urls, dict) else urls
    demand(sound["audio_url"] in listed, f"the event leads to {listed}")
    return f"event {message['seq']}"


async def cached(probe: Probe) -> str:
    """The same words come from what is kept, in the same place."""
    first = probe.sound()
    answer = await probe.post("/generate", probe.wanted())
    demand(answer.get("cached") is True, "it was made again")
    demand(answer["n"] == first["n"], f"it went to n {answer['n']} instead of {first['n']}")
    demand(answer["audio_base64"] == first["audio_base64"], "the audio is another")
    return f"in {answer['generation_time'] * 1000:.0f} ms"


async def audio(probe: Probe) -> str:
    """A sample's address answers a whole WAV file that may be kept for ever."""
    async with probe.session.get(probe.url + probe.sound()["audio_url"], timeout=QUICK) as answer:
        await expect(answer, 200)
        content = await answer.read()
        demand(answer.content_type == "audio/wav", f"its type is {answer.content_type}")
        demand("immutable" in answer.headers.get("Cache-Control", ""), "it is not marked immutable")
        demand(answer.headers.get("Access-Control-Allow-Origin") == "*", "other pages may not read it")
    demand(
        content[:4] == b"RIFF" and len(content) == 8 + int.from_bytes(content[4:8], "little"),
        "it is not a complete WAV",
    )
    return f"{len(content)} bytes"


async def byte_range(probe: Probe) -> str:
    """Range answers a part."""
    url = probe.url + probe.sound()["audio_url"]
    async with probe.session.get(url, headers={"Range": "bytes=8-11"}, timeout=QUICK) as answer:
        await expect(answer, 206)
        content = await answer.read()
        demand(content == b"WAVE", f"bytes 8-11 are {content[:8]!r}")
        return answer.headers["Content-Range"]


async def etag(probe: Probe) -> str:
    """A client that has the sample gets 304."""
    url = probe.url + probe.sound()["audio_url"]
    async with probe.session.head(url, timeout=QUICK) as answer:
        await expect(answer, 200)
        tag = answer.headers.get("ETag", "")
    demand(bool(tag), "HEAD answers no ETag")
    async with probe.session.get(url, headers={"If-None-Match": tag}, timeout=QUICK) as answer:
        await expect(answer, 304)
    return tag


async def search(probe: Probe) -> str:
    """``/sounds`` finds the sound by its name, and the map has it."""
    probe.sound()
    found = [sound["name"] for sound in (await probe.json("/sounds", params={"q": probe.name}))["sounds"]]
    demand(probe.name in found, f"/sounds?q={probe.name} found {found[:3]}")
    demand(probe.name in await probe.json("/strudel.json"), "/strudel.json does not have it")
    return f"{len(found)} found"


async def clean_up(probe: Probe) -> str:
    """Take away what the checks made."""
    if probe.hang_up is not None:
        await probe.hang_up()
    for name in sorted(probe.leave):
        async with probe.session.delete(f"{probe.url}/sounds/{name}", timeout=QUICK) as answer:
            if answer.status != 404:  # never made
                await expect(answer, 200)
    left = [name for name in await probe.json("/strudel.json") if name.startswith(probe.name)]
    demand(not left, f"{', '.join(left)} were not deleted")
    return ""


BASIC: Mapping[str, Check] = {
    "health": health,
    "ready": ready,
    "sample map": sample_map,
    "socket.io hello": hello,
    "make a sound": generate,
    "push": push,
    "kept sound": cached,
    "audio": audio,
    "range": byte_range,
    "etag": etag,
    "search": search,
}
"""In their order: later ones look at the sound that an earlier one made."""

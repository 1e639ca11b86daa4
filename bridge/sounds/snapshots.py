"""Answers about the whole library, kept ready: what a page gets at ``hello``, and the sample map.

Read from the store once, in pieces, and then kept up to date by the numbered events. An answer copies a list of
references; its bytes are put together while they are sent, so that 20 answers at once cost no more memory than one.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import cache
from bridge.errors import BridgeError
from bridge.events import sound_message
from bridge.jobs.happenings import Happening, Numbered
from bridge.sounds.library import Library
from cache import Event, SampleStore, sound_data
from prompts import foreign_name

logger = logging.getLogger(__name__)

T = TypeVar("T")

CHUNK = 48 * 1024
"""Bytes that are put together at a time."""
BATCH = 100
"""Sounds that are read in one go; the thread rests after each, so that the event loop gets its turns."""
REST_SECONDS = 0.001
IDLE_SECONDS = 60.0
"""Maps that were not asked for in this time are dropped; they are made again in a moment."""
MOST_MAPS = 4
"""Variants of the map that are kept: everything, ``commercial``, and the licences asked for last."""

_FOREIGN_ALIASES_START = ("gen_", "musicgen_")
_PROMPT = b',"prompt":'
_NO_PROMPT = b'""}'


class EncodedSound:
    """One sound as it goes over the wire: its ``sound`` message as JSON, ``prompt`` last."""

    __slots__ = ("aliases", "message", "prompt_size", "urls_at")

    def __init__(self, seq: int, data: dict[str, Any]) -> None:
        message: dict[str, Any] = dict(sound_message(seq, data))
        prompt, urls = _encoded(message.pop("prompt")), _encoded(message.pop("urls"))
        head = _encoded(message)[:-1] + b',"urls":'
        self.aliases: tuple[str, ...] = tuple(message["aliases"])
        self.urls_at = len(head)
        self.prompt_size = len(prompt)
        self.message = head + urls + _PROMPT + prompt + b"}"

    @property
    def urls(self) -> bytes:
        """Its URLs, as JSON."""
        return self.message[self.urls_at : len(self.message) - 1 - self.prompt_size - len(_PROMPT)]

    def without_prompt(self) -> bytes:
        """The message with an empty ``prompt``."""
        return self.message[: len(self.message) - 1 - self.prompt_size] + _NO_PROMPT


@dataclass(frozen=True, slots=True)
class Everything:
    """All sounds at one moment."""

    head: int
    """Number of the newest event that they show."""
    pieces: list[EncodedSound]
    redacted: bool
    """True: each ``prompt`` is empty."""

    def chunks(self) -> Iterator[bytes]:
        """The sounds as one JSON array, in parts of about ``CHUNK`` bytes."""
        redacted = self.redacted
        return in_chunks(each.without_prompt() if redacted else each.message for each in self.pieces)


@dataclass(frozen=True, slots=True)
class Document:
    """A finished answer, shared by everybody who asks for it."""

    etag: str
    """With its quotation marks."""
    size: int
    """Bytes."""
    chunks: tuple[bytes, ...]


class Snapshots:
    """Whole-library answers of one application."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self._thread = ThreadPoolExecutor(1, "whole-library")
        self._loading = asyncio.Lock()
        self._pieces: dict[str, EncodedSound] | None = None
        self._head = 0
        """The newest event that the pieces show."""
        self._changed = 0
        """The newest event that changed a sound."""
        self._early: list[Event] | None = None
        """What is told while the pieces are read."""
        self._building = asyncio.Lock()
        self._maps: OrderedDict[tuple[Any, ...], tuple[Any, Document]] = OrderedDict()
        self._idle: asyncio.TimerHandle | None = None
        library.happenings.subscribe(self._on_happening)

    def close(self) -> None:
        """End the thread; what it is reading is given up."""
        if self._idle is not None:
            self._idle.cancel()
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def warm(self) -> None:
        """Read the library and the tables that a search reads words with, and make the map, before somebody asks.

        A store that cannot be read is reported to the caller.
        """
        with contextlib.suppress(BridgeError):
            await self._library.search("kick", limit=1)
            await self.sample_map()

    async def everything(self, *, redacted: bool = False) -> Everything:
        """All sounds as pages get them. ``redacted``: for pages of other origins, which read no prompts.

        Raises BridgeError when the store cannot be read.
        """
        pieces = await self._loaded()
        return Everything(self._head, list(pieces.values()), redacted)

    async def sample_map(self, **wanted: Any) -> Document:
        """Strudel's sample map of the sounds that are as wanted; see ``cache.Wanted``. Raises BridgeError."""
        await self._loaded()
        key = ("map", *sorted(wanted.items()))

        def build() -> Document:
            names = self._library.with_store(lambda store: store.names(**wanted)) if wanted else None
            return finished(sample_map(pieces, names))

        pieces: dict[str, EncodedSound] = {}
        return await self._shared(key, lambda: pieces.update(self._pieces or {}), build)

    async def shared(self, key: tuple[Any, ...], build: Callable[[SampleStore], bytes]) -> Document:
        """What ``build`` makes of the store, in the thread and once for all who ask before the next change."""
        await self._loaded()
        return await self._shared(key, lambda: None, lambda: finished([self._library.with_store(build)]))

    async def aside(self, function: Callable[[], T]) -> T:
        """Call what takes long in the one thread of the whole-library answers. Raises BridgeError."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, function)
        except cache.StoreError as error:
            raise BridgeError(str(error), code=error.code) from error

    # ------------------------------------------------------------------ maps

    async def _shared(
        self, key: tuple[Any, ...], prepare: Callable[[], object], build: Callable[[], Document]
    ) -> Document:
        async with self._building:  # one at a time: who waited for the same finds it done
            version = (self._changed, self._library.unnumbered)
            kept = self._maps.get(key)
            if kept is None or kept[0] != version:
                prepare()
                kept = self._maps[key] = (version, await self.aside(build))
            self._maps.move_to_end(key)
            while len(self._maps) > MOST_MAPS:
                self._maps.popitem(last=False)
        if self._idle is not None:
            self._idle.cancel()
        self._idle = asyncio.get_running_loop().call_later(IDLE_SECONDS, self._maps.clear)
        return kept[1]

    # ------------------------------------------------------------------ keeping up

    async def _loaded(self) -> dict[str, EncodedSound]:
        async with self._loading:
            if self._pieces is not None:
                return self._pieces
            self._early = []
            try:
                head, pieces = await self.aside(lambda: self._library.with_store(_read))
                self._pieces, self._head, self._changed = pieces, head, head
                for event in self._early:
                    self._apply(event)
            finally:
                self._early = None
            return pieces

    def _on_happening(self, happening: Happening) -> None:
        if not isinstance(happening, Numbered):
            return
        if self._early is not None:
            self._early.append(happening.event)
        elif self._pieces is not None:
            self._apply(happening.event)

    def _apply(self, event: Event) -> None:
        if event.seq <= self._head or self._pieces is None:
            return
        self._head = event.seq
        if event.type == "job":
            return
        self._changed = event.seq
        if event.type == "sound":
            _put(self._pieces, event.seq, event.data)
        else:
            self._pieces.pop(event.data["name"], None)


def sample_map(pieces: dict[str, EncodedSound], names: frozenset[str] | None = None) -> Iterator[bytes]:
    """Names and aliases -> URLs, as parts of one JSON object; ``names``: of these sounds alone.

    Short aliases such as ``bd`` stay out: they would overwrite what the foreign page calls so. A name that Strudel has
    itself stands as ``gen_<name>``, or with a number behind where that is another sound's.
    """
    shown = sorted(name for name in pieces if names is None or name in names)
    # Names first: what a sound is called beats what another one may be called, too.
    taken = {name: name for name in shown if foreign_name(name) == name}
    for name in shown:
        for alias in pieces[name].aliases:
            if alias.startswith(_FOREIGN_ALIASES_START):
                taken.setdefault(alias, name)
    for name in shown:
        if (free := foreign_name(name)) != name:
            number, offered = 2, free
            while offered in taken:
                offered, number = f"{free}_{number}", number + 1
            taken[offered] = name
    yield b"{"
    for number, (entry, name) in enumerate(sorted(taken.items())):
        if number % 500 == 499:
            time.sleep(REST_SECONDS)
        yield (b"," if number else b"") + _encoded(entry) + b":" + pieces[name].urls
    yield b"}"


def finished(parts: Iterable[bytes]) -> Document:
    """Put an answer together. Takes a while: in a thread."""
    chunks = tuple(_joined(parts))
    digest = hashlib.blake2b(digest_size=16)
    for chunk in chunks:
        digest.update(chunk)
    return Document(f'"{digest.hexdigest()}"', sum(map(len, chunks)), chunks)


def in_chunks(messages: Iterable[bytes]) -> Iterator[bytes]:
    """JSON values as one array, in parts of about ``CHUNK`` bytes."""

    def parts() -> Iterator[bytes]:
        yield b"["
        for number, message in enumerate(messages):
            yield b"," + message if number else message
        yield b"]"

    return _joined(parts())


def _joined(parts: Iterable[bytes]) -> Iterator[bytes]:
    held: list[bytes] = []
    size = 0
    for part in parts:
        held.append(part)
        size += len(part)
        if size >= CHUNK:
            yield b"".join(held)
            held, size = [], 0
    if held:
        yield b"".join(held)


def _put(pieces: dict[str, EncodedSound], seq: int, data: dict[str, Any]) -> None:
    try:
        pieces[data["name"]] = EncodedSound(seq, data)
    except Exception:
        # One sound whose facts cannot be told must not hide all others.
        logger.exception("the sound %r cannot be described", data.get("name"))
        pieces.pop(data.get("name", ""), None)


def _encoded(value: Any) -> bytes:
    return json.dumps(value, allow_nan=False, separators=(",", ":")).encode()


def _read(store: SampleStore) -> tuple[int, dict[str, EncodedSound]]:
    after = None
    pieces: dict[str, EncodedSound] = {}
    head = store.head()  # first: what comes in between is told, too, and does no harm
    while True:
        sounds = store.sounds(order="name", limit=BATCH, after=after)
        for sound in sounds:
            _put(pieces, sound.seq, sound_data(sound))
        if len(sounds) < BATCH:
            return head, pieces
        after = sounds[-1].name
        time.sleep(REST_SECONDS)

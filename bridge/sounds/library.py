"""The kept sounds as the event loop sees them: finding, changing, delivering, and telling the listeners.

The store is synchronous; here every call goes to a thread, its errors become ours, and the events of each change
reach the listeners in the order of their numbers.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import cache
from bridge.audio.facts import SampleFacts
from bridge.audio.files.delivery import Described, FileMaker
from bridge.audio.files.peaks import peaks
from bridge.audio.formats import FORMATS, PEAKS
from bridge.errors import BridgeError, Busy, DiskFailed, InvalidRequest, NotFound, StorageFull
from bridge.jobs.happenings import EndLogged, Happenings, SoundPublished, SoundRemoved
from bridge.sounds.matching import CANDIDATES, best, ranked
from bridge.system.disk import DiskWatch, MemoryFiles, on_disk
from bridge.system.threads import ENCODING, FILES, READS, WRITES, Lane
from cache import Event, NewSample, Published, Sample, SampleStore, Sound, Target
from prompts import common_stems, mistyped, nearest, sound_name, terms

logger = logging.getLogger(__name__)

_COPY_SECONDS = 3600
_COUNT_SECONDS = 1.0
_KEEP_SECONDS = 2.0
"""How long an encoded file may take to be kept before it is handed out all the same."""

T = TypeVar("T")
LookUp: TypeAlias = Callable[[str], Sound | None]
"""Answers the sound of a name or alias."""
Targets: TypeAlias = Callable[[LookUp], list[Target]]
"""Says where a sample goes, given a look-up of sounds by name; called in the thread of the store."""
_NUMBERED: Mapping[cache.EventType, type[SoundPublished | SoundRemoved | EndLogged]] = {
    "sound": SoundPublished,
    "sound_removed": SoundRemoved,
    "job": EndLogged,
}


class Library:
    """One store, for one event loop."""

    def __init__(
        self, store: SampleStore, files: FileMaker | None = None, happenings: Happenings | None = None
    ) -> None:
        self._store = store
        self.happenings = happenings or Happenings()
        """Callbacks that are told of every numbered event, in order."""
        self._files = files or FileMaker()
        self._on_failure: list[Callable[[], None]] = []
        self._counted = 0
        self._memory = MemoryFiles()
        self._writing = asyncio.Lock()
        self._changing: set[asyncio.Task[Any]] = set()
        self._encoding: dict[str, asyncio.Task[Path]] = {}
        self.unnumbered = 0
        """Counts the changes that no event tells of: pins."""

    @property
    def path(self) -> Path:
        """The data folder."""
        return self._store.path

    @property
    def incoming(self) -> Path:
        """Where new files are written before they are published."""
        return self._store.incoming

    @property
    def epoch(self) -> str:
        """Names this run of event numbers; numbers of another epoch mean nothing here."""
        return self._store.epoch

    @property
    def notes(self) -> Sequence[str]:
        """What may be missing of what is kept, as sentences."""
        return self._store.notes

    def watch_disk(self) -> DiskWatch:
        """The disk under the data folder; it looks again whenever the store was refused something."""
        disk = DiskWatch(self._store.path, self._store.missing_room, self._store.check_room)
        self._on_failure.append(disk.suspect)
        return disk

    def with_store(self, function: Callable[[SampleStore], T]) -> T:
        """Call what reads the store several times, in the caller's own thread; the store's errors leave as they are."""
        return function(self._store)

    async def _read(self, function: Callable[..., T], *arguments: Any, **keywords: Any) -> T:
        """Call a method of the store that only reads; its errors leave as ours. A writer does not hold it up."""
        return await self._call(READS, function, *arguments, **keywords)

    async def _write(self, function: Callable[..., T], *arguments: Any, **keywords: Any) -> T:
        """Call a method of the store that writes and publishes nothing; its errors leave as ours."""
        return await self._call(WRITES, function, *arguments, **keywords)

    async def _change(
        self, function: Callable[..., Published], *arguments: Any, patient: bool = False, **keywords: Any
    ) -> Published:
        """Call a changing method of the store, one at a time, and tell everybody what it published.

        Once started it is done and told, even when the caller is cancelled. A change that has to wait too long for the
        ones before it is refused as Busy, unless it is ``patient``: for what was made already, and must not be lost.
        """

        async def work() -> Published:
            async with self._turn(patient):
                published = await self._write(function, *arguments, **keywords)
                self._tell(*published.events)
            return published

        return await self._to_the_end(work())

    async def log(self, kind: cache.EventType, data: dict[str, Any]) -> None:
        """Number an event of its own, such as a job that failed."""

        async def work() -> None:
            async with self._turn(patient=True):
                self._tell(await self._write(self._store.log, kind, data))

        await self._to_the_end(work())

    # ------------------------------------------------------------------ finding

    async def sound(self, name: str) -> Sound:
        """A sound by its name or alias. Raises NotFound with the nearest names."""
        found = await self._read(self._store.sound, name.lower())
        if found is None:
            raise await self._nothing_like(name)
        return found

    async def find(self, keyword: str, **filters: Any) -> Sound:
        """The best match for a keyword, never a loop of another tempo than the words say. Raises NotFound."""
        matches = await self.search(keyword, limit=CANDIDATES, **filters)
        if not matches:
            raise await self._nothing_like(keyword)
        return best(keyword, matches)

    async def search(self, keyword: str, *, limit: int = 20, **filters: Any) -> list[Sound]:
        """Sounds that match the words, best first: the exact name, the exact prompt, all words with key and tempo, then
        tags and prompt words.

        Unknown words are read as their nearest neighbours.
        """

        def look() -> list[Sound]:
            words = terms(keyword, known=self._store.words())
            found = [sound for sound, _ in self._store.search(words, limit=max(limit, CANDIDATES), **filters)]
            # Words are cut at "_" and numbers dropped, so a whole name is looked up as it is.
            named = () if _narrowed(filters) else dict.fromkeys((keyword.lower(), sound_name(keyword)))
            exact = next((sound for name in named if (sound := self._store.sound(name))), None)
            found = [sound for sound in ranked(keyword, found) if exact is None or sound.name != exact.name]
            return [exact, *found][:limit] if exact else found[:limit]

        return await self._read(look)

    async def mistyped(self, name: str) -> list[str]:
        """Names that were probably meant by one that does not exist; empty when it is kept, or reads well."""

        def look() -> list[str]:
            return [] if self._store.sound(name.lower()) else mistyped(name.lower(), self._store.names())

        return await self._read(look)

    async def take(self, spec_id: str) -> Sample | None:
        """What was made of a spec, None when it has to be made (again)."""
        return await self._read(self._store.take, spec_id)

    async def sounds(self, *, limit: int, after: int | None, **filters: Any) -> list[Sound]:
        """Sounds, the newest change first; ``after`` is the number of the change that the last page ended with."""
        return await self._read(self._store.sounds, limit=limit, after=after, **filters)

    async def size(self) -> int:
        """Bytes of the masters."""
        return await self._read(self._store.size)

    async def head(self) -> int:
        """The number of the newest event, 0 before the first."""
        return await self._read(self._store.head)

    async def unwanted(self) -> frozenset[str]:
        """Names of common stems that were deleted to stay away."""
        return await self._read(self._store.unwanted)

    def master(self, sample_id: str) -> Path:
        """Where a sample's master is; it may be gone."""
        return self._store.master(sample_id)

    def touch(self, name: str) -> None:
        """Remember that a sound was used just now. Does not wait for the disk."""
        self._store.touch(name)

    async def count(self) -> int:
        """How many sounds there are; what was counted last when the catalogue does not answer within a second."""
        try:
            async with asyncio.timeout(_COUNT_SECONDS):
                self._counted = await self._read(self._store.count)
        except (TimeoutError, BridgeError) as error:
            logger.debug("the sounds cannot be counted: %s", error or "the catalogue does not answer")
        return self._counted

    async def audio(self, sample_id: str, extension: str) -> Path:
        """The file of a sample in a delivery format, made again from its master when it is not there.

        Raises NotFound for an unknown sample, InvalidRequest for an unknown format.
        """
        if extension not in FORMATS:
            raise InvalidRequest(
                f"format: '{extension[:16]}' is not made here. Choose one of {', '.join(FORMATS)}.",
                code="unknown_format",
                field="format",
            )
        return await self._delivery(sample_id, extension)

    async def peaks(self, sample_id: str) -> Path:
        """The outline of a sample (``audio.files.peaks``), made when it is first asked for, then kept.

        Raises NotFound for an unknown sample.
        """
        return await self._delivery(sample_id, PEAKS)

    async def _delivery(self, sample_id: str, extension: str) -> Path:
        try:
            path = self._store.delivery(sample_id, extension)
        except cache.NotStorable:
            raise _unknown_sample(sample_id) from None
        if path.exists():
            return path
        key = f"{sample_id}.{extension}"
        if (held := self._memory.get(key)) is not None:
            return held
        if key not in self._encoding:
            task = asyncio.create_task(self._made(sample_id, extension))
            self._encoding[key] = task
            task.add_done_callback(lambda _: self._encoding.pop(key, None))
        return await asyncio.shield(self._encoding[key])

    def has_audio(self, sample_id: str, extension: str) -> bool:
        """Tell whether ``audio`` would find the file ready."""
        return self._store.delivery(sample_id, extension).exists()

    async def wav(self, sample: Sample, channels: int) -> bytes:
        """A WAV file for other programs, with this many channels. Raises NotFound when the sample is gone."""
        described = replace(_described(sample), channels=channels)

        def make() -> bytes:
            master = self._store.master(sample.sample_id)
            if not master.exists():
                raise _unknown_sample(sample.sample_id)
            return self._files.deliver(master, "wav", described)

        return await self._call(ENCODING, make)

    def tag(self, new: NewSample) -> None:
        """Put provenance into the files of a sample that is about to be published. Waits for the disk."""
        described = _described(new)
        self._files.tag_master(new.master, described)
        for extension, path in new.deliveries.items():
            self._files.tag_delivery(path, extension, described)

    def provenance(self, sample: Sample) -> dict[str, Any]:
        """The document that a sample's files carry."""
        return self._files.document(_described(sample))

    # ------------------------------------------------------------------ changing

    async def rename(self, name: str, new: str) -> Sound:
        """Give a sound another name; the old one stays as an alias. Raises NotFound, Conflict."""
        sound = await self.sound(name)
        return (await self._change(self._store.rename, sound.name, new)).sounds[0]

    async def pin(self, name: str, pinned: bool) -> Sound:
        """Keep a sound from ever being evicted, or allow it again. Raises NotFound."""
        sound = await self.sound(name)
        changed = await self._write(self._store.pin, sound.name, pinned)
        self.unnumbered += 1
        return changed

    async def delete(self, name: str) -> tuple[Sound, float | None]:
        """Take a sound away; ``restore`` brings it back until the moment (Unix seconds) that comes with it.

        None instead: where the disk or the limit is short of room it is gone for good.

        Raises NotFound. A common stem is not made again at the next start, only when somebody asks for it.
        """
        sound = await self.sound(name)
        stems = {stem.sound for stem in common_stems()}
        published = await self._change(self._store.delete, sound.name, unwanted=stems)
        return sound, published.restorable_until

    async def restore(self, name: str) -> Sound:
        """Bring a deleted sound back. Raises NotFound when its time is over."""
        return (await self._change(self._store.restore, name.lower())).sounds[0]

    async def forget(self, name: str | None, how: cache.Forgetting) -> Published:
        """Forget what one sound, or all of them, were made of. Raises NotFound, StorageFull."""
        published = await self._change(self._store.forget, name, how)
        # What was being encoded meanwhile may have been told the words before.
        if self._encoding:
            await asyncio.wait(list(self._encoding.values()))
            samples = {slot.sample_id for sound in published.sounds for slot in sound.slots}
            await self._write(self._store.drop_deliveries, samples)
        self._memory.clear()
        return published

    async def shown(self, targets: Targets) -> Published | None:
        """What publishing kept takes would answer where nothing changes, None where it does."""
        return await self._read(lambda: self._store.shown(targets(self._store.sound)))

    async def publish(
        self, new: NewSample | None, targets: Targets, jobs: Sequence[dict[str, Any]], *, patient: bool
    ) -> Published:
        """Keep a sample and show it in sounds; see ``SampleStore.publish``. Waits its turn; see ``_change``."""

        def publish() -> Published:
            if new:
                self.tag(new)
            return self._store.publish(new, targets(self._store.sound), job=jobs)

        return await self._change(publish, patient=patient)

    async def sweep(self) -> None:
        """Bring folder and catalogue together after a crash."""
        await self._write(self._store.sweep)

    async def evict(self) -> None:
        """Make room: the sounds used least recently go until the limit holds."""

        def evict() -> Published:
            return self._store.evict() or Published()

        await self._change(evict)

    async def copy_each_hour(self) -> None:
        """Copy the catalogue each hour in which it changed, for ever."""
        while True:
            await asyncio.sleep(_COPY_SECONDS)
            await self._write(self._store.copy_catalogue)

    # ------------------------------------------------------------------ small things

    async def _call(self, lane: Lane, function: Callable[..., T], *arguments: Any, **keywords: Any) -> T:
        try:
            with on_disk(self._store.path):
                return await lane.run(function, *arguments, **keywords)
        except (DiskFailed, StorageFull):
            for on_failure in self._on_failure:
                on_failure()
            raise

    @asynccontextmanager
    async def _turn(self, patient: bool) -> AsyncIterator[None]:
        """Wait for the changes that came before. Raises Busy when that takes too long."""
        try:
            async with asyncio.timeout(None if patient else WRITES.patience):
                await self._writing.acquire()
        except TimeoutError:
            raise WRITES.busy() from None
        try:
            yield
        finally:
            self._writing.release()

    async def _to_the_end(self, work: Coroutine[Any, Any, T]) -> T:
        # The thread cannot be stopped; what it commits has to be told, in its order.
        task = asyncio.create_task(work)
        self._changing.add(task)
        task.add_done_callback(self._changing.discard)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            await asyncio.wait([task])
            raise

    def _tell(self, *events: Event) -> None:
        if any(event.type == "sound_removed" for event in events):
            self._memory.clear()
        for event in events:
            self.happenings.tell(_NUMBERED[event.type](event))

    async def _made(self, sample_id: str, extension: str) -> Path:
        """Make a delivery and keep it; on a disk that does not take it, for a while in memory."""
        data = await self._call(ENCODING, self._encode, sample_id, extension)
        try:
            async with asyncio.timeout(_KEEP_SECONDS):
                return await self._call(FILES, self._store.deliver, sample_id, extension, data)
        except (StorageFull, DiskFailed, Busy, TimeoutError) as error:
            held = self._memory.put(f"{sample_id}.{extension}", data)
            if held is not None:
                return held
            if isinstance(error, TimeoutError):
                raise FILES.busy() from None
            raise

    def _encode(self, sample_id: str, extension: str) -> bytes:
        master, sample = self._store.master(sample_id), self._store.sample(sample_id)
        if sample is not None and not self._store.path.exists():
            raise DiskFailed("The data folder is not there, so its sounds cannot be read.", code="data_folder_gone")
        if sample is None or not master.exists():
            raise _unknown_sample(sample_id)
        if extension == PEAKS:
            return peaks(master)
        return self._files.deliver(master, extension, _described(sample))

    async def _nothing_like(self, keyword: str) -> NotFound:
        def look() -> list[str]:
            return nearest(keyword.lower(), self._store.words(), limit=5)

        names = await self._read(look)
        advice = f"The nearest words: {', '.join(names)}." if names else "POST /generate makes it."
        return NotFound(f"No sound is like '{keyword[:64]}'. {advice}", code="unknown_sound", nearest=names)


def _unknown_sample(sample_id: str) -> NotFound:
    return NotFound(f"No sample has the id '{sample_id[:64]}'.", code="unknown_sample")


def _described(sample: Sample | NewSample) -> Described:
    return Described(sample.sample_id, sample.rate, sample.channels, sample.frames, SampleFacts.of(sample.facts))


def _narrowed(filters: dict[str, Any]) -> bool:
    return any(value is not None for value in filters.values())

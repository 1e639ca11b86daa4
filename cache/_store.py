"""The one door to everything that is kept."""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from sqlite3 import Connection
from typing import Any, Self, TypeAlias, TypedDict, Unpack

from cache import (
    _adopting,
    _carrying,
    _checking,
    _events,
    _eviction,
    _forgetting,
    _lost,
    _mending,
    _reading,
    _room,
    _schema,
    _search,
    _sweeping,
    _unwanted,
    _wiping,
    _writing,
)
from cache._copying import Copier
from cache._database import Database
from cache._deliveries import Deliveries
from cache._errors import NotStorable, StoreFull, UnknownTake, damaged, from_os_error, from_sqlite_error, full
from cache._folder import Folder
from cache._forgetting import Forgetting
from cache._model import Event, EventType, NewSample, Published, Sample, Sound, Target
from cache._private import keep_private
from cache._reading import Order, Wanted
from cache._sweeping import Damage
from cache._trash import Trash

_log = logging.getLogger(__name__)
_LOOSE_SECONDS = 600
"""How long a sample that no sound shows any more is kept for pages that still play it."""

Jobs: TypeAlias = Mapping[str, Any] | Sequence[Mapping[str, Any]] | None


class Options(TypedDict, total=False):
    """How a store is opened."""

    masters_limit: int
    """Bytes of master files that ``evict`` leaves; 20 GiB."""
    deliveries_limit: int
    """Bytes of files that can be made again; 2 GiB."""
    disk_reserve: int
    """Bytes that stay free on the disk; 64 MiB."""
    undo_seconds: float
    """How long a deleted sound can be restored while there is room; 86400."""
    trash_days: float
    """How long files that no row names are kept in the trash; 30."""
    trash_limit: int
    """Bytes of the trash; the oldest go first; 2 GiB."""
    durable: bool
    """Survive a power cut too, not only the end of the process; True."""
    clock: Callable[[], float]
    """Unix seconds; ``time.time``."""


class SampleStore:
    """What we have: samples, the sounds that show them, and the numbered log of changes.

    Every method may be called from any thread and may wait for the disk: an event loop calls through a thread.
    Readers never wait, writers wait for each other. Whatever goes wrong is a StoreError.
    """

    def __init__(self, path: Path, options: Options) -> None:
        self._folder = Folder(path)
        self._masters_limit = options.get("masters_limit", 20 * 2**30)
        self._disk_reserve = options.get("disk_reserve", 64 * 2**20)
        self._undo_seconds = options.get("undo_seconds", 86400)
        self._durable = options.get("durable", True)
        self._clock = options.get("clock", time.time)
        self._memory_lock = threading.Lock()
        self._touched: dict[str, float] = {}
        self._words: frozenset[str] | None = None
        self._closed = False
        with ExitStack() as undo:
            undo.callback(self._folder.close)
            self._folder.open()
            note = self._mend()
            self._notes: list[str] = []
            self._lost: str | None = None
            self._note(note)
            self._db = Database(self._folder.catalogue, durable=self._durable)
            undo.callback(self._db.close)
            with self._files():
                self._folder.write_version(_schema.FORMAT)
            self._copier = Copier(self._folder, self._db, self._clock, self._disk_reserve)
            self._trash = Trash(
                self._folder,
                days=options.get("trash_days", 30),
                limit=options.get("trash_limit", 2 * 2**30),
                clock=self._clock,
            )
            self._ballast = _room.Ballast(self._folder.path, self._disk_reserve)
            with self._db.read() as con:
                self.epoch: str = con.execute("SELECT value FROM meta WHERE key = 'epoch'").fetchone()[0]
                self._lost = _lost.sentence(con, self.path)
            limit = options.get("deliveries_limit", 2 * 2**30)
            self._deliveries = Deliveries(self._folder, limit, durable=self._durable)
            undo.callback(self._deliveries.close)
            self.purge()
            self._ballast.fill()
            # What SQLite and others made again; what it makes next to a database later has that one's rights.
            keep_private(self._folder.path)
            undo.pop_all()

    def _note(self, sentence: str | None) -> None:
        if sentence and sentence not in self._notes:
            _log.warning("%s", sentence)
            self._notes.append(sentence)

    def _mend(self) -> str | None:
        try:
            with self._files():
                return _mending.mend(self._folder, self._clock()).note
        except sqlite3.Error as error:
            raise from_sqlite_error(error, self._folder.path) from error

    @classmethod
    def open(cls, path: Path, **options: Unpack[Options]) -> Self:
        """Open a data folder, made when it is missing (mode 0700), and lock it until ``close``.

        Raises FormatTooNew, StoreLocked, StoreNotWritable, StoreDamaged or StoreFull.
        """
        return cls(path, options)

    def close(self) -> None:
        """Finish what is under way, copy the catalogue and unlock the folder; a second call does nothing."""
        with self._db.lock:
            if self._closed:
                return
            self._closed = True
            try:
                if self._touched:
                    with self._change():
                        pass
                self._copier.copy()
            finally:
                self._deliveries.close()
                self._db.close()
                self._folder.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def path(self) -> Path:
        """The data folder."""
        return self._folder.path

    @property
    def notes(self) -> tuple[str, ...]:
        """What was found to be wrong, and what to type, in sentences; empty when all is well."""
        return (*self._notes, *filter(None, [self._lost, self.damaged]))

    @property
    def damaged(self) -> str | None:
        """Says that the catalogue was found to be damaged while it was in use, and what to type."""
        return str(damaged(self.path, self._db.damage)) if self._db.damage else None

    @property
    def incoming(self) -> Path:
        """Where new files are written before they are published; emptied at every open."""
        return self._folder.incoming

    # --- publishing

    def publish(self, incoming: NewSample | None, targets: Sequence[Target], *, job: Jobs = None) -> Published:
        """Keep a sample and show it in sounds: all of it, numbered, or nothing.

        ``incoming`` None: each target names the take that it shows. A spec that was made already keeps its first
        sample, and the incoming files are dropped. ``job``: a job that ends with this, or one for each target; each
        becomes a numbered event with the ``name`` and ``n`` of its target (the last target's where there are fewer).

        A target's take goes into slot ``n`` when a stand-in is there; otherwise into the slot that shows the same spec
        already; otherwise into a new slot at the end. A target that changes nothing gives no event.

        Raises NotStorable, UnknownTake, StoreFull (the incoming files stay where they are: make room, try again).
        """
        jobs = [job] if isinstance(job, Mapping) else list(job or ())
        if incoming is not None:  # to show what is kept a full disk is still good enough
            self.check_room()
        with self._files(), self._db.lock, ExitStack() as undo:
            with self._change() as con:
                published = self._publish(con, incoming, targets, jobs, undo)
            undo.pop_all()
        if incoming is not None:
            for left in (incoming.master, *incoming.deliveries.values()):
                with suppress(OSError):
                    left.unlink(missing_ok=True)
        return published

    def log(self, type: EventType, data: Mapping[str, Any]) -> Event:  # noqa: A002 - the event's own word
        """Number an event that changes nothing that is kept, e.g. a job that failed."""
        with self._change() as con:
            return _events.append(con, type, data)

    # --- reading

    def take(self, spec_id: str) -> Sample | None:
        """Return what was made of a spec, None when it has to be made (again)."""
        with self._db.read() as con:
            taken = _reading.take(con, spec_id)
        with self._files():
            return taken if taken and _adopting.whole(self._folder.master(taken.sample_id), taken.bytes) else None

    def shown(self, targets: Sequence[Target]) -> Published | None:
        """Answer what ``publish`` of kept takes would, when it would change nothing; None when it has to be done.

        Reads only: it never waits for a writer.
        """
        with self._db.read() as con:
            places = [_writing.shown(con, target) for target in targets]
            if not targets or None in places:
                return None
            found = [place for place in places if place is not None]
            sounds = {sound.name: sound for sound, _ in found}
            slots = tuple((sound.name, n) for sound, n in found)
            sample = _reading.take(con, targets[0].spec_id or "")
        for name in sounds:
            self.touch(name)
        return Published(tuple(sounds.values()), slots, (), sample)

    def sample(self, sample_id: str) -> Sample | None:
        """Return a sample; where several specs gave the same audio, with the facts of the first."""
        with self._db.read() as con:
            return _reading.sample(con, sample_id)

    def sound(self, name_or_alias: str) -> Sound | None:
        """Return the sound of that name or alias."""
        with self._db.read() as con:
            number = _reading.find(con, name_or_alias)
            return None if number is None else _reading.sound(con, number)

    def sounds(
        self,
        *,
        order: Order = "newest",
        limit: int | None = None,
        after: int | str | None = None,
        **wanted: Unpack[Wanted],
    ) -> list[Sound]:
        """List the sounds that are as wanted, the last changed first, or by name.

        ``after`` continues where a list ended: the last sound's ``seq`` ("newest") or ``name`` ("name").
        """
        with self._db.read() as con:
            return _reading.listed(con, wanted, order, limit, after)

    def search(
        self, terms: Mapping[str, float], *, limit: int = 20, **wanted: Unpack[Wanted]
    ) -> list[tuple[Sound, float]]:
        """Rank the sounds that have one of the terms, with their scores.

        A score is the sum of asked times kept weight over the shared terms. First comes a sound whose name (with or
        without ``gen_``) is one of the heaviest terms, or all of those joined by ``_``; then sounds without flags; then
        by score, ties by name.
        """
        with self._db.read() as con:
            return _search.search(con, terms, wanted, limit)

    def words(self) -> frozenset[str]:
        """Return all terms, names and aliases that a search can find, for correcting typing errors."""
        with self._memory_lock:
            if self._words is None:
                with self._db.read() as con:
                    self._words = _search.words(con)
            return self._words

    def names(self, **wanted: Unpack[Wanted]) -> frozenset[str]:
        """Return the names of the sounds that are as wanted, without reading what they are."""
        with self._db.read() as con:
            return _reading.names(con, wanted)

    def count(self) -> int:
        """Count the sounds."""
        with self._db.read() as con:
            return _reading.count(con)

    def size(self) -> int:
        """Add up the bytes of the masters."""
        with self._db.read() as con:
            return _eviction.total(con)

    def unwanted(self) -> frozenset[str]:
        """Names that were deleted to stay away, until a sound is published or restored under them."""
        with self._db.read() as con:
            return _unwanted.names(con)

    def master(self, sample_id: str) -> Path:
        """Say where the sample's master file is, without looking."""
        return self._folder.master(sample_id)

    # --- deliveries

    def delivery(self, sample_id: str, fmt: str) -> Path:
        """Say where the sample's file in a format is, or would be, without looking."""
        return self._folder.delivery(sample_id, fmt)

    def deliver(self, sample_id: str, fmt: str, data: bytes) -> Path:
        """Keep a file that was made from the master; beyond the limit the ones stored first go."""
        path = self._folder.delivery(sample_id, fmt)
        if type(data) is not bytes:
            raise NotStorable(f"A delivery is bytes, not {type(data).__name__}.")
        self.check_room(len(data))
        self._deliveries.put(sample_id, fmt, data)
        return path

    # --- events

    def head(self) -> int:
        """Return the number of the newest event, 0 before the first."""
        with self._db.read() as con:
            return _events.head(con)

    def events_since(self, seq: int, limit: int | None = None) -> list[Event] | None:
        """Return the events after number ``seq``; None when they are too old, or ``seq`` lies in the future."""
        with self._db.read() as con:
            return _events.since(con, seq, limit)

    # --- changing

    def rename(self, name: str, new: str) -> Published:
        """Give a sound another name. The old one stays as an alias, so that old patterns still play.

        Raises UnknownSound or NameTaken.
        """
        with self._change() as con:
            sound, events = _writing.rename(con, name, new, self._clock())
        return Published((sound,), events=tuple(events))

    def pin(self, name: str, pinned: bool) -> Sound:
        """Keep a sound from eviction, or allow it again. No event."""
        with self._change() as con:
            number = _reading.need(con, name)
            con.execute("UPDATE sounds SET pinned = ? WHERE id = ?", (pinned, number))
            return _reading.sound(con, number)

    def delete(self, name: str, *, unwanted: Collection[str] = ()) -> Published:
        """Take a sound away; for ``undo_seconds`` it can be restored. Its samples still answer until then.

        Where the disk is short of room, or the masters of their limit, what was deleted first goes for good at once,
        this sound last: ``restorable_until`` is None then.

        ``unwanted``: those of its names that are among these are remembered, see ``unwanted``.
        """
        try:
            published = self._delete(name, unwanted)
        except StoreFull:
            with self._files():
                freed = self._ballast.drop() or self._deliveries.free(2**20)
            if not freed:
                raise
            published = self._delete(name, unwanted)
        self._ballast.fill()
        return published

    def restore(self, name: str) -> Published:
        """Give back the sound that was deleted last under that name; aliases that are taken by now are lost.

        Raises UnknownSound when it is too late, NameTaken when the name has a new sound.
        """
        now = self._clock()
        with self._change() as con:
            sound, event = _writing.restore(con, name, now - self._undo_seconds, now)
        return Published((sound,), events=(event,))

    def touch(self, name: str) -> None:
        """Remember that a sound was used just now; written together with the next change."""
        with self._memory_lock:
            self._touched[name] = self._clock()

    def purge(self) -> int:
        """Really remove the sounds whose time to be restored is over; return how many."""
        with self._db.lock:
            with self._change() as con:
                count, samples = _eviction.purge(con, self._clock() - self._undo_seconds)
            self._remove_files(samples)
        return count

    def forget(self, name: str | None, how: Forgetting) -> Published:
        """Forget what a sound, or without a name every sound, was made of.

        In this order: the masters, the catalogue in one transaction, the deliveries (made again when asked for), the
        places that the database has freed, files that no row names, copies of the catalogue and those that were set
        aside. Killed or failed half way, it is to be asked for again.

        Returns the sounds concerned, also others that show the same take. Raises UnknownSound, NotStorable,
        StoreFull.
        """
        # The reserve is for what is new; to forget it is used, and so is the ballast.
        with suppress(StoreFull):
            self.check_room()
        if self._missing():
            with self._files():
                self._ballast.drop()
        with self._db.read() as con:
            done = _forgetting.find(con, name).sample_ids
        for sample_id in done:
            self._rewrite(sample_id, how.file)
        with self._db.lock:
            with self._change() as con:
                found = _forgetting.find(con, name)
                before = _forgetting.names(con, found)
                sounds, events = _forgetting.forget(con, found, how, self._clock())
            for sample_id in set(found.sample_ids).difference(done):  # they came in meanwhile
                self._rewrite(sample_id, how.file)
            if how.name:
                for sample_id in found.sample_ids:
                    self._carry_places(sample_id)
        self.drop_deliveries(found.sample_ids)
        self._db.maintain(_forgetting.clean)
        self._wipe(before, found, name, how)
        self._ballast.fill()
        return Published(tuple(sounds), events=tuple(events))

    def _wipe(self, before: Collection[str], found: _forgetting.Found, name: str | None, how: Forgetting) -> None:
        """Forget where the catalogue does not reach. ``before``: names that the sounds had."""
        with self._files(), self._db.lock:
            with self._db.read() as con:
                known = {row[0] for row in con.execute("SELECT id FROM samples")}
                waiting = _mending.due(con) is not None
            gone = [] if how.name is None else None if name is None else before
            _wiping.wipe_loose(self._folder, self._trash, known, gone, how.file)
            _wiping.wipe_copies(self._folder, found, name, how, self._clock(), keep=waiting)
        self._copier.copy(anew=True)

    def _carry_places(self, sample_id: str) -> None:
        """Let a master say where it is shown now."""
        with self._db.read() as con:
            places = _wiping.places(con, sample_id)
        self._rewrite(sample_id, lambda data: _carrying.rewritten(data, places))

    def _rewrite(self, sample_id: str, change: Callable[[bytes], bytes]) -> None:
        with self._files(), self._db.lock:
            digest = _forgetting.rewrite_master(self._folder, sample_id, change, durable=self._durable)
            if digest is not None:
                with self._change() as con:
                    con.execute("UPDATE samples SET digest = ? WHERE id = ?", (digest, sample_id))

    def drop_deliveries(self, sample_ids: Iterable[str]) -> None:
        """Remove everything that was made from these masters; it is made again when asked for."""
        self._deliveries.forget_samples(sample_ids)

    def evict(self, *, keep: Collection[str] = ()) -> Published | None:
        """Remove what was used least recently until the masters are within their limit.

        Whole sounds, never one that is pinned or has a name or alias in ``keep``; a sample that two sounds show goes
        with the last. Returns the sounds and their events, None when nothing had to go.
        """
        self.purge()
        self._purge_for_room()
        with self._db.lock:
            with self._change() as con:
                before = self._clock() - _LOOSE_SECONDS
                sounds, events, samples = _eviction.evict(con, self._masters_limit, keep, before)
            self._remove_files(samples)
        return Published(tuple(sounds), events=tuple(events)) if sounds or samples else None

    # --- upkeep

    def missing_room(self) -> int:
        """Say how many bytes have to be freed until the reserve is free; 0: none. Changes nothing."""
        return self._missing()

    def check_room(self, size: int = 0) -> None:
        """Raise StoreFull unless ``size`` more bytes leave the reserve free.

        To make room, sounds that were deleted go for good, then deliveries, then what is in the trash.
        """
        if self._missing(size):
            self._purge_for_room(size)
            if short := self._missing(size):
                self._deliveries.free(short)
            if (short := self._missing(size)) and not self._waiting():
                with self._files(), self._db.lock:
                    self._trash.free(short)
            if short := self._missing(size):
                raise full(self.path, short)

    def copy_catalogue(self) -> Path | None:
        """Copy the catalogue into ``copies`` when it has changed since; None: no copy was made, the log says why.

        Run it in a thread, each hour; the store stays usable.
        """
        copied = self._copier.copy()
        self._ballast.fill()
        return copied

    def sweep(self) -> int:
        """Bring folder and catalogue together after a crash: return how many files went.

        Files that no row names go to the trash; takes whose master is lost are marked. Then the catalogue is read
        through, see ``damaged``. Run it in a thread after opening; the store stays usable.
        """
        with self._files():
            swept = _sweeping.sweep(self._folder, self._db, self._deliveries, self._trash)
        with self._db.read() as con:
            self._note(_mending.due(con))
            self._lost = _lost.sentence(con, self.path)
            if self._lost:
                _log.warning("%s", self._lost)
            wrong = _checking.damage(con)
        if wrong and not self._db.damage:
            self._db.damage = wrong
            _log.warning("%s", self.damaged)
        return swept

    def look_for_lost(self) -> None:
        """Look for lost masters, so that ``notes`` tell of them; each is opened, which takes some 0.1 ms."""
        with self._files():
            _sweeping.mark_lost(self._folder, self._db)
        with self._db.read() as con:
            self._lost = _lost.sentence(con, self.path)

    def verify(self) -> dict[str, Damage]:
        """Read every master: return what is wrong with which sample. Takes a while."""
        with self._files():
            return _sweeping.verify(self._folder, self._db)

    def _publish(
        self,
        con: Connection,
        incoming: NewSample | None,
        targets: Sequence[Target],
        jobs: Sequence[Mapping[str, Any]],
        undo: ExitStack,
    ) -> Published:
        now = self._clock()
        if incoming is None:
            return _publish(con, None, targets, jobs, now)
        facts = _adopting.check(incoming, self._folder)
        plan = _adopting.plan(con, incoming, self._folder)
        if plan == "new":
            _adopting.write(con, incoming, now)
        if plan != "known":
            _adopting.write_take(con, incoming, facts, now)
        published = _publish(con, incoming, targets, jobs, now)
        if plan != "new":
            return published
        # Where it belongs is known now, so its master can tell.
        if _carrying.carry(incoming.master, _carrying.Carried(incoming.spec_id, _places(published, targets))):
            _adopting.write(con, incoming, now)
            published = replace(published, sample=_reading.take(con, incoming.spec_id))
        _adopting.move_in(incoming, self._folder, self._deliveries, self._trash, undo, durable=self._durable)
        return published

    def _delete(self, name: str, unwanted: Collection[str]) -> Published:
        with self._db.lock:
            now = self._clock()
            with self._change() as con:
                number = _reading.need(con, name)
                sound, event = _writing.delete(con, name, now)
                _unwanted.remember(con, {sound.name, *sound.aliases}.intersection(unwanted))
            with self._files():
                lacking = self._ballast.lacking()
            self._purge_for_room(lacking, at_once=self._undo_seconds <= 0)
            with self._db.read() as con:
                kept = con.execute("SELECT 1 FROM sounds WHERE id = ?", (number,)).fetchone()
        return Published((sound,), events=(event,), restorable_until=now + self._undo_seconds if kept else None)

    def _purge_for_room(self, size: int = 0, *, at_once: bool = False) -> None:
        """Remove deleted sounds for good, the one deleted first first, until disk and limit have room."""
        with self._db.lock:
            while at_once or self._missing(size) or self.size() > self._masters_limit:
                with self._db.read() as con:
                    if not _eviction.any_deleted(con):
                        return
                with self._change() as con:
                    samples = _eviction.purge_oldest(con)
                self._remove_files(samples)

    def _missing(self, size: int = 0) -> int:
        with self._files():
            return _room.missing(self.path, self._disk_reserve, size)

    def _waiting(self) -> bool:
        with self._db.read() as con:
            return _mending.due(con) is not None

    def _remove_files(self, sample_ids: Iterable[str]) -> None:
        listed = list(sample_ids)
        with self._files():
            for sample_id in listed:
                self._folder.master(sample_id).unlink(missing_ok=True)
            self._deliveries.forget_samples(listed)

    @contextmanager
    def _change(self) -> Iterator[Connection]:
        with self._db.lock:
            with self._memory_lock:
                touched, self._touched = self._touched, {}
            with self._db.write() as con:
                con.executemany(
                    "UPDATE sounds SET used = ? WHERE id = (SELECT sound FROM names WHERE name = ? AND live)",
                    [(when, name) for name, when in touched.items()],
                )
                yield con
                if self._lost:
                    self._lost = _lost.sentence(con, self.path)
            with self._memory_lock:
                self._words = None

    @contextmanager
    def _files(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise from_os_error(error, self.path) from error


def _publish(
    con: Connection,
    incoming: NewSample | None,
    targets: Sequence[Target],
    jobs: Sequence[Mapping[str, Any]],
    now: float,
) -> Published:
    sounds: dict[str, Sound] = {}
    slots: list[tuple[str, int]] = []
    events: list[Event] = []
    sample = None if incoming is None else _reading.take(con, incoming.spec_id)
    for target in targets:
        spec_id = target.spec_id or (incoming and incoming.spec_id)
        if not spec_id:
            raise UnknownTake(f"The target {target.name!r} names no spec, and nothing new comes in.")
        sound, n, event = _writing.place(con, target, spec_id, now)
        sample = sample or _reading.take(con, spec_id)
        sounds[sound.name] = sound
        slots.append((sound.name, n))
        if event is not None:
            events.append(event)
    for index, job in enumerate(jobs):
        place = dict(zip(("name", "n"), slots[min(index, len(slots) - 1)], strict=True)) if slots else {}
        events.append(_events.append(con, "job", {**job, **place}))
    return Published(tuple(sounds.values()), tuple(slots), tuple(events), sample)


def _places(published: Published, targets: Sequence[Target]) -> tuple[_carrying.Place, ...]:
    places = (
        _carrying.Place(name, n, target.standin, target.aliases, target.session)
        for (name, n), target in zip(published.slots, targets, strict=True)
    )
    return tuple(dict.fromkeys(places))

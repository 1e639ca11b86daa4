"""Rebuilding a catalogue: from what is left of it, from its copies, and from what the masters themselves carry.

It only adds. What the present catalogue knows stays as it is; each master that it does not know comes back under the
name and slot that a copy of the catalogue has for it, else under those that it carries, else as ``gen_found_<digits>``.
"""

from __future__ import annotations

import json
import logging
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from cache import _adopting, _carrying, _copies, _events, _lost, _mending, _misplaced, _reading, _schema, _writing
from cache._carrying import Carried, Place
from cache._checking import Unreadable, damage, look, reading
from cache._database import Database
from cache._errors import StoreDamaged, StoreError, from_os_error, from_sqlite_error
from cache._folder import Folder, check_id
from cache._model import Facts, Slot, Target
from cache._replacing import aside, set_aside
from cache._trash import Trash

_log = logging.getLogger(__name__)
_LARGEST_GAP = 100
"""Slots; a sound has not lost more in a row."""


@dataclass(frozen=True, slots=True)
class Told:
    """What a master's own tags tell; the store does not know what they mean."""

    facts: Facts = field(default_factory=dict)
    spec_id: str | None = None
    """Of a master that does not carry it."""
    aliases: tuple[str, ...] = ()
    """Names that a master without a name is found under besides ``gen_found_<digits>``, where they are free."""
    created: float = 0.0
    """Unix seconds; masters come back in this order."""


@dataclass(frozen=True, slots=True)
class Rebuilding:
    """How to read masters."""

    tell: Callable[[bytes], Told | None] = lambda _: Told()
    """What a master's file tells; None: it is not a whole master of ours. Never raises."""
    terms: Callable[[str, Sequence[str], Facts], Mapping[str, float]] = lambda name, _, __: {name: 1.0}
    """Words under which a sound is found: of its name, its aliases and the facts of its slot, with their weights."""


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What a rebuild did."""

    sounds: int
    """How many sounds there are now."""
    kept: int
    """How many of them the catalogue knew, and still knows."""
    named: tuple[str, ...] = ()
    """Names of the sounds that came back, or got slots back, under their own names."""
    found: tuple[str, ...] = ()
    """Names of those that came back without: ``gen_found_<6 digits>``."""
    missing: tuple[str, ...] = ()
    """Names of sounds of which a sound file is missing; it is made again when it is asked for."""
    unreadable: tuple[Path, ...] = ()
    """Files named as masters that are not whole; they stay where they are."""
    source: Path | None = None
    """The copy that took the catalogue's place; None: the catalogue was there, or there was no whole copy."""

    @property
    def changed(self) -> bool:
        """Did anything come back?"""
        return bool(self.named or self.found or self.source)


def rebuild(path: Path, how: Rebuilding | None = None, *, clock: Callable[[], float] = time.time) -> Rebuilt:
    """Rebuild the catalogue of a data folder that is not open; it is locked meanwhile. Killed, run it again.

    A whole folder is left as it is. What is asked for by hand is done with whole catalogues alone: a damaged one is set
    aside first, and the newest whole copy takes its place.

    Raises StoreLocked, StoreNotWritable, FormatTooNew, StoreDamaged (no data folder of ours), StoreFull, StoreError.
    """
    if not path.is_dir():
        raise StoreDamaged(f"There is no data folder {path}. Name the folder with --data-dir.")
    folder = Folder(path)
    folder.open()
    try:
        return _Rebuild(folder, how or Rebuilding(), clock).run()
    except OSError as error:
        raise from_os_error(error, folder.path) from error
    except sqlite3.Error as error:
        raise from_sqlite_error(error, folder.path) from error
    finally:
        folder.close()


class _Rebuild:
    def __init__(self, folder: Folder, how: Rebuilding, clock: Callable[[], float]) -> None:
        self._folder = folder
        self._how = how
        self._now = clock()
        self._trash = Trash(folder, days=0, limit=0, clock=clock)
        self._head = 0
        """The newest event of the catalogue that was there: a copy that knows newer ones knows more sounds, too."""
        self._named: dict[str, None] = {}
        self._found: list[str] = []
        self._unreadable: list[Path] = []

    def run(self) -> Rebuilt:
        folder = self._folder
        self._set_aside_damaged()
        there = folder.catalogue.exists()
        mended = _mending.mend(folder, self._now)
        there = there and mended.source is None
        kept = self._names() if there else []
        database = Database(folder.catalogue, durable=True)
        try:
            folder.write_version(_schema.FORMAT)
            if not there:
                with database.read() as con:
                    self._named = dict.fromkeys(_live_names(con))
            with database.write() as con:
                self._head = _events.head(con)
                for name in _misplaced.bring_back(con, folder, self._trash):
                    self._named[name] = None
                unknown = self._unknown(con)
                for file in self._sources():
                    self._merge(con, file, unknown)
                self._adopt(con, unknown)
                due = _mending.due(con) is not None
                _mending.clear_due(con)
            with database.read() as con:
                if due or unknown or not there:
                    self._copy(con)
                sounds = _live_names(con)
                missing = self._missing(con)
        finally:
            database.close()
        return Rebuilt(
            sounds=len(sounds),
            kept=len(kept),
            named=tuple(self._named),
            found=tuple(self._found),
            missing=missing,
            unreadable=tuple(self._unreadable),
            source=mended.source,
        )

    def _copy(self, con: sqlite3.Connection) -> None:
        try:
            _copies.write(self._folder, con, self._now)
        except (OSError, sqlite3.Error, StoreError) as error:  # what came back is kept all the same
            _log.warning("the rebuilt catalogue could not be copied: %s", error)

    def _names(self) -> list[str]:
        with closing(sqlite3.connect(self._folder.catalogue, isolation_level=None)) as con:
            return _live_names(con)

    def _set_aside_damaged(self) -> None:
        """A catalogue that opens and still is damaged in places is set aside, too."""
        file = self._folder.catalogue
        try:
            look(file)
            with reading(file) as con:
                wrong = damage(con)
        except (Unreadable, FileNotFoundError):
            return  # mending deals with it
        if wrong is not None:
            _log.warning("the catalogue is damaged: %s", wrong)
            set_aside(file)

    def _sources(self) -> list[Path]:
        """Whole catalogues to learn from: copies and those that were set aside, the newest first."""
        found = [*_copies.copies(self._folder), *reversed(aside(self._folder.path, self._folder.catalogue.name))]
        return sorted(found, key=lambda file: -file.lstat().st_mtime)

    def _unknown(self, con: sqlite3.Connection) -> dict[str, Path]:
        """Masters without a row, in ``masters`` and in the trash: sample id -> file."""
        known = {row[0] for row in con.execute("SELECT id FROM samples")}
        found = dict(self._trash.masters())
        found.update((file.stem, file) for file in self._folder.master_files())
        return {sample_id: file for sample_id, file in found.items() if sample_id not in known}

    def _move_in(self, sample_id: str, file: Path) -> Path:
        master = self._folder.master(sample_id)
        if file != master:
            master.parent.mkdir(mode=0o700, exist_ok=True)
            if master.exists():
                self._trash.take(master)
            file.replace(master)
        return master

    # --- from a copy

    def _merge(self, con: sqlite3.Connection, file: Path, unknown: dict[str, Path]) -> None:
        """Take from a copy what it knows of masters without a row; from one newer than the catalogue, everything."""
        try:
            look(file)
            with reading(file) as copy:
                copy.execute("BEGIN")
                wanted = {
                    number
                    for (number,) in copy.execute(
                        "SELECT DISTINCT sound FROM slots WHERE sample_id IN (SELECT value FROM json_each(?))",
                        (json.dumps(list(unknown)),),
                    )
                }
                if _events.head(copy) > self._head:
                    wanted |= {
                        number
                        for (number,) in copy.execute("SELECT id FROM sounds WHERE removed IS NULL")
                        if self._is_unheard_of(con, copy, number)
                    }
                for number in sorted(wanted):
                    self._merge_sound(con, copy, number, unknown)
        except (Unreadable, OSError, sqlite3.DatabaseError, ValueError) as error:
            _log.warning("nothing was learned from %s: %s", file, error)

    def _is_unheard_of(self, con: sqlite3.Connection, copy: sqlite3.Connection, number: int) -> bool:
        """Does the catalogue know neither the name of a sound in a copy nor a take of it? It may have been renamed."""
        (name,) = copy.execute("SELECT name FROM sounds WHERE id = ?", (number,)).fetchone()
        specs = [spec for (spec,) in copy.execute("SELECT spec_id FROM slots WHERE sound = ?", (number,))]
        known = con.execute(
            "SELECT 1 FROM takes WHERE spec_id IN (SELECT value FROM json_each(?)) LIMIT 1", (json.dumps(specs),)
        ).fetchone()
        return known is None and _reading.find(con, name) is None

    def _merge_sound(
        self, con: sqlite3.Connection, copy: sqlite3.Connection, number: int, unknown: dict[str, Path]
    ) -> None:
        try:
            sound = _reading.sound(copy, number)
        except ValueError as error:
            _log.warning("a sound in a copy cannot be read: %s", error)
            return
        removed = copy.execute("SELECT removed FROM sounds WHERE id = ?", (number,)).fetchone()[0]
        terms = dict(copy.execute("SELECT term, weight FROM terms WHERE sound = ?", (number,)).fetchall())
        new = _reading.find(con, sound.name) is None
        lost = []
        for slot in sound.slots:
            there = self._copied_take(con, copy, slot, unknown, also_lost=new and removed is None)
            # A slot whose file is gone keeps its place where the sound is new here; it is made again when asked for.
            if removed is not None or not (there or new) or _reading.take(con, slot.spec_id) is None:
                continue
            target = Target(sound.name, slot.n, slot.standin, sound.aliases, sound.session, terms, spec_id=slot.spec_id)
            _writing.place(con, target, slot.spec_id, self._now)
            self._named[sound.name] = None
            if not there:
                lost.append((slot.spec_id,))
        con.executemany("UPDATE takes SET lost = 1 WHERE spec_id = ?", lost)
        if new and removed is None and sound.pinned:
            con.execute("UPDATE sounds SET pinned = 1 WHERE id = ?", (_reading.need(con, sound.name),))

    def _copied_take(
        self,
        con: sqlite3.Connection,
        copy: sqlite3.Connection,
        slot: Slot,
        unknown: dict[str, Path],
        *,
        also_lost: bool,
    ) -> bool:
        """Take over the rows of a slot's sample, and bring its file back. Is the file there?"""
        sample = copy.execute("SELECT * FROM samples WHERE id = ?", (slot.sample_id,)).fetchone()
        take = copy.execute(
            "SELECT spec_id, sample_id, root, commercial, facts, created FROM takes WHERE spec_id = ?", (slot.spec_id,)
        ).fetchone()
        if sample is None or take is None or take[1] != slot.sample_id:
            return False
        file = unknown.get(slot.sample_id)
        whole = file is not None and (_adopting.whole(file, sample[4]) or _carrying.shape(file) is not None)
        if file is None:
            row = con.execute("SELECT bytes FROM samples WHERE id = ?", (slot.sample_id,)).fetchone()
            whole = row is not None and _adopting.whole(self._folder.master(slot.sample_id), row[0])
        if not (whole or also_lost):
            return False
        con.execute("INSERT OR IGNORE INTO samples VALUES (?, ?, ?, ?, ?, ?, ?)", sample)
        con.execute(
            "INSERT OR IGNORE INTO takes (spec_id, sample_id, root, commercial, facts, created)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            take,
        )
        if file is not None and whole:
            del unknown[slot.sample_id]
            digest, size = _adopting.measure(self._move_in(slot.sample_id, file))
            con.execute(
                "UPDATE samples SET bytes = ?, digest = ? WHERE id = ? AND bytes <> ?",
                (size, digest, slot.sample_id, size),
            )
        return whole

    # --- from the masters themselves

    def _adopt(self, con: sqlite3.Connection, unknown: Mapping[str, Path]) -> None:
        """Give every master that is left a row and a place."""
        read = [found for sample_id, file in unknown.items() if (found := self._read(sample_id, file))]
        read.sort(key=lambda each: (each.told.created, each.sample_id))
        placed: list[tuple[Place, _Master]] = []
        for each in read:
            if con.execute("SELECT 1 FROM takes WHERE spec_id = ?", (each.spec_id,)).fetchone():
                # Another take answers for that spec already.
                each = _Master(each.sample_id, each.file, each.audio, each.told, each.sample_id, each.places)
            self._write(con, each)
            places = each.places or (Place(self._free_name(con, each.sample_id), 0, aliases=each.told.aliases),)
            placed += [(place, each) for place in places]
            if not each.places:
                self._show(con, places[0], each)
                self._found.append(places[0].name)
        for place, each in sorted(placed, key=lambda item: (item[0].name, item[0].n, item[1].told.created)):
            if each.places:
                self._show(con, place, each)
                self._named[place.name] = None

    def _read(self, sample_id: str, file: Path) -> _Master | None:
        audio = _carrying.shape(file)
        told = self._how.tell(file.read_bytes()) if audio is not None else None
        if audio is None or told is None:
            self._unreadable.append(file)
            return None
        carried = _carrying.read(file) or Carried("", ())
        spec_id = next((each for each in (carried.spec_id, told.spec_id or "") if _is_id(each)), sample_id)
        return _Master(sample_id, file, audio, told, spec_id, carried.places)

    def _write(self, con: sqlite3.Connection, each: _Master) -> None:
        master = self._move_in(each.sample_id, each.file)
        digest, size = _adopting.measure(master)
        audio, root = each.audio, each.told.facts.get("root")
        created = each.told.created or self._now
        con.execute(
            "INSERT INTO samples (id, rate, channels, frames, bytes, digest, created) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (each.sample_id, audio.rate, audio.channels, audio.frames, size, digest, created),
        )
        con.execute(
            "INSERT INTO takes (spec_id, sample_id, root, commercial, facts, created) VALUES (?, ?, ?, ?, ?, ?)",
            (
                each.spec_id,
                each.sample_id,
                root if isinstance(root, str | int | float) else None,
                bool(each.told.facts.get("commercial")),
                _events.to_json(each.told.facts, "facts of a sample"),
                created,
            ),
        )

    def _show(self, con: sqlite3.Connection, place: Place, each: _Master) -> None:
        terms = self._how.terms(place.name, place.aliases, each.told.facts)
        target = Target(place.name, place.n, place.standin, place.aliases, place.session, terms, spec_id=each.spec_id)
        number = _reading.find(con, place.name)
        slots = 0 if number is None else len(_reading.sound(con, number).slots)
        _, n, _ = _writing.place(con, target, each.spec_id, self._now)
        if n == slots < place.n <= slots + _LARGEST_GAP:
            self._move(con, _reading.need(con, place.name), n, place.n)

    def _move(self, con: sqlite3.Connection, number: int, n: int, wanted: int) -> None:
        """Put the last slot where it was; in the slots before it, whose files are gone, it stands in."""
        con.execute("UPDATE slots SET n = ? WHERE sound = ? AND n = ?", (wanted, number, n))
        con.executemany(
            "INSERT INTO slots (sound, n, spec_id, sample_id, standin)"
            " SELECT sound, ?, spec_id, sample_id, 1 FROM slots WHERE sound = ? AND n = ?",
            [(gap, number, wanted) for gap in range(n, wanted)],
        )
        con.execute("UPDATE sounds SET n = ? WHERE id = ?", (wanted, number))
        _writing.announce(con, number, self._now)

    def _free_name(self, con: sqlite3.Connection, sample_id: str) -> str:
        number = int(sample_id, 16) % 1_000_000
        while _reading.find(con, name := f"gen_found_{number:06}") is not None:
            number = (number + 1) % 1_000_000
        return name

    def _missing(self, con: sqlite3.Connection) -> tuple[str, ...]:
        rows = con.execute(
            "SELECT name, samples.id, bytes FROM sounds JOIN slots ON sound = sounds.id"
            " JOIN samples ON samples.id = sample_id WHERE removed IS NULL ORDER BY name"
        ).fetchall()
        masters = {each.sample_id: each for each in _lost.known(con)}
        gone = [
            name
            for name, sample_id, size in rows
            if not (
                _lost.is_right(con, self._folder.master(sample_id), masters[sample_id])
                if sample_id in masters
                else _adopting.whole(self._folder.master(sample_id), size)
            )
        ]
        return tuple(dict.fromkeys(gone))


@dataclass(frozen=True, slots=True)
class _Master:
    sample_id: str
    file: Path
    audio: _carrying.Audio
    told: Told
    spec_id: str
    places: tuple[Place, ...]


def _live_names(con: sqlite3.Connection) -> list[str]:
    return [row[0] for row in con.execute("SELECT name FROM sounds WHERE removed IS NULL ORDER BY id")]


def _is_id(text: str) -> bool:
    try:
        return bool(check_id(text))
    except StoreError:
        return False

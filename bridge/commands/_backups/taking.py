"""Taking a backup: copies of the databases and every file that belongs to them, while a server may be at work."""

from __future__ import annotations

import errno
import json
import os
import sqlite3
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, BinaryIO, Final, TypeAlias, cast

from bridge.commands._advice import command, give_right, move_away
from bridge.commands._backups.manifest import Manifest, ManifestEntry, now
from bridge.commands._backups.writing import BackupTarget
from bridge.commands._data_files import CATALOGUE, FORMAT, MASTERS, PARTS, Part, is_backup_path, strangers
from bridge.commands._oddities import all_below, oddity
from bridge.commands._quiet import holder, open_quietly
from bridge.errors import StartupError
from bridge.system.ledgers import refuse_newer
from cache import (
    Listing,
    StoreDamaged,
    catalogue_complaints,
    complaints,
    described,
    explained,
    known_format,
    listing,
    rebuild_due,
)

OnFile: TypeAlias = Callable[[int, int], None]
"""Called with the bytes that are done, and all of them."""

_PAUSES: Final = (0.0, 0.1, 0.4)
"""Seconds after which the catalogue is asked again, while somebody may be changing it."""
_OF_THIS_PROCESS: Final = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EINTR)
"""Errors that say nothing about the file that was to be opened."""
_LONGEST_FORMAT: Final = 10_000
"""Bytes of format.json that are read."""
_ROUNDS: Final = 5
"""How often the catalogue is copied again because sounds went away while their masters were copied."""


@dataclass
class Taken:
    """What came of it."""

    manifest: Manifest
    new_bytes: int
    """What had to be copied; the rest was there from an earlier backup."""
    names: dict[str, tuple[str, ...]]
    """Names of the sounds that show a sample, by its id."""
    why: dict[str, str] = field(default_factory=dict)
    """What is wrong with a master, by the sample's id: what follows "It " in a sentence."""
    warnings: list[str] = field(default_factory=list)
    """What could not be taken along, a sentence each."""
    left_out: list[str] = field(default_factory=list)
    """Names of what is none of our files."""


def look(data: Path) -> int:
    """Be sure that there is something to back up: answer about how many bytes. Raises StartupError."""
    if not data.is_dir():
        raise StartupError(f"There is no data folder at {data}. Name it with --data-dir.", code="no_data_folder")
    catalogue = data / CATALOGUE
    if odd := oddity(catalogue, "file"):
        if odd.right:
            raise StartupError(
                f"The catalogue {catalogue} {odd.text}. Back up again after: {give_right(catalogue)}",
                code="not_readable",
            )
        step = f"{move_away(catalogue, data)} && {_rebuild(data)}"
        raise StartupError(
            f"The catalogue {catalogue} {odd.text}. Stop the server, and back up again after: {step}",
            code="catalogue_damaged",
        )
    if not catalogue.exists():
        if _has_audio(data):
            raise StartupError(
                f"{data} has sounds but no catalogue, which says what they are. Back up again after: {_rebuild(data)}",
                code="no_catalogue",
            )
        raise StartupError(f"{data} holds no sounds yet, so there is nothing to back up.", code="no_data_folder")
    _refuse_newer_parts(data)
    return sum(_size(file) for part in PARTS if part.backed_up for file in _files_of(data, part))


def take(data: Path, target: BackupTarget, on_file: OnFile = lambda *_: None) -> Taken:
    """Copy everything into the target and finish it. Raises StartupError, OSError, sqlite3.Error."""
    return _Taking(data, target, on_file).run()


class _Taking:
    def __init__(self, data: Path, target: BackupTarget, on_file: OnFile) -> None:
        self._data, self._target, self._on_file = data, target, on_file
        self._entries: dict[str, ManifestEntry] = {}
        self._done = self._new = self._all = 0
        self._warnings: list[str] = []
        self._odd: dict[str, str] = {}
        """What could not be read, by its path: what is wrong with it."""
        self._due: str | None = None
        """Why sounds may be missing in the catalogue itself."""

    def run(self) -> Taken:
        for part in PARTS:
            if part.backed_up and part.name != CATALOGUE and part.kind == "database":
                self._database(part)
        catalogue, listed, missing, damaged = self._masters()
        for part in PARTS:
            if part.backed_up and part.kind in ("json", "lines"):
                self._plain(part.name)
            elif part.backed_up and part.kind == "tree" and part.name != MASTERS:
                self._tree(part)
        self._copy(CATALOGUE, catalogue)
        wanted = {_master(sample_id) for sample_id in listed.samples}
        files = [entry for path, entry in self._entries.items() if path in wanted or not path.startswith(MASTERS)]
        manifest = Manifest(now(), listed.sounds, tuple(files), tuple(missing), tuple(damaged))
        self._target.finish(manifest)
        if self._due:
            self._warnings.append(f"This backup may lack sounds: back up again after a rebuild. {self._due}")
        for path, text in self._odd.items():
            if not path.startswith(f"{MASTERS}/"):
                self._warnings.append(f"{path} {text}, so it was left out.")
        why = {each: self._odd[_master(each)] for each in (*missing, *damaged) if _master(each) in self._odd}
        return Taken(manifest, self._new, listed.names, why, self._warnings, strangers(self._data))

    def _masters(self) -> tuple[Path, Listing, list[str], list[str]]:
        """Copy the masters that a copy of the catalogue names: answer that copy, and whose master is not as it says.

        A sound that goes away meanwhile takes its master along; then the catalogue is copied again.
        """
        if odd := oddity(self._data / MASTERS, "folder"):
            self._warnings.append(f"{MASTERS}, the folder of all audio, {odd.text}.")
        for _ in range(_ROUNDS):
            self._done = 0
            catalogue, listed = self._catalogue()
            self._all = sum(size for size, _ in listed.samples.values())
            unlike = [each for each in listed.samples.items() if not self._has_master(*each)]
            if not unlike or not self._changed(listed, [sample_id for sample_id, _ in unlike]):
                break
        missing = [sample_id for sample_id, _ in unlike if _master(sample_id) not in self._entries]
        return catalogue, listed, missing, [sample_id for sample_id, _ in unlike if sample_id not in missing]

    def _catalogue(self) -> tuple[Path, Listing]:
        try:
            copy = self._snapshot(CATALOGUE)
            with closing(sqlite3.connect(copy)) as con, described():
                _refuse_newer(con, self._data)
                found = catalogue_complaints(con)
                if not found:
                    self._due = rebuild_due(con)
                    return copy, listing(con)
        except sqlite3.Error as error:
            if not self._is_damage(error):
                raise
            found = [str(error)]
        raise StartupError(
            f"The catalogue in {self._data} is damaged ({found[0]}). Stop the server, and back up again after: "
            f"{_rebuild(self._data)}",
            code="catalogue_damaged",
        )

    def _has_master(self, sample_id: str, as_listed: tuple[int, str]) -> bool:
        """Take a master along, unless it is in the backup: is it as the catalogue says?"""
        size, digest = as_listed
        path = _master(sample_id)
        known = self._entries.get(path)
        if known is None or (known.size, known.sha256) != as_listed:
            if self._target.has(path, size, digest):
                self._entries[path] = ManifestEntry(path, size, digest)
            else:
                self._plain(path)
            self._done += size
            self._on_file(min(self._done, self._all), self._all)
        known = self._entries.get(path)
        return known is not None and (known.size, known.sha256) == as_listed

    def _changed(self, listed: Listing, sample_ids: list[str]) -> bool:
        """Does the catalogue say something else of these samples by now? A master is changed just before its row."""
        for pause in _PAUSES:
            time.sleep(pause)
            with open_quietly(self._data / CATALOGUE) as con:
                fresh = listing(con).samples
            if any(fresh.get(each) != listed.samples[each] for each in sample_ids):
                return True
            if holder(self._data) is None:
                return False
        return False

    def _database(self, part: Part) -> None:
        if odd := oddity(self._data / part.name, "file"):
            self._odd[part.name] = odd.text
            return
        if not (self._data / part.name).exists():
            return
        try:
            copy = self._snapshot(part.name)
            with closing(sqlite3.connect(copy)) as con:
                found = complaints(con)
        except sqlite3.Error as error:
            if not self._is_damage(error):
                raise
            found = [str(error)]
        if found:
            self._warnings.append(f"{part.name} ({part.what}) is damaged ({found[0]}) and was left out.")
            self._place(part.name).unlink(missing_ok=True)
        else:
            self._copy(part.name, copy)

    def _is_damage(self, error: sqlite3.Error) -> bool:
        return isinstance(explained(error, self._place("copy")), StoreDamaged)

    def _place(self, name: str) -> Path:
        return self._target.scratch / f"{name}.copy"

    def _snapshot(self, name: str) -> Path:
        copy = self._place(name)
        copy.unlink(missing_ok=True)
        with open_quietly(self._data / name) as source, closing(sqlite3.connect(copy)) as out:
            source.backup(out)
            out.execute("PRAGMA journal_mode = DELETE")  # one file, with nothing next to it
        return copy

    def _tree(self, part: Part) -> None:
        if odd := oddity(self._data / part.name, "folder"):
            self._odd[part.name] = odd.text
            return
        for file in all_below(self._data / part.name):
            self._plain(file.relative_to(self._data).as_posix())

    def _plain(self, path: str) -> None:
        """Copy a file of the data folder, if it is (still) there. One that was replaced is copied from one of both.

        Anything else in its place, or one that cannot be read, is noted and keeps nothing else from being copied.
        """
        if not is_backup_path(path):  # the catalogue may be anybody's
            return
        self._odd.pop(path, None)
        try:  # without waiting, as a pipe would have it
            handle = os.open(self._data / path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError as error:
            if error.errno in _OF_THIS_PROCESS:
                raise
            if error.errno not in (errno.ENOENT, errno.ENOTDIR):
                self._odd[path] = _why(self._data / path, error)
            return
        try:
            found = os.fstat(handle)
            if not stat.S_ISREG(found.st_mode):
                odd = oddity(self._data / path, "file")
                self._odd[path] = odd.text if odd else "is not a file"
                return
            with os.fdopen(handle, "rb", closefd=False) as content:
                source = _Source(content)
                self._entries[path] = self._target.add(path, cast("BinaryIO", source), found.st_size)
            self._new += self._entries[path].size
            if source.error:
                self._odd[path] = f"cannot be read to its end ({source.error.strerror or source.error})"
        finally:
            os.close(handle)

    def _copy(self, path: str, copy: Path) -> None:
        with copy.open("rb") as content:
            size = copy.stat().st_size
            self._entries[path] = self._target.add(path, content, size)
        copy.unlink()
        self._new += size


class _Source:
    """A file as a target reads it: where the disk refuses, it ends."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.error: OSError | None = None

    def read(self, size: int) -> bytes:
        try:
            return self._file.read(size)
        except OSError as error:
            self.error = error
            return b""


def _why(path: Path, error: OSError) -> str:
    if error.errno == errno.ELOOP:
        return "is a link instead of a file"
    odd = oddity(path, "file")
    return odd.text if odd else f"cannot be read ({error.strerror or error})"


def _refuse_newer(con: sqlite3.Connection, data: Path) -> None:
    version = int(con.execute("PRAGMA user_version").fetchone()[0])
    if version > known_format():
        raise StartupError(
            f"The catalogue in {data} has version {version}, and this program knows versions up to {known_format()}: "
            "it could not restore the backup. Update the program, then back up again.",
            code="format_too_new",
        )


def _refuse_newer_parts(data: Path) -> None:
    """Refuse what restore would refuse: a folder, or a ledger in it, of a newer version."""
    refuse_newer(data)
    try:
        handle = os.open(data / FORMAT, os.O_RDONLY | os.O_NONBLOCK)
        with os.fdopen(handle, "rb") as file:
            version = json.loads(file.read(_LONGEST_FORMAT))["version"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return  # the catalogue tells it, too
    if type(version) is int and version > known_format():
        raise StartupError(
            f"{data} has version {version}, and this program knows versions up to {known_format()}: it could not "
            "restore the backup. Update the program, then back up again.",
            code="format_too_new",
        )


def _rebuild(data: Path) -> str:
    return command("rebuild", data=data)


def _has_audio(data: Path) -> bool:
    return any(is_backup_path(file.relative_to(data).as_posix()) for file in all_below(data / MASTERS))


def _files_of(data: Path, part: Part) -> Iterator[Path]:
    """The files that a backup takes of a part, as far as they can be seen."""
    if part.kind != "tree":
        yield data / part.name
        return
    for file in all_below(data / part.name):
        if is_backup_path(file.relative_to(data).as_posix()):
            yield file


def _size(file: Path) -> int:
    try:
        found = file.lstat()
    except OSError:
        return 0
    return found.st_size if stat.S_ISREG(found.st_mode) else 0


def _master(sample_id: str) -> str:
    return f"{MASTERS}/{sample_id[:2]}/{sample_id}.wav"

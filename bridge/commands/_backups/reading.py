"""Backups as they are read again: anybody's files, so nothing in them is believed before it was checked."""

from __future__ import annotations

import hashlib
import io
import os
import stat
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

from bridge.commands._backups import manifest as lists
from bridge.commands._backups import ustar
from bridge.commands._backups.manifest import NAME, Manifest, ManifestEntry, broken, foreign
from bridge.commands._backups.writing import MARKER, STATES, pool_name, states
from bridge.commands._data_files import BY_NAME, is_backup_path
from bridge.errors import StartupError

_STEP: Final = 1 << 20


class Backup(ABC):
    """A backup that can be read."""

    manifest: Manifest
    where: str
    """Its name, for sentences."""

    @abstractmethod
    def place(self, entry: ManifestEntry) -> tuple[BinaryIO, int]:
        """A file's content, and where it begins in the stream. Raises StartupError when it is not there, OSError."""

    def copy(self, entry: ManifestEntry, out: BinaryIO | None = None) -> None:
        """Read a file, into ``out`` if there is one. Raises StartupError unless it is the one of the list, OSError."""
        stream, start = self.place(entry)
        try:
            stream.seek(start)
            digest, left = hashlib.sha256(), entry.size
            while left and (piece := stream.read(min(_STEP, left))):
                digest.update(piece)
                left -= len(piece)
                if out is not None:
                    out.write(piece)
        finally:
            self._done_with(stream)
        if left or digest.hexdigest() != entry.sha256:
            raise broken(self.where, f"{entry.path} in it differs from what was put in")

    def _done_with(self, stream: BinaryIO) -> None:
        stream.close()

    def check(self, on_file: Callable[[int, int], None] = lambda *_: None) -> None:
        """Read all of it. Raises StartupError when a file is not what was put in, OSError."""
        done = 0
        for entry in self.manifest.files:
            self.copy(entry)
            done += entry.size
            on_file(done, self.manifest.size)


class _ArchiveBackup(Backup):
    def __init__(self, file: BinaryIO, where: str) -> None:
        self.where = where
        self._file = file
        self._members: dict[str, ustar.Member] = {}
        try:
            for member in ustar.members(file):
                if member.name != NAME and not is_backup_path(member.name):
                    raise ustar.NotOurs("it holds a file that does not belong in a backup")
                self._members[member.name] = member  # of two with one name the later counts
        except ustar.Cut as error:
            raise broken(where, str(error)) from None
        except ustar.NotOurs as error:
            if NAME in self._members or any(name in BY_NAME for name in self._members):
                raise broken(where, str(error)) from None
            raise StartupError(
                f"{where} is not a backup made by sample-bridge: {error}. Nothing was changed.", code="bad_backup"
            ) from None
        found = self._members.pop(NAME, None)
        if found is None:
            raise broken(where, "its list is missing") if self._members else foreign(where)
        if found.bytes > lists.LARGEST:
            raise foreign(where)
        file.seek(found.start)
        self.manifest = lists.read(file.read(found.bytes), where)
        for entry in self.manifest.files:
            there = self._members.get(entry.path)
            if there is None or there.bytes != entry.size:
                raise broken(where, f"{entry.path} in it differs from what was put in")

    def place(self, entry: ManifestEntry) -> tuple[BinaryIO, int]:
        return self._file, self._members[entry.path].start

    def _done_with(self, stream: BinaryIO) -> None:
        pass


class _FolderBackup(Backup):
    def __init__(self, folder: Path, state: Path, where: str) -> None:
        self.where = where
        self._folder, self._state = folder, state
        try:
            with _plain_file(state / NAME) as file:
                if os.fstat(file.fileno()).st_size > lists.LARGEST:
                    raise foreign(where)
                self.manifest = lists.read(file.read(), where)
        except OSError:
            raise broken(where, "its list is missing") from None
        for entry in self.manifest.files:
            if self._size(entry) != entry.size:
                raise broken(where, f"{entry.path} in it differs from what was put in")

    def place(self, entry: ManifestEntry) -> tuple[BinaryIO, int]:
        try:
            return _plain_file(self._path(entry)), 0
        except FileNotFoundError:
            raise broken(self.where, f"{entry.path} is missing in it") from None

    def _size(self, entry: ManifestEntry) -> int:
        try:
            found = self._path(entry).lstat()
        except FileNotFoundError:
            raise broken(self.where, f"{entry.path} is missing in it") from None
        return found.st_size if stat.S_ISREG(found.st_mode) else -1

    def _path(self, entry: ManifestEntry) -> Path:
        if entry.path in BY_NAME:
            return self._state / entry.path
        return self._folder / pool_name(entry.path, entry.sha256)


@contextmanager
def opened(place: Path, state: str | None = None) -> Iterator[Backup]:
    """Open a backup: an archive, or the newest state of a folder, or the one named. Raises StartupError, OSError."""
    if place.is_dir():
        real = place.resolve()
        if real.parent.name == STATES and (real.parent.parent / MARKER).is_file():
            real, state = real.parent.parent, state or real.name
        yield _FolderBackup(real, _state(real, state), str(place))
        return
    if not os.path.lexists(place):
        raise StartupError(f"There is no backup at {place}. Check its name.", code="no_such_backup")
    if state is not None:
        raise StartupError(f"{place} is an archive, which has one state only: leave --state out.", code="usage")
    with _plain_file(place.resolve()) as file:
        if file.read(2) == b"\x1f\x8b":
            raise StartupError(
                f"{place} is compressed. Unpack it with gunzip first, then try again.", code="bad_backup"
            )
        yield _ArchiveBackup(file, str(place))


def _state(folder: Path, name: str | None) -> Path:
    if not (folder / MARKER).is_file():
        raise foreign(str(folder))
    found = states(folder)
    if not found:
        raise StartupError(f"{folder} holds no finished backup yet. Nothing was changed.", code="bad_backup")
    if name is None:
        return found[-1]
    for each in found:
        if each.name == name:
            return each
    known = ", ".join(each.name for each in found[-10:])
    raise StartupError(f"{folder} has no state {name!r}. It has {known}.", code="no_such_backup")


def _plain_file(path: Path) -> BinaryIO:
    """Open a file that is one. Raises StartupError for links and devices, OSError."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
        found = os.fstat(handle)
    except OSError as error:
        if isinstance(error, FileNotFoundError):
            raise
        raise StartupError(f"{path} cannot be read ({error.strerror}). Check its rights.", code="bad_backup") from None
    if not stat.S_ISREG(found.st_mode):
        os.close(handle)
        raise StartupError(f"{path} is not a plain file. Nothing was changed.", code="bad_backup")
    return io.BufferedReader(io.FileIO(handle, "rb"))

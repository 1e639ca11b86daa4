"""Where a backup is written: one tar archive, or a folder that takes in what is new and keeps several states."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final

from bridge.commands._backups import ustar
from bridge.commands._backups.manifest import NAME, Manifest, ManifestEntry, read
from bridge.commands._data_files import BY_NAME
from bridge.errors import StartupError

MARKER: Final = "sample-bridge-backup"
"""The file by which a folder of backups is known."""
STATES, POOL = "states", "pool"
_STATE: Final = re.compile(r"\d{8}T\d{6}Z(?:-\d+)?")
_STEP: Final = 1 << 20


class BackupTarget(ABC):
    """A backup that is being written. Nothing has its final name before ``finish``; ``abandon`` removes all of it."""

    scratch: Path
    """A folder for the copies of databases, on the target's disk."""

    @abstractmethod
    def add(self, path: str, source: BinaryIO, size: int) -> ManifestEntry:
        """Take a file in: ``size`` bytes, fewer where it ends before. Raises OSError."""

    def has(self, path: str, size: int, digest: str) -> bool:  # noqa: ARG002 - for targets that can
        """Is this very file in it already, from an earlier backup?"""
        return False

    @abstractmethod
    def finish(self, manifest: Manifest) -> None:
        """Give it its name. Raises OSError, StartupError."""

    @abstractmethod
    def abandon(self) -> None:
        """Remove what was written."""


class ArchiveTarget(BackupTarget):
    """One ``.tar`` file. Its list comes last: an archive that was cut has none."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.scratch = Path(tempfile.mkdtemp(prefix=f".{file.name[:60]}.", suffix=".part", dir=file.parent))
        try:
            self._part = self.scratch / "archive"
            self._out = os.fdopen(os.open(self._part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")
        except BaseException:
            self.abandon()
            raise

    def add(self, path: str, source: BinaryIO, size: int) -> ManifestEntry:
        """See BackupTarget."""
        start = self._out.tell()
        self._out.write(ustar.header(path, size, time.time()))
        done, digest = _copy(source, self._out, size)
        if done != size:  # it was cut meanwhile
            self._out.seek(start)
            self._out.write(ustar.header(path, done, time.time()))
            self._out.seek(done, os.SEEK_CUR)
        self._out.write(ustar.padding(done))
        return ManifestEntry(path, done, digest)

    def finish(self, manifest: Manifest) -> None:
        """See BackupTarget."""
        text = manifest.to_json()
        self._out.write(ustar.header(NAME, len(text), time.time()) + text + ustar.padding(len(text)) + ustar.end())
        self._out.flush()
        os.fsync(self._out.fileno())
        self._out.close()
        try:
            os.link(self._part, self._file)  # never over a file that came meanwhile
        except FileExistsError:
            raise _exists(self._file) from None
        except OSError:  # a file system without links
            if os.path.lexists(self._file):
                raise _exists(self._file) from None
            self._part.rename(self._file)
        shutil.rmtree(self.scratch)
        _sync(self._file.parent)

    def abandon(self) -> None:
        """See BackupTarget."""
        with suppress(AttributeError, OSError):
            self._out.close()
        shutil.rmtree(self.scratch, ignore_errors=True)


class FolderTarget(BackupTarget):
    """A folder with several states.

    Files that never change lie in ``pool/`` once, whichever states name them; each state in ``states/`` has its list
    and its databases. A state gets its name when all of it is there.
    """

    def __init__(self, folder: Path, *, keep: int, verify: bool) -> None:
        self._folder = folder
        self._keep = keep
        self._verify = verify
        self._fresh = not (folder / MARKER).exists()
        self._added: list[Path] = []
        self._lock = -1
        folder.mkdir(mode=0o700, exist_ok=True)
        self._take_lock()
        try:
            (folder / MARKER).touch(mode=0o600)
            for name in (STATES, POOL):
                (folder / name).mkdir(mode=0o700, exist_ok=True)
            for left in (folder / STATES).glob(".*.part"):  # of one that was killed
                shutil.rmtree(left, ignore_errors=True)
            self.scratch = Path(tempfile.mkdtemp(prefix=".", suffix=".part", dir=folder / STATES))
        except BaseException:
            self._give_back()
            raise

    def add(self, path: str, source: BinaryIO, size: int) -> ManifestEntry:
        """See BackupTarget."""
        if not _pooled(path):
            with (self.scratch / path).open("wb") as out:
                return ManifestEntry(path, *_copy(source, out, size))
        part = self.scratch / "incoming"
        with part.open("wb") as out:
            entry = ManifestEntry(path, *_copy(source, out, size))
            out.flush()
            os.fsync(out.fileno())  # a name in the pool is a promise to the next backup
        stored = self._folder / pool_name(entry.path, entry.sha256)
        stored.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        part.replace(stored)
        self._added.append(stored)
        return entry

    def has(self, path: str, size: int, digest: str) -> bool:
        """See BackupTarget. With ``verify`` the copy is read."""
        stored = self._folder / pool_name(path, digest)
        try:
            if not _pooled(path) or stored.is_symlink() or stored.stat().st_size != size:
                return False
            if not self._verify:
                return True
            with stored.open("rb") as copy:
                return hashlib.file_digest(copy, "sha256").hexdigest() == digest
        except FileNotFoundError:
            return False

    def finish(self, manifest: Manifest) -> None:
        """See BackupTarget. Then the oldest states go, and what none of those that are left names."""
        (self.scratch / NAME).write_bytes(manifest.to_json())
        folders = dict.fromkeys(
            (*(each.parent for each in self._added), self._folder / POOL, self._folder, self.scratch)
        )
        for place in [*self.scratch.iterdir(), *folders]:
            _sync(place)
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        name, count = stamp, 1
        while (self._folder / STATES / name).exists():
            count += 1
            name = f"{stamp}-{count}"
        self.scratch.rename(self._folder / STATES / name)
        _sync(self._folder / STATES)
        self._thin_out()
        self._give_back()

    def abandon(self) -> None:
        """See BackupTarget. What came into the pool stays until the next backup, which needs it anyway."""
        shutil.rmtree(self.scratch, ignore_errors=True)
        if self._fresh and not states(self._folder):
            for name in (POOL, STATES):
                shutil.rmtree(self._folder / name, ignore_errors=True)
            (self._folder / MARKER).unlink(missing_ok=True)
            (self._folder / "lock").unlink(missing_ok=True)
            with suppress(OSError):
                self._folder.rmdir()
        self._give_back()

    def _thin_out(self) -> None:
        found = states(self._folder)
        for old in found[: -self._keep]:
            gone = old.with_name(f".{old.name}.part")
            old.rename(gone)
            shutil.rmtree(gone, ignore_errors=True)
        wanted = set()
        for state in found[-self._keep :]:
            try:
                listed = read((state / NAME).read_bytes(), str(state))
            except (OSError, StartupError):
                return  # what it names is not known, so nothing goes
            wanted |= {pool_name(entry.path, entry.sha256) for entry in listed.files}
        for stored in (self._folder / POOL).rglob("*"):
            if stored.is_file() and stored.relative_to(self._folder).as_posix() not in wanted:
                stored.unlink(missing_ok=True)

    def _take_lock(self) -> None:
        self._lock = os.open(self._folder / "lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._give_back()
            raise StartupError(
                f"Another backup into {self._folder} runs. Wait until it has ended, or choose another folder.",
                code="backup_running",
            ) from None

    def _give_back(self) -> None:
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1


def pool_name(path: str, digest: str) -> str:
    """Where a folder of backups has a file: below its own name and its content's, so that it never changes."""
    stem, dot, suffix = path.rpartition(".")
    return f"{POOL}/{stem}.{digest[:16]}{dot}{suffix}" if stem else f"{POOL}/{path}.{digest[:16]}"


def states(folder: Path) -> list[Path]:
    """The whole states of a folder of backups, the oldest first."""
    try:
        found = [each for each in (folder / STATES).iterdir() if _STATE.fullmatch(each.name)]
    except FileNotFoundError:
        return []
    return sorted(found, key=lambda each: (each.name.partition("-")[0], int(each.name.partition("-")[2] or 1)))


@contextmanager
def opened(target: Path, *, keep: int, verify: bool) -> Iterator[BackupTarget]:
    """Begin a backup; it is abandoned unless it was finished."""
    writing: BackupTarget = (
        ArchiveTarget(target) if is_archive(target) else FolderTarget(target, keep=keep, verify=verify)
    )
    try:
        yield writing
    except BaseException:
        writing.abandon()
        raise


def is_archive(target: Path) -> bool:
    """Does the name ask for one file?"""
    return target.name.lower().endswith(".tar")


def check(target: Path, data: Path) -> None:
    """Refuse a target that cannot be meant. Raises StartupError."""
    place = target.resolve()
    if place == data.resolve() or data.resolve() in place.parents:
        raise StartupError(
            f"{target} lies in the data folder {data}: losing that folder would lose the backup, too. "
            "Choose a place outside, best on another disk.",
            code="bad_target",
        )
    if place in data.resolve().parents:
        raise StartupError(f"{target} holds the data folder itself. Choose another place.", code="bad_target")
    _refuse_inside(place)
    if is_archive(target):
        if os.path.lexists(target):
            raise _exists(target)
    elif target.name.lower().endswith((".tar.gz", ".tgz", ".tar.xz", ".zip", ".tar.zst", ".tar.bz2")):
        raise StartupError(
            f"{target}: backups are not compressed, since audio hardly gets smaller. Name a .tar file, or a folder.",
            code="bad_target",
        )
    elif target.is_dir():
        if not (target / MARKER).is_file() and any(target.iterdir()):
            raise StartupError(
                f"{target} holds other files than backups. Name an empty folder, a new one, or a .tar file.",
                code="bad_target",
            )
    elif os.path.lexists(target):
        raise StartupError(f"{target} is a file. Name a new .tar file, or a folder.", code="target_exists")
    if not target.parent.is_dir():
        raise StartupError(f"The folder {target.parent} does not exist. Make it, or choose another.", code="bad_target")


def _refuse_inside(place: Path) -> None:
    for outer in place.parents:
        if (outer / MARKER).is_file():
            raise StartupError(
                f"{place} lies in {outer}, which is a folder of backups itself. Name that folder, or a place outside.",
                code="bad_target",
            )


def _exists(target: Path) -> StartupError:
    return StartupError(
        f"{target} exists already, and a backup never replaces another one. Choose another name, or name a folder: "
        "it takes in only what is new.",
        code="target_exists",
    )


def _pooled(path: str) -> bool:
    return path not in BY_NAME


def _copy(source: BinaryIO, out: BinaryIO, size: int) -> tuple[int, str]:
    digest, left = hashlib.sha256(), size
    while left and (piece := source.read(min(_STEP, left))):
        out.write(piece)
        digest.update(piece)
        left -= len(piece)
    return size - left, digest.hexdigest()


def _sync(place: Path) -> None:
    handle = os.open(place, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError:
        if not place.is_dir():  # some network disks cannot do it with folders
            raise
    finally:
        os.close(handle)

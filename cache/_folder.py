"""The data folder: where its files are, whose it is, and which version wrote it."""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

from cache import _recognising, _schema
from cache._errors import FormatTooNew, NotStorable, StoreDamaged, StoreLocked, from_os_error, not_writable
from cache._plain import check_rights, in_the_way, is_file, oddity, remove, sync
from cache._private import keep_private, write_private
from cache._replacing import set_aside

_log = logging.getLogger(__name__)
_ID = re.compile(r"[0-9a-f]{16,64}")
_FORMAT_NAME = re.compile(r"[a-z0-9_]{1,16}")


def check_id(value: str) -> str:
    """Return a sample or spec id that is safe in a path; raise NotStorable for anything else."""
    if not _ID.fullmatch(value):
        raise NotStorable(f"{value!r} is not an id: ids are 16 to 64 lower-case hexadecimal digits.")
    return value


def check_format(value: str) -> str:
    """Return the name of a delivery format that is safe in a path; raise NotStorable for anything else."""
    if not _FORMAT_NAME.fullmatch(value):
        raise NotStorable(f"{value!r} is not a format: formats are short lower-case words such as wav or flac.")
    return value


class Folder:
    """Paths inside one data folder, and its lock while it is open."""

    def __init__(self, path: Path) -> None:
        path = path.absolute()
        self.path = path
        self.catalogue = path / "catalogue.sqlite3"
        self.masters = path / "masters"
        self.deliveries = path / "deliveries"
        self.incoming = path / "incoming"
        self.trash = path / "trash"
        self.copies = path / "copies"
        self.ballast = path / "ballast"
        self._lock: int | None = None

    def master(self, sample_id: str) -> Path:
        """Where the sample's master file is; it may be gone."""
        check_id(sample_id)
        return self.masters / sample_id[:2] / f"{sample_id}.wav"

    def delivery(self, sample_id: str, fmt: str) -> Path:
        """Where the sample's file in one format is, or would be."""
        check_id(sample_id)
        return self.deliveries / sample_id[:2] / f"{sample_id}.{check_format(fmt)}"

    def open(self) -> None:
        """Make the folder where it is missing, lock it, look whose it is and empty ``incoming``.

        Raises StoreNotWritable, StoreLocked, FormatTooNew, StoreDamaged or StoreFull.
        """
        try:
            try:
                self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            except FileNotFoundError as error:  # it has not gone: nothing can be made there
                raise not_writable(error, self.path) from error
            self._take_lock()
            try:
                self._refuse_newer()
                self._check_things()
                self._clear_places()
                keep_private(self.path)
                for folder in (self.masters, self.deliveries, self.incoming):
                    folder.mkdir(mode=0o700, exist_ok=True)
                for left in list(self.incoming.iterdir()):
                    _remove(left)
            except BaseException:
                self.close()
                raise
        except OSError as error:
            raise from_os_error(error, self.path) from error

    def close(self) -> None:
        """Give the lock back."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _check_things(self) -> None:
        """Refuse to begin without the right to write, and where the audio's folder is something else."""
        if found := oddity(self.masters, folder=True):
            raise in_the_way(self.masters, found, "the folder with the sound files")
        for file in (Path(f"{self.catalogue}{ending}") for ending in ("", "-wal", "-shm")):
            if is_file(file):
                if file != self.catalogue and not os.access(file, os.R_OK | os.W_OK):
                    with contextlib.suppress(OSError):  # it was made while the catalogue could not be written
                        file.chmod(0o600)
                check_rights(file)
        for folder in (self.masters, self.deliveries, self.incoming, self.trash, self.copies):
            if oddity(folder, folder=True) is None:
                check_rights(folder, folder=True)

    def _clear_places(self) -> None:
        """Set aside what lies in the place of folders and files that can be made again."""
        folders = (self.deliveries, self.incoming, self.trash, self.copies)
        found = [*((each, oddity(each, folder=True)) for each in folders), (self.ballast, oddity(self.ballast))]
        for path, kind in found:
            if kind:
                _log.warning("%s was %s; it is %s now, and a new one is started", path, kind, set_aside(path).name)
        for part in ("ballast.part", "catalogue.part"):
            remove(self.path / part)

    def _take_lock(self) -> None:
        if found := oddity(self.path / "lock"):
            raise in_the_way(self.path / "lock", found, "a file")
        lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.read(lock, 32).decode("ascii", "replace").strip()
            os.close(lock)
            raise StoreLocked(
                f"The data folder {self.path} is in use by process {holder or 'unknown'}. "
                "Stop that process, or choose another folder with --data-dir.",
                int(holder) if holder.isdecimal() else None,
            ) from error
        except OSError:
            os.close(lock)
            raise
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
        self._lock = lock

    def master_files(self) -> Iterator[Path]:
        """Go through the files in ``masters`` that are named as masters are."""
        if self.masters.is_dir():
            for files in files_under(self.masters):
                yield from (Path(file.path) for file in files if is_master_name(file.name))

    def _refuse_newer(self) -> None:
        version = self._version()
        if version > _schema.FORMAT:
            raise FormatTooNew(too_new(self.path, version))

    def _version(self) -> int:
        file = self.path / "format.json"
        try:
            if found := oddity(file):
                raise ValueError(f"it is {found}")
            version = json.loads(file.read_bytes())["version"]
            if type(version) is int and version >= 1:
                return version
            missing = False
        except FileNotFoundError:
            missing = True
        except (ValueError, KeyError, TypeError, RecursionError):
            missing = False
        # Never settle in a folder that holds somebody's files under our names: `incoming` is emptied at open.
        recognised = _recognising.version(self.path)
        if recognised is not None:
            if recognised <= _schema.FORMAT:
                self.write_version(recognised)
            return recognised
        if not missing:
            raise StoreDamaged(
                f"{file} cannot be read, and nothing else in the folder says that it is ours. Put back a copy of the "
                f"file, or choose another folder with --data-dir. If it is ours, type: {self._make_ours()}"
            )
        for ours in (self.catalogue, self.masters, self.deliveries, self.incoming):
            if os.path.lexists(ours):
                raise StoreDamaged(
                    f"{self.path} contains {ours.name} but no format.json, so it is not one of our data folders. "
                    f"Choose another folder with --data-dir. If it is ours, type: {self._make_ours()}"
                )
        self.write_version(_schema.FORMAT)
        return _schema.FORMAT

    def _make_ours(self) -> str:
        return f"""echo '{{"version": 1}}' > {shlex.quote(str(self.path / "format.json"))}"""

    def write_version(self, version: int) -> None:
        """Write which version the folder has, unless it says so already. Raises OSError."""
        file, text = self.path / "format.json", json.dumps({"version": version}) + "\n"
        if oddity(file):
            set_aside(file)
        with contextlib.suppress(OSError):
            if file.read_bytes() == text.encode():
                return
        part = self.path / "format.json.part"
        remove(part)
        write_private(part, text.encode())
        sync(part)
        part.replace(file)
        sync(self.path)


def too_new(folder: Path, version: int) -> str:
    """Build the sentence for a folder of a later version."""
    return (
        f"The data folder {folder} has format {version}, this program knows formats up to {_schema.FORMAT}. "
        "Update the program, or choose another folder with --data-dir."
    )


def is_master_name(name: str) -> bool:
    """Is a file named as masters are, ``<sample_id>.wav``?"""
    stem, dot, ending = name.partition(".")
    return bool(dot) and ending == "wav" and bool(_ID.fullmatch(stem))


def files_under(top: Path) -> Iterator[list[os.DirEntry[str]]]:
    """Yield the files of each two-digit folder below ``top``, a folder at a time."""
    for folder in sorted(top.iterdir()):
        if folder.is_dir() and not folder.is_symlink():
            with os.scandir(folder) as entries:
                yield [entry for entry in entries if not entry.is_dir(follow_symlinks=False)]


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        for child in list(path.iterdir()):
            _remove(child)
        path.rmdir()
    else:
        with contextlib.suppress(FileNotFoundError):
            path.unlink()

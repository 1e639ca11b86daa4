"""Files that can be made again from the masters, kept in diskcache within a size limit."""

from __future__ import annotations

import logging
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import diskcache
from diskcache.core import MODE_BINARY, UNKNOWN

from cache._errors import NotStorable, from_os_error, from_sqlite_error
from cache._folder import Folder, files_under, sync

_log = logging.getLogger(__name__)
_T = TypeVar("_T")


class PlainDisk(diskcache.Disk):  # type: ignore[misc]  # diskcache has no types
    """Plain files ``<hh>/<sample_id>.<fmt>`` and nothing else.

    diskcache's own disks unpickle what they find, so whoever can write a row can run code. This one knows one kind of
    key (str) and two kinds of value (bytes, or the Path of a finished file, which is moved in), and reads no other.
    """

    def __init__(self, directory: str, min_file_size: int = 0, pickle_protocol: int = 0, durable: int = 1) -> None:
        super().__init__(directory, min_file_size, pickle_protocol)
        self._folder = Path(directory)
        self._durable = durable

    def put(self, key: object) -> tuple[str, bool]:
        """Take a key as it is."""
        if type(key) is not str:
            raise NotStorable(f"A delivery's key is text, not {type(key).__name__}.")
        return key, True

    def get(self, key: object, raw: object) -> str:
        """Give a key back as it is; one that was pickled is refused."""
        if not raw or type(key) is not str:
            raise NotStorable("The delivery cache holds a key that we did not write.")
        return key

    def store(self, value: object, read: bool, key: object = UNKNOWN) -> tuple[int, int, str, None]:
        """Put a value into its file: all of it or nothing."""
        if read or type(key) is not str or not isinstance(value, bytes | Path):
            raise NotStorable(f"A delivery is bytes or a file, not {type(value).__name__}.")
        name = f"{key[:2]}/{key}"
        target = self._inside(name)
        target.parent.mkdir(mode=0o700, exist_ok=True)
        if isinstance(value, Path):
            self._move(value, target)
        else:
            part = target.with_name(target.name + ".part")
            try:
                part.write_bytes(value)
                self._move(part, target)
            except BaseException:
                part.unlink(missing_ok=True)
                raise
        return target.stat().st_size, MODE_BINARY, name, None

    def fetch(self, mode: int, filename: str | None, value: object, read: bool) -> Any:  # noqa: ARG002 - diskcache's signature
        """Read a value; raises NotStorable for every mode that would interpret it."""
        if mode != MODE_BINARY or not isinstance(filename, str):
            raise NotStorable(f"The delivery cache holds a row of mode {mode} that we did not write.")
        path = self._inside(filename)
        return path.open("rb") if read else path.read_bytes()

    def filename(self, key: object = UNKNOWN, value: object = UNKNOWN) -> tuple[str, str]:  # noqa: ARG002 - likewise
        """Refuse: names come from keys alone."""
        raise NotStorable("A delivery without a key has no file name.")

    def remove(self, file_path: str) -> None:
        """Remove a value's file; one that is gone already is no error."""
        try:
            self._inside(file_path).unlink(missing_ok=True)
        except (OSError, NotStorable) as error:
            _log.warning("delivery %r was not removed: %s", file_path, error)

    def _move(self, finished: Path, target: Path) -> None:
        if self._durable:
            sync(finished)
        finished.replace(target)

    def _inside(self, name: str) -> Path:
        path = (self._folder / name).resolve()
        if not path.is_relative_to(self._folder.resolve()) or path == self._folder.resolve():
            raise NotStorable(f"The delivery cache names a file outside its folder: {name!r}.")
        return path


class Deliveries:
    """The delivery cache. All of diskcache runs in one thread: one connection, and no two writers."""

    def __init__(self, folder: Folder, limit: int, *, durable: bool) -> None:
        self._folder = folder
        self._limit = limit
        self._durable = durable
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="deliveries")
        self._cache: Any = None

    def close(self) -> None:
        """Finish what is under way."""
        self._thread.submit(self._close).result()
        self._thread.shutdown()

    def put(self, sample_id: str, fmt: str, value: bytes | Path) -> Path:
        """Keep the bytes, or the file, as the sample's delivery in that format; the oldest go when it gets too much.

        Raises StorageFull when the disk is.
        """
        path = self._folder.delivery(sample_id, fmt)
        self._do(lambda: self._put(path.name, value))
        return path

    def forget(self, names: Iterable[str]) -> None:
        """Remove deliveries by their names, ``<sample_id>.<fmt>``."""
        listed = list(names)
        if listed:
            self._do(lambda: [self._open().delete(name, retry=True) for name in listed])

    def forget_samples(self, sample_ids: Iterable[str]) -> None:
        """Remove every delivery of these samples."""
        folder = self._folder.deliveries
        self.forget(file.name for one in sample_ids for file in (folder / one[:2]).glob(f"{one}.*"))

    def sweep(self, known: Callable[[set[str]], set[str]]) -> int:
        """Remove files that no row names, rows whose file is gone or cut, and deliveries of samples that are not known.

        ``known`` answers which of some sample ids are in the catalogue. Returns how many files went.
        """
        gone = 0
        rows: dict[str, int] = self._do(self._rows)
        for files in files_under(self._folder.deliveries):
            ours = known({file.name.partition(".")[0] for file in files})
            gone += self._do(partial(self._sweep_files, files, ours, rows))
        self._do(lambda: self._sweep_rows(rows))
        return gone

    def _put(self, name: str, value: bytes | Path) -> None:
        cache = self._open()
        # Storing over a row makes diskcache remove the file that the row names: here that is the new one.
        cache.delete(name, retry=True)
        cache.set(name, value, retry=True)

    def _open(self) -> Any:
        if self._cache is None:
            try:
                self._cache = self._connect()
            except sqlite3.DatabaseError as error:
                # Everything in here can be made again.
                _log.warning("the delivery cache is damaged (%s) and starts empty", error)
                shutil.rmtree(self._folder.deliveries)
                self._folder.deliveries.mkdir(mode=0o700)
                self._cache = self._connect()
        return self._cache

    def _connect(self) -> Any:
        return diskcache.Cache(
            str(self._folder.deliveries),
            disk=PlainDisk,
            disk_min_file_size=0,
            disk_pickle_protocol=0,
            disk_durable=int(self._durable),
            size_limit=self._limit,
            eviction_policy="least-recently-stored",
        )

    def _close(self) -> None:
        if self._cache is not None:
            self._cache.close()

    def _rows(self) -> dict[str, int]:
        con = self._open()._sql  # noqa: SLF001 - diskcache offers no listing of its rows with their sizes
        return {name: size for name, size in con("SELECT filename, size FROM Cache") if isinstance(name, str)}

    def _sweep_files(self, files: list[os.DirEntry[str]], ours: set[str], rows: dict[str, int]) -> int:
        gone = 0
        for file in files:
            name = f"{file.name[:2]}/{file.name}"
            try:
                size = file.stat().st_size
            except FileNotFoundError:
                continue
            if file.name.partition(".")[0] in ours and size == rows.get(name, size) and self._has_row(file.name):
                continue
            self._open().delete(file.name, retry=True)
            Path(file.path).unlink(missing_ok=True)
            gone += 1
        return gone

    def _sweep_rows(self, rows: dict[str, int]) -> None:
        for name in rows:
            key = name.partition("/")[2]
            if not (self._folder.deliveries / name).exists():
                self._open().delete(key, retry=True)

    def _has_row(self, key: str) -> bool:
        return key in self._open()

    def _do(self, task: Callable[[], _T]) -> _T:
        try:
            return self._thread.submit(task).result()
        except OSError as error:
            raise from_os_error(error, self._folder.path) from error
        except sqlite3.Error as error:
            raise from_sqlite_error(error, self._folder.path) from error

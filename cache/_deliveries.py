"""Files that can be made again from the masters, kept in diskcache within a size limit."""

from __future__ import annotations

import logging
import os
import shutil
import sqlite3
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import diskcache
from diskcache.core import MODE_BINARY, UNKNOWN

from cache._errors import NotStorable, StoreClosed, StoreError, StoreFull, from_os_error, from_sqlite_error, is_damage
from cache._folder import Folder, files_under
from cache._plain import sync
from cache._private import keep_private, write_private

_log = logging.getLogger(__name__)
_T = TypeVar("_T")


class PlainDisk(diskcache.Disk):  # type: ignore[misc]  # diskcache has no types
    """Plain files ``<hh>/<sample_id>.<fmt>`` and nothing else.

    diskcache's own disks unpickle what they find, so a program that writes a row runs code. This one knows one kind of
    key (str) and two kinds of value (bytes, or the Path of a finished file, which is moved in), and reads no other.
    """

    def __init__(self, directory: str, durable: int = 1, **_: object) -> None:
        # diskcache keeps settings of disks in its database and gives them back, those of other versions too.
        super().__init__(directory)
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
                write_private(part, value)
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
        """Remove a value's file; one that is gone already is not an error."""
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
        self._closed = False

    def close(self) -> None:
        """Finish what is under way."""
        if not self._closed:
            self._closed = True
            self._thread.submit(self._close).result()
            self._thread.shutdown()

    def put(self, sample_id: str, fmt: str, value: bytes | Path) -> Path:
        """Keep the bytes, or the file, as the sample's delivery in that format; the oldest go when it gets too much.

        Raises StoreFull when the disk is.
        """
        path = self._folder.delivery(sample_id, fmt)
        self._do(lambda: self._put(path.name, value))
        return path

    def forget(self, names: Iterable[str]) -> None:
        """Remove deliveries by their names, ``<sample_id>.<fmt>``."""
        listed = list(names)
        if listed:
            self._do(lambda: [self._open().delete(name) for name in listed])

    def forget_samples(self, sample_ids: Iterable[str]) -> None:
        """Remove every delivery of these samples, also where the disk is so full that their rows have to wait."""
        folder = self._folder.deliveries
        files = [file for one in sample_ids for file in (folder / one[:2]).glob(f"{one}.*")]
        self._remove(files)

    def free(self, wanted: int) -> int:
        """Remove the files written first until that many bytes are free, or all; return how many it is."""
        found = []
        for files in files_under(self._folder.deliveries):
            for file in files:
                with suppress(FileNotFoundError):
                    state = file.stat(follow_symlinks=False)
                    found.append((state.st_mtime, state.st_size, Path(file.path)))
        freed, gone = 0, list[Path]()
        for _, size, path in sorted(found):
            if freed >= wanted:
                break
            freed += size
            gone.append(path)
        self._remove(gone)
        return freed

    def sweep_files(self, files: Iterable[os.DirEntry[str]], known: Collection[str]) -> int:
        """Remove those of the files that no row names rightly, or whose sample is not known: return how many went."""
        return self._do(lambda: sum(self._sweep_file(file, known) for file in files))

    def sweep_rows(self) -> None:
        """Forget rows whose file is gone."""
        self._do(self._sweep_rows)

    def _remove(self, files: Sequence[Path]) -> None:
        try:
            for file in files:
                file.unlink(missing_ok=True)
        except OSError as error:
            raise from_os_error(error, self._folder.path) from error
        with suppress(StoreFull):  # a row without a file is swept away later
            self.forget(file.name for file in files)

    def _put(self, name: str, value: bytes | Path) -> None:
        cache = self._open()
        # Storing over a row makes diskcache remove the file that the row names: here that is the new one.
        cache.delete(name)
        cache.set(name, value)
        # diskcache's own culling takes ten at a time, and with few large files the new one among them.
        while cache.volume() > self._limit:
            query = cache._sql  # noqa: SLF001 - it has no call that names the oldest
            rowid, key, file = query("SELECT rowid, key, filename FROM Cache ORDER BY store_time, rowid").fetchone()
            if key == name:
                break
            query("DELETE FROM Cache WHERE rowid = ?", (rowid,))
            if isinstance(file, str):
                cache.disk.remove(file)

    def _open(self) -> Any:
        if self._cache is None:
            self._cache = self._connect()
        return self._cache

    def _start_over(self) -> None:
        self._close()
        shutil.rmtree(self._folder.deliveries)
        self._folder.deliveries.mkdir(mode=0o700)

    def _connect(self) -> Any:
        found = diskcache.Cache(
            str(self._folder.deliveries),
            disk=PlainDisk,
            disk_min_file_size=0,
            disk_pickle_protocol=0,
            disk_durable=int(self._durable),
            size_limit=self._limit,
            cull_limit=0,
            eviction_policy="least-recently-stored",
        )
        keep_private(self._folder.deliveries)
        return found

    def _close(self) -> None:
        if self._cache is not None:
            self._cache.close()
            self._cache = None

    def _sweep_file(self, file: os.DirEntry[str], known: Collection[str]) -> bool:
        path = Path(file.path)
        try:
            size = path.stat().st_size
        except FileNotFoundError:
            return False
        query = self._open()._sql  # noqa: SLF001 - diskcache has no call that tells a row's size without reading it
        row = query("SELECT size FROM Cache WHERE key = ? AND raw", (path.name,)).fetchone()
        if row == (size,) and path.name.partition(".")[0] in known:
            return False
        self._open().delete(path.name)
        path.unlink(missing_ok=True)
        return True

    def _sweep_rows(self) -> None:
        query = self._open()._sql  # noqa: SLF001 - likewise, and its own listing trips over keys that are not ours
        for key, name in query("SELECT key, filename FROM Cache").fetchall():
            if isinstance(key, str) and not (isinstance(name, str) and (self._folder.deliveries / name).exists()):
                self._open().delete(key)

    def _do(self, task: Callable[[], _T]) -> _T:
        if self._closed:
            raise StoreClosed("The store is closed. Open it again.")
        try:
            try:
                return self._thread.submit(task).result()
            except sqlite3.DatabaseError as error:
                if not is_damage(error):
                    raise
                # Everything in here can be made again.
                _log.warning("the delivery cache is damaged (%s) and starts empty", error)
                self._thread.submit(self._start_over).result()
                return self._thread.submit(task).result()
        except OSError as error:
            raise from_os_error(error, self._folder.path) from error
        except sqlite3.Error as error:
            raise from_sqlite_error(error, self._folder.path) from error
        except diskcache.Timeout as error:
            # Of whatever keeps it from beginning a transaction diskcache says this; told to retry, it would for ever.
            why = error.__context__
            if isinstance(why, sqlite3.Error):
                raise from_sqlite_error(why, self._folder.path) from error
            raise StoreError("The cache of deliveries is held by another process. Stop that process.") from error

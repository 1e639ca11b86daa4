"""The trash: files that no row names, kept by date for a while. Nothing is unlinked before somebody could miss it."""

from __future__ import annotations

import errno
import logging
import os
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from cache._folder import Folder

_log = logging.getLogger(__name__)
_DATE = re.compile(r"\d{4}-\d\d-\d\d")


class Trash:
    """``trash/<date>/<file>``. The caller holds the store's lock."""

    def __init__(self, folder: Folder, *, days: float, limit: int, clock: Callable[[], float]) -> None:
        self.top = folder.trash
        """The folder."""
        self._days = days
        self._limit = limit
        self._clock = clock
        self._fresh: set[Path] = set()
        """What came in since this store was opened: it could not be looked for yet."""

    def take(self, file: Path) -> Path | None:
        """Move a file in; None when it stays where it is, because the trash lies on another disk."""
        group = self.top / f"{self._today():%Y-%m-%d}"
        group.mkdir(mode=0o700, parents=True, exist_ok=True)
        place, number = group / file.name, 1
        while os.path.lexists(place):
            number += 1
            place = group / f"{file.stem}.{number}{file.suffix}"
        try:
            file.rename(place)
        except FileNotFoundError:
            return None
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            _log.warning("%s cannot be moved to the trash, which lies on another disk; it stays", file)
            return None
        self._fresh.add(place)
        return place

    def files(self) -> Iterator[Path]:
        """Go through what is in it, the oldest day first."""
        for group in self._groups():
            yield from sorted(each for each in group.iterdir() if each.is_symlink() or each.is_file())

    def masters(self) -> dict[str, Path]:
        """Find the sound files in it: sample id -> the file that came in last."""
        return {file.name.partition(".")[0]: file for file in self.files() if file.suffix == ".wav"}

    def purge(self) -> int:
        """Remove what is too old, and the oldest of what is too much; return how many files went.

        What came in since the store was opened stays.
        """
        oldest = self._today() - timedelta(days=self._days)
        found = [(file, _size(file)) for file in self.files() if file not in self._fresh]
        over = sum(size for _, size in found) + sum(_size(file) for file in self._fresh) - self._limit
        gone = 0
        for file, size in found:
            if over <= 0 and date.fromisoformat(file.parent.name) >= oldest:
                break
            file.unlink(missing_ok=True)
            over -= size
            gone += 1
        self._tidy()
        return gone

    def free(self, wanted: int) -> int:
        """Remove the oldest until that many bytes are free, but nothing unless it is enough; return how many it is."""
        found = [(file, _size(file)) for file in self.files() if file not in self._fresh]
        if sum(size for _, size in found) < wanted:
            return 0
        freed = 0
        for file, size in found:
            if freed >= wanted:
                break
            file.unlink(missing_ok=True)
            freed += size
        self._tidy()
        return freed

    def _groups(self) -> list[Path]:
        if not self.top.is_dir():
            return []
        return sorted(each for each in self.top.iterdir() if each.is_dir() and _is_date(each.name))

    def _tidy(self) -> None:
        for group in self._groups():
            with suppress(OSError):  # it is not empty
                group.rmdir()

    def _today(self) -> date:
        return datetime.fromtimestamp(self._clock(), UTC).date()


def _is_date(name: str) -> bool:
    try:
        return bool(_DATE.fullmatch(name)) and bool(date.fromisoformat(name))
    except ValueError:
        return False


def _size(file: Path) -> int:
    try:
        return file.lstat().st_size
    except FileNotFoundError:
        return 0

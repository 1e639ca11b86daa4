"""The sets of one data folder: a folder each, a file for each version. There is no index that could be lost.

Every method waits for the disk: an event loop calls through a thread. What is changed is changed alone
(``cache.alone_in``), by whichever thread or process.
"""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bridge.errors import Conflict, NotFound, StorageFull
from bridge.sets import versions
from bridge.sets.versions import Version
from cache import alone_in, replace_file

FOLDER: Final = "sets"
MOST_SETS: Final = 500
MOST_VERSIONS: Final = 50
"""Of one set."""
MOST_BYTES: Final = 256 * 1024 * 1024
"""Of all versions of all sets."""
_DELETED: Final = "deleted"
"""A file in a set's folder that says when it was deleted."""
_ID: Final = re.compile(r"[0-9a-f]{16}")


@dataclass(frozen=True, slots=True)
class SetSummary:
    """A set as lists show it."""

    id: str
    head: Version
    """Its newest version that can be read; number 0 and no name where none can."""
    damaged: bool
    """True where a newer version, or every one, cannot be read."""
    deleted_until: float | None
    """Unix seconds until which a deleted set can be brought back; None for one that is not deleted."""


@dataclass(frozen=True, slots=True)
class KeptSet(SetSummary):
    """A set with the code of its newest version."""

    versions: tuple[Version, ...]
    """All that can be read, the newest first, without their code."""


class SetStore:
    """The sets below ``data_dir``.

    ``undo_seconds``: how long a deleted set can be brought back. ``clock``: Unix seconds.
    """

    def __init__(self, data_dir: Path, undo_seconds: float, clock: Callable[[], float] = time.time) -> None:
        self._data = data_dir
        self._folder = data_dir / FOLDER
        self._undo = undo_seconds
        self._clock = clock

    def summaries(self) -> list[SetSummary]:
        """All sets, the one saved last first; deleted ones too, as long as they can be brought back. Raises OSError."""
        found = [self._summary(set_id) for set_id in self._ids()]
        return sorted((each for each in found if each), key=lambda each: each.head.saved, reverse=True)

    def get(self, set_id: str) -> KeptSet:
        """One set, deleted or not. Raises NotFound, OSError."""
        folder = self._place(set_id)
        numbers, until = self._kept(folder)
        if not numbers:
            raise _unknown(set_id)
        head = versions.newest(folder, numbers)
        if head is None:
            raise _damaged(set_id, "Every version of this set")
        return KeptSet(set_id, head, head.number != numbers[-1], until, tuple(versions.listed(folder, numbers)))

    def version(self, set_id: str, number: int) -> Version:
        """One version with its code. Raises NotFound, OSError."""
        folder = self._place(set_id)
        numbers, _ = self._kept(folder)
        if not numbers:
            raise _unknown(set_id)
        if number not in numbers:
            raise NotFound(f"The set has no version {number}. GET /sets/{set_id} lists them.", code="unknown_version")
        found = versions.read(folder, number)
        if found is None:
            raise _damaged(set_id, f"Version {number} of this set")
        return found

    def save(self, set_id: str, name: str, code: str, base: int) -> KeptSet:
        """Keep a new version on top of version ``base``; 0: the set is new. The same once more changes nothing.

        Raises InvalidRequest, NotFound, Conflict when somebody else saved meanwhile, StorageFull, StoreError.
        """
        name = versions.checked_name(name)
        folder = self._place(set_id)
        with self._alone():
            numbers = versions.numbers_in(folder)
            until = self._deleted_until(folder)
            if numbers and self._is_over(until):
                self._remove(folder)
                numbers, until = [], None
            if not numbers and base:
                raise _unknown(set_id)
            if until is not None:
                raise Conflict(
                    "This set was deleted in another browser. Bring it back first, or save yours as a new set.",
                    code="set_deleted",
                )
            if numbers:
                head = versions.newest(folder, numbers)
                if head is not None and (head.name, head.code) == (name, code):
                    return self.get(set_id)
                # A base above the head is the number of a newer version that has been damaged since.
                if not (head.number if head else 1) <= base <= numbers[-1]:
                    raise _changed(set_id, head, numbers[-1], name, code, base)
            self._make_room(len(code.encode()), new=not numbers)
            folder.mkdir(mode=0o700, exist_ok=True)
            for part in folder.glob(".*.part"):  # of a save that was killed
                part.unlink(missing_ok=True)
            versions.write(folder, (numbers[-1] if numbers else 0) + 1, name, code, self._clock())
            self._thin(folder)
            return self.get(set_id)

    def delete(self, set_id: str) -> float:
        """Delete a set; until when it can be brought back, in Unix seconds. Raises NotFound, StoreError."""
        folder = self._place(set_id)
        with self._alone():
            until = self._deleted_until(folder)
            if not versions.numbers_in(folder) or until is not None:
                raise _unknown(set_id)
            now = self._clock()
            replace_file(folder / _DELETED, f"{now}\n".encode())
            self._purge()
            return now + self._undo

    def restore(self, set_id: str) -> KeptSet:
        """Bring a deleted set back; one that is not deleted stays as it is. Raises NotFound, OSError."""
        with self._alone():
            found = self.get(set_id)
            if found.deleted_until is not None:
                (self._place(set_id) / _DELETED).unlink(missing_ok=True)
            return self.get(set_id)

    def _place(self, set_id: str) -> Path:
        if not _ID.fullmatch(set_id):
            raise _unknown(set_id)
        return self._folder / set_id

    def _ids(self) -> list[str]:
        try:
            return sorted(each.name for each in self._folder.iterdir() if _ID.fullmatch(each.name))
        except FileNotFoundError:
            return []

    def _summary(self, set_id: str) -> SetSummary | None:
        folder = self._folder / set_id
        numbers, until = self._kept(folder)
        if not numbers:
            return None
        head = next(versions.listed(folder, numbers), Version(0, "", 0.0, 0))
        return SetSummary(set_id, head, head.number != numbers[-1], until)

    def _kept(self, folder: Path) -> tuple[list[int], float | None]:
        """The versions of a set, none where its time to be brought back is over, and until when it can be."""
        until = self._deleted_until(folder)
        return [] if self._is_over(until) else versions.numbers_in(folder), until

    def _deleted_until(self, folder: Path) -> float | None:
        try:
            return float((folder / _DELETED).read_text("ascii")) + self._undo
        except (FileNotFoundError, NotADirectoryError):
            return None
        except ValueError:  # damaged: it was deleted, but when is unknown
            return (folder / _DELETED).stat().st_mtime + self._undo

    def _is_over(self, until: float | None) -> bool:
        return until is not None and until <= self._clock()

    @contextmanager
    def _alone(self) -> Iterator[None]:
        self._folder.mkdir(mode=0o700, exist_ok=True)
        with alone_in(self._folder):
            yield

    def _make_room(self, size: int, *, new: bool) -> None:
        """Let another version of ``size`` bytes in; where there is no room, deleted sets go for good first.

        Raises StorageFull.
        """
        self._purge()
        if self._has_room(size, new=new):
            return
        self._purge(all_of_them=True)
        if not self._has_room(size, new=new):
            raise StorageFull(
                f"The bridge keeps at most {MOST_SETS} sets, and {MOST_BYTES // 2**20} MiB of all their versions. "
                "Export and delete a set that you no longer need, then save again.",
                code="sets_full",
            )

    def _has_room(self, size: int, *, new: bool) -> bool:
        folders = [self._folder / set_id for set_id in self._ids()]
        kept = [[versions.file_of(each, number) for number in versions.numbers_in(each)] for each in folders]
        used = sum(file.lstat().st_size for files in kept for file in files)
        return len([files for files in kept if files]) + new <= MOST_SETS and used + size <= MOST_BYTES

    def _purge(self, *, all_of_them: bool = False) -> None:
        for set_id in self._ids():
            folder = self._folder / set_id
            until = self._deleted_until(folder)
            if until is not None and (all_of_them or self._is_over(until)):
                self._remove(folder)

    def _remove(self, folder: Path) -> None:
        """Take a deleted set's files away, the mark last: one that was half removed stays deleted."""
        for number in versions.numbers_in(folder):
            versions.file_of(folder, number).unlink(missing_ok=True)
        shutil.rmtree(folder)

    def _thin(self, folder: Path) -> None:
        """Keep ``MOST_VERSIONS``: of those that lie closest together in time one goes, never the first or the newest.

        So a hundred saves in a minute, by code that means harm too, do not push out what was saved on other days.
        """
        numbers = versions.numbers_in(folder)
        while len(numbers) > MOST_VERSIONS:
            saved: list[float] = []
            for number in numbers:
                looked = versions.look(folder, number)
                saved.append(looked.saved if looked else saved[-1] if saved else 0.0)
            closest = min(range(1, len(numbers) - 1), key=lambda i: saved[i + 1] - saved[i - 1])
            with suppress(FileNotFoundError):
                versions.file_of(folder, numbers[closest]).unlink()
            del numbers[closest]


def _unknown(set_id: str) -> NotFound:
    return NotFound(f"There is no set {set_id[:32]!r} here. GET /sets lists them.", code="unknown_set")


def _damaged(set_id: str, what: str) -> NotFound:
    return NotFound(
        f"{what} is damaged on the bridge's disk (sets/{set_id} in the data folder). Open another version, save the "
        "set again from the browser that has it, or restore a backup.",
        code="set_damaged",
    )


def _changed(set_id: str, head: Version | None, newest: int, name: str, code: str, base: int) -> Conflict:
    current = None if head is None else {"version": head.number, "name": head.name, "code": head.code}
    called = f"as version {head.number}, {head.name!r}" if head else f"as version {newest}"
    return Conflict(
        f"Another browser has saved this set meanwhile, {called}. Nothing was overwritten: save yours as a new version "
        "on top of it, or as a set of its own.",
        code="set_changed",
        set=set_id,
        current=current,
        yours={"base": base, "name": name, "code": code},
    )

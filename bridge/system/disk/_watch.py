"""Whether the data folder can be written: looked at alongside the requests, remembered between them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import cache
from bridge.errors import BridgeError, DiskFailed, StorageFull
from bridge.system.disk._errors import as_ours
from bridge.system.threads import Lane

FRESH_SECONDS: Final = 1.0
"""The disk is looked at once in this time at most, and only when somebody asks."""
WAIT_SECONDS: Final = 0.25
"""How long somebody who asks waits for the look."""
HANGS_SECONDS: Final = 3.0
"""A disk that has not answered for this long hangs."""
_TIDY_SECONDS: Final = 60.0
_LOCK: Final = "lock"
_CATALOGUE: Final = "catalogue.sqlite3"
_MASTERS: Final = "masters"


class DiskWatch:
    """The disk under one data folder, for one event loop.

    ``missing`` says how many bytes there are too few for a new sound; ``make_room`` clears away what can go, and raises
    the store's StoreFull when that is not enough. It is called once a minute at most. A look opens a file of the
    folder for writing and writes nothing into it: a disk that is read-only refuses that, one that is frozen keeps it
    waiting. After ``suspect``, which is called when a real write has failed, a few bytes are written until that
    succeeds.
    """

    def __init__(self, folder: Path, missing: Callable[[], int], make_room: Callable[[], None]) -> None:
        self._folder = folder
        self._missing = missing
        self._make_room = make_room
        self._tidied = float("-inf")
        self._lane = Lane("disk", 1)
        self._looking: asyncio.Task[None] | None = None
        self._begun = 0.0
        self._ended = float("-inf")
        self._found: BridgeError | None = None
        self._suspected = False
        self._marks = {name: _identity(folder / name) for name in (_CATALOGUE, _MASTERS)}

    @property
    def trouble(self) -> BridgeError | None:
        """Why nothing new can be kept, as far as it is known; None when it can. Never waits."""
        if self._looking is not None and time.monotonic() - self._begun >= HANGS_SECONDS:
            return DiskFailed(
                f"The disk of the data folder {self._folder} does not answer. Kept sounds still play; new ones can be "
                "made when it answers again.",
                code="disk_not_answering",
            )
        return self._found

    async def look(self) -> BridgeError | None:
        """Look, unless that was done just now, and say what is known after a quarter of a second at the latest."""
        now = time.monotonic()
        if self._looking is None and now - self._ended >= FRESH_SECONDS:
            self._begun = now
            self._looking = asyncio.create_task(self._look())
        left = self._begun + WAIT_SECONDS - now
        if self._looking is not None and left > 0:
            await asyncio.wait([self._looking], timeout=left)
        return self.trouble

    async def check(self) -> None:
        """Raise what keeps every new sound from being kept, before work is started for it.

        A disk that is too full for one more is something else: there may be something to be cleared away.
        """
        trouble = await self.look()
        if trouble is not None and not isinstance(trouble, StorageFull):
            raise trouble

    def suspect(self) -> None:
        """Take note that a write has failed: the next look writes for once, until it succeeds."""
        self._suspected = True
        self._ended = float("-inf")

    async def _look(self) -> None:
        suspected = self._suspected
        try:
            await self._lane.run(self._try, suspected)
        except Exception as error:
            self._found = as_ours(error, self._folder) or DiskFailed(f"The data folder cannot be used ({error}).")
        else:
            self._found = None
            if suspected:
                self._suspected = False
        finally:
            self._looking = None
            self._ended = time.monotonic()

    def _look_for_marks(self) -> None:
        """Raise DiskFailed when what the bridge has opened is not in its place any more."""
        gone = [name for name, mark in self._marks.items() if (_identity(self._folder / name) or 0) != mark]
        if not gone:
            return
        if len(gone) == len(self._marks):
            what = f"The data folder {self._folder} has"
            then = "Put it back, or start the bridge again."
        elif gone == [_MASTERS]:
            what = f"The folder of the sound files, {self._folder / _MASTERS}, has"
            then = "Put it back: what is in it cannot be played until then. Or start the bridge again."
        else:
            what = f"The catalogue, {self._folder / _CATALOGUE}, has"
            then = (
                "Put it back with the files that begin with its name, or stop the bridge cleanly: it still knows the "
                "catalogue and keeps a copy, and continues from that copy at the next start."
            )
        raise DiskFailed(f"{what} been removed or replaced while the bridge runs. {then}", code="data_folder_gone")

    def _try(self, suspected: bool) -> None:
        self._look_for_marks()
        handle = os.open(self._folder / _LOCK, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.write(handle, b"")
        finally:
            os.close(handle)
        if self._missing():
            if time.monotonic() - self._tidied >= _TIDY_SECONDS:
                self._tidied = time.monotonic()
                self._make_room()
            if self._missing():
                raise StorageFull(str(cache.full(self._folder, self._missing())))
        if suspected:
            handle, name = tempfile.mkstemp(prefix="look-", dir=self._folder / "incoming")
            try:
                os.write(handle, bytes(4096))
                os.fsync(handle)
            finally:
                os.close(handle)
                with contextlib.suppress(OSError):
                    Path(name).unlink()


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return found.st_dev, found.st_ino

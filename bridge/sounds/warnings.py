"""What may be missing of what is kept: the store's notes, and the files that were set aside. Collected here once, for
``/health``, for the log and for ``doctor``.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from bridge.errors import BridgeError
from bridge.sounds.library import Library
from bridge.system.ledgers import Warned, set_aside_in
from bridge.system.threads import READS
from cache import SampleStore

_SECONDS: Final = 2.0
"""How old an answer may be; a disk that hangs does not delay requests."""


class Warnings:
    """For one event loop. ``notes``: what was found at the start, as sentences; sounds may be missing."""

    def __init__(self, library: Library, notes: Sequence[str] = ()) -> None:
        self._library = library
        self._notes = notes
        self._aside: list[Warned] = []
        self._looked = 0.0
        self._looking: asyncio.Task[None] | None = None

    @property
    def known(self) -> list[Warned]:
        """What is known now, without waiting for the disk; it is looked at again in the background."""
        if time.monotonic() - self._looked > _SECONDS and (self._looking is None or self._looking.done()):
            self._looking = asyncio.create_task(self.look())
        return [*(Warned(note, sounds=True) for note in (*self._notes, *self._library.notes)), *self._aside]

    async def look(self) -> None:
        """Look into the data folder."""
        try:
            self._aside = await READS.run(set_aside_in, self._library.path)
        except BridgeError:
            return  # the disk is slow: what was known is still the best answer
        self._looked = time.monotonic()


def warnings_of(folder: Path, store: SampleStore | None) -> list[Warned]:
    """The same for a data folder that is not being served; ``store`` where it could be opened. Waits for the disk."""
    return [*(Warned(note, sounds=True) for note in (store.notes if store else ())), *set_aside_in(folder)]

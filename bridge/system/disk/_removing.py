"""Removing files without waiting for a disk that hangs."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from bridge.errors import Busy
from bridge.system.threads import FILES

_WAIT_SECONDS: Final = 0.5


async def remove_files(paths: Iterable[Path] | Callable[[], Iterable[Path]]) -> None:
    """Remove files in a thread; what is gone already, or cannot be removed, is left alone.

    Returns when they are gone, or after half a second: what is left goes when the disk answers, or at the next start.
    ``paths``: the files, or what finds them, which is called in the thread.
    """
    listed = paths if callable(paths) else list(paths)

    def remove() -> None:
        with contextlib.suppress(OSError):
            for path in listed() if callable(listed) else listed:
                with contextlib.suppress(OSError):
                    path.unlink(missing_ok=True)

    if listed:
        with contextlib.suppress(Busy):
            await asyncio.wait([asyncio.wrap_future(FILES.submit(remove))], timeout=_WAIT_SECONDS)

"""Files that the disk does not take, kept in memory for as long as they are asked for."""

from __future__ import annotations

import os
from collections import OrderedDict
from pathlib import Path
from typing import Final

_MOST: Final = 32
_MOST_BYTES: Final = 64 * 2**20


class MemoryFiles:
    """The files used last, each with a path that this process and its children can open. For one event loop.

    The oldest go when there are more than 32, or more than 64 MiB of them.
    """

    def __init__(self) -> None:
        self._handles: OrderedDict[str, tuple[int, int]] = OrderedDict()

    def get(self, name: str) -> Path | None:
        """The path of a file; None when it is not here."""
        if name not in self._handles:
            return None
        self._handles.move_to_end(name)
        return _path(self._handles[name][0])

    def put(self, name: str, data: bytes) -> Path | None:
        """Keep a file; None where the system has no files in memory, or it is too large."""
        if not hasattr(os, "memfd_create") or len(data) > _MOST_BYTES // 2:
            return None
        if (known := self.get(name)) is not None:
            return known
        handle = os.memfd_create("sample-bridge")
        with open(handle, "wb", closefd=False) as file:
            file.write(data)
        self._handles[name] = (handle, len(data))
        while len(self._handles) > _MOST or sum(size for _, size in self._handles.values()) > _MOST_BYTES:
            os.close(self._handles.popitem(last=False)[1][0])
        return _path(handle)

    def clear(self) -> None:
        """Let all go; a reader that has one open reads it to its end."""
        while self._handles:
            os.close(self._handles.popitem()[1][0])


def _path(handle: int) -> Path:
    return Path(f"/proc/{os.getpid()}/fd/{handle}")

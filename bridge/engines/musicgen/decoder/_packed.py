"""Packed weights on disk, as they are in memory: a header that identifies them, then all weights."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
from contextlib import suppress
from pathlib import Path
from typing import Final

log = logging.getLogger(__name__)

HEADER_BYTES: Final = 4096
_PIECE: Final = 64 << 20


class PackedFile:
    """``keep/<digest>-<precision>-<layout>.bin``.

    The expected header is known beforehand, so a file is valid when its header and its size are the expected ones. A
    file of another layout or another model, or one that is cut short, is made again.
    """

    def __init__(self, keep: Path, digest: str, precision: str, layout: int, facts: dict[str, int]) -> None:
        """``facts``: other values that must be the same, such as the sizes of the model."""
        self._keep = keep
        name = digest if re.fullmatch(r"[\w-]{1,100}", digest) else hashlib.sha256(digest.encode()).hexdigest()
        self._stem = f"{name}-{precision}-"
        self.path = keep / f"{self._stem}{layout}.bin"
        text = json.dumps({"digest": digest, "precision": precision, "layout": layout, **facts}, sort_keys=True)
        checked = f"musicgen packed weights\n{hashlib.sha256(text.encode()).hexdigest()}\n{text}\n".encode()
        self._header = checked.ljust(HEADER_BYTES, b"\0")

    def read(self, into: memoryview) -> bool:
        """Fill ``into``; False when the file is missing or not valid, and ``into`` is then undefined."""
        try:
            with self.path.open("rb", buffering=0) as file:
                if os.fstat(file.fileno()).st_size != HEADER_BYTES + len(into):
                    raise ValueError("its size is wrong")
                if file.read(HEADER_BYTES) != self._header:
                    raise ValueError("it is of another kind")
                done = 0
                while done < len(into):
                    count = file.readinto(into[done : done + _PIECE])
                    if not count:
                        raise ValueError("it ends too soon")
                    done += count
        except FileNotFoundError:
            return False
        except (OSError, ValueError) as error:
            log.warning("packed weights %s are made again: %s", self.path, error)
            return False
        return True

    def write(self, weights: memoryview) -> None:
        """Write ``weights``, completely or not at all, and delete other layouts. A full disk is not an error."""
        part = self._keep / f".{self.path.name}.{os.getpid()}"
        try:
            self._keep.mkdir(parents=True, exist_ok=True)
            with part.open("wb", buffering=0) as file:
                file.write(self._header)
                done = 0
                while done < len(weights):
                    done += file.write(weights[done : done + _PIECE])
                os.fsync(file.fileno())
            part.replace(self.path)
            for old in self._keep.glob(f"{self._stem}*.bin"):
                if old != self.path:
                    old.unlink()
        except OSError as error:
            log.warning("packed weights cannot be kept in %s, the next start will be slower: %s", self._keep, error)
            with suppress(OSError):
                part.unlink()

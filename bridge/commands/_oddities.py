"""What may stand in the place of a file or folder of ours: a folder, a pipe, a link to nowhere, or no right to it."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

_KINDS: Final = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISREG, "a file"),
)


@dataclass(frozen=True, slots=True)
class Odd:
    """Why a path is not what it should be."""

    text: str
    """What follows "It " in a sentence."""
    right: bool = False
    """Is it all right but for the right to read it?"""


def oddity(path: Path, wanted: Literal["file", "folder"]) -> Odd | None:
    """Say what is wrong with the kind of a path, None when it is as wanted or is not there. Opens nothing."""
    try:
        found = path.stat()
    except PermissionError:
        return Odd("cannot be read: this user does not have the right to look into its folder", right=True)
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            return Odd(f"cannot be read ({error.strerror or error})")
        return Odd("is a link that leads nowhere") if path.is_symlink() else None
    good = stat.S_ISREG(found.st_mode) if wanted == "file" else stat.S_ISDIR(found.st_mode)
    if not good:
        return Odd(f"is {_kind(found.st_mode)} instead of a {wanted}")
    if not os.access(path, os.R_OK if wanted == "file" else os.R_OK | os.X_OK):
        return Odd("cannot be read: this user does not have the right to", right=True)
    return None


def all_below(top: Path) -> Iterator[Path]:
    """Go through everything below a folder but folders, in order; what cannot be looked into is passed over."""
    for folder, inner, files in os.walk(top):
        inner.sort()
        linked = [name for name in inner if os.path.islink(os.path.join(folder, name))]  # noqa: PTH114, PTH118
        for name in sorted([*files, *linked]):
            yield Path(folder) / name


def _kind(mode: int) -> str:
    return next((text for test, text in _KINDS if test(mode)), "something else")

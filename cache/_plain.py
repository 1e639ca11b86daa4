"""What lies in a place is looked at before it is opened: a pipe or a device in the place of a file keeps who opens it
waiting for ever, and a link that leads nowhere makes files elsewhere.
"""

from __future__ import annotations

import errno
import os
import shlex
import shutil
import stat
from contextlib import suppress
from pathlib import Path

from cache._errors import StoreDamaged, StoreNotWritable

_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def oddity(path: Path, *, folder: bool = False) -> str | None:
    """Say what lies in the place of a file (``folder``: of a folder), "a pipe"; None: the right thing, or nothing.

    Links to the right thing are right. Raises OSError.
    """
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return "a link that leads nowhere" if path.is_symlink() else None
    except OSError as error:
        if error.errno == errno.ELOOP:
            return "a link that leads nowhere"
        raise
    if stat.S_ISDIR(mode) if folder else stat.S_ISREG(mode):
        return None
    return next((kind for is_kind, kind in _KINDS if is_kind(mode)), "a file")


def is_file(path: Path) -> bool:
    """Is it a file that can be read without waiting? Raises OSError."""
    return os.path.lexists(path) and oddity(path) is None


def in_the_way(path: Path, found: str, wanted: str) -> StoreDamaged:
    """Build the error for a thing that a person has to move away, since it may be somebody's."""
    there = shlex.quote(str(path))
    return StoreDamaged(
        f"{path} is {found}, and has to be {wanted}. Move it away, or put back what was there, then try again. "
        f"To move it away, type: mv {there} {shlex.quote(f'{path}.aside')}"
    )


def remove(path: Path) -> None:
    """Remove what is left of a file that was being written, whatever it is. Never raises."""
    with suppress(OSError):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Wait until a file's bytes, or a folder's entries, are on the disk."""
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def check_rights(path: Path, *, folder: bool = False) -> None:
    """Raise StoreNotWritable, with what to type, unless this user may read and write a file or a folder."""
    wanted = os.R_OK | os.W_OK | (os.X_OK if folder else 0)
    if not os.path.lexists(path) or os.access(path, wanted):
        return
    with suppress(OSError):
        if os.statvfs(path.parent).f_flag & os.ST_RDONLY:
            return  # it is the disk, and who writes says so
    raise StoreNotWritable(
        f"{path} may not be read and written by this user. Give this user the right to: as its owner, type: "
        f"chmod u+rw{'x' if folder else ''} {shlex.quote(str(path))}"
    )

"""Putting a backup in the place of a data folder: all of it, checked, or nothing."""

from __future__ import annotations

import errno
import fcntl
import glob
import os
import re
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from bridge.client.server_file import running_server
from bridge.commands._backups.manifest import broken
from bridge.commands._backups.reading import Backup
from bridge.commands._data_files import SPENDING
from bridge.commands._quiet import holder, open_quietly
from bridge.errors import StartupError
from bridge.system.ledgers import refuse_newer
from cache import FormatTooNew, SampleStore, StoreError, StoreFull, complaints, from_os_error

_RESERVE: Final = 64 << 20
"""Bytes that stay free on the disk."""
_NOBODYS: Final = ("lock", "lost+found")
"""What a folder may hold and still be empty."""
_FOR_EVER: Final = 1e12
"""Seconds for which deleted sounds are kept while the store is only looked at."""


@dataclass(frozen=True, slots=True)
class Restored:
    """What came of it."""

    sounds: int
    aside: Path | None
    """Where the old data folder is now, None when there was nothing in it."""


def refuse_while_used(data: Path, what: str) -> None:
    """Be sure that no process has the data folder open. ``what``: the command to type then. Raises StartupError."""
    number = holder(data)
    if number is None:
        return
    url = running_server(data)
    who = f"the server at {url} (process {number})" if url else f"process {number}"
    stop = "Stop it with Ctrl-C" + (f", or type kill {number}" if number.isdecimal() else "")
    raise StartupError(
        f"{who[0].upper()}{who[1:]} uses the data folder {data}. {stop}, then type: {what}", code="store_locked"
    )


def restore(
    backup: Backup, data: Path, *, again: str, replace: bool, on_file: Callable[[int, int], None] = lambda *_: None
) -> Restored:
    """Put the backup where the data folder is. ``again``: the command to repeat. Raises StartupError, OSError."""
    data = data.resolve()
    _refuse_itself(Path(backup.where).resolve(), data)
    if data.exists() and not data.is_dir():
        raise StartupError(f"{data} is a file. Choose another folder with --data-dir.", code="bad_target")
    refuse_while_used(data, again)
    old = _holds_something(data)
    if old and not replace:
        raise StartupError(
            f"The data folder {data} is not empty. Add --replace to move it aside (it is not deleted), or choose "
            "another with --data-dir.",
            code="not_empty",
        )
    data.parent.mkdir(parents=True, exist_ok=True)
    with _held(data, again), _staging(data) as staging:
        _check_room(staging, backup.manifest.size)
        _fill(staging, backup, on_file)
        sounds = _opened(staging, backup)
        _keep_spent(data, staging)
        aside = _swap(staging, data, old=old)
    return Restored(sounds, aside)


def _refuse_itself(place: Path, data: Path) -> None:
    """Refuse a data folder that holds the backup, or lies in it: what is moved aside is never the backup itself."""
    inside = place == data or data in place.parents
    if inside or (place.is_dir() and place in data.parents):
        how = "lies in the data folder" if inside else "holds the data folder"
        raise StartupError(
            f"The backup {place} {how} {data}, which is about to be replaced. Choose another folder with --data-dir, "
            "or move the backup elsewhere; nothing was changed.",
            code="bad_target",
        )


def _holds_something(data: Path) -> bool:
    return data.is_dir() and any(entry.name not in _NOBODYS and not _is_staging(entry.name) for entry in data.iterdir())


@contextmanager
def _held(data: Path, again: str) -> Iterator[None]:
    """Keep servers from opening the folder meanwhile."""
    if not data.is_dir():
        yield
        return
    lock = os.open(data / "lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            refuse_while_used(data, again)
            raise
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(lock)


@contextmanager
def _staging(data: Path) -> Iterator[Path]:
    """A folder on the same disk, gone afterwards unless it took the data folder's place."""
    inside = data.is_dir() and (os.path.ismount(data) or not os.access(data.parent, os.W_OK | os.X_OK))
    top = data if inside else data.parent
    for left in top.glob(f".{glob.escape(data.name)}.restoring-*"):
        if _is_staging(left.name) and not _lives(int(left.name.rpartition("-")[2])):
            shutil.rmtree(left, ignore_errors=True)
    staging = top / f".{data.name}.restoring-{os.getpid()}"
    staging.mkdir(mode=0o700)
    try:
        yield staging
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _is_staging(name: str) -> bool:
    return re.fullmatch(r"\..*\.restoring-\d{1,9}", name) is not None


def _lives(number: int) -> bool:
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass
    return True


def _check_room(staging: Path, size: int) -> None:
    disk = os.statvfs(staging)
    lack = size + _RESERVE - disk.f_bavail * disk.f_frsize
    if lack > 0:
        raise StartupError(
            f"The backup needs {size / 2**20:.0f} MiB, and the disk of {staging.parent} has {lack / 2**20:.0f} MiB too "
            "little. Free some space, then try again; nothing was changed.",
            code="storage_full",
        )


def _fill(staging: Path, backup: Backup, on_file: Callable[[int, int], None]) -> None:
    done = 0
    for entry in backup.manifest.files:
        target = staging / entry.path
        for folder in reversed(target.relative_to(staging).parents[:-1]):
            (staging / folder).mkdir(mode=0o700, exist_ok=True)
        handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as out:
            backup.copy(entry, out)
            out.flush()
            os.fsync(handle)
        done += entry.size
        on_file(done, backup.manifest.size)


def _opened(staging: Path, backup: Backup) -> int:
    """Open what was restored as a server would, before anything else is touched: how many sounds there are."""
    try:
        with SampleStore.open(staging, undo_seconds=_FOR_EVER) as store:
            sounds = store.count()
        refuse_newer(staging)
    except (FormatTooNew, StartupError) as error:
        found = _first_sentence(error, staging, backup.where)
        raise StartupError(
            f"The backup {backup.where} was made by a newer version: {found}. Update this program, then try again; "
            "nothing was changed.",
            code="backup_too_new",
        ) from None
    except StoreError as error:
        why = _first_sentence(error, staging, backup.where)
        raise broken(backup.where, f"its catalogue does not open ({why})") from None
    if sounds != backup.manifest.sounds:
        raise broken(backup.where, f"it has {sounds} sounds instead of {backup.manifest.sounds}")
    return sounds


def _first_sentence(error: Exception, staging: Path, where: str) -> str:
    """What is wrong, without the advice that is meant for a data folder."""
    return str(error).partition(". ")[0].replace(str(staging), where).rstrip(".")


def _keep_spent(data: Path, staging: Path) -> None:
    """Keep the list of what was paid, where the one of the old folder is newer: no day's money is spent twice."""
    try:
        with open_quietly(data / SPENDING) as old:
            newest = _last_paid(old)
            if complaints(old):
                return
            with closing(sqlite3.connect(staging / SPENDING)) as con:
                if con.execute("SELECT 1 FROM sqlite_schema WHERE name = 'spent'").fetchone() and (
                    _last_paid(con) >= newest
                ):
                    return
                old.backup(con)
    except (OSError, sqlite3.Error):  # there is none, or none of use
        return


def _last_paid(con: sqlite3.Connection) -> float:
    return float(con.execute("SELECT coalesce(max(at), 0) FROM spent").fetchone()[0])


def _swap(staging: Path, data: Path, *, old: bool) -> Path | None:
    """Put the restored folder where the data folder is; any failure puts the old one back."""
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    if staging.parent == data:
        return _swap_inside(staging, data, _free(data / f"before-{stamp}"), old=old)
    if not old:
        if data.is_dir():
            (data / "lock").unlink(missing_ok=True)
        if not data.is_dir() or not any(data.iterdir()):
            staging.rename(data)
            return None
    aside = _free(data.with_name(f"{data.name}.before-{stamp}"))
    data.rename(aside)
    try:
        staging.rename(data)
    except OSError:
        aside.rename(data)
        raise
    _sync(data.parent)
    return aside


def _swap_inside(staging: Path, data: Path, aside: Path, *, old: bool) -> Path | None:
    """The same where the folder itself cannot be renamed, since a disk is mounted there."""
    moved: list[tuple[Path, Path]] = []
    if old:
        aside.mkdir(mode=0o700)
    try:
        for entry in list(data.iterdir()) if old else []:
            if entry not in (staging, aside) and entry.name not in _NOBODYS:
                moved.append((entry, aside / entry.name))
                entry.rename(aside / entry.name)
        for entry in list(staging.iterdir()):
            if entry.name != "lock":
                moved.append((entry, data / entry.name))
                entry.rename(data / entry.name)
    except OSError:
        for origin, there in reversed(moved):
            if there.exists():
                there.rename(origin)
        with suppress(OSError):
            aside.rmdir()
        raise
    _sync(data)
    return aside if old else None


def _free(path: Path) -> Path:
    place, count = path, 1
    while os.path.lexists(place):
        count += 1
        place = path.with_name(f"{path.name}-{count}")
    return place


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def full_disk(error: OSError, where: Path, what: str) -> StartupError | None:
    """The sentence for a disk without room, None for other errors. ``what``: what was not done."""
    if error.errno == errno.EFBIG:
        return StartupError(
            f"The disk of {where} takes no file this large, so {what}. Choose another disk, or name a folder.",
            code="storage_full",
        )
    if isinstance(from_os_error(error, where), StoreFull):
        return StartupError(
            f"The disk of {where} is full, so {what}. Free some space, then try again.", code="storage_full"
        )
    return None

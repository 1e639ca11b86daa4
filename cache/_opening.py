"""Small databases next to the catalogue: opened in one way, with a version, and told apart from damage.

Each holds its version in ``PRAGMA user_version`` and whose it is in ``PRAGMA application_id``. A file of another
program, of another kind of ours, or of no use at all is StoreDamaged; one of a newer version is FormatTooNew, and stays
as it is.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
import stat
import struct
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from cache._errors import (
    FormatTooNew,
    StoreDamaged,
    StoreError,
    StoreNotWritable,
    described,
    from_os_error,
    full,
    is_damage,
    is_full,
    is_read_only,
)
from cache._plain import is_file, sync

Step: TypeAlias = str | Callable[[sqlite3.Connection], None]
"""Brings a database from one version to the next: statements, or a function that is called within a transaction."""

_MAGIC = b"SQLite format 3\0"
_HEADER = 100
"""Bytes of a database's header."""
CHEAP_BYTES = 8 * 2**20
"""A file up to this size is looked through at open: some 50 ms."""


@dataclass(frozen=True, slots=True)
class Schema:
    """One kind of database."""

    application: int
    """Its ``application_id``, 32 bits: four letters. Files from before there were versions have 0."""
    steps: tuple[Step, ...]
    """``steps[n]`` leads from version n to n + 1. The first makes the tables of version 1, where they are not there:
    files from before there were versions have them."""
    tables: Mapping[str, str]
    """Tables of the newest version and their columns; what lacks one of them is damaged."""
    old_tables: frozenset[str] = frozenset()
    """Tables by which a file without a version is known to be ours; empty: those of ``tables``."""

    @property
    def version(self) -> int:
        """The newest version."""
        return len(self.steps)


def open_database(
    path: Path, schema: Schema, *, durable: bool = True, timeout: float = 10.0, check: int = CHEAP_BYTES
) -> sqlite3.Connection:
    """Open or make a database, and bring it to the newest version: in WAL mode, in autocommit, for any thread.

    ``durable``: a commit survives the power supply too. ``timeout``: seconds to wait for who writes. ``check``: look
    through a file of up to this many bytes for damage. A new file is for its owner alone, and appears with its tables.

    Raises StoreDamaged, FormatTooNew (nothing was changed), StoreNotWritable, StoreFull, StoreError.
    """
    try:
        if not os.path.lexists(path):
            if os.path.lexists(path.with_name(f"{path.name}-wal")):  # a new file would be read with the old one's log
                path.touch(mode=0o600)
            else:
                _make(path, schema)
        _look_at_header(path, schema)
        with described():
            return _opened(path, schema, durable=durable, timeout=timeout, check=check)
    except sqlite3.Error as error:
        raise explained(error, path) from error
    except OSError as error:
        raise from_os_error(error, path.parent) from error


def newer_than(path: Path, application: int, version: int) -> int | None:
    """The version of a database when it is ours and newer than ``version``, else None. Only the header is read."""
    try:
        if not is_file(path):
            return None
        with path.open("rb") as file:
            header = file.read(_HEADER)
    except OSError:
        return None
    if len(header) < _HEADER or not header.startswith(_MAGIC) or _in_header(header, 68) != application:
        return None
    found = _in_header(header, 60)
    return found if found > version else None


def too_new(path: Path, version: int, known: int) -> FormatTooNew:
    """Build the error for a database of a newer version."""
    return FormatTooNew(
        f"{path} has version {version}, and this program knows versions up to {known}. Update the program "
        "(pip install --upgrade sample-bridge), or choose another folder with --data-dir."
    )


def explained(error: sqlite3.Error, path: Path) -> StoreError:
    """Say what an SQLite error of the database ``path`` means for the player."""
    if is_full(error, path.parent):
        return full(path.parent)
    if is_damage(error):
        return damaged(path, str(error))
    if is_read_only(error):
        return StoreNotWritable(
            f"{path} cannot be written ({error}). Give this user the right to write there, or choose another folder "
            "with --data-dir."
        )
    return StoreError(f"{path} cannot be used ({error}). Ask again in a moment, and check the disk if that continues.")


def damaged(path: Path, why: str) -> StoreDamaged:
    """Build the error for a file that is not what it should be."""
    return StoreDamaged(f"{path} is damaged ({why}).")


def _make(path: Path, schema: Schema) -> None:
    """Make a file that is whole when it gets its name: a process that is killed in between leaves no empty one."""
    # A name of its own for each call: two threads that make it at a time must not link each other's half.
    part = path.with_name(f"{path.name}.{os.getpid()}-{secrets.token_hex(4)}.part")
    try:
        os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        con = sqlite3.connect(part, isolation_level=None)
        try:
            con.execute("PRAGMA journal_mode = WAL")
            con.execute(f"PRAGMA application_id = {schema.application}")
            _migrate(con, path, schema)
        finally:
            con.close()
        sync(part)
        try:
            os.link(part, path)  # never over what another process has made meanwhile
        except FileExistsError:
            return
        except OSError:  # a file system without links
            if not os.path.lexists(path):
                part.replace(path)
        sync(path.parent)
    finally:
        for left in (part, part.with_name(f"{part.name}-wal"), part.with_name(f"{part.name}-shm")):
            with suppress(OSError):
                left.unlink(missing_ok=True)


def _look_at_header(path: Path, schema: Schema) -> None:
    """Refuse what can be seen without opening the database, which would change it. Raises as open_database."""
    if not path.is_file():
        raise damaged(path, "it is a folder" if path.is_dir() else "it is not a file")
    for beside in (path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")):
        try:
            kind = beside.stat().st_mode  # asked once: the last one to close the database removes the log
        except FileNotFoundError:
            if not beside.is_symlink():
                continue
            kind = 0
        if not stat.S_ISREG(kind):
            raise damaged(path, f"{beside.name} is not a file")
    try:
        with path.open("rb") as file:
            header = file.read(_HEADER)
    except PermissionError as error:
        raise damaged(path, "it cannot be read: its rights do not allow it") from error
    if len(header) < _HEADER or not header.startswith(_MAGIC):
        raise damaged(path, "it is not a database" if header else "it is empty")
    if _in_header(header, 68) == schema.application:
        _refuse_newer(path, _in_header(header, 60), schema)


def _opened(path: Path, schema: Schema, *, durable: bool, timeout: float, check: int) -> sqlite3.Connection:
    # Connections wander between threads, one user at a time.
    con = sqlite3.connect(path, timeout=timeout, isolation_level=None, check_same_thread=False)
    con.text_factory = lambda data: data.decode("utf-8", "replace")  # a flipped bit is not a reason to stop
    try:
        version, application = _number(con, "user_version"), _number(con, "application_id")
        if not _is_ours(con, version, application, schema):
            raise damaged(path, "it is another database")
        _refuse_newer(path, version, schema)
        if path.stat().st_size <= check:
            found = con.execute("PRAGMA quick_check(1)").fetchone()[0]
            if found != "ok":
                raise damaged(path, " ".join(str(found).split()))
        if con.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
            con.execute("PRAGMA journal_mode = WAL")
        con.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
        if version < schema.version or application != schema.application:
            _migrate(con, path, schema)
        _look_at_tables(con, schema)
    except (sqlite3.OperationalError, sqlite3.IntegrityError) as error:
        con.close()
        # No such table or column, or values that no version has written.
        if isinstance(error, sqlite3.IntegrityError) or _code(error) == sqlite3.SQLITE_ERROR:
            raise damaged(path, str(error)) from error
        raise
    except BaseException:
        con.close()
        raise
    return con


def _migrate(con: sqlite3.Connection, path: Path, schema: Schema) -> None:
    """Take all steps that are missing, in one transaction."""
    con.execute("BEGIN IMMEDIATE")
    try:
        version = _number(con, "user_version")  # another process may have taken steps while this one waited
        _refuse_newer(path, version, schema)
        for step in schema.steps[version:]:
            if callable(step):
                step(con)
            else:
                for statement in statements(step):
                    con.execute(statement)
        con.execute(f"PRAGMA user_version = {schema.version}")
        con.execute(f"PRAGMA application_id = {schema.application}")
        con.execute("COMMIT")
    except BaseException:
        if con.in_transaction:
            con.execute("ROLLBACK")
        raise


def statements(script: str) -> list[str]:
    """The statements of a script; ``executescript`` would commit the transaction it is in."""
    found, statement = [], ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            found.append(statement)
            statement = ""
    return [*found, statement] if statement.strip() else found


def _is_ours(con: sqlite3.Connection, version: int, application: int, schema: Schema) -> bool:
    if application == schema.application:
        return True
    there = {name for (name,) in con.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    return application == 0 and version == 0 and bool(there) and (schema.old_tables or set(schema.tables)) <= there


def _refuse_newer(path: Path, version: int, schema: Schema) -> None:
    if version < 0:
        raise damaged(path, f"its version is {version}")
    if version > schema.version:
        raise too_new(path, version, schema.version)


def _in_header(header: bytes, place: int) -> int:
    return int(struct.unpack_from(">i", header, place)[0])


def _look_at_tables(con: sqlite3.Connection, schema: Schema) -> None:
    for table, columns in schema.tables.items():
        con.execute(f"SELECT {columns} FROM {table} LIMIT 0")  # noqa: S608  our own words


def _number(con: sqlite3.Connection, pragma: str) -> int:
    return int(con.execute(f"PRAGMA {pragma}").fetchone()[0])


def _code(error: sqlite3.Error) -> int:
    return int(getattr(error, "sqlite_errorcode", None) or 0)

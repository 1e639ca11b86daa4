"""Small databases: versions, migrations, damage; and files that are exchanged whole."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cache import FormatTooNew, Schema, StoreDamaged, StoreNotWritable, aside, open_database, replace_file, set_aside

OLD = "CREATE TABLE IF NOT EXISTS things (name TEXT NOT NULL);"
ONE = Schema(0x54455354, (OLD,), {"things": "name"})
TWO = Schema(0x54455354, (OLD, "ALTER TABLE things ADD COLUMN size INTEGER;\nUPDATE things SET size = 7;"),
             {"things": "name, size"}, frozenset({"things"}))  # fmt: skip
OTHER = Schema(0x4F544852, ("CREATE TABLE others (name TEXT);",), {"others": "name"})


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A database of version 1 with 3,000 rows."""
    path = tmp_path / "things.sqlite3"
    con = open_database(path, ONE)
    con.execute("BEGIN")
    con.executemany("INSERT INTO things VALUES (?)", [(f"thing {number} " * 5,) for number in range(3000)])
    con.execute("COMMIT")
    con.close()
    return path


def test_a_new_file_is_for_its_owner_alone_and_appears_with_its_tables(tmp_path: Path) -> None:
    path = tmp_path / "new.sqlite3"
    con = open_database(path, TWO)
    assert con.execute("SELECT name, size FROM things").fetchall() == []
    assert con.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    con.close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [each.name for each in tmp_path.iterdir()] == ["new.sqlite3"], "nothing else is left"


def test_threads_that_make_and_close_one_file_at_a_time_all_find_it_whole(tmp_path: Path) -> None:
    def opened(path: Path) -> int:
        con = open_database(path, TWO)
        try:
            return int(con.execute("PRAGMA application_id").fetchone()[0])
        finally:
            con.close()

    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(opened, [tmp_path / f"{number // 8}.sqlite3" for number in range(8 * 20)]))
    assert found == {TWO.application}
    assert list(tmp_path.glob("*.part*")) == []


def test_an_older_version_and_a_file_without_a_version_are_brought_forward(file: Path, tmp_path: Path) -> None:
    old = tmp_path / "old.sqlite3"
    with sqlite3.connect(old) as con:
        con.executescript("CREATE TABLE things (name TEXT NOT NULL); INSERT INTO things VALUES ('kept');")
    con.close()
    for path in (file, old):
        con = open_database(path, TWO)
        assert con.execute("SELECT DISTINCT size FROM things").fetchall() == [(7,)]
        assert con.execute("PRAGMA user_version").fetchone() == (2,)
        con.close()


def test_a_step_that_fails_changes_nothing(file: Path) -> None:
    broken = Schema(ONE.application, (OLD, "DROP TABLE things;", "SELECT name FROM nowhere;"), {"things": "name"})
    with pytest.raises(Exception, match="nowhere"):
        open_database(file, broken)
    con = open_database(file, ONE)
    assert con.execute("SELECT count(*) FROM things").fetchone() == (3000,)
    con.close()


def test_a_newer_version_is_refused_and_stays_as_it_is(file: Path, tmp_path: Path) -> None:
    open_database(file, TWO).close()
    before = file.read_bytes()
    with pytest.raises(FormatTooNew, match=r"version 2.*pip install --upgrade"):
        open_database(file, ONE)
    assert file.read_bytes() == before
    assert list(tmp_path.iterdir()) == [file]


def _flip_pages(path: Path) -> None:
    data = bytearray(path.read_bytes())
    for start in range(4096 + 8, len(data), 4096):
        data[start : start + 40] = os.urandom(40)
    path.write_bytes(bytes(data))


def _other_database(path: Path) -> None:
    path.unlink()
    open_database(path, OTHER).close()


def _other_old_database(path: Path) -> None:
    path.unlink()
    with sqlite3.connect(path) as con:
        con.execute("CREATE TABLE others (name TEXT)")
    con.close()


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()
    (path / "x").touch()


DAMAGES: dict[str, Callable[[Path], object]] = {
    "garbage": lambda path: path.write_bytes(os.urandom(5000)),
    "short": lambda path: path.write_bytes(b"SQLite format 3\0"),
    "empty": lambda path: path.write_bytes(b""),
    "truncated": lambda path: os.truncate(path, 3 * 4096 + 100),
    "flipped": _flip_pages,
    "swapped": _other_database,
    "swapped for an old one": _other_old_database,
    "a folder": _folder,
    "its log is a folder": lambda path: path.with_name(f"{path.name}-wal").mkdir(),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_found_at_open_and_the_file_can_be_set_aside(file: Path, damage: str) -> None:
    DAMAGES[damage](file)
    with pytest.raises(StoreDamaged, match=r"things\.sqlite3 is damaged"):
        open_database(file, ONE)
    place = set_aside(file)
    assert aside(file.parent, file.name) == [place]
    con = open_database(file, ONE)
    assert con.execute("SELECT count(*) FROM things").fetchone() == (0,)
    con.close()
    assert [each.name for each in file.parent.iterdir() if is_in_place(each)] == [file.name]


def is_in_place(path: Path) -> bool:
    return ".damaged-" not in path.name


def test_what_sqlite_keeps_beside_a_database_is_set_aside_with_it(file: Path) -> None:
    con = open_database(file, ONE)
    con.execute("INSERT INTO things VALUES ('in the log')")
    copy = file.with_name("copy.sqlite3")
    for ending in ("", "-wal"):
        shutil.copyfile(f"{file}{ending}", f"{copy}{ending}")
    con.close()
    first = set_aside(copy)
    copy.touch()
    second = set_aside(copy)
    assert first != second, "two in one second have two names"
    con = sqlite3.connect(first)
    assert con.execute("SELECT count(*) FROM things").fetchone() == (3001,)
    con.close()


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "small.json"
    replace_file(path, b"one")
    replace_file(path, b"two")
    assert path.read_bytes() == b"two"
    (tmp_path / "folder").mkdir()
    with pytest.raises(Exception, match="folder"):
        replace_file(tmp_path / "folder", b"three")
    with pytest.raises(StoreNotWritable, match="missing"):
        replace_file(tmp_path / "missing" / "file", b"four")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["folder", "small.json"]

"""The trash: what no row names goes there, and stays for a while."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cache import SampleStore, Target

DAY = 86_400


def put(store: SampleStore, *names: str, size: int = 100) -> list[Path]:
    """Leave files without a row in ``masters``."""
    files = [store.path / "masters" / name[:2] / name for name in names]
    for file in files:
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(os.urandom(size))
    return files


def in_trash(store: SampleStore) -> set[str]:
    return {file.name for file in (store.path / "trash").rglob("*") if file.is_file()}


@pytest.fixture
def reopen(folder, clock):
    def opened(**options):
        return SampleStore.open(folder, durable=False, clock=clock, **options)

    return opened


def test_files_that_no_row_names_are_moved_by_date_and_not_unlinked(store, make):
    store.publish(make(store, "one"), [Target("gen_a")])
    files = put(store, "aa" * 16 + ".wav", "aa" * 16 + ".part", "notes.txt")
    bytes_before = {file.name: file.read_bytes() for file in files}
    (store.path / "masters" / "loose").write_text("loose")
    assert store.sweep() == 4
    day = store.path / "trash" / "1970-01-12"
    assert {file.name: file.read_bytes() for file in day.iterdir()} == {**bytes_before, "loose": b"loose"}
    assert store.sweep() == 0
    put(store, "notes.txt")
    store.sweep()
    assert in_trash(store) == {*bytes_before, "loose", "notes.2.txt"}, "nothing in it is overwritten"
    assert store.notes == ()


def test_what_is_old_goes_but_never_what_came_in_since_the_start(reopen, clock):
    with reopen() as store:
        put(store, "old")
        store.sweep()
        clock.now += 400 * DAY  # the clock was wrong, or the server ran that long
        store.sweep()
        assert in_trash(store) == {"old"}
    clock.now += DAY
    with reopen() as store:
        put(store, "new")
        store.sweep()
        assert in_trash(store) == {"new"}
    clock.now += 30 * DAY
    with reopen() as store:
        store.sweep()
        assert in_trash(store) == {"new"}
    clock.now += DAY
    with reopen() as store:
        store.sweep()
        assert in_trash(store) == set()


def test_beyond_its_limit_the_oldest_go_first(reopen, clock):
    for name in ("one", "two", "six"):
        with reopen() as store:
            put(store, name, size=1000)
            store.sweep()
        clock.now += DAY
    with reopen(trash_limit=2500) as store:
        put(store, "ten", size=1000)
        store.sweep()
        assert in_trash(store) == {"six", "ten"}


def test_a_master_that_is_replaced_goes_there_too(store, make):
    new = make(store, "one")
    store.publish(new, [Target("gen_a")])
    store.master(new.sample_id).write_bytes(b"cut")
    store.publish(make(store, "one"), [Target("gen_a")])
    assert in_trash(store) == {f"{new.sample_id}.wav"}
    assert store.verify() == {}


def test_many_masters_without_a_row_make_a_rebuild_due_and_the_trash_keeps_them(reopen, clock):
    with reopen() as store:
        put(store, *(f"{number:02}" * 16 + ".wav" for number in range(10)))
        store.sweep()
        (note,) = store.notes
        assert "10 sound files" in note
        assert f"sample-bridge rebuild --data-dir {store.path}" in note
    clock.now += 90 * DAY
    with reopen(trash_limit=1) as store:
        assert store.notes == (note,)
        store.sweep()
        assert len(in_trash(store)) == 10

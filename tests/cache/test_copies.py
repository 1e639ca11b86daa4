"""Copies of the catalogue."""

from __future__ import annotations

import sqlite3

import pytest

from cache import SampleStore, Target, _copies
from cache._checking import look


def copies(store):
    return sorted((store.path / "copies").iterdir())


def test_each_clean_stop_copies_what_changed_and_the_last_seven_are_kept(folder, clock, make):
    for number in range(9):
        with SampleStore.open(folder, durable=False, clock=clock) as store:
            store.publish(make(store, f"s{number}"), [Target(f"gen_{number}")])
        clock.now -= 1000  # a clock that goes back makes no copy the oldest
    with SampleStore.open(folder, durable=False, clock=clock) as store:
        store.count()
    assert [look(file).sounds for file in copies(store)] == [3, 4, 5, 6, 7, 8, 9]
    newest = copies(store)[-1]
    assert newest.stat().st_mode & 0o777 == 0o600
    with sqlite3.connect(f"file:{newest}?mode=ro&immutable=1", uri=True) as con:
        assert con.execute("SELECT count(*) FROM sounds").fetchone() == (9,)


def test_a_copy_is_made_while_others_read_and_write_and_only_when_something_changed(store, make):
    store.publish(make(store, "one"), [Target("gen_a")])
    with store._db.read() as reader:
        reader.execute("SELECT count(*) FROM sounds").fetchone()
        first = store.copy_catalogue()
        store.publish(make(store, "two"), [Target("gen_b")])
        second = store.copy_catalogue()
        assert reader.execute("SELECT count(*) FROM sounds").fetchone() == (1,)
    assert store.copy_catalogue() is None
    assert [look(first).sounds, look(second).sounds] == [1, 2]


def test_after_a_kill_the_next_stop_makes_the_copy_that_is_missing(folder, clock, make):
    store = SampleStore.open(folder, durable=False, clock=clock)
    store.publish(make(store, "one"), [Target("gen_a")])
    store._folder.close()  # as the end of a process does; nothing else is closed
    SampleStore.open(folder, durable=False, clock=clock).close()
    assert len(copies(store)) == 1


@pytest.mark.parametrize("broken", ["file in the folder's place", "disk", "damage"])
def test_a_copy_that_fails_never_stops_the_stop(folder, make, monkeypatch, caplog, broken):
    store = SampleStore.open(folder)
    store.publish(make(store, "one"), [Target("gen_a")])
    if broken == "disk":
        monkeypatch.setattr(_copies, "sync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    elif broken == "damage":
        monkeypatch.setattr(_copies, "KEPT", 0)
        monkeypatch.setattr(store, "_disk_reserve", 0)
        store._db.damage = "a page"
    else:
        (folder / "copies").write_text("in the way")
    assert store.copy_catalogue() is None
    store.close()
    assert broken == "damage" or "could not be copied" in caplog.text
    assert not list(folder.glob("copies/*.part*"))
    monkeypatch.undo()
    SampleStore.open(folder).close()


def test_a_catalogue_that_is_taken_away_while_it_is_open_is_copied_at_the_end_and_nothing_is_lost(folder, make):
    with SampleStore.open(folder, durable=False) as store:
        store.publish(make(store, "one"), [Target("gen_one")])
        store.copy_catalogue()
        for each in folder.glob("catalogue.sqlite3*"):
            each.unlink()
        store.publish(make(store, "two"), [Target("gen_two")])
        store.delete("gen_one")
    with SampleStore.open(folder, durable=False) as store:
        assert [sound.name for sound in store.sounds()] == ["gen_two"]
        assert store.take(store.sound("gen_two").slot.spec_id) is not None

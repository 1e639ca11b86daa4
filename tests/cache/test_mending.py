"""What an open finds: catalogues that are missing, empty, damaged, older, or another folder's."""

from __future__ import annotations

import json
import shutil
import sqlite3

import pytest

from cache import FormatTooNew, SampleStore, StoreDamaged, StoreError, Target, _schema, aside
from cache._copies import copies
from tests import old_folder

REBUILD = "sample-bridge rebuild --data-dir"


@pytest.fixture
def kept(folder, record):
    """A folder with three sounds, after a clean stop; the third came after the only copy."""
    with SampleStore.open(folder) as store:
        for name in ("gen_a", "gen_b"):
            store.publish(record(store, name), [Target(name)])
    with SampleStore.open(folder) as store:
        store.publish(record(store, "gen_c"), [Target("gen_c")])
    copies(store._folder)[0].unlink()
    return folder


def masters(folder):
    return sorted(file.name for top in ("masters", "trash") for file in (folder / top).rglob("*.wav"))


def names(store):
    return [sound.name for sound in store.sounds(order="name")]


LOSSES = {
    "missing": lambda file: file.unlink(),
    "empty": lambda file: file.write_bytes(b""),
    "garbage": lambda file: file.write_bytes(b"this is no database" * 999),
    "truncated": lambda file: file.write_bytes(file.read_bytes()[:9000]),
    "zeros": lambda file: file.write_bytes(file.read_bytes()[:4096] + bytes(file.stat().st_size - 4096)),
    "another database": lambda file: (file.unlink(), sqlite3.connect(file).execute("CREATE TABLE theirs (x)")),
}


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_a_lost_catalogue_is_replaced_by_its_newest_copy_and_no_master_goes(kept, loss):
    before, file = masters(kept), kept / "catalogue.sqlite3"
    epoch = sqlite3.connect(file).execute("SELECT value FROM meta WHERE key = 'epoch'").fetchone()[0]
    loss(file)
    damaged = file.read_bytes() if file.exists() else None
    for _ in range(2):
        with SampleStore.open(kept) as store:
            assert names(store) == ["gen_a", "gen_b"]
            assert store.epoch != epoch, "its numbers are given anew, so listeners get everything"
            (note,) = store.notes
            assert REBUILD in note
            store.sweep()
            assert masters(kept) == before
            assert store.notes == (note,)
    asides = [each.read_bytes() for each in aside(kept, "catalogue.sqlite3") if each.stat().st_size]
    assert asides == ([damaged] if damaged else [])


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_without_a_copy_the_masters_stay_until_a_rebuild(kept, loss):
    shutil.rmtree(kept / "copies")
    before = masters(kept)
    loss(kept / "catalogue.sqlite3")
    with SampleStore.open(kept) as store:
        store.sweep()
        assert (names(store), len(store.notes)) == ([], 1)
        assert REBUILD in store.notes[0]
    assert masters(kept) == before == sorted(file.name for file in kept.glob("masters/*/*.wav"))
    assert not copies(store._folder), "a copy of a catalogue that lacks sounds is not made"


def test_an_older_catalogue_is_noticed_by_the_newer_copy(kept, record):
    with SampleStore.open(kept) as store:
        store.publish(record(store, "gen_d"), [Target("gen_d")])
    oldest = copies(store._folder)[-1]
    before = masters(kept)
    shutil.copyfile(oldest, kept / "catalogue.sqlite3")
    for _ in range(2):
        with SampleStore.open(kept) as store:
            assert names(store) == ["gen_a", "gen_b"]
            assert "older than its copy" in store.notes[0]
            store.sweep()
    assert before == masters(kept) == sorted(file.name for file in kept.glob("masters/*/*.wav"))


def test_the_catalogue_of_another_folder_is_noticed_too(kept, tmp_path):
    SampleStore.open(tmp_path / "other").close()
    shutil.copyfile(tmp_path / "other" / "catalogue.sqlite3", kept / "catalogue.sqlite3")
    before = masters(kept)
    with SampleStore.open(kept) as store:
        assert "does not belong to" in store.notes[0]
        store.sweep()
    assert masters(kept) == before


def test_damage_that_shows_later_makes_the_store_say_so(kept):
    with SampleStore.open(kept) as store:
        assert (store.damaged, store.notes) == (None, ())
        with store._change() as con:
            con.execute("UPDATE takes SET facts = '{\"prompt\": ' || char(0)")
        with pytest.raises(StoreDamaged, match=REBUILD):
            store.sounds()
        assert REBUILD in store.damaged
        assert store.notes == (store.damaged,)
    with SampleStore.open(kept) as store:
        store.sweep()
        assert "facts in takes" in store.damaged, "who reads nothing is told by the sweep"


def test_a_new_folder_and_a_whole_one_have_nothing_to_tell(tmp_path, kept):
    for folder in (tmp_path / "new", kept):
        with SampleStore.open(folder) as store:
            store.sweep()
            assert store.notes == ()


def test_a_folder_that_968f128_wrote_is_migrated_after_a_copy(tmp_path, monkeypatch):
    folder = old_folder.unpack(tmp_path)
    monkeypatch.setattr(_schema, "FORMAT", 3)
    monkeypatch.setattr(
        _schema, "MIGRATIONS", {**_schema.MIGRATIONS, 2: lambda con: con.execute("ALTER TABLE takes ADD more")}
    )
    with SampleStore.open(folder) as store:
        assert {sound.name: len(sound.slots) for sound in store.sounds()} == old_folder.SOUNDS
        with store._db.read() as con:
            assert con.execute("PRAGMA user_version").fetchone() == (3,)
            assert con.execute("SELECT count(more) FROM takes").fetchone() == (0,)
        assert json.loads((folder / "format.json").read_text()) == {"version": 3}
        (copy,) = copies(store._folder)
        old = sqlite3.connect(copy)
        assert old.execute("PRAGMA user_version").fetchone() == (0,)
        old.close()
    shutil.copyfile(copy, folder / "catalogue.sqlite3")  # an older catalogue in a newer folder
    with SampleStore.open(folder) as store, store._db.read() as con:
        assert con.execute("PRAGMA user_version").fetchone() == (3,)


def test_a_step_that_fails_changes_nothing_and_can_be_taken_again(tmp_path, monkeypatch):
    folder = old_folder.unpack(tmp_path)

    def broken(con):
        con.execute("DROP TABLE terms")
        raise OSError(5, "power cut")

    with monkeypatch.context() as patch:
        patch.setattr(_schema, "MIGRATIONS", {1: broken})
        with pytest.raises(StoreError):
            SampleStore.open(folder)
    with SampleStore.open(folder) as store:
        assert store.search({"kick": 1.0})


def test_a_catalogue_of_a_newer_version_is_refused(kept):
    with sqlite3.connect(kept / "catalogue.sqlite3") as con:
        con.execute("PRAGMA user_version = 9")
    con.close()
    before = (kept / "catalogue.sqlite3").read_bytes()
    with pytest.raises(FormatTooNew, match="format 9"):
        SampleStore.open(kept)
    assert (kept / "catalogue.sqlite3").read_bytes() == before


def test_sound_files_of_ours_alone_say_whose_the_folder_is(kept):
    for each in [*kept.iterdir()]:
        if each.name != "masters":
            shutil.rmtree(each) if each.is_dir() else each.unlink()
    with SampleStore.open(kept) as store:
        assert REBUILD in store.notes[0]

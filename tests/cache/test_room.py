"""Room on the disk: what goes first, and a deletion on a disk that has none."""

from __future__ import annotations

import os
import subprocess
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import pytest

from cache import Forgetting, SampleStore, StoreFull, Target, UnknownSound, _room, rebuild

BIG = 1_000_000


class Disk:
    """A disk of a certain size on which only the data folder lies."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.size: float = float("inf")

    def statvfs(self, _: Path) -> SimpleNamespace:
        used = sum(file.stat().st_size for file in self.folder.rglob("*") if file.is_file())
        return SimpleNamespace(f_bavail=int(min(self.size, 1e12)) - used, f_frsize=1)

    def leave(self, free: int) -> None:
        """From now on so many bytes are free."""
        self.size = 1e12
        self.size = 1e12 - self.statvfs(self.folder).f_bavail + free


@pytest.fixture
def disk(folder, monkeypatch):
    made = Disk(folder)
    monkeypatch.setattr(_room.os, "statvfs", made.statvfs)
    return made


@pytest.fixture
def store(folder, clock, disk):
    with SampleStore.open(folder, durable=False, clock=clock, disk_reserve=2 * BIG) as opened:
        yield opened


@pytest.fixture
def fill(make, clock):
    def put(store, *names, formats=()):
        for name in names:
            clock.now += 1
            store.publish(make(store, name, size=BIG, formats=formats), [Target(name)])

    return put


def test_with_room_a_deleted_sound_can_be_restored_for_a_day(store, fill, clock):
    fill(store, "a")
    assert store.delete("a").restorable_until == clock.now + 86_400
    clock.now += 86_400
    store.purge()
    assert store.restore("a").sounds[0].name == "a"


def test_under_the_reserve_a_deletion_frees_its_bytes_at_once_those_deleted_first_first(store, fill, disk):
    fill(store, "a", "b", "c", "d", formats=("wav",))
    files = {name: store.master(store.sound(name).slot.sample_id) for name in "abcd"}
    store.delete("a")
    store.delete("b")
    disk.leave(BIG)
    published = store.delete("c")
    assert published.restorable_until is not None, "what a left was enough"
    assert [name for name in "abcd" if files[name].exists()] == ["b", "c", "d"]
    disk.leave(-4 * BIG)
    assert store.delete("d").restorable_until is None
    assert not any(file.exists() for file in files.values())
    assert not list((store.path / "deliveries").glob("*/*.wav"))
    with pytest.raises(UnknownSound):
        store.restore("d")


def test_over_the_masters_limit_deleted_sounds_go_before_kept_ones(folder, clock, fill):
    with SampleStore.open(folder, durable=False, clock=clock, masters_limit=3 * BIG) as store:
        fill(store, "a", "b")
        assert store.delete("b").restorable_until is not None
        fill(store, "c", "d")
        assert store.delete("d").restorable_until is not None, "b went for it, though it was restorable"
        fill(store, "e")
        store.evict()
        assert [sound.name for sound in store.sounds(order="name")] == ["a", "c", "e"]
        with pytest.raises(UnknownSound):
            store.restore("d")


def test_nothing_is_restorable_where_that_is_set_to_0(folder, clock, fill):
    with SampleStore.open(folder, durable=False, clock=clock, undo_seconds=0) as store:
        fill(store, "a")
        master = store.master(store.sound("a").slot.sample_id)
        assert store.delete("a").restorable_until is None
        assert not master.exists()


def test_a_new_sound_gets_the_room_of_deleted_ones_deliveries_and_trash_and_never_of_kept_ones(
    store, fill, disk, clock, folder
):
    fill(store, "a", "b", formats=("wav",))
    old = folder / "trash" / "1970-01-02" / "x.wav"
    old.parent.mkdir(parents=True)
    old.write_bytes(bytes(BIG))
    store.delete("a")
    disk.leave(2 * BIG)
    fill(store, "c")  # the incoming file is on the disk already
    assert [name for name in "abc" if store.sound(name)] == ["b", "c"]
    with pytest.raises(UnknownSound):
        store.restore("a")
    disk.leave(BIG + 300_000)
    store.check_room()
    assert not list((folder / "deliveries").glob("*/*.wav"))
    assert old.exists()
    disk.leave(2 * BIG - 1000)
    store.check_room()
    assert not old.exists()
    old.parent.mkdir()
    old.write_bytes(b"small")
    disk.leave(0)
    with pytest.raises(StoreFull):
        store.check_room()
    assert old.exists(), "what would not be enough stays"
    assert [name for name in "abc" if store.sound(name)] == ["b", "c"]


@pytest.fixture
def tiny(tmp_path):
    """A real disk of 16 MiB."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(place)]
    if os.geteuid() or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount a small disk")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_on_a_disk_that_is_full_to_the_last_byte_deleting_works_and_frees_room(tiny, make):
    with SampleStore.open(tiny / "data", disk_reserve=4 * BIG) as store:
        for name in ("a", "b", "c"):
            store.publish(make(store, name, size=BIG, formats=("wav",)), [Target(name)])
        for _ in range(2):  # making room for a new sound frees a little, which others take as well
            with (tiny / "of others").open("ab", buffering=0) as others, suppress(OSError):
                while True:
                    others.write(b"x" * 4096)
            assert os.statvfs(tiny).f_bavail == 0
            with pytest.raises(StoreFull):
                store.check_room()
            with (tiny / "of others").open("ab", buffering=0) as others, suppress(OSError):
                while True:
                    others.write(b"x" * 4096)
        assert store.delete("a").restorable_until is None
        assert os.statvfs(tiny).f_bavail > 0
        store.delete("b")
        store.delete("c")
        assert store.count() == 0


def test_what_is_short_of_the_reserve_is_told_in_figures_and_forgetting_goes_on(store, fill, disk):
    fill(store, "gen_a")
    disk.leave(2**20)
    with pytest.raises(StoreFull, match=r"1\.0 MiB are free there, and 1\.9 MiB have to be"):
        store.check_room(0)
    store.forget("gen_a", Forgetting(facts=lambda _: {}, file=bytes, terms=lambda *_: {}))
    assert store.sound("gen_a").facts == {}
    with pytest.raises(StoreFull):
        store.check_room(3 * BIG)


def test_what_was_deleted_on_a_nearly_full_disk_stays_deleted_when_the_catalogue_is_lost(store, fill, disk, folder):
    fill(store, "gen_a", "gen_b")
    store.copy_catalogue()
    disk.leave(BIG)
    store.delete("gen_a")
    disk.leave(6 * 2**20)  # more than a copy needs, less than a large reserve
    store.close()
    for each in folder.glob("catalogue.sqlite3*"):
        each.unlink()
    rebuild(folder)
    with SampleStore.open(folder, durable=False) as again:
        assert [sound.name for sound in again.sounds()] == ["gen_b"]

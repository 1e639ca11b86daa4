"""Folders, pipes, sockets and links in the places of files, and files in the places of folders."""

from __future__ import annotations

import os
import shlex
import socket
import subprocess
from pathlib import Path

import pytest

from cache import SampleStore, StoreDamaged, StoreNotWritable, Target, rebuild


def a_folder(path):
    path.mkdir()
    (path / "inside").write_text("somebody's")


def a_pipe(path):
    os.mkfifo(path)


def a_socket(path):
    here = os.getcwd()
    os.chdir(path.parent)  # an address may not be long
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
    finally:
        os.chdir(here)


def a_dangling_link(path):
    path.symlink_to(path.parent / "nothing" / "there")


def a_file(path):
    path.write_text("a file")


@pytest.fixture
def kept(folder, record):
    with SampleStore.open(folder, durable=False) as store:
        store.publish(record(store, "one"), [Target("gen_one")])
        store.publish(record(store, "two"), [Target("gen_two")])
    return folder


def put(folder: Path, place: str, thing) -> Path:
    path = folder / place
    if os.path.lexists(path):
        path.rename(folder.parent / "taken_away")
    thing(path)
    return path


@pytest.mark.parametrize("thing", [a_folder, a_pipe, a_socket, a_dangling_link])
@pytest.mark.parametrize("place", ["catalogue.sqlite3", "catalogue.sqlite3-wal", "format.json", "ballast"])
def test_a_thing_in_the_place_of_a_file_is_set_aside_and_no_sound_is_lost(kept, place, thing):
    put(kept, place, thing)
    with SampleStore.open(kept, durable=False) as store:
        store.sweep()
        assert {sound.name for sound in store.sounds()} == {"gen_one", "gen_two"}
        assert bool(store.notes) == place.startswith("catalogue")
    aside = [each for each in kept.iterdir() if each.name.startswith(f"{place}.damaged-")]
    assert len(aside) == 1
    assert not (kept / "nothing").exists(), "no file is made at the end of a link"
    rebuild(kept)
    with SampleStore.open(kept, durable=False) as store:
        assert (store.notes, store.verify()) == ((), {})


@pytest.mark.parametrize("thing", [a_file, a_pipe, a_dangling_link])
@pytest.mark.parametrize("place", ["copies", "trash", "incoming", "deliveries"])
def test_a_thing_in_the_place_of_a_folder_is_set_aside(kept, place, thing, record):
    put(kept, place, thing)
    with SampleStore.open(kept, durable=False) as store:
        store.publish(record(store, "three"), [Target("gen_three")])
        store.delivery("a" * 32, "wav").parent.mkdir(exist_ok=True)
        (kept / "masters" / "loose.wav").write_bytes(b"loose")
        assert store.sweep() == 1
        assert store.copy_catalogue() is not None
    assert any(each.name.startswith(f"{place}.damaged-") for each in kept.iterdir())


@pytest.mark.parametrize("thing", [a_file, a_pipe, a_dangling_link])
@pytest.mark.parametrize("place", ["masters", "lock"])
def test_what_cannot_be_set_aside_is_named_with_a_command_that_helps(kept, place, thing):
    thing = a_folder if (place, thing) == ("lock", a_file) else thing
    path = put(kept, place, thing)
    with pytest.raises(StoreDamaged) as caught:
        SampleStore.open(kept)
    command = str(caught.value).rpartition("type: ")[2]
    subprocess.run(shlex.split(command), check=True)
    (path.parent.parent / "taken_away").rename(path)
    with SampleStore.open(kept, durable=False) as store:
        assert store.verify() == {}


@pytest.mark.parametrize("thing", [a_folder, a_pipe, a_socket, a_dangling_link])
def test_a_thing_in_the_place_of_a_master_is_one_lost_sound_and_makes_room_when_it_is_made_again(kept, thing, record):
    with SampleStore.open(kept, durable=False) as store:
        master = store.master(store.sound("gen_one").slot.sample_id)
        master.unlink()
        thing(master)
        store.sweep()
        assert store.take(store.sound("gen_one").slot.spec_id) is None
        assert store.take(store.sound("gen_two").slot.spec_id) is not None
        store.publish(record(store, "one"), [Target("gen_one")])
        assert store.take(store.sound("gen_one").slot.spec_id) is not None
        assert store.verify() == {}


@pytest.mark.skipif(os.geteuid() != 0, reason="the system lets root alone become somebody else")
def test_a_catalogue_that_may_not_be_written_is_refused_with_what_to_type(kept, tmp_path):
    nobody = 65534
    for each in (kept, *kept.rglob("*")):
        os.chown(each, nobody, nobody)
    for parent in (kept, *kept.parents):
        if parent.owner() == "root" and parent != Path("/tmp") and parent.is_relative_to("/tmp"):
            parent.chmod(0o755)
    (kept / "catalogue.sqlite3").chmod(0o400)
    for ending in ("-wal", "-shm"):  # as an earlier start with these rights has left them
        (kept / f"catalogue.sqlite3{ending}").touch()
        os.chown(kept / f"catalogue.sqlite3{ending}", nobody, nobody)
        (kept / f"catalogue.sqlite3{ending}").chmod(0o400)
    read, write = os.pipe()
    if not (child := os.fork()):
        try:
            os.setgid(nobody)
            os.setuid(nobody)
            try:
                SampleStore.open(kept)
            except StoreNotWritable as error:
                os.write(write, f"{error}\n".encode())
                subprocess.run(shlex.split(str(error).rpartition("type: ")[2]), check=True)
            with SampleStore.open(kept, durable=False) as store:
                store.delete("gen_two")
                os.write(write, b"written")
        finally:
            os._exit(0)
    os.close(write)
    os.waitpid(child, 0)
    told = os.read(read, 10_000).decode()
    assert "chmod u+rw" in told
    assert told.endswith("written")

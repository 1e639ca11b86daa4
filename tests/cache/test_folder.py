import errno
import json
import os
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest

import cache
from cache import (
    FormatTooNew,
    SampleStore,
    StoreClosed,
    StoreDamaged,
    StoreError,
    StoreFull,
    StoreLocked,
    StoreNotWritable,
    Target,
    _errors,
)

HOLDER = """
import sys
from pathlib import Path
from cache import SampleStore
store = SampleStore.open(Path(sys.argv[1]))
print("open", flush=True)
sys.stdin.read()
"""


def child(folder, code=HOLDER):
    root = Path(cache.__file__).parent.parent
    return subprocess.Popen(
        [sys.executable, "-c", code, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(root)},
        text=True,
    )


def test_a_new_folder_is_private_and_says_its_version(tmp_path):
    folder = tmp_path / "deep" / "data"
    with SampleStore.open(folder) as store:
        assert store.path == folder
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert json.loads((folder / "format.json").read_text()) == {"version": 2}
        assert {each.name for each in folder.iterdir()} >= {
            "catalogue.sqlite3",
            "masters",
            "incoming",
            "deliveries",
            "lock",
        }


def test_a_relative_path_works(tmp_path, monkeypatch, make):
    monkeypatch.chdir(tmp_path)
    with SampleStore.open(Path("data")) as store:
        monkeypatch.chdir("/")
        store.publish(make(store, "one"), [Target("gen_a")])
    assert (tmp_path / "data" / "catalogue.sqlite3").exists()


def test_what_lay_in_incoming_is_gone_after_opening(folder):
    with SampleStore.open(folder) as store:
        (store.incoming / "half.wav").write_bytes(b"half")
        (store.incoming / "job").mkdir()
        (store.incoming / "job" / "piece").write_bytes(b"half")
        (store.incoming / "link").symlink_to("/")
    with SampleStore.open(folder) as store:
        assert list(store.incoming.iterdir()) == []


def test_a_second_process_is_told_who_has_the_folder(folder):
    with child(folder) as holder:
        assert holder.stdout.readline() == "open\n"
        with pytest.raises(StoreLocked, match=f"process {holder.pid}.*--data-dir") as caught:
            SampleStore.open(folder)
        assert caught.value.pid == holder.pid
        assert caught.value.code == "store_locked"
        holder.kill()
        holder.wait()
        SampleStore.open(folder).close()


def test_the_same_process_cannot_open_it_twice(store, folder):
    with pytest.raises(StoreLocked, match=str(os.getpid())):
        SampleStore.open(folder)
    assert store.count() == 0


def test_a_newer_format_is_refused_and_left_alone(folder):
    SampleStore.open(folder).close()
    (folder / "format.json").write_text('{"version": 3}')
    (folder / "incoming" / "theirs").write_bytes(b"theirs")
    with pytest.raises(FormatTooNew, match=r"format 3.*Update"):
        SampleStore.open(folder)
    assert (folder / "incoming" / "theirs").exists()
    (folder / "format.json").write_text('{"version": 2}')
    SampleStore.open(folder).close()


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"version": "1"}', '{"version": 0}', '{"version": true}', "\udcff", None]
)
def test_a_format_that_cannot_be_read_is_written_anew_where_the_catalogue_says_which_it_is(folder, text):
    SampleStore.open(folder).close()
    file = folder / "format.json"
    if text is None:
        file.unlink()
    else:
        file.write_text(text, errors="surrogateescape")
    SampleStore.open(folder).close()
    assert json.loads(file.read_text()) == {"version": 2}
    file.write_text(text or "", errors="surrogateescape")
    (folder / "catalogue.sqlite3").write_bytes(b"garbage")
    for copy in (folder / "copies").glob("*"):
        copy.unlink()
    with pytest.raises(StoreDamaged, match=r"format\.json.*type: echo"):
        SampleStore.open(folder)


@pytest.mark.parametrize("name", ["incoming", "masters", "deliveries"])
def test_a_stranger_s_folder_is_left_alone(folder, name):
    (folder / name).mkdir(parents=True)
    (folder / name / "thesis.txt").write_text("years of work")
    with pytest.raises(StoreDamaged, match="not one of our data folders"):
        SampleStore.open(folder)
    assert (folder / name / "thesis.txt").exists()


def test_a_file_in_the_place_of_the_folder_is_told(folder):
    folder.write_text("a file")
    with pytest.raises(StoreNotWritable, match="--data-dir"):
        SampleStore.open(folder)
    with pytest.raises(StoreNotWritable):
        SampleStore.open(folder / "below")


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a /proc file system")
def test_a_place_that_cannot_be_written_is_told():
    with pytest.raises(StoreNotWritable, match="cannot be written"):
        SampleStore.open(Path("/proc/sample-bridge"))


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.EROFS, StoreNotWritable),
        (errno.EACCES, StoreNotWritable),
        (errno.EPERM, StoreNotWritable),
        (errno.ENOSPC, StoreFull),
        (errno.EDQUOT, StoreFull),
        (errno.EIO, StoreError),
    ],
)
def test_what_the_disk_says_is_told_in_a_sentence(folder, number, kind):
    error = _errors.from_os_error(OSError(number, os.strerror(number)), folder)
    assert type(error) is kind
    assert str(folder) in str(error)


def test_a_catalogue_that_cannot_be_written_is_told(store, make):
    store._db._writer.execute("PRAGMA query_only = ON")
    new = make(store, "one")
    with pytest.raises(StoreNotWritable, match="written"):
        store.publish(new, [Target("gen_a")])
    assert not store.master(new.sample_id).exists()


def test_a_closed_store_says_so(folder, make):
    store = SampleStore.open(folder)
    store.close()
    store.close()
    for call in (store.count, lambda: store.log("job", {}), lambda: store.deliver("a" * 32, "wav", b""), store.sweep):
        with pytest.raises(StoreClosed):
            call()


LIMITED = """
import resource, sys
from pathlib import Path
from cache import NewSample, SampleStore, StoreFull, Target
store = SampleStore.open(Path(sys.argv[1]), durable=False)
master = store.incoming / "master"
master.write_bytes(b"x" * 100)
soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, hard))
try:
    store.deliver("a" * 32, "wav", bytes(2_000_000))
except StoreFull as error:
    print("full", store.delivery("a" * 32, "wav").exists())
print(sorted(each.name for each in store.path.glob("deliveries/*/*")))
store.deliver("a" * 32, "wav", bytes(1000))
store.publish(NewSample("b" * 32, "c" * 32, master, 44100, 1, 10), [Target("gen_a")])
print("ok", store.sweep())
store.close()
"""


def test_a_file_that_the_disk_does_not_take_leaves_nothing_behind(folder):
    with child(folder, LIMITED) as limited:
        assert limited.communicate()[0].splitlines() == ["full False", "[]", "ok 1"]


def test_sqlite_keeps_its_promise_to_survive_a_power_cut(folder):
    with SampleStore.open(folder) as store:
        assert store._db._writer.execute("PRAGMA synchronous").fetchone() == (2,)
        assert store._db._writer.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert sqlite3.threadsafety == 3

import pickle
import sqlite3

import diskcache
import pytest

from cache import NotStorable, PlainDisk, SampleStore, Target

ID = "0123456789abcdef" * 2


class Bomb:
    """Runs code when it is unpickled."""

    def __reduce__(self):
        return (pytest.fail, ("planted code was run",))


def plant(store, *, mode, filename, value=None, key=f"{ID}.wav", raw=1):
    with sqlite3.connect(store.path / "deliveries" / "cache.db") as con:
        con.execute(
            "INSERT OR REPLACE INTO Cache (key, raw, store_time, mode, filename, value, size)"
            " VALUES (?, ?, 0, ?, ?, ?, 9)",
            (key, raw, mode, filename, value),
        )
    con.close()


@pytest.fixture
def raw_cache(store):
    store.deliver("f" * 32, "wav", b"RIFF")
    with diskcache.Cache(str(store.path / "deliveries"), disk=PlainDisk) as opened:
        yield opened


def test_a_delivery_is_a_plain_file_at_a_path_that_needs_no_look_up(store):
    path = store.deliver(ID, "flac", b"fLaC")
    assert path == store.delivery(ID, "flac") == store.path / "deliveries" / ID[:2] / f"{ID}.flac"
    assert path.read_bytes() == b"fLaC"
    assert path.stat().st_mode & 0o077 == 0 or store.path.stat().st_mode & 0o077 == 0


def test_a_delivery_may_be_stored_again(store):
    store.deliver(ID, "wav", b"first")
    assert store.deliver(ID, "wav", b"second").read_bytes() == b"second"


def test_a_vanished_delivery_is_stored_again(store):
    store.deliver(ID, "wav", b"first").unlink()
    assert store.deliver(ID, "wav", b"first").read_bytes() == b"first"


def test_beyond_the_limit_the_ones_stored_first_go(folder):
    with SampleStore.open(folder, durable=False, deliveries_limit=2_000_000) as store:
        assert store.deliver("f" * 32, "wav", b"x" * 3_000_000).exists(), "what was asked for now is there"
        paths = [store.deliver(f"{number:032x}", "wav", b"x" * 200_000) for number in range(30)]
        there = [path.exists() for path in paths]
        assert there == sorted(there), "the oldest are the missing ones"
        assert not there[0]
        assert there[-1]
        assert sum(there) * 200_000 <= 2_000_000


@pytest.mark.parametrize("fmt", ["", "..", "a/b", "WAV", "wav\n", "x" * 17])
def test_a_format_is_a_short_word(store, fmt):
    with pytest.raises(NotStorable):
        store.deliver(ID, fmt, b"")


@pytest.mark.parametrize("value", ["text", 1, None, {"a": 1}, bytearray(b"x")])
def test_only_bytes_are_stored(store, value):
    with pytest.raises(NotStorable, match="bytes"):
        store.deliver(ID, "wav", value)


@pytest.mark.parametrize("key", [1, b"x", None, ("a", 1)])
def test_only_text_is_a_key(raw_cache, key):
    with pytest.raises(NotStorable, match="text"):
        raw_cache.set(key, b"x")


@pytest.mark.parametrize("mode", [1, 3, 4, 9])
def test_a_planted_row_is_refused_and_never_run(store, raw_cache, mode):
    planted = store.path / "deliveries" / "planted"
    planted.write_bytes(pickle.dumps(Bomb()))
    plant(store, mode=mode, filename="planted")
    with pytest.raises(NotStorable, match="mode"):
        raw_cache.get(f"{ID}.wav")
    plant(store, mode=mode, filename=None, value=pickle.dumps(Bomb()))
    with pytest.raises(NotStorable, match="mode"):
        raw_cache.get(f"{ID}.wav")


@pytest.mark.parametrize(("key", "raw"), [(pickle.dumps(Bomb()), 0), (pickle.dumps(Bomb()), 1), ("text", 0), (7, 1)])
def test_a_planted_key_is_refused(store, raw_cache, key, raw):
    plant(store, mode=2, filename="x", key=key, raw=raw)
    with pytest.raises(NotStorable, match="key"):
        list(raw_cache)


@pytest.mark.parametrize("where", ["../masters/x.wav", "/etc/hostname", ".", "link/x.wav"])
def test_a_planted_path_outside_is_neither_read_nor_removed(store, raw_cache, where):
    precious = store.path / "masters" / "x.wav"
    precious.write_bytes(b"precious")
    (store.path / "deliveries" / "link").symlink_to(store.path / "masters")
    plant(store, mode=2, filename=where)
    with pytest.raises(NotStorable, match="outside"):
        raw_cache.get(f"{ID}.wav")
    raw_cache.delete(f"{ID}.wav")
    assert precious.read_bytes() == b"precious"


def test_a_planted_row_does_not_stop_the_store(folder):
    with SampleStore.open(folder, durable=False, deliveries_limit=1) as store:
        store.deliver("f" * 32, "wav", b"RIFF")
        plant(store, mode=4, filename=None, value=pickle.dumps(Bomb()))
        plant(store, mode=2, filename="x", key=pickle.dumps(Bomb()), raw=0)
        store.sweep()
        assert store.deliver(ID, "wav", b"RIFF").read_bytes() == b"RIFF"


def test_a_damaged_delivery_cache_starts_empty(folder, make):
    with SampleStore.open(folder, durable=False) as store:
        new = make(store, "one", formats=("wav",))
        store.publish(new, [Target("gen_a")])
    (folder / "deliveries" / "cache.db").write_bytes(b"this is no database, but long enough to look like one" * 99)
    for left in folder.glob("deliveries/cache.db-*"):
        left.unlink()
    with SampleStore.open(folder, durable=False) as store:
        assert store.sound("gen_a") is not None
        assert store.deliver(ID, "wav", b"RIFF").read_bytes() == b"RIFF"
        assert store.sweep() >= 0


def test_settings_of_another_version_are_no_obstacle(folder):
    with SampleStore.open(folder, durable=False) as store:
        store.deliver(ID, "wav", b"RIFF")
    with sqlite3.connect(folder / "deliveries" / "cache.db") as con:
        con.execute("INSERT INTO Settings VALUES ('disk_colour', 'red')")
    con.close()
    with SampleStore.open(folder, durable=False) as store:
        assert store.deliver(ID, "flac", b"fLaC").exists()

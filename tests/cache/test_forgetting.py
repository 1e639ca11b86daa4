"""Forgetting what sounds were made of: nothing of it is left on the disk."""

from __future__ import annotations

import struct

import pytest

from cache import Forgetting, NotStorable, SampleStore, Target, UnknownSound, _carrying, rebuild

SECRET = "geheimnisvoll"


def blank(data: bytes) -> bytes:
    return data.replace(SECRET.encode(), b" " * len(SECRET))


HOW = Forgetting(
    facts=lambda facts: {**facts, "prompt": ""},
    file=blank,
    terms=lambda sound, facts: dict.fromkeys([sound.name, *(each["prompt"] for each in facts if each["prompt"])], 1.0),
)
NAMES_TOO = Forgetting(HOW.facts, HOW.file, HOW.terms, name=lambda _: "gen_x")


@pytest.fixture
def kept(store, make):
    """Publish a sound whose prompt, search term and master hold the secret."""

    def publish(name: str, spec: str, *, n: int | None = None, secret: str = SECRET, aliases: tuple[str, ...] = ()):
        new = make(store, spec, formats=("wav",), prompt=secret, kind="oneshot")
        for file in (new.master, *new.deliveries.values()):
            file.write_bytes(file.read_bytes() + secret.encode())
        return store.publish(new, [Target(name, n, terms={secret: 1.0, name: 1.5}, aliases=aliases)])

    return publish


def everything_on_the_disk(store) -> bytes:
    return b"".join(file.read_bytes() for file in store.path.rglob("*") if file.is_file())


def test_forgetting_a_sound_leaves_no_trace_of_its_words(store, kept):
    kept("one", "a")
    kept("other", "b", secret="another")
    assert SECRET.encode() in everything_on_the_disk(store)
    published = store.forget("one", HOW)
    assert SECRET.encode() not in everything_on_the_disk(store)
    assert b"another" in everything_on_the_disk(store)
    assert [sound.name for sound in published.sounds] == ["one"]
    assert store.sound("one").facts["prompt"] == ""
    assert store.sound("other").facts["prompt"] == "another"
    assert store.search({SECRET: 1.0}) == []
    assert [sound.name for sound, _ in store.search({"one": 1.0})] == ["one"]
    assert store.verify() == {}


def test_the_sound_plays_as_before_and_listeners_hear_of_it(store, kept, ident):
    before = kept("one", "a").sounds[0]
    head = store.head()
    published = store.forget("one", HOW)
    after = store.sound("one")
    assert after.slots == before.slots
    assert after.revision == before.revision + 1
    assert store.master(after.slot.sample_id).exists()
    assert store.take(ident("a")) is not None
    assert [event.seq for event in published.events] == [head + 1] == [store.head()]
    assert published.events[0].data["facts"]["prompt"] == ""
    assert store.events_since(head) == list(published.events)
    assert store.events_since(head - 1) is None, "who missed what is forgotten gets everything anew"


def test_deliveries_are_dropped_and_can_be_made_again(store, kept):
    path = store.delivery(kept("one", "a").sample.sample_id, "wav")
    assert path.exists()
    store.forget("one", HOW)
    assert not path.exists()
    store.deliver(path.name.split(".")[0], "wav", b"RIFF")
    assert store.sweep() == 0


def test_another_sound_that_shows_the_same_take_forgets_too(store, kept, ident):
    kept("one", "a")
    kept("two", "b", secret="another")
    store.publish(None, [Target("two", terms={SECRET: 1.0}, spec_id=ident("a"))])
    published = store.forget("one", HOW)
    assert {sound.name for sound in published.sounds} == {"one", "two"}
    assert SECRET.encode() not in everything_on_the_disk(store)
    assert [sound.name for sound, _ in store.search({"another": 1.0})] == ["two"], "its own words stay"


def test_everything_is_forgotten_without_a_name(store, kept, clock):
    kept("one", "a")
    kept("two", "b")
    kept("gone", "c")
    store.delete("gone")
    published = store.forget(None, HOW)
    assert {sound.name for sound in published.sounds} == {"one", "two"}
    assert SECRET.encode() not in everything_on_the_disk(store)
    assert store.restore("gone").sounds[0].facts["prompt"] == ""


def test_what_was_deleted_long_ago_leaves_the_pages_it_stood_in(store, kept, clock):
    # Some builds of SQLite wipe what they free by themselves.
    store._db.maintain(lambda con: con.execute("PRAGMA secure_delete = OFF").fetchall())
    for number in range(20):
        kept(f"one{number}", f"a{number}", secret=f"{SECRET} {number} " + "x" * 2000)
        store.delete(f"one{number}")
    clock.now += 100_000
    assert store.purge() == 20
    assert SECRET.encode() in everything_on_the_disk(store)
    store.forget(None, HOW)
    assert SECRET.encode() not in everything_on_the_disk(store)


def test_names_are_forgotten_where_that_is_asked_for(store, kept):
    kept(SECRET, "a", aliases=(f"musicgen_{SECRET}",))
    kept("two", "b")
    kept("gone", "c")
    store.delete("gone")
    head = store.head()
    published = store.forget(None, NAMES_TOO)
    assert SECRET.encode() not in everything_on_the_disk(store)
    assert [sound.name for sound in store.sounds(order="name")] == ["gen_x", "gen_x_2"]
    assert store.sound(SECRET) is None
    assert store.sound(f"musicgen_{SECRET}") is None
    kinds = [(event.type, event.data["name"]) for event in published.events]
    assert kinds == [("sound_removed", SECRET), ("sound_removed", "two"), ("sound", "gen_x"), ("sound", "gen_x_2")]
    assert published.events[0].seq == head + 1
    assert store.events_since(head) is None
    assert store.events_since(head + 2) == list(published.events[2:])


def test_the_numbers_of_events_go_on_even_when_nothing_plays(store, kept):
    kept("one", "a")
    store.delete("one")
    head = store.head()
    store.forget(None, HOW)
    assert store.head() == head + 1
    assert store.events_since(head) is not None
    assert SECRET.encode() not in everything_on_the_disk(store)


def test_an_empty_store_has_nothing_to_forget(store):
    assert store.forget(None, HOW).events == ()
    with pytest.raises(UnknownSound):
        store.forget("nobody", HOW)


def test_a_master_may_not_change_its_length_and_nothing_is_changed(store, kept):
    kept("one", "a")
    with pytest.raises(NotStorable, match="length"):
        store.forget("one", Forgetting(HOW.facts, lambda data: data + b"x", HOW.terms))
    assert store.sound("one").facts["prompt"] == SECRET
    assert store.verify() == {}
    assert not list(store.incoming.iterdir())


def test_a_lost_master_is_no_obstacle(store, kept):
    sample_id = kept("one", "a").sample.sample_id
    store.master(sample_id).unlink()
    store.forget("one", HOW)
    assert SECRET.encode() not in everything_on_the_disk(store)


def test_forgotten_half_way_it_is_asked_for_again(folder, clock, make):
    """The masters go first: as long as the catalogue knows the words, asking again does all that is left."""
    with SampleStore.open(folder, durable=True, clock=clock) as store:
        new = make(store, "a", prompt=SECRET, kind="oneshot")
        new.master.write_bytes(new.master.read_bytes() + SECRET.encode())
        store.publish(new, [Target("one", terms={SECRET: 1.0})])
        with pytest.raises(RuntimeError):
            store.forget("one", Forgetting(HOW.facts, HOW.file, lambda *_: boom()))
        assert store.sound("one").facts["prompt"] == SECRET
        assert store.verify() == {}
        store.forget("one", HOW)
        assert SECRET.encode() not in everything_on_the_disk(store)


def boom() -> dict:
    raise RuntimeError("killed")


@pytest.fixture
def scattered(folder, record, clock):
    """A word in the catalogue, in what a master carries, in a copy, in what was set aside, and in the trash."""
    with SampleStore.open(folder, durable=False, clock=clock) as store:
        for name in (SECRET, "other"):
            new = record(store, name, prompt=name)
            new.master.write_bytes(_with_text(new.master.read_bytes(), name.encode()))
            store.publish(new, [Target(name, terms={name: 1.0}, aliases=(f"old_{name}",))])
        lost = record(store, "lost", prompt=SECRET)
        lost.master.write_bytes(_with_text(lost.master.read_bytes(), SECRET.encode()))
        _carrying.carry(lost.master, _carrying.Carried("ab" * 16, (_carrying.Place(SECRET, 4),)))
        for place in (store.master(lost.sample_id), store.path / "masters" / "part"):
            place.parent.mkdir(exist_ok=True)
            place.write_bytes(lost.master.read_bytes()[: None if place.suffix else 2000])
        lost.master.unlink()
        copy = store.copy_catalogue()
    for name, data in (("a", copy.read_bytes()), ("b", b"garbage " + SECRET.encode())):
        (folder / f"catalogue.sqlite3.damaged-20260101T00000{name}Z").write_bytes(data)
    return folder


def _with_text(data: bytes, text: bytes) -> bytes:
    chunk = b"note" + struct.pack("<I", 32) + text.ljust(32)
    return data[:4] + struct.pack("<I", len(data) + len(chunk) - 8) + data[8:] + chunk


@pytest.mark.parametrize("name", [SECRET, None])
@pytest.mark.parametrize("due", [False, True])
def test_a_forgotten_word_is_nowhere_in_the_data_folder(scattered, clock, name, due):
    if due:
        (scattered / "catalogue.sqlite3").unlink()
    with SampleStore.open(scattered, durable=False, clock=clock) as store:
        assert bool(store.notes) is due
        store.sweep()
        before = everything_on_the_disk(store)
        assert SECRET.encode() in before
        store.forget(name, NAMES_TOO)
        assert SECRET.encode() not in everything_on_the_disk(store)
        assert (b"old_other" in everything_on_the_disk(store)) is (name is not None)
        assert store.verify() == {}
        assert len(list(scattered.glob("copies/*"))) == 1
        loose = [*scattered.glob("trash/*/*.wav"), *scattered.glob("masters/*/*.wav")]
        assert len(loose) == 3, "the audio stays, wherever it is"
    rebuild(scattered)
    with SampleStore.open(scattered, durable=False, clock=clock) as store:
        assert SECRET.encode() not in everything_on_the_disk(store)
        assert store.count() == 3

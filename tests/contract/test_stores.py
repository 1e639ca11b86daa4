"""What every store must do, whatever it keeps its sounds in."""

import hashlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from cache import NameTaken, NewSample, SampleStore, Target, UnknownSound, UnknownTake, sound_data

STORES = {
    "durable": partial(SampleStore.open, durable=True),
    "quick": partial(SampleStore.open, durable=False),
}


@pytest.fixture(params=STORES)
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], SampleStore]:
    return lambda: STORES[request.param](tmp_path / "data")


@pytest.fixture
def store(opened: Callable[[], SampleStore]) -> Iterator[SampleStore]:
    with opened() as it:
        yield it


def sample(store: SampleStore, word: str, **facts: object) -> NewSample:
    digest = hashlib.sha256(word.encode()).hexdigest()
    master = store.incoming / word
    master.write_bytes(digest.encode())
    return NewSample(digest, digest[::-1], master, 44100, 2, 16, facts)


def test_what_was_published_is_there(store):
    new = sample(store, "dusty", prompt="dusty vinyl break")
    published = store.publish(new, [Target("gen_dusty", aliases=("musicgen_dusty",), terms={"vinyl": 1.0})])
    sound = store.sound("musicgen_dusty")
    assert sound == store.sound("gen_dusty") == published.sounds[0]
    assert store.sounds() == [sound]
    assert store.search({"vinyl": 2.0}) == [(sound, 2.0)]
    assert store.take(new.spec_id) == store.sample(new.sample_id) == published.sample
    assert store.master(new.sample_id).read_bytes() == new.sample_id.encode()
    assert store.count() == 1


def test_what_was_never_published_is_not_there(store):
    assert store.take("0" * 64) is store.sample("0" * 64) is store.sound("gen_dusty") is None
    assert store.sounds() == store.search({"vinyl": 1.0}) == []
    assert (store.count(), store.head(), store.events_since(0)) == (0, 0, [])
    for call in (partial(store.delete, "x"), partial(store.rename, "x", "y"), partial(store.restore, "x")):
        with pytest.raises(UnknownSound):
            call()
    with pytest.raises(UnknownTake):
        store.publish(None, [Target("gen_dusty", spec_id="0" * 64)])


def test_slots_only_grow_and_only_stand_ins_are_replaced(store):
    words = ["one", "quick", "wanted", "late"]
    new = {word: sample(store, word) for word in words}
    store.publish(new["one"], [Target("gen_x")])
    store.publish(new["quick"], [Target("gen_x", standin=True)])
    store.publish(new["wanted"], [Target("gen_x", n=1)])
    store.publish(new["late"], [Target("gen_x", n=1)])
    store.publish(None, [Target("gen_x", spec_id=new["one"].spec_id)])
    slots = store.sound("gen_x").slots
    assert [slot.sample_id for slot in slots] == [new[word].sample_id for word in ("one", "wanted", "late")]
    assert not any(slot.standin for slot in slots)


def test_events_tell_all_that_lists_show(store):
    for word in ("a", "b", "c", "d"):
        store.publish(sample(store, word), [Target(f"gen_{word}"), Target("gen_all")], job={"job_id": word})
    store.rename("gen_a", "gen_z")
    store.delete("gen_b")
    store.delete("gen_c")
    store.restore("gen_c")
    store.log("job", {"job_id": "failed"})
    seen = {}
    events = store.events_since(0)
    for event in events:
        if event.type == "sound":
            seen[event.data["name"]] = event.data
        elif event.type == "sound_removed":
            del seen[event.data["name"]]
    assert [event.seq for event in events] == list(range(1, store.head() + 1))
    assert seen == {sound.name: sound_data(sound) for sound in store.sounds()}
    assert set(seen) == {"gen_z", "gen_c", "gen_d", "gen_all"}


def test_a_name_belongs_to_one_sound(store):
    store.publish(sample(store, "a"), [Target("gen_a", aliases=("bd",))])
    store.publish(sample(store, "b"), [Target("gen_b", aliases=("bd",))])
    assert store.sound("bd").name == "gen_a"
    with pytest.raises(NameTaken):
        store.rename("gen_b", "bd")


def test_everything_outlives_the_process_s_end(opened):
    with opened() as store:
        store.publish(sample(store, "a", bpm=92), [Target("gen_a", terms={"dusty": 1.0})])
        before = (store.epoch, store.sounds(), store.search({"dusty": 1.0}), store.events_since(0), store.words())
    with opened() as store:
        after = (store.epoch, store.sounds(), store.search({"dusty": 1.0}), store.events_since(0), store.words())
        assert after == before
        assert store.verify() == {}
        assert store.sweep() == 0

import pytest

from cache import SampleStore, Target


@pytest.fixture
def small(folder, clock, make):
    """Room for three masters of 1000 bytes."""
    with SampleStore.open(folder, durable=False, clock=clock, masters_limit=3000) as opened:
        yield opened


@pytest.fixture
def fill(small, make, clock):
    def put(*names):
        for name in names:
            clock.now += 1
            small.publish(make(small, name, formats=("wav",)), [Target(name, aliases=(f"musicgen_{name}",))])

    return put


def names(store):
    return [sound.name for sound in store.sounds(order="name")]


def test_nothing_goes_while_there_is_room(small, fill):
    fill("a", "b", "c")
    assert small.evict() is None


def test_the_least_recently_used_sounds_go_with_their_files(small, fill, ident):
    fill("a", "b", "c", "d", "e")
    gone = small.sound("a").slot.sample_id
    published = small.evict()
    assert names(small) == ["c", "d", "e"]
    assert [sound.name for sound in published.sounds] == ["a", "b"]
    assert [(event.type, event.data["name"], event.data["why"]) for event in published.events] == [
        ("sound_removed", "a", "evicted"),
        ("sound_removed", "b", "evicted"),
    ]
    assert not small.master(gone).exists()
    assert not small.delivery(gone, "wav").exists()
    assert small.take(ident("a")) is None
    assert small.sweep() == 0


def test_a_touched_sound_counts_as_used(small, fill, clock):
    fill("a", "b", "c", "d")
    clock.now += 1
    small.touch("musicgen_a")
    small.evict()
    assert names(small) == ["a", "c", "d"]


def test_touches_are_kept_over_a_restart(small, fill, clock, folder):
    fill("a", "b", "c", "d")
    clock.now += 1
    small.touch("a")
    small.close()
    with SampleStore.open(folder, durable=False, clock=clock, masters_limit=3000) as again:
        again.evict()
        assert names(again) == ["a", "c", "d"]


def test_pinned_sounds_and_those_on_a_page_stay(small, fill):
    fill("a", "b", "c", "d")
    small.pin("a", True)
    small.evict(keep={"musicgen_b"})
    assert names(small) == ["a", "b", "d"]


def test_when_everything_must_stay_everything_stays(small, fill):
    fill("a", "b", "c", "d")
    assert small.evict(keep={"a", "b", "c", "d"}) is None
    assert names(small) == ["a", "b", "c", "d"]


def test_a_shared_sample_goes_with_the_last_sound_that_shows_it(small, fill, ident, clock):
    fill("a", "b")
    small.publish(None, [Target("twin", spec_id=ident("a"))])
    shared = small.sound("a").slot.sample_id
    fill("c", "d")
    published = small.evict(keep={"b"})
    assert [sound.name for sound in published.sounds] == ["a", "twin"]
    assert not small.master(shared).exists()
    assert names(small) == ["b", "c", "d"]


def test_samples_that_no_sound_shows_go_first(small, fill, make, clock, ident):
    small.publish(make(small, "quick"), [Target("a", standin=True)])
    small.publish(make(small, "wanted"), [Target("a", n=0)])
    fill("b", "c")
    loose = small.take(ident("quick")).sample_id
    assert small.evict() is not None, "a page may still play the replaced stand-in, so the oldest sound goes"
    fill("d", "e")
    clock.now += 601
    published = small.evict(keep={"d"})
    assert not small.master(loose).exists()
    assert {sound.name for sound in published.sounds} <= {"b", "c"}


def test_what_was_deleted_long_ago_goes_before_anything_else(small, fill, clock):
    fill("a", "b", "c", "d")
    small.delete("d")
    clock.now += 601
    assert small.evict() is None
    assert names(small) == ["a", "b", "c"]

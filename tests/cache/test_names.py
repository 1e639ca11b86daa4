import pytest

from cache import NameTaken, SampleStore, Target, UnknownSound


@pytest.fixture
def pair(store, make):
    store.publish(make(store, "a"), [Target("gen_a", aliases=("musicgen_a",), terms={"kick": 1.0})])
    store.publish(make(store, "b"), [Target("gen_b", aliases=("bd",))])
    return store


def test_a_renamed_sound_still_answers_to_its_old_name(pair):
    published = pair.rename("gen_a", "gen_z")
    sound = pair.sound("gen_a")
    assert sound == pair.sound("gen_z") == published.sounds[0]
    assert (sound.name, sound.aliases) == ("gen_z", ("gen_a", "musicgen_a"))
    assert sound.revision == 2
    removed, there = published.events
    assert (removed.type, removed.data["name"], removed.data["renamed_to"]) == ("sound_removed", "gen_a", "gen_z")
    assert (there.type, there.data["name"]) == ("sound", "gen_z")


def test_a_sound_can_take_back_its_old_name(pair):
    pair.rename("gen_a", "gen_z")
    pair.rename("gen_z", "gen_a")
    assert pair.sound("gen_z").name == "gen_a"
    assert set(pair.sound("gen_a").aliases) == {"gen_z", "musicgen_a"}


@pytest.mark.parametrize("taken", ["gen_b", "bd"])
def test_a_name_or_alias_of_another_sound_is_taken(pair, taken):
    with pytest.raises(NameTaken, match=taken):
        pair.rename("gen_a", taken)
    assert pair.head() == 2


def test_renaming_to_the_same_name_changes_nothing(pair):
    assert pair.rename("gen_a", "gen_a").events == ()


def test_unknown_names_are_told(pair):
    for call in (lambda: pair.rename("nix", "gen_z"), lambda: pair.pin("nix", True), lambda: pair.delete("nix")):
        with pytest.raises(UnknownSound, match="nix"):
            call()


def test_a_pin_is_kept_and_is_no_event(pair):
    assert pair.pin("gen_a", True).pinned
    assert pair.sound("gen_a").pinned
    assert not pair.pin("gen_a", False).pinned
    assert pair.head() == 2


def test_a_deleted_sound_is_gone_from_every_list(pair):
    published = pair.delete("gen_a")
    assert pair.sound("gen_a") is None
    assert pair.sound("musicgen_a") is None
    assert [sound.name for sound in pair.sounds()] == ["gen_b"]
    assert pair.search({"kick": 1.0}) == []
    assert pair.count() == 1
    (event,) = published.events
    assert (event.type, event.data) == (
        "sound_removed",
        {"name": "gen_a", "aliases": ["musicgen_a"], "why": "deleted"},
    )


def test_a_deleted_sound_can_be_restored_for_a_while(pair, clock):
    before = pair.sound("gen_a")
    pair.delete("gen_a")
    clock.now += 86_399
    published = pair.restore("gen_a")
    sound = pair.sound("musicgen_a")
    assert (sound.slots, sound.aliases, sound.revision) == (before.slots, before.aliases, before.revision + 1)
    assert [event.type for event in published.events] == ["sound"]


def test_it_cannot_be_restored_when_the_time_is_over(pair, clock, ident):
    sample_id = pair.sound("gen_a").slot.sample_id
    pair.delete("gen_a")
    clock.now += 86_401
    with pytest.raises(UnknownSound, match="deleted"):
        pair.restore("gen_a")
    assert pair.master(sample_id).exists()
    assert pair.purge() == 1
    assert not pair.master(sample_id).exists()
    assert pair.take(ident("a")) is None
    assert pair.sample(sample_id) is None
    assert pair.verify() == {}


def test_opening_purges(pair, clock, folder):
    sample_id = pair.sound("gen_a").slot.sample_id
    pair.delete("gen_a")
    clock.now += 86_401
    pair.close()
    with SampleStore.open(folder, durable=False, clock=clock) as again:
        assert not again.master(sample_id).exists()


def test_a_name_is_free_after_its_sound_was_deleted(pair, make):
    pair.delete("gen_a")
    pair.publish(make(pair, "new"), [Target("gen_a")])
    with pytest.raises(NameTaken):
        pair.restore("gen_a")
    pair.rename("gen_b", "musicgen_a")
    pair.delete("gen_a")
    pair.delete("musicgen_a")
    assert pair.restore("gen_a").sounds[0].slot.spec_id == pair.take(make(pair, "new").spec_id).spec_id


def test_what_was_deleted_to_stay_away_is_remembered_until_it_is_wanted_again(pair, make, clock, folder):
    pair.delete("gen_a", unwanted={"musicgen_a", "gen_c"})
    pair.delete("gen_b")
    assert pair.unwanted() == {"musicgen_a"}, "only what the sound was called"
    pair.restore("gen_a")
    assert pair.unwanted() == frozenset()
    pair.delete("gen_a", unwanted={"gen_a"})
    clock.now += 86_401
    pair.close()
    with SampleStore.open(folder, durable=False, clock=clock) as again:
        assert again.unwanted() == {"gen_a"}, "longer than it could be restored"
        again.publish(make(again, "new"), [Target("gen_a")])
        assert again.unwanted() == frozenset()


def test_a_restored_sound_leaves_aliases_that_are_taken_by_now(pair, make):
    pair.delete("gen_a")
    pair.rename("gen_b", "musicgen_a")
    assert pair.restore("gen_a").sounds[0].aliases == ()
    assert pair.sound("musicgen_a").aliases == ("gen_b", "bd")


def test_a_sample_of_a_deleted_sound_is_quickly_shown_again(pair, ident):
    pair.delete("gen_a")
    pair.publish(None, [Target("gen_new", spec_id=ident("a"))])
    assert pair.purge() == 0
    assert pair.sound("gen_new").slot.spec_id == ident("a")

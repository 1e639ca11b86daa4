import math
import sqlite3
import threading
from dataclasses import replace
from pathlib import Path

import diskcache
import pytest

from cache import NotStorable, PlainDisk, SampleStore, StoreFull, Target, UnknownTake


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_a_published_sample_is_kept_with_its_facts(store, make):
    new = make(store, "dusty", kind="loop", bpm=92, licence="CC0-1.0")
    published = store.publish(new, [Target("gen_dusty")])

    sample = store.take(new.spec_id)
    assert sample is not None
    assert sample == store.sample(new.sample_id) == published.sample
    assert sample.facts == {"kind": "loop", "bpm": 92, "licence": "CC0-1.0"}
    assert store.master(new.sample_id).stat().st_size == sample.bytes == 1000
    assert store.sound("gen_dusty") == published.sounds[0]
    assert published.slots == (("gen_dusty", 0),)
    assert list(store.incoming.iterdir()) == []


def test_deliveries_that_come_along_are_there_when_the_sound_is(store, make):
    new = make(store, "dusty", formats=("wav", "flac"))
    store.publish(new, [Target("gen_dusty")])
    assert store.delivery(new.sample_id, "wav").read_bytes() == store.master(new.sample_id).read_bytes()
    assert store.delivery(new.sample_id, "flac").exists()


def test_another_spec_for_a_sound_gets_the_next_slot(store, make):
    for n, spec in enumerate(["one", "two", "three"]):
        assert store.publish(make(store, spec), [Target("gen_x")]).slots == (("gen_x", n),)
    sound = store.sound("gen_x")
    assert [slot.n for slot in sound.slots] == [0, 1, 2]
    assert (sound.n, sound.revision) == (2, 3)


def test_the_same_spec_is_shown_once_and_changes_nothing(store, make):
    store.publish(make(store, "one"), [Target("gen_x")])
    new = make(store, "two")
    store.publish(new, [Target("gen_x")])
    before = store.sound("gen_x"), store.head()
    again = store.publish(None, [Target("gen_x", spec_id=new.spec_id)])
    assert again.slots == (("gen_x", 1),)
    assert again.events == ()
    assert (store.sound("gen_x"), store.head()) == before


def test_a_wanted_sample_takes_the_place_of_its_stand_in(store, make, ident):
    store.publish(make(store, "first"), [Target("gen_x")])
    (_, n), *_ = store.publish(make(store, "quick"), [Target("gen_x", standin=True)]).slots
    assert store.sound("gen_x").slot.standin
    published = store.publish(make(store, "wanted"), [Target("gen_x", n=n)])

    sound = store.sound("gen_x")
    assert published.slots == (("gen_x", 1),)
    assert [slot.spec_id for slot in sound.slots] == [ident("first"), ident("wanted")]
    assert [slot.standin for slot in sound.slots] == [False, False]
    assert sound.revision == 3


@pytest.mark.parametrize("n", [0, 7, -1])
def test_a_slot_that_shows_a_wanted_sample_is_never_replaced(store, make, ident, n):
    store.publish(make(store, "first"), [Target("gen_x")])
    assert store.publish(make(store, "second"), [Target("gen_x", n=n)]).slots == (("gen_x", 1),)
    assert [slot.spec_id for slot in store.sound("gen_x").slots] == [ident("first"), ident("second")]


def test_a_slot_is_not_counted_from_the_end(store, make):
    store.publish(make(store, "quick"), [Target("gen_x", standin=True)])
    assert store.publish(make(store, "wanted"), [Target("gen_x", n=-1)]).slots == (("gen_x", 1),)


def test_a_stand_in_never_takes_the_place_of_a_stand_in(store, make):
    store.publish(make(store, "quick"), [Target("gen_x", standin=True)])
    assert store.publish(make(store, "quicker"), [Target("gen_x", n=0, standin=True)]).slots == (("gen_x", 1),)


def test_a_stand_in_that_is_wanted_itself_is_one_no_more(store, make):
    new = make(store, "quick")
    store.publish(new, [Target("gen_x", standin=True)])
    published = store.publish(None, [Target("gen_x", spec_id=new.spec_id)])
    assert published.slots == (("gen_x", 0),)
    assert not store.sound("gen_x").slot.standin
    assert len(published.events) == 1


@pytest.mark.parametrize(
    ("target", "so_already"),
    [
        (Target("gen_x"), True),
        (Target("gen_x", standin=True), True),
        (Target("dusty", aliases=("gen_x", "bd"), terms={"vinyl": 1.0}), True),
        (Target("gen_other"), False),
        (Target("gen_x", aliases=("new_alias",)), False),
        (Target("gen_x", terms={"tape": 1.0}), False),
        (Target("gen_x", terms={"vinyl": 3.0}), False),
        (Target("gen_x", n=0), False),
        (Target("gen_empty"), False),
    ],
    ids=["same", "as a stand-in", "by its alias", "no such sound", "alias", "word", "weight", "stand-in", "elsewhere"],
)
def test_what_is_shown_already_is_found_without_writing(store, make, target, so_already):
    store.publish(make(store, "bass drum"), [Target("gen_empty", aliases=("bd",))])
    store.publish(make(store, "quick"), [Target("gen_x", standin=True, aliases=("dusty",))])
    new = make(store, "dusty")
    store.publish(new, [Target("gen_x", terms={"vinyl": 2.0})])
    target = replace(target, spec_id=new.spec_id)

    found = store.shown([target])
    assert (found is not None) == so_already
    if found is not None:
        assert found == store.publish(None, [target])
        assert found.slots == (("gen_x", 1),)


def test_a_stand_in_that_is_wanted_itself_and_a_lost_master_have_to_be_published(store, make):
    new = make(store, "quick")
    store.publish(new, [Target("gen_x", standin=True)])
    assert store.shown([Target("gen_x", spec_id=new.spec_id, standin=True)]) is not None
    assert store.shown([Target("gen_x", spec_id=new.spec_id)]) is None
    assert store.shown([Target("gen_x", spec_id="f" * 32)]) is None
    assert store.shown([]) is None


def test_what_is_shown_is_found_while_somebody_writes(store, make):
    new = make(store, "one")
    store.publish(new, [Target("gen_x")])
    with store._db.write() as con:
        con.execute("UPDATE sounds SET revision = 99")
        assert store.shown([Target("gen_x", spec_id=new.spec_id)]).slots == (("gen_x", 0),)


def test_what_is_found_counts_as_used(store, make, clock, folder):
    new = make(store, "one")
    store.publish(new, [Target("gen_old")])
    clock.now += 1
    store.publish(make(store, "two"), [Target("gen_new")])
    clock.now += 1
    store.shown([Target("gen_old", spec_id=new.spec_id)])
    store.log("job", {})
    with sqlite3.connect(folder / "catalogue.sqlite3") as con:
        used = dict(con.execute("SELECT name, used FROM sounds"))
    assert used["gen_old"] > used["gen_new"]


def test_one_sample_may_go_into_several_sounds(store, make):
    new = make(store, "one")
    published = store.publish(new, [Target("gen_a"), Target("gen_b"), Target("gen_a")])
    assert published.slots == (("gen_a", 0), ("gen_b", 0), ("gen_a", 0))
    assert [sound.name for sound in published.sounds] == ["gen_a", "gen_b"]
    assert [event.data["name"] for event in published.events] == ["gen_a", "gen_b"]


def test_a_target_named_by_an_alias_is_the_sound_itself(store, make):
    store.publish(make(store, "one"), [Target("gen_a", aliases=("musicgen_a",))])
    assert store.publish(make(store, "two"), [Target("musicgen_a")]).slots == (("gen_a", 1),)


def test_an_alias_that_another_sound_has_stays_with_that_sound(store, make):
    store.publish(make(store, "one"), [Target("gen_a", aliases=("bd",))])
    store.publish(make(store, "two"), [Target("gen_b", aliases=("bd", "gen_a", "kick"))])
    assert store.sound("bd").name == "gen_a"
    assert store.sound("gen_b").aliases == ("kick",)


def test_two_specs_with_the_same_audio_share_one_master(store, make, clock):
    one, two = make(store, "one", audio="same", prompt="one"), make(store, "two", audio="same", prompt="two")
    store.publish(one, [Target("gen_x")])
    kept = store.master(one.sample_id).stat().st_ino
    clock.now += 1
    store.publish(two, [Target("gen_x")])
    assert store.master(one.sample_id).stat().st_ino == kept
    assert [store.take(spec.spec_id).facts["prompt"] for spec in (one, two)] == ["one", "two"]
    assert store.sample(one.sample_id).facts["prompt"] == "one"
    assert len(store.sound("gen_x").slots) == 2


def test_a_spec_keeps_its_first_sample(store, make):
    first = make(store, "one", audio="first")
    store.publish(first, [Target("gen_x")])
    second = make(store, "one", audio="second", formats=("wav",))
    published = store.publish(second, [Target("gen_x")])
    assert published.sample.sample_id == first.sample_id
    assert not store.master(second.sample_id).exists()
    assert list(store.incoming.iterdir()) == []


def test_a_spec_whose_master_vanished_is_made_again_in_its_slot(store, make):
    first = make(store, "one", audio="first")
    store.publish(first, [Target("gen_x")])
    store.master(first.sample_id).unlink()
    assert store.take(first.spec_id) is None
    second = make(store, "one", audio="second")
    published = store.publish(second, [Target("gen_x")])
    assert published.slots == (("gen_x", 0),)
    assert [slot.sample_id for slot in store.sound("gen_x").slots] == [second.sample_id]
    assert store.take(first.spec_id).sample_id == second.sample_id


def test_a_finished_job_is_numbered_with_what_it_made(store, make):
    published = store.publish(
        make(store, "one"), [Target("gen_a"), Target("gen_b")], job=[{"job_id": "gen_1"}, {"job_id": "gen_2"}]
    )
    jobs = [event.data for event in published.events if event.type == "job"]
    assert jobs == [{"job_id": "gen_1", "name": "gen_a", "n": 0}, {"job_id": "gen_2", "name": "gen_b", "n": 0}]
    alone = store.publish(make(store, "two"), [Target("gen_a")], job={"job_id": "gen_3"})
    assert [event.type for event in alone.events] == ["sound", "job"]
    assert alone.events[1].data == {"job_id": "gen_3", "name": "gen_a", "n": 1}


def test_nothing_is_half_done_when_a_later_target_fails(store, folder, make):
    new = make(store, "one", formats=("wav",))
    before = files(folder)
    with pytest.raises(UnknownTake):
        store.publish(new, [Target("gen_a"), Target("gen_b", spec_id="f" * 32)], job={"job_id": "x"})
    assert [path for path in files(folder) if "deliveries/cache.db" not in str(path)] == before
    with diskcache.Cache(str(folder / "deliveries"), disk=PlainDisk) as deliveries:
        assert list(deliveries) == []
    assert store.count() == store.head() == 0
    assert store.take(new.spec_id) is None
    store.publish(new, [Target("gen_a")])
    assert store.verify() == {}
    assert store.delivery(new.sample_id, "wav").exists()


def test_a_target_without_a_take_is_refused(store):
    with pytest.raises(UnknownTake):
        store.publish(None, [Target("gen_a", spec_id="f" * 32)])
    with pytest.raises(UnknownTake):
        store.publish(None, [Target("gen_a")])


@pytest.mark.parametrize("value", [math.nan, math.inf, {1, 2}, b"bytes"])
def test_facts_are_plain_json(store, make, value):
    with pytest.raises(NotStorable, match="facts"):
        store.publish(make(store, "one", measures={"deep": [value]}), [Target("gen_a")])
    assert store.head() == 0


@pytest.mark.parametrize("bad", ["", "../../etc/passwd", "F" * 32, "a" * 15, "a" * 65, "0" * 31 + "\n"])
def test_ids_that_are_not_hexadecimal_never_become_paths(store, make, bad):
    new = make(store, "one")
    with pytest.raises(NotStorable):
        store.publish(replace(new, sample_id=bad), [])
    with pytest.raises(NotStorable):
        store.publish(replace(new, spec_id=bad), [])
    with pytest.raises(NotStorable):
        store.master(bad)
    with pytest.raises(NotStorable):
        store.delivery(bad, "wav")


def test_only_files_from_incoming_are_taken(store, make, tmp_path):
    stranger = tmp_path / "precious.wav"
    stranger.write_bytes(b"precious")
    link = store.incoming / "link"
    link.symlink_to(stranger)
    for master in (stranger, link, store.incoming / "missing", store.incoming):
        with pytest.raises(NotStorable, match="incoming"):
            store.publish(replace(make(store, "one"), master=master), [])
    assert stranger.read_bytes() == b"precious"


@pytest.mark.parametrize("size", ["rate", "channels", "frames"])
def test_a_sample_without_audio_is_refused(store, make, size):
    with pytest.raises(NotStorable):
        store.publish(replace(make(store, "one"), **{size: 0}), [])


@pytest.mark.parametrize("weight", [math.nan, math.inf, 0.0, -1.0])
def test_weights_of_terms_are_positive_numbers(store, make, weight):
    with pytest.raises(NotStorable):
        store.publish(make(store, "one"), [Target("gen_a", terms={"kick": weight})])


def test_text_that_is_no_unicode_is_refused_with_a_sentence(store, make):
    with pytest.raises(NotStorable, match="Unicode"):
        store.publish(make(store, "one"), [Target("gen_a", terms={"\ud800": 1.0})])
    store.publish(make(store, "two", prompt="\ud800 <b>"), [Target("gen_b")])
    assert store.sound("gen_b").facts["prompt"] == "\ud800 <b>"


def test_a_disk_without_reserve_takes_nothing_more(folder, make):
    with SampleStore.open(folder, disk_reserve=2**62, durable=False) as store:
        new = make(store, "one")
        with pytest.raises(StoreFull, match="full"):
            store.publish(new, [Target("gen_a")])
        with pytest.raises(StoreFull):
            store.deliver(new.sample_id, "wav", b"RIFF")
        assert new.master.exists()
    with SampleStore.open(folder, durable=False) as store:
        assert store.head() == 0
        store.publish(make(store, "one"), [Target("gen_a")])


def test_a_catalogue_that_cannot_grow_leaves_nothing_half_done(store, make):
    store.publish(make(store, "zero"), [Target("gen_zero")])
    new = make(store, "one", formats=("wav",), prompt="x" * 500_000)
    writer: sqlite3.Connection = store._db._writer
    (pages,) = writer.execute("PRAGMA page_count").fetchone()
    writer.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StoreFull):
        store.publish(new, [Target("gen_a")])
    assert new.master.exists()
    assert new.deliveries["wav"].exists()
    assert not store.master(new.sample_id).exists()
    assert (store.count(), store.head()) == (1, 1)
    writer.execute("PRAGMA max_page_count = 1000000")
    assert store.publish(new, [Target("gen_a")]).events[0].seq == 2
    assert store.verify() == {}


def test_threads_publish_and_read_at_the_same_time(store, make):
    samples = [[make(store, f"{thread}-{number}") for number in range(15)] for thread in range(4)]
    failures: list[BaseException] = []
    done = threading.Event()

    def publish(mine):
        try:
            for number, new in enumerate(mine):
                store.publish(new, [Target(f"gen_{number}"), Target("gen_all")], job={"job_id": new.spec_id})
        except BaseException as error:
            failures.append(error)

    def read():
        try:
            while not done.is_set():
                for sound in store.sounds(limit=5):
                    assert sound.facts == {}
                    assert [slot.n for slot in sound.slots] == list(range(len(sound.slots)))
                store.search({"gen_1": 1.0}), store.words(), store.touch("gen_all")
        except BaseException as error:
            failures.append(error)

    reader = threading.Thread(target=read)
    writers = [threading.Thread(target=publish, args=(mine,)) for mine in samples]
    for thread in (reader, *writers):
        thread.start()
    for thread in writers:
        thread.join()
    done.set()
    reader.join()
    assert failures == []
    assert len(store.sound("gen_all").slots) == 60
    assert [event.seq for event in store.events_since(0)] == list(range(1, 181))

import diskcache

from cache import PlainDisk, SampleStore, Target


def test_files_that_no_row_names_are_swept_away(store, make):
    new = make(store, "one", formats=("wav",))
    store.publish(new, [Target("gen_a")])
    orphans = [
        store.master("a" * 32),
        store.master(new.sample_id).with_suffix(".part"),
        store.delivery(new.sample_id, "flac"),
        store.delivery(new.sample_id, "wav").with_suffix(".wav.part"),
    ]
    for orphan in orphans:
        orphan.parent.mkdir(exist_ok=True)
        orphan.write_bytes(b"left behind")
    store.deliver("b" * 32, "wav", b"of no sample")
    assert store.sweep() == 5
    assert not any(orphan.exists() for orphan in orphans)
    assert not store.delivery("b" * 32, "wav").exists()
    assert store.master(new.sample_id).exists()
    assert store.delivery(new.sample_id, "wav").exists()
    assert store.sweep() == 0


def test_a_delivery_that_was_cut_is_swept_away(store, make):
    new = make(store, "one", formats=("wav",))
    store.publish(new, [Target("gen_a")])
    store.delivery(new.sample_id, "wav").write_bytes(b"RI")
    assert store.sweep() == 1
    store.deliver(new.sample_id, "wav", b"RIFF")
    assert store.sweep() == 0


def test_the_row_of_a_vanished_delivery_is_forgotten(store, folder, make):
    new = make(store, "one", formats=("wav",))
    store.publish(new, [Target("gen_a")])
    store.delivery(new.sample_id, "wav").unlink()
    store.sweep()
    with diskcache.Cache(str(folder / "deliveries"), disk=PlainDisk) as deliveries:
        assert list(deliveries) == []


def test_a_lost_master_that_another_spec_gives_again_serves_both(store, make):
    one = make(store, "one", audio="same")
    store.publish(one, [Target("gen_a")])
    store.master(one.sample_id).unlink()
    store.sweep()
    store.publish(make(store, "two", audio="same"), [Target("gen_b")])
    assert store.take(one.spec_id).sample_id == one.sample_id


def test_a_spec_whose_master_is_lost_is_made_again_and_comes_back(store, make, ident):
    new = make(store, "one", prompt="x")
    store.publish(new, [Target("gen_a")])
    master = store.master(new.sample_id)
    data = master.read_bytes()
    master.write_bytes(data[:10])
    assert store.take(new.spec_id) is None
    store.sweep()
    master.write_bytes(data)
    assert store.take(new.spec_id) is None
    store.sweep()
    assert store.take(new.spec_id).facts == {"prompt": "x"}
    master.unlink()
    store.sweep()
    assert store.sound("gen_a").facts == {"prompt": "x"}
    store.publish(make(store, "one"), [Target("gen_a")])
    assert store.take(new.spec_id) is not None
    assert store.head() == 1, "the same sample is shown in the same slot: nothing to announce"


def test_verify_names_every_kind_of_damage(store, make):
    samples = [make(store, spec) for spec in ("missing", "short", "flipped", "whole")]
    for new in samples:
        store.publish(new, [Target("gen_a")])
    missing, short, flipped, _ = (store.master(new.sample_id) for new in samples)
    missing.unlink()
    short.write_bytes(b"x")
    flipped.write_bytes(b"x" * 1000)
    assert store.verify() == {
        samples[0].sample_id: "missing",
        samples[1].sample_id: "wrong size",
        samples[2].sample_id: "wrong digest",
    }


def test_everything_is_there_after_a_restart(folder, make):
    with SampleStore.open(folder) as store:
        for spec in ("one", "two"):
            store.publish(make(store, spec, formats=("wav",), kind="loop"), [Target("gen_a", terms={"dusty": 1.0})])
        before = store.sounds(), store.search({"dusty": 1.0}), store.events_since(0)
    with SampleStore.open(folder) as store:
        assert (store.sounds(), store.search({"dusty": 1.0}), store.events_since(0)) == before
        assert store.sweep() == 0
        assert store.verify() == {}

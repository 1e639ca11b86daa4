import math

import pytest

from cache import NotStorable, SampleStore, Target, _events, sound_data


def test_numbers_run_without_gaps_over_a_restart(folder, make):
    with SampleStore.open(folder, durable=False) as store:
        epoch = store.epoch
        store.publish(make(store, "one"), [Target("gen_a")])
        store.log("job", {"job_id": "gen_1", "state": "failed"})
    with SampleStore.open(folder, durable=False) as store:
        assert store.epoch == epoch
        store.publish(make(store, "two"), [Target("gen_a")])
        assert [event.seq for event in store.events_since(0)] == [1, 2, 3]
        assert store.head() == 3


def test_another_catalogue_has_another_epoch(tmp_path):
    with SampleStore.open(tmp_path / "a") as a, SampleStore.open(tmp_path / "b") as b:
        assert a.epoch != b.epoch


def test_an_event_pictures_the_sound_at_its_time(store, make):
    one = store.publish(
        make(store, "one", root="c2", bpm=90),
        [Target("gen_a", aliases=("musicgen_a",), session="s1", standin=True)],
    ).sounds[0]
    store.publish(make(store, "two", root="e2"), [Target("gen_a")])
    first, second = store.events_since(0)
    assert first.type == "sound"
    assert first.data == sound_data(one)
    assert first.data["slots"] == [{"sample_id": one.slot.sample_id, "standin": True, "root": "c2"}]
    assert (first.data["session"], first.data["facts"]["bpm"], first.data["revision"]) == ("s1", 90, 1)
    assert [slot["root"] for slot in second.data["slots"]] == ["c2", "e2"]
    assert (second.data["n"], second.data["standin"], second.data["revision"]) == (1, False, 2)
    assert store.sound("gen_a").seq == 2


def test_who_was_away_gets_exactly_what_was_missed(store, make):
    for number in range(5):
        store.publish(make(store, str(number)), [Target("gen_a")])
    assert [event.seq for event in store.events_since(3)] == [4, 5]
    assert [event.seq for event in store.events_since(0, limit=2)] == [1, 2]
    assert store.events_since(5) == []


def test_a_number_from_the_future_or_before_the_log_is_answered_with_none(store):
    assert store.events_since(0) == []
    store.log("job", {})
    assert store.events_since(2) is None
    assert store.events_since(-1) is None


def test_the_log_forgets_the_oldest_events(store, monkeypatch):
    monkeypatch.setattr(_events, "KEPT", 10)
    for number in range(25):
        store.log("job", {"number": number})
    assert [event.seq for event in store.events_since(15)] == list(range(16, 26))
    assert store.events_since(14) is None
    assert store.head() == 25


def test_an_event_is_plain_json(store):
    with pytest.raises(NotStorable):
        store.log("job", {"progress": math.nan})
    assert store.head() == 0

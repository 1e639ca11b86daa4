"""Masters that are not what the catalogue says: told of, and brought back from wherever they lie."""

from __future__ import annotations

import shlex

import pytest

from cache import SampleStore, Target, rebuild


@pytest.fixture
def kept(folder, record):
    with SampleStore.open(folder, durable=False) as store:
        for name in ("one", "two", "three", "four"):
            store.publish(record(store, name, size=1200), [Target(f"gen_{name}")])
    return folder


def places(folder, *names):
    with SampleStore.open(folder, durable=False) as store:
        return [store.master(store.sound(f"gen_{name}").slot.sample_id) for name in names]


def exchange(one, two):
    middle = one.with_name("middle")
    one.rename(middle)
    two.rename(one)
    middle.rename(two)


def damages(folder):
    one, two, three = places(folder, "one", "two", "three")
    return {
        "missing": (one.unlink, 1),
        "empty": (lambda: one.write_bytes(b""), 1),
        "a folder": (lambda: (one.unlink(), one.mkdir()), 1),
        "others": (lambda: exchange(one, two), 2),
        "zeros": (lambda: three.write_bytes(bytes(three.stat().st_size)), 1),
    }


@pytest.mark.parametrize("damage", ["missing", "empty", "a folder", "others", "zeros"])
def test_a_lost_master_is_told_of_until_it_is_made_again(kept, record, damage):
    do, count = damages(kept)[damage]
    do()
    with SampleStore.open(kept, durable=False) as store:
        assert store.notes == ()
        store.sweep()
        (note,) = store.notes
        assert f"audio of {count} sound" in note
        assert f"sample-bridge rebuild --data-dir {shlex.quote(str(kept))}" in note
        lost = [each for each in ("one", "two", "three", "four") if f"gen_{each}" in note]
        assert len(lost) == count
        for each in lost:
            slot = store.sound(f"gen_{each}").slot
            assert store.take(slot.spec_id) is None, "another sound is never played in its place"
            store.publish(record(store, each, size=1200), [Target(f"gen_{each}")])
        assert store.notes == ()
        assert store.verify() == {}
        store.sweep()
        assert store.notes == ()


@pytest.mark.parametrize("swept", [False, True])
def test_masters_under_wrong_names_go_back_to_their_places(kept, swept):
    one, two, three, four = places(kept, "one", "two", "three", "four")
    whole = sorted(each.read_bytes() for each in (one, two, three, four))
    exchange(one, two)
    exchange(two, three)
    four.rename(kept / "masters" / "somewhere.wav")
    if swept:
        with SampleStore.open(kept, durable=False) as store:
            store.sweep()
    rebuilt = rebuild(kept)
    assert set(rebuilt.named) == {"gen_one", "gen_two", "gen_three", "gen_four"}
    assert (rebuilt.missing, rebuilt.found) == ((), ())
    with SampleStore.open(kept, durable=False) as store:
        store.sweep()
        assert (store.notes, store.verify()) == ((), {})
        assert all(store.take(store.sound(name).slot.spec_id) for name in rebuilt.named)
    assert sorted(each.read_bytes() for each in (kept / "masters").rglob("*.wav")) == whole
    assert rebuild(kept).changed is False


def test_a_master_that_was_overwritten_by_another_makes_way_and_the_other_stays(kept):
    one, two = places(kept, "one", "two")
    data = one.read_bytes()
    one.write_bytes(two.read_bytes())
    rebuilt = rebuild(kept)
    assert rebuilt.missing == ("gen_one",)
    (kept / "masters" / "copy of it.bak").write_bytes(data)
    assert rebuild(kept).named == ("gen_one",)
    with SampleStore.open(kept, durable=False) as store:
        store.sweep()
        assert (store.notes, store.verify()) == ((), {})
    assert any(each.read_bytes() == two.read_bytes() for each in (kept / "trash").rglob("*.wav"))


def test_killed_between_two_moves_it_is_run_again(kept, monkeypatch):
    from cache import _misplaced

    one, two = places(kept, "one", "two")
    whole = {one: one.read_bytes(), two: two.read_bytes()}
    exchange(one, two)
    real = _misplaced._set_out
    calls = []

    def dies(*arguments):
        calls.append(real(*arguments))
        if len(calls) == 2:
            raise OSError("killed")
        return calls[-1]

    monkeypatch.setattr(_misplaced, "_set_out", dies)
    with pytest.raises(Exception, match="killed"):
        rebuild(kept)
    monkeypatch.undo()
    with SampleStore.open(kept, durable=False) as store:
        store.sweep()
    assert set(rebuild(kept).named) == {"gen_one", "gen_two"}
    assert {each: each.read_bytes() for each in whole} == whole

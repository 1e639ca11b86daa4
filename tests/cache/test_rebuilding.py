"""Rebuilding a catalogue from copies, and from what the masters carry."""

from __future__ import annotations

import os
import random
import re
import shutil
import sqlite3

import pytest

from cache import Rebuilding, SampleStore, StoreDamaged, StoreError, StoreLocked, Target, Told, rebuild
from cache._copies import copies
from tests.cache.conftest import wav


def names(store):
    return [sound.name for sound in store.sounds(order="name")]


def masters(folder):
    """Every sound file that there is, by its name without what the trash adds to it."""
    return {file.name.partition(".")[0] for top in ("masters", "trash") for file in (folder / top).rglob("*.wav")}


def lose(folder, *, copies_too=True):
    for each in folder.glob("catalogue.sqlite3*"):
        each.unlink()
    if copies_too:
        shutil.rmtree(folder / "copies", ignore_errors=True)


@pytest.fixture
def kept(folder, record):
    """gen_kick with three slots, gen_pad with an alias, one pinned sound, one deleted one, one shown by two sounds."""
    with SampleStore.open(folder) as store:
        for number in range(3):
            store.publish(record(store, f"kick{number}", prompt="kick"), [Target("gen_kick", terms={"boom": 1.0})])
        store.publish(record(store, "pad", root="a4"), [Target("gen_pad", aliases=("old_pad",), session="jam")])
        store.publish(record(store, "stab"), [Target("gen_stab"), Target("gen_twin")])
        store.pin("gen_stab", True)
        store.publish(record(store, "gone"), [Target("gen_gone")])
        store.delete("gen_gone")
    return folder


NAMES = ["gen_kick", "gen_pad", "gen_stab", "gen_twin"]


def picture(store):
    return {
        sound.name: (sound.slots, sound.aliases, sound.facts, sound.pinned, sound.session) for sound in store.sounds()
    }


def test_a_whole_folder_is_left_as_it_is(kept):
    before = (kept / "catalogue.sqlite3").read_bytes()
    rebuilt = rebuild(kept)
    assert (rebuilt.sounds, rebuilt.kept, rebuilt.changed) == (4, 4, False)
    assert (kept / "catalogue.sqlite3").read_bytes() == before
    assert len(copies(SampleStore.open(kept)._folder)) == 1


def test_with_an_older_catalogue_and_no_audio_at_all_the_names_come_back_from_the_newer_copy(kept, record):
    older = (kept / "catalogue.sqlite3").read_bytes()
    with SampleStore.open(kept) as store:
        store.publish(record(store, "late"), [Target("gen_late")])
        store.delete("gen_twin")
    lose(kept, copies_too=False)
    (kept / "catalogue.sqlite3").write_bytes(older)
    shutil.rmtree(kept / "masters")
    rebuild(kept)
    with SampleStore.open(kept) as store:
        assert set(NAMES) | {"gen_late"} <= set(names(store))
        assert store.sound("gen_late").slots[0].spec_id, "it is made again when somebody asks"


@pytest.mark.parametrize("opened_before", [False, True])
def test_with_a_copy_everything_comes_back_with_its_name(kept, record, opened_before):
    with SampleStore.open(kept) as store:
        before = picture(store)
        store.publish(record(store, "late"), [Target("gen_late")])
        late = store.sound("gen_late").slots
        store._folder.close()  # killed before it could make another copy
    newest = copies(store._folder)[0]
    newest.unlink()
    lose(kept, copies_too=False)
    if opened_before:
        SampleStore.open(kept).close()
    rebuilt = rebuild(kept)
    assert rebuilt.sounds == 5
    assert "gen_late" in rebuilt.named
    assert (rebuilt.found, rebuilt.missing, rebuilt.unreadable) == ((), (), ())
    with SampleStore.open(kept) as store:
        assert (store.notes, store.sweep()) == ((), 0)
        after = picture(store)
        assert after.pop("gen_late")[0] == late
        assert after == before
        assert store.search({"boom": 1.0})[0][0].name == "gen_kick"
        assert store.restore("gen_gone").sounds[0].name == "gen_gone"
        assert store.verify() == {}


def test_without_a_copy_names_slots_and_aliases_come_from_the_masters(kept, ident):
    with SampleStore.open(kept) as store:
        before = picture(store)
    lose(kept)
    told = Told({"prompt": "told", "root": "c3"}, created=5.0)
    how = Rebuilding(tell=lambda _: told, terms=lambda name, _, facts: {name: 2.0, facts["prompt"]: 1.0})
    rebuilt = rebuild(kept, how)
    assert sorted(rebuilt.named) == ["gen_gone", *NAMES]
    with SampleStore.open(kept) as store:
        after = picture(store)
        for name in NAMES:
            assert [(slot.n, slot.spec_id, slot.sample_id) for slot in after[name][0]] == [
                (slot.n, slot.spec_id, slot.sample_id) for slot in before[name][0]
            ]
            assert after[name][1] == before[name][1]
            assert after[name][4] == before[name][4]
            assert after[name][2] == {"prompt": "told", "root": "c3"}
        assert store.take(ident("kick1")).facts == {"prompt": "told", "root": "c3"}
        assert store.search({"told": 1.0})
        assert store.verify() == {}
    assert rebuild(kept, how).changed is False


def test_a_copy_that_cannot_be_made_does_not_undo_what_came_back(kept, monkeypatch):
    lose(kept)
    monkeypatch.setattr("cache._copies._PART", "x" * 300)  # a name that no disk takes
    assert set(NAMES) <= set(rebuild(kept).named)
    monkeypatch.undo()
    with SampleStore.open(kept) as store:
        assert set(NAMES) <= set(names(store))


def test_masters_that_carry_nothing_are_found_under_numbers_and_every_time_the_same(folder, record, ident):
    with SampleStore.open(folder) as store:
        new = record(store, "plain")
        store.publish(new, [Target("gen_plain")])
        master = store.master(new.sample_id)
    master.write_bytes(wav(master.read_bytes()[44:-264]))
    broken = master.with_name(master.name.replace(master.name[2:6], "0000"))
    broken.write_bytes(master.read_bytes()[:-9])
    found = []
    for _ in range(2):
        lose(folder)
        how = Rebuilding(tell=lambda _: Told({"prompt": "p"}, spec_id=ident("plain"), aliases=("gen_words",)))
        rebuilt = rebuild(folder, how)
        assert rebuilt.unreadable == (broken,)
        (name,) = rebuilt.found
        assert re.fullmatch(r"gen_found_\d{6}", name)
        found.append(name)
        with SampleStore.open(folder) as store:
            assert store.sound("gen_words").name == name
            assert store.take(ident("plain")).sample_id == new.sample_id
    assert found[0] == found[1]


def test_a_slot_keeps_its_number_when_those_before_it_are_gone(kept, ident):
    with SampleStore.open(kept) as store:
        slots = store.sound("gen_kick").slots
        store.master(slots[0].sample_id).unlink()
        store.master(slots[1].sample_id).unlink()
    lose(kept)
    rebuild(kept)
    with SampleStore.open(kept) as store:
        after = store.sound("gen_kick").slots
        assert [(slot.n, slot.sample_id, slot.standin) for slot in after] == [
            (0, slots[2].sample_id, True),
            (1, slots[2].sample_id, True),
            (2, slots[2].sample_id, False),
        ]


def test_what_went_to_the_trash_comes_back_for_a_row_or_a_name(kept, tmp_path):
    with SampleStore.open(kept) as store:
        slots = {name: store.sound(name).slots for name in NAMES}
        trash = kept / "trash" / "2026-01-01"
        trash.mkdir(parents=True)
        store.master(slots["gen_pad"][0].sample_id).rename(trash / f"{slots['gen_pad'][0].sample_id}.wav")
        store.master(slots["gen_kick"][1].sample_id).rename(trash / f"{slots['gen_kick'][1].sample_id}.3.wav")
        (trash / "notes.txt").write_text("no sound")
    assert set(rebuild(kept).missing) == set()
    with SampleStore.open(kept) as store:
        assert store.sweep() == 0
        assert store.verify() == {}
    shutil.rmtree(kept / "trash")
    with SampleStore.open(kept) as store:
        store.master(slots["gen_pad"][0].sample_id).unlink()
    assert rebuild(kept).missing == ("gen_pad",)


def test_an_older_catalogue_gets_back_what_was_made_since_and_keeps_what_was_made_after(kept, record):
    older = (kept / "catalogue.sqlite3").read_bytes()
    with SampleStore.open(kept) as store:
        store.publish(record(store, "kick3"), [Target("gen_kick")])
        store.publish(record(store, "new"), [Target("gen_new")])
        store.rename("gen_pad", "gen_renamed")
        store.delete("gen_stab")
    (kept / "catalogue.sqlite3").write_bytes(older)
    with SampleStore.open(kept) as store:
        store.publish(record(store, "after"), [Target("gen_after")])
    rebuilt = rebuild(kept)
    assert set(rebuilt.named) == {"gen_kick", "gen_new"}
    with SampleStore.open(kept) as store:
        assert names(store) == ["gen_after", "gen_kick", "gen_new", *NAMES[1:]]
        assert len(store.sound("gen_kick").slots) == 4
        assert (store.notes, store.verify()) == ((), {})


def test_killed_at_any_step_it_can_be_run_again(kept, monkeypatch):
    with SampleStore.open(kept) as store:
        before = picture(store)
    lose(kept)
    whole = masters(kept)
    real = sqlite3.connect
    for step in range(0, 60, 6):
        # What a killed process has not committed is gone, what it has moved is moved.
        left = [step]

        def dying(*args, left=left, **options):
            con = real(*args, **options)

            def authorise(*_):
                left[0] -= 1
                return sqlite3.SQLITE_OK if left[0] > 0 else sqlite3.SQLITE_DENY

            con.set_authorizer(authorise)
            return con

        monkeypatch.setattr(sqlite3, "connect", dying)
        try:
            rebuild(kept)
        except (StoreError, sqlite3.Error):
            pass
        finally:
            monkeypatch.undo()
        assert masters(kept) == whole
    rebuild(kept)
    with SampleStore.open(kept) as store:
        assert set(picture(store)) == {*before, "gen_gone"}
        assert store.verify() == {}


def test_a_person_s_mistakes_get_a_sentence(kept, tmp_path):
    with SampleStore.open(kept), pytest.raises(StoreLocked, match="Stop that process"):
        rebuild(kept)
    with pytest.raises(StoreDamaged, match="no data folder"):
        rebuild(tmp_path / "nothing")
    assert not (tmp_path / "nothing").exists()
    (tmp_path / "theirs" / "masters").mkdir(parents=True)
    (tmp_path / "theirs" / "masters" / "thesis.txt").write_text("years of work")
    with pytest.raises(StoreDamaged, match="not one of our data folders"):
        rebuild(tmp_path / "theirs")


def delete(file, _):
    file.unlink()


def truncate(file, chance):
    os.truncate(file, chance.randrange(file.stat().st_size + 1))


def flip(file, chance):
    data = bytearray(file.read_bytes())
    for _ in range(chance.choice((1, 8, 100)) if data else 0):
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    file.write_bytes(data)


def swap(file, chance):
    other = chance.choice([each for each in sorted(file.parent.iterdir()) if each.is_file()])
    one, two = file.read_bytes(), other.read_bytes()
    file.write_bytes(two)
    other.write_bytes(one)


def older(file, _):
    file.write_bytes(file.with_name(f"{file.name}.older").read_bytes())


@pytest.mark.parametrize("damage", [delete, truncate, flip, swap, older])
def test_whatever_happens_to_the_catalogue_no_master_goes_and_the_names_come_back(tmp_path, record, damage):
    folder, saved = tmp_path / "data", tmp_path / "saved"
    with SampleStore.open(folder, durable=False) as store:
        for number in range(20):
            if number == 12:
                shutil.copyfile(store.copy_catalogue(), folder / "catalogue.sqlite3.older")
            store.publish(record(store, f"s{number}"), [Target(f"gen_{number}")])
    shutil.copytree(folder, saved)
    whole = masters(folder)
    for seed in range(3):
        shutil.rmtree(folder)
        shutil.copytree(saved, folder)
        chance = random.Random(f"{damage.__name__} {seed}")
        file = folder / ("catalogue.sqlite3" if seed < 2 or damage is older else "format.json")
        damage(file, chance)
        (folder / "catalogue.sqlite3.older").unlink(missing_ok=True)
        with SampleStore.open(folder, durable=False) as store:  # a StoreError would be well, but none is needed
            store.sweep()
        assert masters(folder) == whole, f"seed {seed}"
        rebuild(folder)
        with SampleStore.open(folder, durable=False) as store:
            store.sweep()
            found = names(store)
            assert {f"gen_{number}" for number in range(20)} <= set(found), f"seed {seed}"
            assert store.notes == ()
        assert masters(folder) == whole

"""What masters carry of their place in the catalogue."""

import pytest

from cache import Target, _carrying
from cache._carrying import Carried, Place
from tests.cache.conftest import wav

CARRIED = Carried("ab" * 16, (Place("gen_kick", 0, aliases=("musicgen_kick",)), Place("gen_kick_1", 0, session="jam")))


def test_a_published_master_carries_its_spec_names_and_slots_and_sounds_as_before(store, record):
    first = record(store, "one")
    audio = first.master.read_bytes()[44:]
    store.publish(first, [Target("gen_a", aliases=("musicgen_a",)), Target("gen_a_1")])
    second = record(store, "two")
    published = store.publish(second, [Target("musicgen_a", session="jam")])
    master = store.master(first.sample_id)
    assert _carrying.read(master) == Carried(
        first.spec_id, (Place("gen_a", 0, aliases=("musicgen_a",)), Place("gen_a_1", 0))
    )
    assert _carrying.read(store.master(second.sample_id)) == Carried(
        second.spec_id, (Place("gen_a", 1, session="jam"),)
    )
    assert master.read_bytes()[44:].startswith(audio)
    assert store.verify() == {}
    assert published.sample.bytes == store.master(second.sample_id).stat().st_size


def test_what_is_carried_is_exchanged_and_the_rest_of_the_file_stays(tmp_path):
    file = tmp_path / "master.wav"
    file.write_bytes(wav(bytes(range(240))))
    before = file.read_bytes()
    assert _carrying.carry(file, CARRIED)
    assert _carrying.carry(file, CARRIED), "a second try after a full disk"
    assert _carrying.read(file) == CARRIED
    data = _carrying.rewritten(file.read_bytes(), [Place("gen_x", 0)])
    assert len(data) == file.stat().st_size
    file.write_bytes(data)
    assert _carrying.read(file) == Carried(CARRIED.spec_id, (Place("gen_x", 0),))
    assert data[8 : len(before)] == before[8:]
    file.write_bytes(_carrying.rewritten(data, [Place("gen_" + "long" * 200, 0)]))
    assert _carrying.read(file) == Carried(CARRIED.spec_id, ()), "what does not fit is left away"


@pytest.mark.parametrize("name", ["sbrg", "sbrg\0\1\0\0", "gen_\u00e4\u266b", '"\\', "x" * 70000])
def test_names_of_every_kind_are_carried_or_left_away(tmp_path, name):
    file = tmp_path / "master.wav"
    file.write_bytes(wav(bytes(240)))
    carried = Carried("ab" * 16, (Place(name, 0),))
    _carrying.carry(file, carried)
    assert _carrying.read(file) in (carried, None)
    assert _carrying.shape(file).frames == 80
    file.write_bytes(_carrying.rewritten(file.read_bytes(), []))
    assert _carrying.read(file) in (Carried("ab" * 16, ()), None)


def test_a_file_that_is_cut_anywhere_is_not_a_whole_master(tmp_path):
    file = tmp_path / "master.wav"
    file.write_bytes(wav(bytes(240)))
    _carrying.carry(file, CARRIED)
    data = file.read_bytes()
    for length in range(0, len(data), 7):
        file.write_bytes(data[:length])
        assert _carrying.shape(file) is None
        assert not _carrying.carry(file, CARRIED)
        assert file.read_bytes() == data[:length]

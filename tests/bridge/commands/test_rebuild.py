"""`sample-bridge rebuild`: what it says about whole, damaged, empty and busy libraries."""

from __future__ import annotations

from pathlib import Path

import pytest

from cache import SampleStore
from tests import old_folder
from tests.bridge.commands.conftest import serving
from tests.bridge.commands.stores import add, digests


@pytest.fixture
def data(tmp_path: Path) -> Path:
    data = old_folder.unpack(tmp_path)
    add(data, "gen_new")
    return data


def names(data: Path) -> set[str]:
    with SampleStore.open(data, undo_seconds=1e9) as store:
        return {sound.name for sound in store.sounds()}


def test_a_whole_library_has_nothing_to_rebuild(typed, data: Path) -> None:
    before = names(data)
    ended = typed("rebuild")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith("There is nothing to rebuild")
    assert names(data) == before
    assert typed("rebuild", "--json").json()["changed"] is False


def test_a_lost_catalogue_comes_back_with_every_name(typed, data: Path) -> None:
    before, masters = names(data), digests(data)
    (data / "catalogue.sqlite3").unlink()
    ended = typed("rebuild")
    assert ended.code == 0
    assert f"there are {len(before)} sounds now" in ended.out
    assert "came back under their names" in ended.out
    assert names(data) == before
    assert digests(data) == masters


def test_without_a_copy_the_sound_files_tell_their_names(typed, data: Path) -> None:
    (data / "catalogue.sqlite3").write_bytes(b"rubbish")
    for copy in (data / "copies").iterdir():
        copy.unlink()
    document = typed("rebuild", "--json").json()
    assert "gen_new" in document["named"]
    assert names(data) == {*document["named"], *document["found"]}
    assert all(name.startswith("gen_found_") for name in document["found"])


def test_missing_audio_and_files_that_are_no_sounds_are_named(typed, data: Path) -> None:
    with SampleStore.open(data, undo_seconds=1e9) as store:
        store.master(store.sound("gen_kick").slot.sample_id).unlink()
    odd = data / "masters" / "ab" / f"{'ab' * 16}.wav"
    odd.parent.mkdir()
    odd.write_text("not a sound")
    ended = typed("rebuild", "--json")
    assert ended.code == 1
    assert (ended.json()["missing"], ended.json()["unreadable"]) == (["gen_kick"], [str(odd)])
    assert "gen_kick" in typed("rebuild").out
    assert odd.exists()


def test_beside_a_running_server_it_is_refused_with_what_to_do(typed, data: Path) -> None:
    with serving(data) as server:
        error = typed("rebuild", "--json").error()
    assert error["code"] == "store_locked"
    assert server.url in error["message"]
    assert f"kill {server.process.pid}" in error["message"]


def test_a_folder_that_is_none_of_ours_stays_as_it_is(typed, tmp_path: Path) -> None:
    (tmp_path / "photos" / "masters").mkdir(parents=True)
    (tmp_path / "photos" / "masters" / "me.jpg").touch()
    for place in ("photos", "nowhere"):
        assert typed("rebuild", "--json", "--data-dir", place).error()["code"] == "store_damaged"
    assert [each.name for each in (tmp_path / "photos").rglob("*.*")] == ["me.jpg"]

"""What a rebuild reads from the masters of an old folder."""

from __future__ import annotations

import json
import shutil
import sqlite3
from pathlib import Path

from bridge.sounds.rebuilding import rebuild, tell
from cache import SampleStore
from tests import old_folder


def test_masters_of_968f128_tell_their_facts_and_what_they_were_made_of(tmp_path: Path) -> None:
    folder = old_folder.unpack(tmp_path)
    with sqlite3.connect(folder / "catalogue.sqlite3") as con:
        rows = con.execute("SELECT sample_id, spec_id, facts FROM takes").fetchall()
    con.close()
    for sample_id, spec_id, facts in rows:
        told = tell((folder / "masters" / sample_id[:2] / f"{sample_id}.wav").read_bytes())
        known = json.loads(facts)
        assert told.spec_id == spec_id, "asked for again, it is there"
        spec, known_spec = told.facts["spec"], known.pop("spec")
        assert {name: told.facts[name] for name in known} == known
        assert all(known_spec[name] == spec[name] for name in spec)


def test_an_old_folder_without_any_catalogue_gets_its_sounds_back_under_numbers_and_words(tmp_path: Path) -> None:
    folder = old_folder.unpack(tmp_path)
    for each in folder.glob("catalogue.sqlite3*"):
        each.unlink()
    shutil.rmtree(folder / "copies", ignore_errors=True)
    with SampleStore.open(folder) as store:
        assert "sample-bridge rebuild" in store.notes[0]
        store.sweep()
    rebuilt = rebuild(folder)
    assert len(rebuilt.found) == old_folder.SAMPLES
    with SampleStore.open(folder) as store:
        assert store.notes == ()
        assert store.verify() == {}
        found = store.sound("gen_ambient_tone_220_hz")
        assert found is not None
        assert found.name.startswith("gen_found_")
        assert store.search({"kick": 1.0})


def test_what_is_no_master_of_ours_tells_plain_facts_and_never_raises() -> None:
    for data in (b"", b"RIFF", b"RIFF\0\0\0\0WAVE", bytes(5000)):
        told = tell(data)
        assert (told.facts["prompt"], told.facts["licence"], told.spec_id, told.aliases) == ("", "", None, ())

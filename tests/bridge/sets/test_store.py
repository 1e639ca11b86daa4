"""Sets on a real disk: what a save keeps, what nothing overwrites, and what a damaged file costs."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest

from bridge import sets as kept_sets
from bridge.errors import Conflict, InvalidRequest, NotFound, StorageFull
from bridge.sets import MOST_VERSIONS, SetStore, forget_in_sets
from bridge.sets import store as module

ONE, TWO = "0123456789abcdef", "fedcba9876543210"
DAY = 86400.0


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        self.now += 1
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> SetStore:
    return SetStore(tmp_path, DAY, clock)


def codes(store: SetStore, set_id: str = ONE) -> list[str | None]:
    return [store.version(set_id, each.number).code for each in store.get(set_id).versions]


def test_each_save_is_a_version_and_the_same_once_more_is_none(store: SetStore, tmp_path: Path) -> None:
    store.save(ONE, " first ", 's("bd")\r\n// é 🎹', 0)
    again = store.save(ONE, "first", 's("bd")\r\n// é 🎹', 0)  # the answer was lost, so it is sent again
    assert (again.head.number, again.head.name) == (1, "first")
    store.save(ONE, "first", "", 1)
    renamed = store.save(ONE, "second", "", 2)
    assert [(each.number, each.name) for each in renamed.versions] == [(3, "second"), (2, "first"), (1, "first")]
    assert codes(store) == ["", "", 's("bd")\r\n// é 🎹']
    assert [each.head.name for each in store.summaries()] == ["second"]
    for path in (tmp_path / "sets").rglob("*"):
        assert not path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO), path


def test_of_two_who_save_one_set_the_second_learns_of_it_and_nothing_is_lost(store: SetStore) -> None:
    store.save(ONE, "set", "old", 0)
    refused: list[Conflict] = []
    start = threading.Barrier(8)

    def browser(number: int) -> None:
        start.wait()
        try:
            store.save(ONE, f"name {number}", f"code {number}", 1)
        except Conflict as error:
            refused.append(error)

    threads = [threading.Thread(target=browser, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) == 7
    head = store.get(ONE).head
    assert head.number == 2
    for error in refused:
        assert error.code == "set_changed"
        assert error.details["current"] == {"version": 2, "name": head.name, "code": head.code}
        yours = error.details["yours"]
        assert yours["name"].split()[1] == yours["code"].split()[1] != head.name.split()[1]
    yours = refused[0].details["yours"]
    assert store.save(ONE, yours["name"], yours["code"], 2).head.number == 3
    assert codes(store) == [yours["code"], head.code, "old"]


def test_a_flood_of_saves_does_not_push_out_what_was_saved_on_other_days(store: SetStore, clock: Clock) -> None:
    for day in range(MOST_VERSIONS - 5):
        store.save(ONE, "set", f"day {day}", day)
        clock.now += DAY
    for number in range(200):
        store.save(ONE, "set", f"flood {number}", store.get(ONE).head.number)
    found = codes(store)
    assert len(found) == MOST_VERSIONS
    assert found[0] == "flood 199"
    assert {f"day {day}" for day in range(MOST_VERSIONS - 5)} <= set(found)


def test_a_damaged_version_costs_itself_alone(store: SetStore, tmp_path: Path) -> None:
    for number in range(3):
        store.save(ONE, "set", f"code {number}", number)
    folder = tmp_path / "sets" / ONE
    whole = (folder / "000003.set").read_bytes()
    for damage in (b"", whole[:-1], whole.replace(b"code", b"c0de"), b"\xff" * 9000, b'{"set": 1}\n', b"[" * 99999):
        (folder / "000003.set").write_bytes(damage)
        found = store.get(ONE)
        assert (found.head.code, found.damaged) == ("code 1", True), damage[:20]
        with pytest.raises(NotFound, match="Version 3 of this set is damaged") as error:
            store.version(ONE, 3)
        assert error.value.code == "set_damaged"
    (folder / "000003.set").unlink()
    os.mkfifo(folder / "000003.set")
    assert store.get(ONE).head.code == "code 1"
    assert store.summaries()[0].damaged
    # The browser that saved version 3 has it still, and goes on from there; one that has version 2 may, too.
    assert store.save(ONE, "set", "code 3", 3).head.number == 4
    for file in folder.glob("*.set"):
        file.unlink()
        file.write_bytes(b"garbage")
    with pytest.raises(NotFound, match="Every version of this set is damaged"):
        store.get(ONE)
    assert [(each.id, each.head.name, each.damaged) for each in store.summaries()] == [(ONE, "", True)]
    assert store.save(ONE, "set", "saved again", 4).head.code == "saved again"


def test_what_a_killed_save_leaves_is_not_a_version_and_goes_with_the_next(store: SetStore, tmp_path: Path) -> None:
    folder = tmp_path / "sets" / ONE
    folder.mkdir(parents=True)
    (folder / ".000001.set.abc.part").write_bytes(b"half")
    (tmp_path / "sets" / "notes.txt").write_text("somebody else's")
    assert store.summaries() == []
    assert store.save(ONE, "set", "code", 0).head.number == 1
    assert sorted(each.name for each in folder.iterdir()) == ["000001.set"]


def test_a_deleted_set_comes_back_for_a_day_and_then_goes_with_its_files(
    store: SetStore, clock: Clock, tmp_path: Path
) -> None:
    store.save(ONE, "set", "code", 0)
    until = store.delete(ONE)
    assert until == pytest.approx(clock.now + DAY)
    with pytest.raises(Conflict) as error:
        store.save(ONE, "set", "more", 1)
    assert error.value.code == "set_deleted"
    assert store.summaries()[0].deleted_until == until
    assert store.restore(ONE).deleted_until is None
    assert store.save(ONE, "set", "more", 1).head.number == 2
    store.delete(ONE)
    clock.now += DAY + 5
    assert store.summaries() == []
    with pytest.raises(NotFound):
        store.restore(ONE)
    store.save(TWO, "other", "", 0)
    assert [each.name for each in (tmp_path / "sets").iterdir()] == [TWO]


def test_where_the_most_are_kept_deleted_ones_go_and_then_it_says_so(
    store: SetStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_SETS", 3)
    for number in range(3):
        store.save(f"{number:016}", "set", "code", 0)
    with pytest.raises(StorageFull, match="at most 3 sets") as error:
        store.save(ONE, "set", "code", 0)
    assert error.value.code == "sets_full"
    store.save(f"{0:016}", "set", "more", 1)
    store.delete(f"{1:016}")
    store.save(ONE, "set", "code", 0)
    monkeypatch.setattr(module, "MOST_BYTES", 20)
    with pytest.raises(StorageFull):
        store.save(ONE, "set", "x" * 30, 1)
    assert store.get(ONE).head.code == "code"


@pytest.mark.parametrize("name", ["", "  ", "x" * 81, "two\nlines", "bell\x07", "\u202egnp"])
def test_a_name_is_one_line_that_can_be_read(store: SetStore, name: str) -> None:
    with pytest.raises(InvalidRequest):
        store.save(ONE, name, "", 0)


@pytest.mark.parametrize("set_id", ["", ".", "..", "0123456789ABCDEF", "../0123456789abc", "0123456789abcdef/"])
def test_an_id_that_is_none_leads_nowhere(store: SetStore, set_id: str, tmp_path: Path) -> None:
    for call in (lambda: store.get(set_id), lambda: store.save(set_id, "a", "b", 0), lambda: store.delete(set_id)):
        with pytest.raises(NotFound):
            call()
    assert list(tmp_path.iterdir()) in ([], [tmp_path / "sets"])


def test_forgetting_takes_prompts_and_old_names_and_leaves_code_that_plays(store: SetStore, tmp_path: Path) -> None:
    code = (
        '$: s("gen_kick*4, gen_kick_2").bank("kick") // kick of gen_kick\n'
        "const kick = generateMusic('kick'); gen(\"Dusty  Break\")\n"
        "/* dusty break, by hand: don't */ const gen_kick = 1"
    )
    store.save(ONE, "dusty break set", code, 0)
    store.save(ONE, "two", "nothing of it", 1)
    store.save(TWO, "gone", "`dusty\nbreak`", 0)
    store.delete(TWO)
    (tmp_path / "sets" / ONE / "000003.set").write_bytes(b'\xff{"set": dusty break \xfe')
    (tmp_path / "sets" / ONE / ".000004.set.x.part").write_bytes(b"dusty break")
    forget_in_sets(tmp_path, {"kick", "dusty break"}, {"gen_kick": "gen_77"})
    assert store.version(ONE, 1).name == "forgotten set"
    assert store.version(ONE, 1).code == (
        '$: s("gen_77*4, gen_kick_2").bank("kick") // kick of gen_77\n'
        "const kick = generateMusic('forgotten'); gen(\"forgotten\")\n"
        "/* forgotten, by hand: don't */ const gen_kick = 1"
    )
    assert store.version(ONE, 2).code == "nothing of it"
    kept = b"".join(path.read_bytes() for path in (tmp_path / "sets").rglob("*") if path.is_file())
    assert b"dusty" not in kept
    assert b"break" not in kept
    assert kept_sets.SetStore(tmp_path, DAY).get(ONE).head.number == 2

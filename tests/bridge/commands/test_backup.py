"""`sample-bridge backup` and `restore`: beside a running server, into a file, into a folder, and what is refused."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import os
import resource
import shlex
import signal
import socket
import sqlite3
import subprocess
import tarfile
import threading
import time
import urllib.request
from pathlib import Path

import pytest

from bridge.commands._backups import placing, reading, taking, writing
from bridge.commands._backups.manifest import NAME, Manifest
from bridge.engines.cloud.spending import Spending
from bridge.jobs import Journal
from bridge.sets import SetStore
from cache import SampleStore
from prompts import SampleSpec
from tests import old_folder
from tests.bridge.commands.conftest import PROGRAM, Ended, clean_environment, serving
from tests.bridge.commands.stores import add, digests


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """The data folder of the commands, with the sounds of an old version."""
    return old_folder.unpack(tmp_path)


def kept(folder: Path) -> dict[str, list[str]]:
    """Sounds and the samples of their slots."""
    with SampleStore.open(folder, undo_seconds=1e9) as store:
        assert store.verify() == {}
        return {sound.name: [slot.sample_id for slot in sound.slots] for sound in store.sounds()}


@pytest.mark.parametrize("target", ["library.tar", "library"])
def test_a_backup_brings_back_every_sound_alias_ticket_and_account(typed, data: Path, target: str) -> None:
    set_id = "0123456789abcdef"
    SetStore(data, 0).save(set_id, "Friday", 's("gen_kick")', 0)
    made = typed("backup", target, "--json", "--verify").json()
    assert made["left_out"] == []
    assert (made["sounds"], made["problems"], made["missing"]) == (len(old_folder.SOUNDS), [], [])
    before = kept(data)
    masters = digests(data)
    data.rename(data.with_name("lost"))
    back = typed("restore", target, "--json")
    assert (back.code, back.json()["sounds"]) == (0, len(before))
    assert kept(data) == before
    assert digests(data) == masters
    assert SetStore(data, 0).get(set_id).head.code == 's("gen_kick")'
    with SampleStore.open(data, undo_seconds=1e9) as store:
        assert store.sound("gen_old_name").name == "gen_new_name"
        assert store.sound(old_folder.PINNED).pinned
        assert store.restore(old_folder.DELETED)
    for file, query, there in (
        ("jobs.sqlite3", "SELECT count(*) FROM tickets", 15),
        ("stems.sqlite3", "SELECT count(*) FROM requests", len(old_folder.STEMS)),
        ("spending.sqlite3", "SELECT total(cost) FROM spent", old_folder.SPENT),
    ):
        with sqlite3.connect(data / file) as database:
            assert database.execute(query).fetchone() == (there,)
        database.close()
    assert len((data / "usage.jsonl").read_text().splitlines()) == old_folder.USAGE_LINES
    assert len(list(data.glob("stems/*/*.wav"))) == 2
    assert data.stat().st_mode & 0o77 == 0
    if target == "library.tar":
        return
    with serving(data) as server, urllib.request.urlopen(f"{server.url}/sounds/gen_kick") as answer:
        assert answer.read(4) == b"RIFF"


def test_a_backup_beside_a_busy_server_holds_every_master_that_its_catalogue_names(typed, tmp_path: Path) -> None:
    data = tmp_path / "data"
    stop = threading.Event()

    def ask(url: str) -> None:
        number = 0
        while not stop.is_set():
            number += 1
            body = json.dumps({"prompt": f"tone {200 + number} hz", "duration": 0.1, "name": f"busy_{number}"}).encode()
            headers = {"Content-Type": "application/json"}
            urllib.request.urlopen(urllib.request.Request(f"{url}/generate", body, headers)).close()
            if number % 3 == 0:
                gone = urllib.request.Request(f"{url}/sounds/busy_{number - 1}", method="DELETE")
                urllib.request.urlopen(gone).close()

    with serving(data, BRIDGE_UNDO_SECONDS="0", BRIDGE_MASTERS_LIMIT_MB="1") as server:
        busy = threading.Thread(target=ask, args=(server.url,))
        busy.start()
        try:
            made = [typed("backup", target, "--json") for target in ("one.tar", "all", "all", "two.tar")]
        finally:
            stop.set()
            busy.join()
        refused = typed("restore", "one.tar", "--replace", "--json").error()
        assert refused["code"] == "store_locked"
        assert server.url in refused["message"]
        assert str(server.process.pid) in refused["message"]
    assert [(each.code, each.json()["problems"]) for each in made] == [(0, [])] * 4
    for target in ("one.tar", "all", "two.tar"):
        there = tmp_path / f"from_{target}"
        assert typed("restore", target, "--data-dir", str(there)).code == 0
        kept(there)


def test_a_folder_takes_in_only_what_is_new_and_keeps_the_last_states(typed, data: Path, tmp_path: Path) -> None:
    first = typed("backup", "all", "--json").json()
    added = add(data, "gen_added")
    second = typed("backup", "all", "--json").json()
    assert second["sounds"] == first["sounds"] + 1
    pool = {file.name.partition(".")[0]: file for file in tmp_path.glob("all/pool/masters/*/*")}
    assert added in pool
    untouched = {name: file.stat().st_mtime_ns for name, file in pool.items() if name != added}
    with SampleStore.open(data, undo_seconds=0) as store:
        store.delete("gen_kick")
        store.delete("gen_added")
        store.purge()
    for _ in range(2):
        assert typed("backup", "all", "--keep", "3", "--json").code == 0
    states = sorted(each.name for each in (tmp_path / "all" / "states").iterdir())
    assert len(states) == 3
    assert (tmp_path / "all/pool/masters" / added[:2]).is_dir(), "an older state names it"
    assert typed("restore", "all", "--state", states[0], "--replace", "--json").json()["sounds"] == second["sounds"]
    assert "gen_added" in kept(data)
    assert untouched == {name: file.stat().st_mtime_ns for name, file in pool.items() if name != added}
    typed("restore", f"all/states/{states[-1]}", "--replace")
    assert "gen_kick" not in kept(data)
    assert typed("backup", "all", "--keep", "1").code == 0
    assert not list(tmp_path.glob(f"all/pool/masters/*/{added}*")), "no state names it any more"
    assert typed("restore", "all", "--state", "yesterday", "--replace", "--json").error()["code"] == "no_such_backup"


def test_a_damaged_copy_in_a_folder_is_found_and_mended_by_the_next_backup(typed, data: Path, tmp_path: Path) -> None:
    typed("backup", "all")
    copy = next(tmp_path.glob("all/pool/masters/*/*"))
    whole = copy.read_bytes()
    copy.write_bytes(whole[:-1] + b"?")
    assert typed("restore", "all", "--check", "--json").error()["code"] == "bad_backup"
    assert typed("backup", "all", "--verify").code == 0
    assert copy.read_bytes() == whole


def test_what_is_missing_or_changed_in_the_library_is_named_and_the_rest_is_saved(typed, data: Path) -> None:
    with SampleStore.open(data, undo_seconds=1e9) as store:
        kick, stab = (store.master(store.sound(name).slot.sample_id) for name in ("gen_kick", "gen_stab"))
    kick.unlink()
    os.mkfifo(kick)  # what would wait for ever
    stab.write_bytes(stab.read_bytes()[:-1] + b"?")
    (data / "jobs.sqlite3").write_bytes(b"rubbish" * 1000)
    (data / "soundfonts").mkdir()
    made = typed("backup", "b.tar", "--json")
    report = made.json()
    assert made.code == 1
    assert (report["missing"], report["damaged"]) == ([kick.stem], [stab.stem])
    assert report["left_out"] == ["soundfonts"]
    text = " ".join(report["problems"])
    for word in ("gen_kick", "gen_stab", "gen_second_name", "jobs.sqlite3", "doctor --data"):
        assert word in text
    there = typed("restore", "b.tar", "--data-dir", "there", "--json").json()
    assert (there["sounds"], there["missing"]) == (len(old_folder.SOUNDS), [kick.stem])


def bound(place: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(place))


ODD = {
    "a folder": Path.mkdir,
    "a pipe": os.mkfifo,
    "a socket": bound,
    "a link that leads nowhere": lambda place: place.symlink_to("nowhere"),
    "a link to another file": lambda place: place.symlink_to("/etc/hostname"),
}


@pytest.mark.parametrize(("how", "target"), [*((how, "b.tar") for how in ODD), ("a folder", "all")])
def test_whatever_stands_in_the_place_of_a_master_or_a_log_keeps_no_other_file_from_being_saved(
    typed, data: Path, monkeypatch: pytest.MonkeyPatch, how: str, target: str
) -> None:
    with SampleStore.open(data, undo_seconds=1e9) as store:
        kick = store.master(store.sound("gen_kick").slot.sample_id)
    for place in (kick, data / "usage.jsonl", data / "spending.sqlite3"):
        place.unlink()
        monkeypatch.chdir(place.parent)  # the path of a socket is short
        ODD[how](Path(place.name))
    monkeypatch.chdir(data.parent)
    made = typed("backup", target, "--json")
    assert (made.code, made.json()["missing"]) == (1, [kick.stem])
    text = " ".join(made.json()["problems"])
    for word in ("gen_kick", "usage.jsonl", "spending.sqlite3", *(["is a pipe instead"] if how == "a pipe" else [])):
        assert word in text
    assert shlex.join(["sample-bridge", "doctor", "--data", "--data-dir", str(data)]) in text
    assert typed("restore", target, "--data-dir", "there", "--json").json()["sounds"] == len(old_folder.SOUNDS)
    assert len(list(Path("there/masters").glob("*/*.wav"))) == old_folder.SAMPLES - 1


def test_a_master_that_the_disk_cannot_read_to_its_end_is_named_and_the_rest_is_saved(
    typed, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with SampleStore.open(data, undo_seconds=1e9) as store:
        kick = store.master(store.sound("gen_kick").slot.sample_id)
    inode, fdopen = kick.stat().st_ino, os.fdopen

    class Failing(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            if self.tell():
                raise OSError(5, "Input/output error")
            return super().read(min(size or 0, 1000))

    def opened(handle: int, *words: object, **more: object) -> object:
        same = os.fstat(handle).st_ino == inode and more.get("closefd") is False
        return Failing(kick.read_bytes()) if same else fdopen(handle, *words, **more)

    monkeypatch.setattr(taking.os, "fdopen", opened)
    made = typed("backup", "b.tar", "--json")
    monkeypatch.undo()
    assert (made.code, made.json()["damaged"]) == (1, [kick.stem])
    assert "gen_kick" in " ".join(made.json()["problems"])
    assert typed("restore", str(data.parent / "b.tar"), "--check").code == 0


@pytest.mark.parametrize("how", ["a folder", "a pipe", "a link that leads nowhere"])
def test_what_stands_in_the_place_of_the_catalogue_is_named_with_what_to_type(typed, data: Path, how: str) -> None:
    with SampleStore.open(data, undo_seconds=1e9):
        pass
    (data / "catalogue.sqlite3").unlink()
    ODD[how](data / "catalogue.sqlite3")
    error = typed("backup", "b.tar", "--json").error()
    assert error["code"] == "catalogue_damaged"
    assert how in error["message"]
    subprocess.run(error["message"].partition("after: ")[2].partition(" && ")[0], shell=True, check=True)
    error = typed("backup", "b.tar", "--json").error()
    words = shlex.split(error["message"].partition("after: ")[2])
    assert typed(*words[1:]).code == 0
    assert typed("backup", "b.tar").code == 0


def test_what_a_backup_says_to_type_can_be_typed_whatever_the_folders_are_called(typed, tmp_path: Path) -> None:
    data = tmp_path / "my $HOME 'sounds'"
    add(data, "gen_one")
    (tmp_path / "sp ace").mkdir()
    made = typed("backup", "sp ace/my bk", "--data-dir", str(data))
    words = shlex.split(made.out.partition("Bring it back with: ")[2].splitlines()[0])
    assert typed(*words[1:]).code == 0
    done = typed(*words[1:]).out
    assert shlex.split(done.partition("Type: ")[2].splitlines()[0]) == [
        "sample-bridge", "serve", "--data-dir", str(data)
    ]  # fmt: skip


def test_a_catalogue_of_a_newer_version_is_not_backed_up_and_restore_tells_its_version(
    typed, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with SampleStore.open(data, undo_seconds=1e9):
        pass
    with contextlib.closing(sqlite3.connect(data / "catalogue.sqlite3")) as database:
        database.execute("PRAGMA user_version = 52")
    assert typed("backup", "b.tar", "--json").error()["code"] == "format_too_new"
    assert not (tmp_path / "b.tar").exists()
    monkeypatch.setattr(taking, "known_format", lambda: 52)  # as the newer program makes it
    assert typed("backup", "b.tar").code == 0
    monkeypatch.undo()
    message = typed("restore", str(tmp_path / "b.tar"), "--data-dir", str(tmp_path / "n"), "--json").error()["message"]
    assert "52" in message
    assert ".restoring" not in message


def test_a_backup_is_never_in_another_one_and_never_moved_aside_for_itself(typed, data: Path, tmp_path: Path) -> None:
    typed("backup", "bk")
    for place in ("bk/sub", "bk/sub.tar", "bk/states/x"):
        assert typed("backup", place, "--json").error()["code"] == "bad_target"
    (data / "in").mkdir()
    (tmp_path / "bk").rename(data / "in" / "bk")
    for folder in (data / "in" / "bk", data, data / "in" / "bk" / "new"):
        words = ("restore", str(data / "in" / "bk"), "--replace", "--json", "--data-dir", str(folder))
        assert typed(*words).error()["code"] == "bad_target"
    assert typed("restore", str(data / "in" / "bk"), "--check").code == 0
    assert len(kept(data)) == len(old_folder.SOUNDS)


def test_a_sound_that_goes_away_while_it_is_copied_leaves_a_whole_backup(data: Path, tmp_path: Path) -> None:
    with (
        SampleStore.open(data, undo_seconds=0) as store,
        writing.opened(tmp_path / "b.tar", keep=1, verify=False) as out,
    ):
        gone = iter(["gen_hihat", "gen_pluck"])

        def during(*_: int) -> None:
            if name := next(gone, None):
                store.delete(name)
                store.purge()

        taken = taking.take(data, out, during)
    assert taken.manifest.missing == taken.manifest.damaged == ()
    assert taken.manifest.sounds == len(old_folder.SOUNDS) - 2
    with reading.opened(tmp_path / "b.tar") as backup:
        backup.check()


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("there.tar",), "target_exists"),
        (("data/inside.tar",), "bad_target"),
        (("data",), "bad_target"),
        ((".",), "bad_target"),
        (("full",), "bad_target"),
        (("there.txt",), "target_exists"),
        (("nowhere/b.tar",), "bad_target"),
        (("b.tar.gz",), "bad_target"),
        (("new", "--keep", "0"), "usage"),
        (("new", "--data-dir", "nowhere"), "no_data_folder"),
        (("new", "--data-dir", "empty"), "no_data_folder"),
        ((), "usage"),
    ],
)
def test_a_backup_that_cannot_be_meant_is_a_sentence(
    typed, data: Path, tmp_path: Path, words: tuple[str, ...], code: str
) -> None:
    for name in ("there.tar", "there.txt"):
        (tmp_path / name).write_text("mine")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").touch()
    (tmp_path / "empty").mkdir()
    before = sorted(tmp_path.rglob("*"))
    assert typed("backup", "--json", *words).error()["code"] == code
    assert sorted(tmp_path.rglob("*")) == before
    assert (tmp_path / "there.tar").read_text() == "mine"


@pytest.mark.parametrize("target", ["b.tar", "all"])
def test_a_disk_that_takes_no_more_leaves_nothing_behind(data: Path, tmp_path: Path, target: str) -> None:
    before = sorted(tmp_path.rglob("*"))
    ended = subprocess.run(
        [*PROGRAM, "backup", target, "--json"], cwd=tmp_path, env=clean_environment(BRIDGE_DATA_DIR=str(data)),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000)),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    error = Ended(ended.returncode, ended.stdout, ended.stderr).error()
    assert error["code"] in ("storage_full", "backup_failed")
    assert sorted(tmp_path.rglob("*")) == before


def test_two_backups_at_once_into_one_folder_are_not_mixed(typed, data: Path, tmp_path: Path) -> None:
    with writing.opened(tmp_path / "all", keep=7, verify=False) as first:
        assert typed("backup", "all", "--json").error()["code"] == "backup_running"
        taking.take(data, first)
    assert typed("backup", "all").code == 0
    assert len(list((tmp_path / "all" / "states").iterdir())) == 2


def test_a_stopped_backup_is_cleared_away_and_the_next_one_is_whole(typed, data: Path, tmp_path: Path) -> None:
    for target, number in (("b.tar", signal.SIGINT), ("all", signal.SIGTERM), ("all", signal.SIGKILL)):
        started = subprocess.Popen([*PROGRAM, "backup", target], cwd=tmp_path, stderr=subprocess.PIPE, text=True,
                                   env=clean_environment(BRIDGE_DATA_DIR=str(data)))  # fmt: skip
        assert started.stderr is not None
        started.stderr.readline()  # it is at a quarter
        started.send_signal(number)
        started.communicate(timeout=60)
        assert started.returncode in (0, -signal.SIGKILL if number == signal.SIGKILL else 130)
        if number != signal.SIGKILL:
            assert not list(tmp_path.glob(".*.part"))
            # It may have been quicker than the signal: then it is there, and whole.
            assert not (tmp_path / target).exists() or typed("restore", target, "--check").code == 0
    assert typed("backup", "all").code == 0
    assert typed("restore", "all", "--check").code == 0
    assert not list((tmp_path / "all" / "states").glob(".*"))


def test_a_folder_that_is_not_empty_is_moved_aside_and_never_deleted(typed, data: Path, tmp_path: Path) -> None:
    typed("backup", "b.tar")
    add(data, "gen_newer")
    before = digests(data)
    assert typed("restore", "b.tar", "--json").error()["code"] == "not_empty"
    assert digests(data) == before
    aside = Path(typed("restore", "b.tar", "--replace", "--json").json()["moved_aside"])
    assert aside.parent == tmp_path
    assert digests(aside) == before
    assert "gen_newer" in kept(aside)
    assert "gen_newer" not in kept(data)


def changed(archive: Path, **changes: object) -> None:
    """Write an archive anew, with another list."""
    with tarfile.open(archive) as old:
        files = [(member, old.extractfile(member).read()) for member in old]
    with tarfile.open(archive, "w", format=tarfile.USTAR_FORMAT) as new:
        for member, content in files:
            if member.name == NAME:
                content = json.dumps(json.loads(content) | changes).encode()
                member.size = len(content)
            new.addfile(member, io.BytesIO(content))


def hostile(archive: Path, name: str, **fields: object) -> None:
    """Put one more member before all others."""
    old = archive.read_bytes()
    member = tarfile.TarInfo(name)
    for field, value in fields.items():
        setattr(member, field, value)
    archive.write_bytes(member.tobuf(tarfile.GNU_FORMAT) + old)


BAD = {
    "cut in the middle": lambda file: os.truncate(file, file.stat().st_size // 2),
    "cut before its list": lambda file: os.truncate(file, file.stat().st_size - 6000),
    "without its end": lambda file: os.truncate(file, file.stat().st_size // 512 * 512 - 1024 - 1),
    "empty": lambda file: os.truncate(file, 0),
    "zeros": lambda file: file.write_bytes(bytes(100_000)),
    "text": lambda file: file.write_text("these are my sounds\n" * 1000),
    "compressed": lambda file: file.write_bytes(gzip.compress(file.read_bytes())),
    "a flipped bit in a master": lambda file: file.write_bytes(
        (data := file.read_bytes())[:150_000] + bytes([data[150_000] ^ 1]) + data[150_001:]
    ),
    "newer": lambda file: changed(file, format=2, program="9.0"),
    "a list of nonsense": lambda file: changed(file, files=[["masters", -1, 7]]),
    "a path out of it": lambda file: changed(file, files=[["../../evil", 1, "0" * 64]]),
    "other sounds than it says": lambda file: changed(file, sounds=3),
    "a member that leads out of it": lambda file: hostile(file, "../../evil"),
    "an absolute member": lambda file: hostile(file, "/tmp/evil"),
    "a link": lambda file: hostile(file, "engines.json", type=tarfile.SYMTYPE, linkname="/etc/passwd"),
    "a hard link": lambda file: hostile(file, "engines.json", type=tarfile.LNKTYPE, linkname="/etc/passwd"),
    "a device": lambda file: hostile(file, "usage.jsonl", type=tarfile.CHRTYPE, devmajor=1, devminor=5),
    "a folder": lambda file: hostile(file, "masters", type=tarfile.DIRTYPE),
    "a huge member": lambda file: hostile(file, "usage.jsonl", size=1 << 45),
    "a stranger's tar": lambda file: hostile(file, "holiday/photo.jpg"),
}


@pytest.mark.parametrize("how", BAD)
def test_a_backup_that_is_not_whole_or_not_ours_changes_nothing(typed, data: Path, tmp_path: Path, how: str) -> None:
    assert typed("backup", "b.tar").code == 0
    BAD[how](tmp_path / "b.tar")
    before = sorted(tmp_path.rglob("*"))
    for place in (data, tmp_path / "new"):
        error = typed("restore", "b.tar", "--replace", "--json", "--data-dir", str(place)).error()
        assert error["code"] == ("backup_too_new" if how == "newer" else "bad_backup")
        assert error["message"].endswith(".")
        assert sorted(each for each in tmp_path.rglob("*")) == before


def test_links_in_a_folder_of_backups_are_not_followed(typed, data: Path, tmp_path: Path) -> None:
    typed("backup", "all")
    copy = next(tmp_path.glob("all/pool/masters/*/*"))
    copy.rename(tmp_path / "elsewhere")
    copy.symlink_to(tmp_path / "elsewhere")
    assert typed("restore", "all", "--data-dir", "new", "--json").error()["code"] == "bad_backup"
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("part", ["format.json", "jobs.sqlite3", "spending.sqlite3"])
def test_a_part_of_a_newer_version_is_refused_before_anything_changes(
    typed, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    charge = Spending(data).charge("replicate", SampleSpec(prompt="x"))
    with SampleStore.open(data, undo_seconds=1e9), contextlib.closing(Journal(data / "jobs.sqlite3")), charge:
        pass
    if part == "format.json":
        (data / part).write_text('{"version": 999}')
    else:
        with contextlib.closing(sqlite3.connect(data / part)) as database:
            database.execute("PRAGMA user_version = 999")
    assert typed("backup", "b.tar", "--json").error()["code"] == "format_too_new"
    monkeypatch.setattr(taking, "_refuse_newer_parts", lambda _: None)  # as the newer program makes it
    assert typed("backup", "b.tar").code == 0
    error = typed("restore", "b.tar", "--data-dir", "new", "--json").error()
    assert error["code"] == "backup_too_new"
    assert "999" in error["message"]
    assert "pdate" in error["message"]
    assert not (tmp_path / "new").exists()


def test_a_library_without_a_whole_catalogue_is_told_to_rebuild(typed, data: Path, tmp_path: Path) -> None:
    catalogue = data / "catalogue.sqlite3"
    for left in data.glob("catalogue.sqlite3-*"):
        left.unlink()
    for content in (b"rubbish" * 10_000, None):
        catalogue.unlink()
        if content:
            catalogue.write_bytes(content)
        error = typed("backup", "b.tar", "--json").error()
        assert error["code"] in ("catalogue_damaged", "no_catalogue")
        assert "sample-bridge rebuild" in error["message"]
    assert not (tmp_path / "b.tar").exists()


def test_a_reader_that_has_gone_is_no_error(data: Path, tmp_path: Path) -> None:
    line = f'{" ".join(PROGRAM)} backup b.tar | true; exit "${{PIPESTATUS[0]}}"'
    ended = subprocess.run(["bash", "-c", line], cwd=tmp_path, env=clean_environment(BRIDGE_DATA_DIR=str(data)),
                           capture_output=True, text=True, check=False)  # fmt: skip
    assert (ended.returncode, "Traceback" in ended.stderr) == (0, False)
    assert (tmp_path / "b.tar").exists()


def test_time_is_told_in_the_list(data: Path, tmp_path: Path) -> None:
    begun = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    with writing.opened(tmp_path / "b.tar", keep=1, verify=False) as out:
        manifest: Manifest = taking.take(data, out).manifest
    assert begun <= manifest.made <= time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def test_a_restore_does_not_let_the_money_of_a_day_be_spent_twice(typed, data: Path) -> None:
    typed("backup", "b.tar")
    with sqlite3.connect(data / "spending.sqlite3") as ledger:
        ledger.execute(
            "INSERT INTO spent (at, engine, work, cost, settled) VALUES (?, 'x', 'y', 7.0, 1)", (time.time(),)
        )
    ledger.close()
    assert typed("restore", "b.tar", "--replace").code == 0
    with sqlite3.connect(data / "spending.sqlite3") as ledger:
        assert ledger.execute("SELECT total(cost) FROM spent").fetchone() == (old_folder.SPENT + 7.0,)
    ledger.close()
    assert len(kept(data)) == len(old_folder.SOUNDS)


def test_a_backup_of_a_library_that_waits_for_a_rebuild_says_so(typed, data: Path) -> None:
    add(data, "gen_new")
    (data / "catalogue.sqlite3").unlink()
    with SampleStore.open(data, undo_seconds=1e9):
        pass
    made = typed("backup", "b.tar", "--json")
    assert made.code == 1
    assert "sample-bridge rebuild" in " ".join(made.json()["problems"])
    typed("rebuild")
    assert typed("backup", "after.tar").code == 0


def test_where_a_disk_is_mounted_the_old_files_are_moved_aside_within_it(
    typed, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    typed("backup", "b.tar")
    monkeypatch.setattr(placing.os.path, "ismount", lambda path: Path(path) == data)
    add(data, "gen_newer")
    (data / "lost+found").mkdir()
    aside = Path(typed("restore", "b.tar", "--replace", "--json").json()["moved_aside"])
    assert aside.parent == data
    assert "gen_newer" in kept(aside)
    assert len(kept(data)) == len(old_folder.SOUNDS)
    assert (data / "lost+found").is_dir()
    assert not list(data.glob(".*"))

    before = kept(data)
    rename, moved = Path.rename, iter(range(100))

    def break_off(self: Path, target: Path) -> Path:
        if self.parent == data and next(moved) == 3:
            raise OSError(5, "Input/output error")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", break_off)
    assert typed("restore", "b.tar", "--replace", "--json").error()["code"] == "restore_failed"
    monkeypatch.undo()
    assert kept(data) == before
    assert len(list(data.glob("before-*"))) == 1

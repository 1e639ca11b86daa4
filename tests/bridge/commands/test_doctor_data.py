"""`sample-bridge doctor --data`: every file is looked at, nothing is changed, and what it says to type helps."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shlex
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bridge.commands import _oddities
from bridge.commands._data_files import PARTS, part_of
from bridge.exchange.stems.ledger import Ledger
from bridge.settings import Settings
from bridge.sounds.opening import open_service
from cache import SampleStore
from tests import old_folder
from tests.bridge.commands.conftest import serving
from tests.bridge.commands.stores import add, publish


def traces(folder: Path) -> dict[str, tuple[int, int, str]]:
    """Every file and folder: its rights, when it was changed, and its content."""
    found = {}
    for path in sorted(folder.rglob("*")):
        with contextlib.suppress(FileNotFoundError):  # a server may be at work
            digest = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
            found[str(path)] = (path.lstat().st_mode, path.lstat().st_mtime_ns, digest)
    return found


def wait_for_quiet(folder: Path) -> None:
    """Until what a server does at its start has been done."""
    before = None
    while before != (before := traces(folder)):
        time.sleep(0.5)


def flip(file: Path, place: float = 0.5) -> None:
    content = bytearray(file.read_bytes())
    for at in range(int(len(content) * place), min(int(len(content) * place) + 200, len(content))):
        content[at] ^= 0x55
    file.write_bytes(content)


def stranger(data: Path) -> None:
    """A sound file that the catalogue does not know."""
    (data / "masters" / "ab").mkdir()
    shutil.copy(master(data), data / "masters" / "ab" / f"{'ab' * 16}.wav")


def swapped(place: Path, put: Callable[[Path], object]) -> None:
    """Put something else in the place of a file or folder."""
    if place.is_dir():
        shutil.rmtree(place)
    place.unlink(missing_ok=True)
    put(place)


def to_nowhere(place: Path) -> None:
    place.symlink_to("nowhere")


def master(data: Path) -> Path:
    return min(data.glob("masters/*/*.wav"))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A library of this version in which every kind of file has something in it, closed."""
    data = old_folder.unpack(tmp_path)
    with SampleStore.open(data, undo_seconds=1e9) as store:
        store.sweep()
        publish(store, "gen_new", 1)
    return data


async def started(data: Path) -> None:
    """What a start does, without a server's engines."""
    async with open_service(Settings(data_dir=data, engine="tone", pregenerate=False, undo_seconds=1e9)) as service:
        service.library._store.sweep()
        Ledger(data / "stems.sqlite3").close()


DAMAGES: dict[str, tuple[str, Callable[[Path], object]]] = {
    "no format.json": ("format.json", lambda data: (data / "format.json").unlink()),
    "a format.json of nonsense": ("format.json", lambda data: (data / "format.json").write_text("[" * 100_000)),
    "no catalogue": ("catalogue.sqlite3", lambda data: (data / "catalogue.sqlite3").unlink()),
    "an empty catalogue": ("catalogue.sqlite3", lambda data: (data / "catalogue.sqlite3").write_bytes(b"")),
    "a catalogue of rubbish": ("catalogue.sqlite3", lambda data: (data / "catalogue.sqlite3").write_bytes(b"x" * 9000)),
    "a catalogue with damaged pages": ("catalogue.sqlite3", lambda data: flip(data / "catalogue.sqlite3")),
    "another database": (
        "catalogue.sqlite3", lambda data: shutil.copy(data / "stems.sqlite3", data / "catalogue.sqlite3")),
    "an older catalogue": (
        "masters", lambda data: shutil.copy(min((data / "copies").iterdir()), data / "catalogue.sqlite3")),
    "a master that is missing": ("masters", lambda data: master(data).unlink()),
    "a master that was cut": ("masters", lambda data: master(data).write_bytes(b"RIFF")),
    "a master with flipped bits": ("masters", lambda data: flip(master(data))),
    "a master that nobody knows": ("masters", stranger),
    "a damaged copy": ("copies", lambda data: flip(min((data / "copies").iterdir()), 0.0)),
    "a journal of rubbish": ("jobs.sqlite3", lambda data: (data / "jobs.sqlite3").write_bytes(b"x" * 9000)),
    "an empty list of stems": ("stems.sqlite3", lambda data: (data / "stems.sqlite3").write_bytes(b"")),
    "flipped bits in what was spent": ("spending.sqlite3", lambda data: flip(data / "spending.sqlite3", 0.0)),
    "a torn usage log": ("usage.jsonl", lambda data: (data / "usage.jsonl").write_text('{"a": 1}\n{"b\n{"c": 1}\n')),
    "engines.json of nonsense": ("engines.json", lambda data: (data / "engines.json").write_text("{")),
    "a damaged index of deliveries": (
        "deliveries", lambda data: (data / "deliveries" / "cache.db").write_bytes(b"x" * 9000)),
    "nothing but masters and copies": ("catalogue.sqlite3", lambda data: (
        (data / "format.json").unlink(), (data / "catalogue.sqlite3").unlink())),
    "nothing but masters": ("catalogue.sqlite3", lambda data: (
        (data / "format.json").unlink(), (data / "catalogue.sqlite3").unlink(), shutil.rmtree(data / "copies"))),
    "a folder as a master": ("masters", lambda data: swapped(master(data), Path.mkdir)),
    "a pipe as a master": ("masters", lambda data: swapped(master(data), os.mkfifo)),
    "a link to nowhere as a master": ("masters", lambda data: swapped(master(data), to_nowhere)),
    "a link to nowhere as the catalogue": (
        "catalogue.sqlite3", lambda data: swapped(data / "catalogue.sqlite3", to_nowhere)),
    "a folder as the catalogue": ("catalogue.sqlite3", lambda data: swapped(data / "catalogue.sqlite3", Path.mkdir)),
    "a pipe as the usage log": ("usage.jsonl", lambda data: swapped(data / "usage.jsonl", os.mkfifo)),
    "a folder as the usage log": ("usage.jsonl", lambda data: swapped(data / "usage.jsonl", Path.mkdir)),
    "a folder as the journal": ("jobs.sqlite3", lambda data: swapped(data / "jobs.sqlite3", Path.mkdir)),
    "a pipe beside the journal": ("jobs.sqlite3", lambda data: swapped(data / "jobs.sqlite3-wal", os.mkfifo)),
    "a link to nowhere as format.json": ("format.json", lambda data: swapped(data / "format.json", to_nowhere)),
    "a pipe as engines.json": ("engines.json", lambda data: swapped(data / "engines.json", os.mkfifo)),
    "a pipe as server.json": ("server.json", lambda data: swapped(data / "server.json", os.mkfifo)),
    "a folder as the ballast": ("ballast", lambda data: swapped(data / "ballast", Path.mkdir)),
    "a pipe as the masters": ("masters", lambda data: swapped(data / "masters", os.mkfifo)),
    "a file as copies": ("copies", lambda data: swapped(data / "copies", Path.touch)),
    "a file as trash": ("trash", lambda data: swapped(data / "trash", Path.touch)),
    "a pipe as a copy": ("copies", lambda data: swapped(min((data / "copies").iterdir()), os.mkfifo)),
    "what was set aside": ("jobs.sqlite3.damaged-20261130T190000Z",
                           lambda data: (data / "jobs.sqlite3.damaged-20261130T190000Z").touch()),
}  # fmt: skip


def test_a_whole_library_is_well_and_stays_as_it_is(typed, data: Path) -> None:
    before = traces(data)
    report = typed("doctor", "--data", "--json")
    document = report.json()
    assert (report.code, document["problems"], document["next"]) == (0, [], [])
    assert (document["sounds"], document["samples"]) == (len(old_folder.SOUNDS) + 1, old_folder.SAMPLES + 1)
    assert traces(data) == before
    assert "All is well." in typed("doctor", "--data").out


def test_a_folder_that_a_killed_server_left_is_read_without_folding_its_logs_in(typed, tmp_path: Path) -> None:
    data = old_folder.unpack(tmp_path / "killed", age=None)
    assert (data / "catalogue.sqlite3-wal").stat().st_size > 0
    before = traces(data)
    document = typed("doctor", "--data", "--json", "--data-dir", str(data)).json()
    assert (document["sounds"], document["problems"]) == (len(old_folder.SOUNDS), [])
    assert traces(data) == before


def test_beside_a_running_server_it_is_read_only(typed, tmp_path: Path) -> None:
    data = tmp_path / "idle"
    add(data, "gen_new")
    with serving(data) as server:
        wait_for_quiet(data)
        before = {path: trace for path, trace in traces(data).items() if not path.endswith("-shm")}
        report = typed("doctor", "--data", "--json", "--data-dir", str(data))
        after = {path: trace for path, trace in traces(data).items() if not path.endswith("-shm")}
    document = report.json()
    assert document["process"] == str(server.process.pid)
    assert (report.code, document["problems"]) == (0, [])
    assert server.url in str(document["findings"])
    assert after == before


@pytest.mark.parametrize("how", DAMAGES)
async def test_damage_is_found_and_what_it_says_to_type_mends_it(typed, data: Path, how: str) -> None:
    await started(data)
    part, damage = DAMAGES[how]
    if how == "an older catalogue":
        typed("backup", "safe")  # and a copy of the catalogue from before gen_new is what comes back
    damage(data)
    before = traces(data)
    report = typed("doctor", "--data", "--json")
    document = report.json()
    assert report.code == 1
    found = next(each for each in document["findings"] if each["part"] == part and each["level"] == "problem")
    assert found["text"].endswith(".")
    assert traces(data) == before
    assert found["next"] in document["next"]
    if part not in ("masters", "catalogue.sqlite3"):
        assert "restore" not in " ".join(document["next"]), "one small file never asks for all of a backup"

    for _ in range(4):  # one thing mended may bring the next to light, such as what was set aside
        if not document["next"]:
            break
        for step in document["next"]:
            await follow(typed, data, step)
        document = typed("doctor", "--data", "--json").json()
    assert document["problems"] == []
    with SampleStore.open(data, undo_seconds=1e9) as store:
        assert store.verify() == {}
        if how == "nothing but masters":  # those of the old version do not carry their names
            assert len(store.sounds()) > len(old_folder.SOUNDS)
        else:
            assert {*old_folder.SOUNDS, "gen_new"} <= {sound.name for sound in store.sounds()}


async def follow(typed, data: Path, step: str) -> None:
    """Type what was said."""
    words = shlex.split(step)
    if words[:2] == ["sample-bridge", "serve"]:
        await started(data)
    elif words[:2] == ["sample-bridge", "restore"]:
        with SampleStore.open(data, undo_seconds=1e9) as store:
            spare = {each: store.master(each) for each in store.verify()}
        for sample_id, file in spare.items():  # as it is in the backup that everybody has
            file.unlink(missing_ok=True)
            file.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(next(data.parent.glob(f"spare/masters/*/{sample_id}.wav")), file)
    elif words[0] == "sample-bridge":
        assert typed(*words[1:]).code in (0, 1)
    else:
        subprocess.run(step, shell=True, check=True)


@pytest.fixture(autouse=True)
def spare(data: Path) -> None:
    shutil.copytree(data, data.parent / "spare")


@pytest.mark.parametrize("there", ["nothing", "empty", "a file"])
def test_a_folder_without_a_library_is_no_error(typed, tmp_path: Path, there: str) -> None:
    place = tmp_path / "other"
    if there == "empty":
        place.mkdir()
    elif there == "a file":
        place.touch()
    report = typed("doctor", "--data", "--json", "--data-dir", str(place))
    assert report.code == (1 if there == "a file" else 0)
    assert place.exists() == (there != "nothing")


@pytest.mark.parametrize("barred", ["catalogue.sqlite3", "masters", "one master", "usage.jsonl"])
def test_a_right_that_lacks_is_told_as_a_right_and_never_as_damage(
    typed, data: Path, monkeypatch: pytest.MonkeyPatch, barred: str
) -> None:
    place = master(data) if barred == "one master" else data / barred
    real = os.access
    monkeypatch.setattr(_oddities.os, "access", lambda path, mode: Path(path) != place and real(path, mode))
    document = typed("doctor", "--data", "--json").json()
    assert len(document["problems"]) == 1
    assert "does not have the right" in document["problems"][0]
    below = ["-R"] if barred in ("masters", "one master") else []
    where = data / "masters" if below else place
    assert shlex.split(document["next"][0]) == ["chmod", *below, "u+rwX", str(where)]
    assert len(document["next"]) == 1
    made = typed("backup", "b.tar", "--json")
    if barred == "catalogue.sqlite3":
        assert made.error()["code"] == "not_readable"
        assert made.error()["message"].endswith(document["next"][0])
    elif barred == "masters":
        assert "does not have the right" in made.json()["problems"][0]


def test_names_of_the_sounds_that_are_concerned_are_told(typed, data: Path) -> None:
    with SampleStore.open(data, undo_seconds=1e9) as store:
        store.master(store.sound("gen_stab").slot.sample_id).unlink()
    text = typed("doctor", "--data").out
    assert "The audio of gen_second_name, gen_stab is missing." in text
    assert "Type next:" in text


def test_every_file_of_a_used_folder_is_one_that_is_known(data: Path) -> None:
    with serving(data):
        unknown = [each.name for each in data.iterdir() if part_of(each.name) is None]
    assert unknown == []
    assert len({part.name for part in PARTS}) == len(PARTS)

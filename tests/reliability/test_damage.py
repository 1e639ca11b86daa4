"""Files of a data folder are damaged at random: it starts or says what to type, and no whole sound file is lost."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from bridge.commands._data_checks import Checks
from bridge.errors import StartupError
from bridge.exchange.stems.ledger import Ledger
from bridge.settings import Settings
from bridge.sounds.opening import open_service
from bridge.sounds.rebuilding import rebuild
from cache import SampleStore, StoreError, catalogue_complaints
from tests import old_folder
from tests.bridge.commands.conftest import clean_environment
from tests.bridge.commands.stores import digests, publish
from tests.reliability.results import note

FULL = os.environ.get("RELIABILITY") == "full"
PARTS = 4 if FULL else 1
"""They may run side by side."""
FOLDERS = 75 if FULL else 16
"""Of each part; each folder gets one to three damages."""
SERVED = 5 if FULL else 1
"""How many of a part's folders a real server is started on."""
SOUNDS = 500 if FULL else 100

pytestmark = pytest.mark.reliability

KINDS = (
    *3 * ("catalogue.sqlite3", "catalogue.sqlite3-wal", "masters/*/*"),
    "format.json", "lock", "copies/*", "jobs.sqlite3", "jobs.sqlite3-wal", "stems.sqlite3", "spending.sqlite3",
    "usage.jsonl", "engines.json", "server.json", "deliveries/cache.db", "deliveries/*/*", "masters", "copies",
    "deliveries",
)  # fmt: skip
"""Files and folders that are damaged."""
FIRST = (("catalogue.sqlite3", "older"), ("catalogue.sqlite3", "delete"), ("catalogue.sqlite3", "truncate"))
"""What once took whole libraries away is tried every time."""
ACTIONS = ("delete", "truncate", "flip", "swap", "older")


@dataclass
class Library:
    """A folder with an older state of the same folder beside it."""

    now: Path
    older: Path
    names: frozenset[str]


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Library:
    """Every kind of file is in it, with the logs of a server that was killed."""
    top = tmp_path_factory.mktemp("damage")
    data = old_folder.unpack(top)
    with sqlite3.connect(data / "jobs.sqlite3") as journal:  # an engine is of no interest here
        journal.execute("DELETE FROM tickets WHERE state = 'running'")
    journal.close()
    for begin, end in ((0, SOUNDS // 2), (SOUNDS // 2, SOUNDS - len(old_folder.SOUNDS))):
        with SampleStore.open(data, undo_seconds=1e9, durable=False) as store:
            for number in range(begin, end):
                publish(store, f"gen_sound_{number}", number)
        Ledger(data / "stems.sqlite3").close()
        if begin == 0:
            shutil.copytree(data, top / "older")
    (data / "server.json").write_text(json.dumps({"url": "http://127.0.0.1:1", "pid": 2**22 + 1, "version": "0.1.0"}))
    with SampleStore.open(data, undo_seconds=1e9) as store:
        names = frozenset(sound.name for sound in store.sounds())
        store.pin("gen_sound_1", True)  # so that there is a log
        for name in ("catalogue.sqlite3", "catalogue.sqlite3-wal"):
            shutil.copy(data / name, top / name)
    for name in ("catalogue.sqlite3", "catalogue.sqlite3-wal"):
        shutil.move(top / name, data / name)
    assert len(names) == SOUNDS
    return Library(data, top / "older", names)


def copied(library: Library, target: Path) -> Path:
    """A copy to damage. Masters are never written in place, so links to them do."""

    def copy(source: str, there: str) -> str:
        if "/masters/" in source:
            os.link(source, there)
            return there
        return shutil.copy2(source, there)

    return Path(shutil.copytree(library.now, target, copy_function=copy))


def damage(data: Path, older: Path, dice: random.Random, first: tuple[str, str] | None) -> str:
    """Do one thing to one file, or to a folder with all its files: say what. ``first``: not at random."""
    kind = dice.choice([kind for kind in KINDS if any(data.glob(kind))])
    file, action = dice.choice(sorted(data.glob(kind))), dice.choice(ACTIONS)
    if first:
        file, action = data / first[0], first[1]
    name = file.relative_to(data).as_posix()
    if file.is_dir():
        shutil.rmtree(file)
        return f"delete {name}"
    content = file.read_bytes()
    file.unlink()  # what is written is a new file: others may be linked to the old one
    if action == "swap":
        other = dice.choice(sorted(each for each in data.rglob("*") if each.is_file()))
        file.write_bytes(other.read_bytes())
        other.unlink()
        other.write_bytes(content)
        return f"swap {name} and {other.relative_to(data)}"
    if action == "older" and (older / name).is_file():
        shutil.copy(older / name, file)
    elif action == "truncate":
        file.write_bytes(content[: dice.choice([0, dice.randrange(len(content) + 1), max(len(content) - 1, 0)])])
    elif action in ("flip", "older"):
        action = "flip"
        flipped = bytearray(content)
        for _ in range(dice.choice([1, 3, 500]) if content else 0):
            flipped[dice.randrange(len(flipped))] ^= 1 << dice.randrange(8)
        file.write_bytes(flipped)
    return f"{action} {name}"


def has_whole_copy(data: Path) -> bool:
    for file in data.glob("copies/*.sqlite3"):
        with contextlib.suppress(sqlite3.Error), contextlib.closing(sqlite3.connect(file)) as con:
            if not catalogue_complaints(con) and con.execute("PRAGMA integrity_check").fetchone() == ("ok",):
                return True
    return False


@dataclass
class Figures:
    damages: Counter[str] = field(default_factory=Counter)
    started: int = 0
    told: int = 0
    lost: int = 0
    copies: int = 0
    least: float = 1.0
    noticed: int = 0


@pytest.mark.timeout(900)
@pytest.mark.parametrize("part", range(PARTS))
async def test_random_damage_loses_no_whole_sound_and_names_come_back(
    library: Library, tmp_path: Path, part: int
) -> None:
    seed = int(os.environ.get("DAMAGE_SEED") or random.randrange(2**32))
    print(f"seed {seed}")
    originals = digests(library.now)
    figures = Figures()
    for number in range(FOLDERS):
        dice = random.Random(f"{seed} {part} {number}")
        data = copied(library, tmp_path / f"data{number}")
        first = FIRST[number] if number < len(FIRST) else None
        what = [damage(data, library.older, dice, first) for _ in range(1 if first else dice.choice([1, 1, 2, 3]))]
        print(f"{number}: {'; '.join(what)}")
        figures.damages.update(each.split()[0] for each in what)
        await tried(library, data, figures, originals, served=number < SERVED)
        shutil.rmtree(data)
    done = ", ".join(f"{count} x {action}" for action, count in sorted(figures.damages.items()))
    note(
        f"damage to files of a data folder, part {part + 1} of {PARTS}",
        f"{sum(figures.damages.values())} damages ({done}) to {FOLDERS} folders with {SOUNDS} sounds: "
        f"{figures.started} started, {figures.told} said in one sentence what to do; {figures.lost} whole sound files "
        f"lost. In the {figures.copies} folders that had a copy of the catalogue, rebuild had at least "
        f"{figures.least:.1%} of the names. doctor --data noticed {figures.noticed}. Seed {seed}.",
    )
    assert figures.lost == 0


async def tried(library: Library, data: Path, figures: Figures, originals: set[str], *, served: bool) -> None:
    whole = digests(data) & originals
    copy = has_whole_copy(data)
    figures.noticed += any(finding.level == "problem" for finding in Checks(data).run())
    try:
        if served:
            serve(data)
        else:
            await opened(data)
        figures.started += 1
        said = []
    except StartupError as error:
        figures.told += 1
        said = [error.message]
    assert whole <= digests(data), "a start removed a whole sound file"
    try:
        rebuild(data)
    except StoreError as error:
        said.append(str(error))
    else:
        with SampleStore.open(data, undo_seconds=1e9) as store:
            names = {sound.name for sound in store.sounds()}
        if copy:
            figures.copies += 1
            share = len(library.names & names) / len(library.names)
            figures.least = min(figures.least, share)
            assert share >= 0.99, f"{share:.1%} of the names came back"
    for text in said:
        print(f"   {text}")
        assert is_a_sentence(text), text
    figures.lost += len(whole - digests(data))
    assert whole <= digests(data), "rebuild removed a whole sound file"


async def opened(data: Path) -> None:
    """A start without a port, and what a server reads first."""
    settings = Settings(data_dir=data, engine="tone", pregenerate=False, undo_seconds=1e9)
    async with open_service(settings) as service:
        store = service.library._store
        await service.library.sweep()
        for sound in store.sounds(limit=20):
            assert store.sound(sound.name) is not None
        Ledger(data / "stems.sqlite3").close()


def serve(data: Path) -> None:
    """Start the real program. Raises StartupError with what it said."""
    command = [sys.executable, "-P", "-m", "bridge", "serve", "--port", "0", "--engine", "tone", "--no-pregenerate"]
    environment = clean_environment(BRIDGE_DATA_DIR=str(data), BRIDGE_UNDO_SECONDS="86400", BRIDGE_LOG_FORMAT="json")
    with subprocess.Popen(command, cwd=data.parent, env=environment, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        lines = []
        for line in server.stderr:
            lines.append(line)
            if "listens on" in line:
                server.terminate()
        server.wait()
    assert "Traceback" not in "".join(lines), lines
    if server.returncode:
        assert server.returncode == 2, lines
        raise StartupError(lines[-1].removeprefix("sample-bridge: ").rpartition(" [")[0])


def is_a_sentence(text: str) -> bool:
    """Does it end, and does it say what can be done?"""
    advice = ("type", "choose", "update", "stop", "give", "put back", "free", "check")
    return text.rstrip().endswith((".", ")", "json", "'")) and any(word in text.lower() for word in advice)

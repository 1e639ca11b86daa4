"""The small files beside the catalogue: damaged, of a newer version, or taken away while the server runs."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from bridge.app import create_app
from bridge.engines.cloud.spending import Spending
from bridge.errors import EngineUnavailable, StartupError
from bridge.jobs import TERMINAL, Journal, Priority
from bridge.jobs.journal import Entry
from bridge.monitoring.usage_log import mend_usage
from bridge.settings import Settings
from bridge.sounds.opening import open_service
from bridge.system.ledgers import APPLICATIONS, JOURNAL, SPENDING, STEMS, USAGE
from prompts import SampleSpec
from tests import old_folder

ASK = {"prompt": "tone 300 hz", "duration": 0.1, "name": "gen_kept", "wait": True}


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    for start in range(4096 + 8, len(data), 4096):
        data[start : start + 60] = os.urandom(60)
    path.write_bytes(bytes(data))


def _schema_text(path: Path) -> None:
    """A table's name in its description is not Unicode any more: SQLite's own sentence about it cannot be decoded."""
    data = path.read_bytes()
    at = data.index(b"CREATE TABLE ") + len(b"CREATE TABLE ")
    path.write_bytes(data[:at] + b"\xd5" + data[at + 1 :])


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


DAMAGES: dict[str, Callable[[Path], object]] = {
    "garbage": lambda path: path.write_bytes(b"\xff\x00 garbage \n" * 300),
    "empty": lambda path: path.write_bytes(b""),
    "truncated": lambda path: os.truncate(path, path.stat().st_size * 2 // 3 + 1),
    "flipped": _flip,
    "a broken description": _schema_text,
    "a folder": _folder,
}


def _noticed(journal: Journal) -> Callable[[sqlite3.Connection, Entry], None]:
    """Let SQLite find a broken page when the file that is there now is written; its cache would hide a real one."""
    insert, broken = journal._insert, journal._file._connection

    def write(con: sqlite3.Connection, entry: Entry) -> None:
        if con is broken:
            error = sqlite3.DatabaseError("database disk image is malformed")
            error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
            raise error
        insert(con, entry)

    return write


async def _health(client: TestClient) -> dict[str, Any]:
    document: dict[str, Any] = await (await client.get("/health")).json()
    return document


@pytest.mark.parametrize("damage", DAMAGES)
async def test_whatever_happens_to_the_small_files_the_server_starts_and_says_what_may_be_lost(
    tmp_path: Path, damage: str
) -> None:
    folder = old_folder.unpack(tmp_path)
    settings = Settings(data_dir=folder, engine="tone", pregenerate=False)
    for name in (JOURNAL, STEMS, SPENDING):
        with sqlite3.connect(folder / name) as con:
            con.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        con.close()
        DAMAGES[damage](folder / name)
    DAMAGES["garbage" if damage in ("empty", "flipped", "a broken description") else damage](folder / USAGE)
    async with open_service(settings) as service, TestClient(TestServer(create_app(service))) as client:
        async with asyncio.timeout(20):  # the usage log is looked through beside the requests
            while len((document := await _health(client))["warnings"]) < 4:
                await asyncio.sleep(0.2)
        assert document["status"] == "degraded"
        for name in (JOURNAL, STEMS, SPENDING, USAGE):
            (sentence,) = [each for each in document["warnings"] if f"{name}.damaged-" in each]
            (place,) = folder.glob(f"{name}.damaged-*[Z0-9]")
            assert str(place) in sentence
        made = await (await client.post("/generate", json=ASK)).json()
        assert made["name"] == "gen_kept"
        assert document["sounds"] == len(old_folder.SOUNDS), "no sound has gone"


async def test_what_is_set_aside_is_no_longer_warned_of_when_it_is_deleted(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, engine="tone", pregenerate=False)
    async with open_service(settings):
        pass
    (tmp_path / SPENDING).write_bytes(b"no database")
    async with open_service(settings) as service:
        (warned,) = service.missing.known
        assert not warned.sounds, "no sound is missing for that"
    for place in tmp_path.glob("*.damaged-*"):
        place.unlink()
    async with open_service(settings) as service:
        assert service.missing.known == []
    (tmp_path / JOURNAL).unlink()
    async with open_service(settings) as service:
        assert service.missing.known == [], "nothing was kept, so nothing can be missing"


@pytest.mark.parametrize("name", [JOURNAL, STEMS, SPENDING])
async def test_a_newer_version_is_refused_with_what_to_type_and_nothing_is_changed(tmp_path: Path, name: str) -> None:
    settings = Settings(data_dir=tmp_path, engine="tone", pregenerate=False)
    async with open_service(settings) as service, TestClient(TestServer(create_app(service))):
        with Spending(tmp_path).charge("replicate", SampleSpec(prompt="x")):
            pass
    data = bytearray((tmp_path / name).read_bytes())
    assert struct.unpack_from(">i", data, 68)[0] == APPLICATIONS[name]
    struct.pack_into(">i", data, 60, 99)
    (tmp_path / name).write_bytes(bytes(data))
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(StartupError, match="version 99") as caught:
        async with open_service(settings):
            pass
    assert "pip install --upgrade" in caught.value.message
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("how", ["taken away", "damaged", "a folder"])
async def test_a_journal_that_breaks_while_the_server_runs_fails_nobody_and_loses_no_promise(
    tmp_path: Path, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(data_dir=tmp_path, engine="tone", pregenerate=False, max_concurrent_jobs=1)
    slow = {"prompt": "tone slow 300 hz", "duration": 20, "wait": False}
    async with open_service(settings) as service, TestClient(TestServer(create_app(service))) as client:
        assert (await client.post("/generate", json=ASK)).status == 200
        promised = [
            (await (await client.post("/generate", json={**slow, "seed": seed})).json())["task_id"] for seed in (1, 2)
        ]
        path = tmp_path / JOURNAL
        if how == "damaged":
            journal = service.queue._book._journal
            monkeypatch.setattr(journal, "_insert", _noticed(journal))
        else:
            path.unlink()
        if how == "a folder":
            path.mkdir()
        for number, body in enumerate((ASK, {**slow, "seed": 3})):
            answer = await client.post("/generate", json=body, headers={"Idempotency-Key": str(number)})
            assert answer.status == (200, 202)[number], await answer.text()
        promised.append((await answer.json())["task_id"])
    con = sqlite3.connect(path)
    assert {row[0] for row in con.execute("SELECT id FROM tickets WHERE ended IS NULL")} >= set(promised)
    con.close()


async def test_a_kept_sound_is_answered_while_no_journal_can_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(data_dir=tmp_path, engine="tone", pregenerate=False)
    async with open_service(settings) as service, TestClient(TestServer(create_app(service))) as client:
        assert (await client.post("/generate", json=ASK)).status == 200
        con = service.queue._book._journal._file._connection
        con.execute("PRAGMA query_only = ON")
        kept = await client.post("/generate", json=ASK, headers={"Idempotency-Key": "again"})
        assert (await kept.json())["cached"] is True
        again = await client.post("/generate", json=ASK, headers={"Idempotency-Key": "again"})
        assert (await again.json())["task_id"] == (await kept.json())["task_id"], "it is remembered in memory"
        new = await client.post("/generate", json={**ASK, "prompt": "tone 400 hz", "name": "gen_other"})
        assert new.status == 503
        assert (await new.json())["error"]["code"] in ("ledger_failed", "store_not_writable")
        assert {ticket.claim.name for ticket in await service.queue.tickets()} == {"gen_kept"}
        con.execute("PRAGMA query_only = OFF")


def test_a_lost_list_of_what_was_spent_does_not_give_the_day_another_limit(tmp_path: Path) -> None:
    spec = SampleSpec(prompt="a kick")
    ledger = Spending(tmp_path, price=1.0, limit=50.0)
    with ledger.charge("replicate", spec) as charge:
        charge.seconds = 10.0
        (tmp_path / SPENDING).write_bytes(b"garbage" * 1000)
    for _ in range(2):
        with pytest.raises(EngineUnavailable, match="midnight UTC") as caught, ledger.charge("replicate", spec):
            pass
        assert caught.value.code == "spending_limit"
    with Spending(tmp_path, price=1.0).charge("replicate", spec):
        pass  # where there is no limit nothing is refused
    for place in tmp_path.glob("*.damaged-*"):
        place.unlink()
    with ledger.charge("replicate", spec):
        pass


def test_damaged_lines_of_the_usage_log_do_not_take_the_others_along(tmp_path: Path) -> None:
    lines = [json.dumps({"name": f"gen_{number}"}) for number in range(5)]
    text = "\n".join([*lines[:2], '{"name": "gen_', "[1]", "\udce9x", *lines[2:]]) + "\n" + '{"cut of'
    (tmp_path / USAGE).write_bytes(text.encode(errors="surrogateescape"))
    mend_usage(tmp_path)
    assert (tmp_path / USAGE).read_text().splitlines() == lines
    (place,) = tmp_path.glob("*.damaged-*")
    assert place.read_bytes() == text.encode(errors="surrogateescape")
    mend_usage(tmp_path)
    assert len(list(tmp_path.iterdir())) == 2, "a whole log stays where it is"


async def test_joining_one_waiting_job_is_limited_and_the_refused_leave_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bridge.jobs.embedded.MOST_TICKETS", 40)
    settings = Settings(data_dir=tmp_path, engine="tone", pregenerate=False, max_concurrent_jobs=1, max_queue=2)
    many = {"prompt": "tone slow 300 hz", "duration": 20, "wait": False, "variations": 16}
    async with open_service(settings) as service, TestClient(TestServer(create_app(service))) as client:
        await client.post("/generate", json={**many, "variations": 1, "prompt": "tone slow 200 hz"})
        answers = [await client.post("/generate", json=many) for _ in range(10)]
        assert [answer.status for answer in answers] == [202, 202] + [503] * 8
        assert (await answers[-1].json())["error"]["code"] == "queue_full"
        waiting = [ticket for ticket in await service.queue.tickets() if ticket.state not in TERMINAL]
        assert len(waiting) == 33, "of a request that is refused nothing waits"
        con = sqlite3.connect(tmp_path / JOURNAL)
        assert con.execute("SELECT count(*) FROM works").fetchone() == (2,), "what is to be made stands there once"
        assert con.execute("SELECT count(*) FROM tickets WHERE ended IS NULL").fetchone() == (33,)
        con.close()
        for ticket in waiting:
            assert ticket.job.priority == Priority.PLAYER
            await service.queue.cancel(ticket.id)

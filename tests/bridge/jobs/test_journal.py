"""A promise outlives the process: what was accepted is finished or reported failed."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from pathlib import Path
from typing import Any

import pytest

from bridge.errors import EngineError
from bridge.jobs import Book, Claim, EmbeddedQueue, Journal, Priority, RunningJob, State, Ticket, Work, journal
from prompts import SampleSpec


class Worker:
    """Does jobs when it is let."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.gate = asyncio.Event()

    async def __call__(self, running: RunningJob) -> None:
        await self.gate.wait()
        if any(spec.prompt == "fail" for spec in running.job.work.specs):
            raise EngineError("It was asked to fail.")
        await running.give({ticket.id: {"name": ticket.claim.name} for ticket in await running.waiting()})
        self.done.append(running.job.key)


def open_queue(path: Path, work: Worker) -> EmbeddedQueue:
    return EmbeddedQueue(work, book=Book(Journal(path)))


async def ask(queue: EmbeddedQueue, key: str, prompt: str = "a word") -> Ticket:
    work = Work((SampleSpec(prompt=prompt),))
    return await queue.submit(key, "lane", work, priority=Priority.PLAYER, claim=Claim(name=f"gen_{key}"))


async def test_what_was_queued_when_the_server_stopped_is_made_after_the_next_start(tmp_path: Path) -> None:
    first = open_queue(tmp_path / "jobs", Worker())
    ids = [(await ask(first, f"key{number}")).id for number in range(5)]
    joined = await ask(first, "key3")
    await first.close()

    work = Worker()
    work.gate.set()
    second = open_queue(tmp_path / "jobs", work)
    resumed = await second.resume()
    assert [ticket.id for ticket in resumed] == [*ids, joined.id]
    for ticket_id in (*ids, joined.id):
        assert (await second.wait(ticket_id)).state is State.COMPLETED
    assert work.done == [f"key{number}" for number in range(5)], "each once, in their order"
    await second.close()


async def test_how_a_job_ended_is_still_known_after_a_restart(tmp_path: Path) -> None:
    work = Worker()
    work.gate.set()
    first = open_queue(tmp_path / "jobs", work)
    fine, broken = await ask(first, "fine"), await ask(first, "broken", prompt="fail")
    await first.wait(fine.id)
    await first.wait(broken.id)
    await first.close()

    second = open_queue(tmp_path / "jobs", Worker())
    assert await second.resume() == []
    assert (await second.ticket(fine.id)).state is State.COMPLETED
    assert (await second.ticket(fine.id)).outcome == {"name": "gen_fine"}
    error = (await second.ticket(broken.id)).job.error
    assert (type(error), error.code, error.message) == (EngineError, "engine_failed", "It was asked to fail.")
    await asyncio.wait_for(second.wait(fine.id), 1)
    await second.close()


async def test_a_cancelled_ticket_is_not_taken_up_again(tmp_path: Path) -> None:
    first = open_queue(tmp_path / "jobs", Worker())
    kept, dropped = await ask(first, "kept"), await ask(first, "dropped")
    await first.cancel(dropped.id)
    await first.close()
    second = open_queue(tmp_path / "jobs", Worker())
    assert [ticket.id for ticket in await second.resume()] == [kept.id]
    assert (await second.ticket(dropped.id)).state is State.CANCELLED
    await second.close()


async def test_a_job_that_was_running_at_three_unclean_ends_is_given_up_and_others_go_on(tmp_path: Path) -> None:
    path = tmp_path / "jobs"
    queue = open_queue(path, Worker())
    poison = await ask(queue, "poison")
    other = await ask(queue, "other")
    await queue.close()
    for _ in range(3):  # each start begins the first job, and is killed
        journal = Journal(path)
        journal.reopen()
        journal.moved([poison.id], State.RUNNING, 1.0)
        journal.close()
    work = Worker()
    work.gate.set()
    queue = open_queue(path, work)
    await queue.resume()
    assert (await queue.wait(poison.id)).state is State.FAILED
    assert (await queue.ticket(poison.id)).job.error.code == "poison"
    assert (await queue.wait(other.id)).state is State.COMPLETED
    assert work.done == ["other"]
    await queue.close()


async def test_a_clean_stop_is_held_against_nobody(tmp_path: Path) -> None:
    path = tmp_path / "jobs"
    ticket_id = ""
    for _ in range(5):
        queue = open_queue(path, Worker())
        await queue.resume()
        ticket_id = ticket_id or (await ask(queue, "long")).id
        await asyncio.sleep(0)
        await queue.close()
    work = Worker()
    work.gate.set()
    queue = open_queue(path, work)
    await queue.resume()
    assert (await queue.wait(ticket_id)).state is State.COMPLETED
    await queue.close()


async def test_a_promise_that_cannot_be_written_is_not_made(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "jobs")
    queue = EmbeddedQueue(Worker(), book=Book(journal))
    journal.close()
    with pytest.raises(Exception, match="closed"):
        await ask(queue, "key")
    assert await queue.tickets() == []
    assert await queue.count(State.QUEUED) == 0


@pytest.mark.parametrize("code", ["engine_out_of_memory", "engine_unreachable"])
async def test_what_may_pass_is_tried_again(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    monkeypatch.setattr("bridge.jobs.embedded.RETRY_PAUSES", (0.0, 0.0))
    tries = []

    async def work(running: RunningJob) -> None:
        tries.append(running.job.key)
        if len(tries) < 3:
            raise EngineError("Not now.", code=code)

    queue = EmbeddedQueue(work)
    ticket = await queue.wait((await ask(queue, "key")).id)
    assert (ticket.state, len(tries)) == (State.COMPLETED, 3)
    tries.clear()

    async def never(running: RunningJob) -> None:
        tries.append(running.job.key)
        raise EngineError("Never.")

    queue = EmbeddedQueue(never)
    ticket = await queue.wait((await ask(queue, "key")).id)
    assert (ticket.state, len(tries)) == (State.FAILED, 1)


async def test_what_is_forgotten_is_gone_from_the_disk_too(tmp_path: Path) -> None:
    work = Worker()
    work.gate.set()
    queue = open_queue(tmp_path / "jobs", work)
    for key in ("secret", "other"):
        await queue.wait((await ask(queue, key, prompt=f"a {key} word")).id)
    work.gate.clear()
    waiting = await ask(queue, "waiting", prompt="a promised word")
    await queue.remember("again", "fingerprint", [(await queue.tickets((State.COMPLETED,)))[0].id])
    await queue.forget({"secret"}, ["gen_nobody"])

    def on_disk() -> bytes:
        return b"".join(file.read_bytes() for file in tmp_path.iterdir())

    assert b"secret" not in on_disk()
    assert b"a other word" in on_disk()
    assert await queue.repeated("again") is not None, "its ticket is still known"
    await queue.forget(None)
    assert b"a other word" not in on_disk()
    assert await queue.repeated("again") is None
    assert b"a promised word" in on_disk(), "what waits is a promise"
    work.gate.set()
    assert (await queue.wait(waiting.id)).state is State.COMPLETED
    await queue.close()


def _rows(path: Path, query: str) -> list[Any]:
    con = sqlite3.connect(path)
    try:
        return con.execute(query).fetchall()
    finally:
        con.close()


async def test_ended_tickets_are_bounded_while_the_server_runs_and_those_of_kept_sounds_hold_no_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bridge.jobs.journal.PRUNED_EVERY", 50)
    path = tmp_path / "jobs"
    queue = EmbeddedQueue(Worker(), book=Book(Journal(path, kept=100)))
    waiting = await ask(queue, "waiting", prompt="a promise")
    for number in range(400):
        settled = await queue.settle(f"key{number}", "kept", Claim(name=f"gen_{number}"), {"n": 0})
        await queue.keep(settled.id)
        await queue.remember(f"again{number}", "fingerprint", [waiting.id])
    await queue.close()
    assert 100 <= _rows(path, "SELECT count(*) FROM tickets")[0][0] <= 151
    assert 100 <= _rows(path, "SELECT count(*) FROM repeats")[0][0] <= 151
    assert _rows(path, "SELECT count(*) FROM works") == [(1,)]
    queue = EmbeddedQueue(Worker(), kept=20, book=Book(Journal(path, kept=100)))
    assert [ticket.id for ticket in await queue.resume()] == [waiting.id]
    ended = await queue.tickets((State.COMPLETED,))
    assert [ticket.claim.name for ticket in ended] == [f"gen_{399 - n}" for n in range(20)], "no more are read"
    await queue.close()


async def test_old_tickets_of_a_kind_are_migrated_or_dropped_and_the_work_of_many_is_stored_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tables as 968f128 made them; tests/bridge/test_old_folder.py opens a whole folder."""
    monkeypatch.setattr("bridge.jobs.journal.KEPT", 100)
    monkeypatch.setattr("bridge.jobs.journal._PIECE", 500)
    path = tmp_path / "jobs"
    con = sqlite3.connect(path)
    con.executescript(journal._VERSION_1)
    now = time.time()
    work = json.dumps({"spec": "x" * 5000})
    waiting = [(f"w{n}", "a", "lane", work, '{"name": "gen_a"}', 0, "queued", 0, None, None, now + n, None, None)
               for n in range(64)]  # fmt: skip
    cancelled = [("c", "a", "lane", work, '{"name": "gen_a"}', 0, "cancelled", 0, None, None, now, None, None)]
    ended = [(f"e{n}", "b", "kept", "{}", '{"name": "gen_b"}', 0, "completed", 0, None, '{"n": 0}', now, now, now)
             for n in range(2000)]  # fmt: skip
    for row in [*waiting, *ended, *cancelled]:
        con.execute(f"INSERT INTO tickets VALUES ({', '.join('?' * 13)})", row)
    con.commit()
    con.close()
    size = path.stat().st_size
    queue = EmbeddedQueue(Worker(), book=Book(Journal(path)))
    assert [ticket.id for ticket in await queue.resume()] == [row[0] for row in waiting]
    assert len({ticket.job for ticket in await queue.tickets((State.QUEUED, State.RUNNING))}) == 1
    assert (await queue.ticket("c")).state is State.CANCELLED
    assert (await queue.ticket("e1999")).outcome == {"n": 0}
    assert len(await queue.tickets((State.COMPLETED,))) == 99
    async with asyncio.timeout(20):  # the old table goes piece by piece
        while _rows(path, "SELECT count(*) FROM sqlite_schema WHERE name = 'old_tickets'") != [(0,)]:
            await asyncio.sleep(0.02)
    await queue.close()
    assert _rows(path, "SELECT count(*) FROM works") == [(1,)]
    assert path.stat().st_size < size / 5


async def test_work_that_this_version_cannot_read_keeps_its_ticket(tmp_path: Path) -> None:
    path = tmp_path / "jobs"
    queue = open_queue(path, Worker())
    ticket = await ask(queue, "later")
    await queue.close()
    con = sqlite3.connect(path)
    con.execute("""UPDATE works SET work = '{"spec": {"prompt": "pad", "kind": "of a later version"}}'""")
    con.commit()
    con.close()
    queue = open_queue(path, Worker())
    assert [(each.id, each.job.work) for each in await queue.resume()] == [(ticket.id, Work())]
    await queue.close()


async def test_rows_that_cannot_be_read_take_no_others_along_and_are_one_line_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "jobs"
    queue = open_queue(path, Worker())
    tickets = [await ask(queue, f"key{number}") for number in range(4)]
    await queue.close()
    con = sqlite3.connect(path)
    con.execute("UPDATE tickets SET asked = '{\"na' WHERE id = ?", (tickets[0].id,))
    con.execute("UPDATE tickets SET state = 'quexed' WHERE id = ?", (tickets[1].id,))
    con.execute("UPDATE tickets SET asked = CAST(x'ff7b' AS TEXT) WHERE id = ?", (tickets[2].id,))
    con.commit()
    con.close()
    for _ in range(2):
        queue = open_queue(path, Worker())
        assert [ticket.id for ticket in await queue.resume()] == [tickets[3].id]
        await queue.close()
    said = [each for each in caplog.messages if "cannot be read" in each]
    assert len(said) == 1
    assert said[0].startswith("3 tickets")

"""What every job queue must do, whoever runs the work."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from bridge.errors import BridgeError, Busy, Conflict, EngineError, EngineTimeout, JobCancelled, NotFound
from bridge.jobs import (
    TERMINAL,
    Book,
    Claim,
    EmbeddedQueue,
    JobQueue,
    Journal,
    Priority,
    Run,
    RunningJob,
    State,
    Ticket,
    Work,
)
from bridge.jobs.happenings import AskEnded, Begun, Ended, Happening, Happenings, Progressed
from prompts import SampleSpec

Make = Callable[..., JobQueue]


class Worker:
    """Work that begins, goes on and ends when a test says so."""

    def __init__(self) -> None:
        self.order: list[str] = []
        """Keys in the order in which they were begun."""
        self.stopped: list[str] = []
        """Keys whose work was cancelled, noted when it has really stopped."""
        self.finished: list[str] = []
        self._began: dict[str, asyncio.Event] = {}
        self._may_end: dict[str, asyncio.Future[Any]] = {}
        self.report: dict[str, Callable[[float], None]] = {}

    async def run(self, running: RunningJob) -> None:
        job = running.job
        self.order.append(job.key)
        self.report[job.key] = running.report
        self._event(job.key).set()
        try:
            result = await self._future(job.key)
        except asyncio.CancelledError:
            # Stopping takes a moment, as it does for a real engine.
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            self.stopped.append(job.key)
            raise
        finally:
            self._began.pop(job.key, None)
            self._may_end.pop(job.key, None)
        await running.give({ticket.id: result for ticket in await running.waiting()})
        self.finished.append(job.key)

    async def began(self, key: str) -> None:
        await self._event(key).wait()

    def end(self, key: str, result: Any = "sound") -> None:
        self._future(key).set_result(result)

    def fail(self, key: str, error: BaseException) -> None:
        self._future(key).set_exception(error)

    def _event(self, key: str) -> asyncio.Event:
        return self._began.setdefault(key, asyncio.Event())

    def _future(self, key: str) -> asyncio.Future[Any]:
        return self._may_end.setdefault(key, asyncio.get_running_loop().create_future())


class Told:
    """What a queue has told, in its order."""

    def __init__(self) -> None:
        self.stream = Happenings()
        self.all: list[Happening] = []
        self.stream.subscribe(self.all.append)

    def of(self, kind: type[Happening]) -> list[str]:
        """The ids of the tickets, or the keys of the jobs, of what was told of one kind."""
        return [
            happening.ticket.id if kind is AskEnded else happening.job.key
            for happening in self.all
            if type(happening) is kind
        ]


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def work() -> Worker:
    return Worker()


def without_journal(run: Run, folder: Path, **options: Any) -> JobQueue:
    return EmbeddedQueue(run, **options)


def with_journal(run: Run, folder: Path, **options: Any) -> JobQueue:
    """As the server opens it: every promise is on disk before it is made."""
    return EmbeddedQueue(run, book=Book(Journal(folder / f"{secrets.token_hex(4)}.sqlite3")), **options)


@pytest.fixture(params=[without_journal, with_journal], ids=["embedded", "journal"])
async def make(request: pytest.FixtureRequest, work: Worker, told: Told, tmp_path: Path) -> AsyncIterator[Make]:
    """Open a queue of every kind there is; all take the same options."""
    opened: list[JobQueue] = []

    def open_queue(**options: Any) -> JobQueue:
        opened.append(request.param(work.run, tmp_path, **{"happenings": told.stream, **options}))
        return opened[-1]

    yield open_queue
    for each in opened:
        await each.close()


@pytest.fixture
def queue(make: Make) -> JobQueue:
    return make()


def made_of(*prompts: str) -> Work:
    return Work(tuple(SampleSpec(prompt=prompt) for prompt in prompts))


async def settle(queue: JobQueue, key: str, name: str = "gen_kept") -> Ticket:
    return await queue.settle(key, "kept", Claim(name=name), "sound")


async def ask(queue: JobQueue, key: str, priority: Priority = Priority.PLAYER, lane: str = "tone") -> Ticket:
    return await queue.submit(key, lane, made_of(key), priority=priority, claim=Claim(name=key))


async def test_fifty_asks_for_one_key_are_one_run_and_fifty_tickets(queue, work):
    tickets = [await ask(queue, "kick") for _ in range(50)]
    assert len({ticket.id for ticket in tickets}) == 50
    assert all(ticket.id.startswith("gen_") and len(ticket.id) == 16 for ticket in tickets)
    await work.began("kick")
    work.end("kick", "the sound")
    ended = await asyncio.gather(*(queue.wait(ticket.id) for ticket in tickets))
    assert work.order == ["kick"]
    assert {ticket.state for ticket in ended} == {State.COMPLETED}
    assert {ticket.outcome for ticket in ended} == {"the sound"}
    assert {ticket.job.progress.fraction for ticket in ended} == {1.0}


async def test_each_ticket_keeps_what_its_asker_said(queue):
    mine = await queue.submit("kick", "tone", made_of("kick"), priority=0, claim=Claim(name="gen_mine"))
    yours = await queue.submit("kick", "tone", made_of("kick"), priority=0, claim=Claim(name="gen_yours"))
    assert (mine.claim.name, yours.claim.name) == ("gen_mine", "gen_yours")
    assert (mine.joined, yours.joined) == (False, True)
    assert mine.job.created == yours.job.created, "one job"


async def test_what_it_answers_is_a_value_of_its_moment(queue, work):
    ticket = await ask(queue, "kick")
    await work.began("kick")
    work.end("kick")
    ended = await queue.wait(ticket.id)
    assert (ticket.state, ticket.outcome) == (State.RUNNING, None)
    assert (ended.state, ended.outcome) == (State.COMPLETED, "sound")
    assert ended == await queue.ticket(ticket.id)
    with pytest.raises(AttributeError):
        ended.withdrawn = True


async def test_work_of_several_takes_has_the_deadline_of_each(make, work):
    queue = make(job_seconds=0.1)
    ticket = await queue.submit("three", "tone", made_of("a", "b", "c"), priority=0, claim=Claim(name="three"))
    await work.began("three")
    await asyncio.sleep(0.15)
    work.end("three")
    assert (await queue.wait(ticket.id)).state is State.COMPLETED


async def test_the_same_key_runs_again_when_it_has_ended(queue, work):
    first = await ask(queue, "kick")
    work.end("kick")
    await queue.wait(first.id)
    second = await ask(queue, "kick")
    assert second.job.created > first.job.created
    work.end("kick")
    await queue.wait(second.id)
    assert work.order == ["kick", "kick"]


async def test_a_player_goes_before_pregeneration_and_batches_in_between(queue, work):
    blocker = await ask(queue, "blocker")
    await work.began("blocker")
    tickets = [
        await ask(queue, "stem 1", Priority.PREGENERATION),
        await ask(queue, "stem 2", Priority.PREGENERATION),
        await ask(queue, "batch", Priority.BATCH),
        await ask(queue, "player", Priority.PLAYER),
    ]
    for key in ("blocker", "player", "batch", "stem 1", "stem 2"):
        work.end(key)
    await asyncio.gather(*(queue.wait(ticket.id) for ticket in (blocker, *tickets)))
    assert work.order == ["blocker", "player", "batch", "stem 1", "stem 2"]


async def test_a_player_who_joins_a_waiting_job_raises_it(queue, work):
    await ask(queue, "blocker")
    await work.began("blocker")
    tickets = [await ask(queue, key, Priority.PREGENERATION) for key in ("one", "two", "three")]
    tickets.append(await ask(queue, "three", Priority.PLAYER))
    for key in ("blocker", "one", "two", "three"):
        work.end(key)
    await asyncio.gather(*(queue.wait(ticket.id) for ticket in tickets))
    assert work.order == ["blocker", "three", "one", "two"], "raised, and run once"


async def test_somebody_less_urgent_who_joins_does_not_hold_a_job_back(queue, work):
    await ask(queue, "blocker")
    await work.began("blocker")
    tickets = [await ask(queue, "batch", Priority.BATCH), await ask(queue, "player", Priority.PLAYER)]
    tickets.append(await ask(queue, "player", Priority.PREGENERATION))
    for key in ("blocker", "batch", "player"):
        work.end(key)
    await asyncio.gather(*(queue.wait(ticket.id) for ticket in tickets))
    assert work.order == ["blocker", "player", "batch"]


async def test_lanes_do_not_wait_for_each_other_and_keep_their_capacity(make, work):
    queue = make(capacity=lambda lane: {"tone": 2}.get(lane, 1))
    tickets = [await ask(queue, f"tone {n}") for n in range(3)] + [await ask(queue, "slow", lane="model")]
    await asyncio.gather(*(work.began(key) for key in ("tone 0", "tone 1", "slow")))
    assert sorted(work.order) == ["slow", "tone 0", "tone 1"]
    assert (await queue.count(State.RUNNING), await queue.count(State.QUEUED)) == (3, 1)
    work.end("tone 1")
    await work.began("tone 2")
    for key in ("tone 0", "tone 2", "slow"):
        work.end(key)
    await asyncio.gather(*(queue.wait(ticket.id) for ticket in tickets))
    assert (await queue.count(State.RUNNING), await queue.count(State.QUEUED)) == (0, 0)


async def test_a_running_pregeneration_gives_way_where_it_would_keep_a_player_waiting(make, work):
    queue = make(gives_way=lambda lane: lane == "model")
    stem = await ask(queue, "stem", Priority.PREGENERATION, lane="model")
    await work.began("stem")
    player = await ask(queue, "player", lane="model")
    await work.began("player")
    assert work.stopped == ["stem"]
    assert (await queue.ticket(stem.id)).state is State.QUEUED
    work.end("player")
    await queue.wait(player.id)
    await work.began("stem")
    work.end("stem")
    assert (await queue.wait(stem.id)).state is State.COMPLETED
    assert work.order == ["stem", "player", "stem"]


async def test_a_running_player_never_gives_way(make, work):
    queue = make(gives_way=lambda _: True)
    first = await ask(queue, "first")
    await work.began("first")
    await ask(queue, "second")
    assert (await queue.ticket(first.id)).state is State.RUNNING
    work.end("first")
    await queue.wait(first.id)
    assert work.stopped == []


async def test_cancelling_one_of_two_tickets_lets_the_work_go_on(queue, work):
    mine, yours = await ask(queue, "kick"), await ask(queue, "kick")
    await work.began("kick")
    assert (await queue.cancel(mine.id)).state is State.CANCELLED
    assert (await queue.ticket(yours.id)).state is State.RUNNING
    work.end("kick")
    assert (await queue.wait(yours.id)).state is State.COMPLETED
    assert (await queue.ticket(mine.id)).state is State.CANCELLED, "the other's end changes nothing for who went"
    assert work.stopped == []


async def test_who_waits_for_a_withdrawn_ticket_waits_no_longer_than_it_lives(queue, work):
    mine, yours = await ask(queue, "kick"), await ask(queue, "kick")
    await work.began("kick")
    waiting = asyncio.create_task(queue.wait(mine.id))
    await asyncio.sleep(0)
    await queue.cancel(mine.id)
    assert (await asyncio.wait_for(waiting, 10)).state is State.CANCELLED
    assert (await queue.ticket(yours.id)).state is State.RUNNING


async def test_cancelling_the_last_ticket_stops_the_work_before_it_answers(queue, work):
    mine, yours = await ask(queue, "kick"), await ask(queue, "kick")
    await work.began("kick")
    await queue.cancel(mine.id)
    ended = await queue.cancel(yours.id)
    assert work.stopped == ["kick"]
    assert ended.state is State.CANCELLED
    assert ended.job.state is State.CANCELLED
    assert isinstance(ended.job.error, JobCancelled)


async def test_a_job_cancelled_at_once_leaves_its_place_to_the_next(queue, work):
    """The work had no time to take its first step."""
    await queue.cancel((await ask(queue, "kick")).id)
    following = await ask(queue, "snare")
    work.end("snare")
    assert (await asyncio.wait_for(queue.wait(following.id), 10)).state is State.COMPLETED
    assert await queue.count(State.RUNNING) == 0


async def test_a_job_cancelled_while_it_waited_never_runs(queue, work):
    blocker = await ask(queue, "blocker")
    waiting = await ask(queue, "kick")
    last = await ask(queue, "snare")
    await work.began("blocker")
    assert (await queue.cancel(waiting.id)).job.state is State.CANCELLED
    for key in ("blocker", "snare"):
        work.end(key)
    await asyncio.gather(queue.wait(blocker.id), queue.wait(last.id))
    assert work.order == ["blocker", "snare"]


async def test_who_asks_while_a_job_is_being_cancelled_gets_a_fresh_one(queue, work):
    old = await ask(queue, "kick")
    await work.began("kick")
    cancelling = asyncio.create_task(queue.cancel(old.id))
    await asyncio.sleep(0)
    fresh = await ask(queue, "kick")
    assert not fresh.joined
    await cancelling
    await work.began("kick")
    work.end("kick")
    assert (await queue.wait(fresh.id)).state is State.COMPLETED
    assert ((await queue.ticket(old.id)).state, work.order) == (State.CANCELLED, ["kick", "kick"])


async def test_cancelling_twice_or_too_late_is_a_conflict(queue, work):
    ticket, other = await ask(queue, "kick"), await ask(queue, "kick")
    await queue.cancel(ticket.id)
    with pytest.raises(Conflict) as caught:
        await queue.cancel(ticket.id)
    assert caught.value.code == "already_finished"
    work.end("kick")
    await queue.wait(other.id)
    with pytest.raises(Conflict):
        await queue.cancel(other.id)


async def test_a_failure_reaches_every_ticket_with_its_own_error(queue, work):
    tickets = [await ask(queue, "kick") for _ in range(3)]
    error = EngineError("The tone engine was asked to fail.")
    work.fail("kick", error)
    ended = await asyncio.gather(*(queue.wait(ticket.id) for ticket in tickets))
    assert {ticket.state for ticket in ended} == {State.FAILED}
    assert all(ticket.job.error is error for ticket in ended)


async def test_what_nobody_expected_fails_with_a_sentence_and_the_queue_goes_on(queue, work):
    ticket = await ask(queue, "kick")
    work.fail("kick", ZeroDivisionError("division by zero"))
    ended = await queue.wait(ticket.id)
    assert ended.state is State.FAILED
    assert "division" not in ended.job.error.message
    again = await ask(queue, "kick")
    work.end("kick")
    assert (await queue.wait(again.id)).state is State.COMPLETED


async def test_a_job_that_takes_too_long_is_stopped_and_fails(make, work):
    queue = make(job_seconds=0.05)
    ended = await queue.wait((await ask(queue, "kick")).id)
    assert ended.state is State.FAILED
    assert isinstance(ended.job.error, EngineTimeout)
    assert work.stopped == ["kick"]


async def test_time_spent_waiting_does_not_count_for_the_deadline(make, work):
    queue = make(job_seconds=0.2)
    first, second = await ask(queue, "first"), await ask(queue, "second")
    await queue.wait(first.id)
    await work.began("second")
    work.end("second")
    assert (await queue.wait(second.id)).state is State.COMPLETED


async def test_one_too_many_is_busy_but_joining_is_not(make, work):
    queue = make(limit=2)
    await ask(queue, "running")
    await ask(queue, "waits")
    await ask(queue, "waits too")
    with pytest.raises(Busy) as caught:
        await ask(queue, "too many")
    assert caught.value.code == "queue_full"
    joined = await ask(queue, "waits")
    assert joined.state is State.QUEUED
    work.end("running")
    await work.began("waits")
    assert (await ask(queue, "too many")).state is State.QUEUED


async def test_progress_goes_from_0_to_1_and_never_back(make, work, told, monkeypatch):
    monkeypatch.setattr("bridge.jobs.embedded.PROGRESS_SECONDS", 0.0)
    queue, seen = make(), []
    told.stream.subscribe(
        lambda happening: isinstance(happening, Progressed | Ended) and seen.append(happening.job.progress.fraction)
    )
    ticket = await ask(queue, "kick")
    await work.began("kick")
    for fraction in (0.0, 0.5, 0.25, -1.0, float("nan"), 7.0, 0.9):
        work.report["kick"](fraction)
    work.end("kick")
    await queue.wait(ticket.id)
    assert seen == sorted(seen)
    assert (seen[0], seen[-1]) == (0.0, 1.0)
    assert all(0 <= fraction <= 1 for fraction in seen)


async def test_the_estimate_comes_from_what_is_known_then_from_the_progress(make, work, monkeypatch):
    queue = make(estimate=lambda _: 100.0)
    ticket = await ask(queue, "kick")
    await work.began("kick")
    assert 99 < (await queue.ticket(ticket.id)).job.progress.eta_s <= 100
    monkeypatch.setattr("bridge.jobs.embedded.time.time", lambda: ticket.created + 10)
    work.report["kick"](0.5)
    assert 9.9 < (await queue.ticket(ticket.id)).job.progress.eta_s < 12
    work.end("kick")
    assert (await queue.wait(ticket.id)).job.progress.eta_s == 0


async def test_without_anything_to_go_by_there_is_no_estimate(queue, work):
    ticket = await ask(queue, "kick")
    await work.began("kick")
    assert (await queue.ticket(ticket.id)).job.progress.eta_s is None


async def test_hanging_up_does_not_cancel(queue, work):
    ticket = await ask(queue, "kick")
    listener = asyncio.create_task(queue.wait(ticket.id))
    await work.began("kick")
    listener.cancel()
    with suppress(asyncio.CancelledError):
        await listener
    assert (await queue.ticket(ticket.id)).state is State.RUNNING
    work.end("kick")
    assert (await queue.wait(ticket.id)).state is State.COMPLETED


async def test_closing_stops_what_runs_and_ends_what_waits(queue, work):
    running, waiting = await ask(queue, "running"), await ask(queue, "waiting")
    await work.began("running")
    listeners = [asyncio.create_task(queue.wait(ticket.id)) for ticket in (running, waiting)]
    await asyncio.sleep(0)
    await queue.close()
    assert work.stopped == ["running"]
    assert [ticket.state for ticket in await asyncio.gather(*listeners)] == [State.CANCELLED] * 2
    with pytest.raises(Busy):
        await ask(queue, "late")
    assert work.order == ["running"]


async def test_closing_twice_does_nothing(queue):
    await queue.close()
    await queue.close()


async def test_a_terminal_state_is_final(queue, work, told):
    states: list[tuple[str, State]] = []
    told.stream.subscribe(
        lambda happening: (
            isinstance(happening, Progressed | Ended) and states.append((happening.job.key, happening.job.state))
        )
    )
    ticket, failing, gone = await ask(queue, "kick"), await ask(queue, "fails"), await ask(queue, "gone")
    report = None
    for key, end in (("kick", work.end), ("fails", lambda key: work.fail(key, EngineError("no")))):
        await work.began(key)
        report = work.report[key]
        end(key)
        await queue.wait((ticket if key == "kick" else failing).id)
        report(0.3)
    await queue.cancel(gone.id)
    await queue.close()
    assert [(await queue.ticket(each.id)).state for each in (ticket, failing, gone)] == [
        State.COMPLETED,
        State.FAILED,
        State.CANCELLED,
    ]
    for key in ("kick", "fails", "gone"):
        told = [state for each, state in states if each == key]
        assert sum(state in TERMINAL for state in told) == 1
        assert told[-1] in TERMINAL


async def test_a_consumer_that_breaks_harms_neither_the_job_nor_the_other_consumers(queue, work, told):
    def broken(happening: Happening) -> None:
        raise RuntimeError("a consumer broke")

    told.stream.subscribe(broken)
    later: list[Happening] = []
    told.stream.subscribe(later.append)
    ticket = await ask(queue, "kick")
    work.end("kick")
    assert (await queue.wait(ticket.id)).state is State.COMPLETED
    assert later == told.all
    assert [type(happening) for happening in told.all] == [Begun, Progressed, Ended, AskEnded]
    assert {happening.ticket.id for happening in told.all if isinstance(happening, AskEnded)} == {ticket.id}


async def test_each_ask_is_told_to_have_ended_once_whether_it_was_made_failed_or_taken_back(queue, work, told):
    made, joined, fails, gone = [await ask(queue, key) for key in ("made", "made", "fails", "gone")]
    await work.began("made")
    await queue.cancel(joined.id)
    assert told.of(AskEnded) == [joined.id]
    await queue.cancel(gone.id)
    work.end("made")
    await queue.wait(made.id)
    work.fail("fails", EngineError("no"))
    await queue.wait(fails.id)
    assert told.of(AskEnded) == [joined.id, gone.id, made.id, fails.id]
    assert told.of(Ended) == ["gone", "made", "fails"]


async def test_a_job_that_goes_on_at_the_next_start_is_not_told_to_have_ended(work, tmp_path):
    told = Told()
    queue = with_journal(work.run, tmp_path, happenings=told.stream)
    running, waiting = await ask(queue, "running"), await ask(queue, "waiting")
    await work.began("running")
    await queue.close()
    assert {(await queue.wait(ticket.id)).state for ticket in (running, waiting)} == {State.CANCELLED}
    assert (told.of(Begun), told.of(Progressed)) == (["running"], ["running"])
    assert len(told.all) == 2


async def test_work_that_gave_way_is_begun_once_and_told_to_wait_again(make, work, told):
    queue = make(gives_way=lambda _: True)
    early = await ask(queue, "early", Priority.PREGENERATION)
    await work.began("early")
    player = await ask(queue, "player")
    await work.began("player")
    work.end("player")
    await queue.wait(player.id)
    await work.began("early")
    work.end("early")
    await queue.wait(early.id)
    assert told.of(Begun) == ["early", "player"]


async def test_old_tickets_are_forgotten_and_living_ones_are_not(make, work):
    queue = make(kept=5)
    living = await ask(queue, "living")
    await work.began("living")
    settled = [await settle(queue, f"kept {n}") for n in range(10)]
    with pytest.raises(NotFound) as caught:
        await queue.ticket(settled[0].id)
    assert caught.value.code == "unknown_job"
    assert (await queue.ticket(settled[-1].id)).id == settled[-1].id
    assert (await queue.ticket(living.id)).id == living.id
    assert len(await queue.tickets()) == 5


async def test_a_settled_ticket_is_completed_and_nobody_is_told(queue, work, told):
    ticket = await settle(queue, "kick")
    assert (await queue.wait(ticket.id)).state is State.COMPLETED
    assert (told.all, work.order, await queue.count(State.COMPLETED)) == ([], [], 0)


async def test_tickets_are_listed_newest_first_and_by_state(queue, work):
    first, second, third = [await ask(queue, key) for key in ("first", "second", "third")]
    await work.began("first")
    await queue.cancel(third.id)
    assert [ticket.id for ticket in await queue.tickets()] == [third.id, second.id, first.id]
    assert [ticket.id for ticket in await queue.tickets([State.RUNNING])] == [first.id]
    assert [ticket.id for ticket in await queue.tickets([State.QUEUED, State.CANCELLED])] == [third.id, second.id]


async def test_an_unknown_id_is_not_found_in_a_short_sentence(queue):
    for call in (queue.cancel, queue.wait):
        with pytest.raises(NotFound) as caught:
            await call("gen_" + "0" * 5000)
        assert isinstance(caught.value, BridgeError)
        assert len(caught.value.message) < 200


async def test_ended_tickets_can_be_forgotten_and_others_are_left_alone(queue: JobQueue, work: Worker) -> None:
    first = await ask(queue, "first")
    await work.began("first")
    work.end("first")
    await queue.wait(first.id)
    other = await settle(queue, "other", "gen_other")
    running = await ask(queue, "second")
    await work.began("second")
    await queue.forget({"first"}, {"gen_nobody"})
    with pytest.raises(NotFound):
        await queue.ticket(first.id)
    assert (await queue.ticket(other.id)).id == other.id
    await queue.forget((), {"gen_other"})
    with pytest.raises(NotFound):
        await queue.ticket(other.id)
    third = await settle(queue, "third")
    await queue.forget(None)
    with pytest.raises(NotFound):
        await queue.ticket(third.id)
    assert (await queue.ticket(running.id)).id == running.id
    work.end("second")
    assert (await queue.wait(running.id)).state is State.COMPLETED

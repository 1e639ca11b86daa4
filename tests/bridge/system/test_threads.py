"""Lanes: threads that are few, calls that do not wait for ever, and neighbours that do not notice."""

from __future__ import annotations

import asyncio
import contextvars
import threading

import pytest

from bridge.errors import Busy
from bridge.system.threads import Lane
from tests.servers import until


async def test_a_lane_that_hangs_refuses_what_waits_and_goes_on_when_it_can() -> None:
    lane, other, called = Lane("hanging", 1, patience=0.05), Lane("other", 1), []
    gate, begun = threading.Event(), threading.Event()
    hanging = asyncio.create_task(lane.run(lambda: begun.set() or gate.wait()))
    await until(begun.is_set)
    with pytest.raises(Busy) as refused:
        await lane.run(called.append, "waited")
    assert refused.value.code == "disk_busy"
    assert await other.run(len, "abc") == 3
    gate.set()
    assert await hanging
    assert await lane.run(len, "abcd") == 4
    assert called == [], "what was refused must not happen later"


async def test_a_lane_refuses_at_once_what_comes_when_too_much_waits() -> None:
    lane, gate, begun = Lane("full", 1, waiting=2), threading.Event(), threading.Event()
    tasks = [asyncio.create_task(lane.run(lambda: begun.set() or gate.wait()))]
    await until(begun.is_set)
    tasks += [asyncio.create_task(lane.run(int)) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(Busy):
        await lane.run(int)
    tasks[1].cancel()
    await asyncio.sleep(0)
    tasks.append(asyncio.create_task(lane.run(int)))  # the place of one that was withdrawn
    await asyncio.sleep(0)
    gate.set()
    assert (await asyncio.gather(*tasks, return_exceptions=True))[2:] == [0, 0]


async def test_a_lane_never_has_more_threads_than_it_may_and_ends_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bridge.system.threads._IDLE_SECONDS", 0.01)
    lane, seen = Lane("three threads", 3), set()
    who = contextvars.ContextVar("who", default="")
    who.set("the asker")

    def work() -> str:
        seen.add(threading.current_thread())
        assert sum(thread.name == "three threads" for thread in threading.enumerate()) <= 3
        return who.get()

    assert await asyncio.gather(*(lane.run(work) for _ in range(200))) == ["the asker"] * 200
    await until(lambda: not any(thread.is_alive() for thread in seen))
    assert await lane.run(work) == "the asker"
    with pytest.raises(ZeroDivisionError):
        await lane.run(lambda: 1 // 0)

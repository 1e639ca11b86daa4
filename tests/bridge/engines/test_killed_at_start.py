"""An engine that is killed while it starts, and one that is stopped: nobody's sound fails, and the state is honest."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from bridge.engines.hosting import client as hosted_module
from bridge.engines.hosting.client import ATTEMPTS, HostedEngine
from bridge.errors import EngineUnavailable
from prompts import SampleSpec
from tests.servers import hosts, until


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[HostedEngine]:
    engine = HostedEngine("tone", incoming=tmp_path)
    yield engine
    await engine.close()


def spec(number: int = 440) -> SampleSpec:
    return SampleSpec.model_validate({"prompt": f"tone {number} hz", "kind": "raw", "duration": 0.2}).resolved("tone")


async def kill_newborn(seen: set[int]) -> None:
    """Kill the next process of an engine before it can have said anything."""
    found: list[psutil.Process] = []

    def born() -> bool:
        found[:] = [host for host in hosts() if host.pid not in seen]
        return bool(found)

    await until(born)
    seen.add(found[0].pid)
    found[0].kill()


async def test_requests_that_wait_for_an_engine_that_is_killed_while_it_starts_are_made(engine: HostedEngine):
    making = [asyncio.create_task(engine.make(spec(440 + number))) for number in range(6)]
    seen: set[int] = set()
    for _ in range(ATTEMPTS - 1):
        await kill_newborn(seen)
    made = await asyncio.gather(*making)
    assert all(each.master.exists() for each in made)
    assert engine.error is None
    assert engine.restarts == ATTEMPTS - 1


async def test_an_engine_that_is_killed_at_every_start_is_given_up_with_a_sentence(engine: HostedEngine):
    making = asyncio.create_task(engine.make(spec()))
    seen: set[int] = set()
    for _ in range(ATTEMPTS):
        await kill_newborn(seen)
    with pytest.raises(EngineUnavailable, match="was killed 3 times while it started"):
        await making
    assert (await engine.make(spec())).master.exists(), "the next request tries again"


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


async def test_a_stopped_engine_is_silent_until_it_goes_on(engine: HostedEngine, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(hosted_module, "QUIET_SECONDS", 1.5)
    await engine.start()
    assert engine.pid is not None
    assert not engine.silent
    with stopped(engine.pid):
        await until(lambda: engine.silent)
    await until(lambda: not engine.silent)
    assert (await engine.make(spec())).master.exists()

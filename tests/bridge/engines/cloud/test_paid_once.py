"""A request that may have been paid is sent once, whatever happens to its answer: the provider counts the POSTs."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import threading
from pathlib import Path
from typing import Any

import pytest

from bridge.engines.cloud import http
from bridge.engines.cloud.endpoint import EndpointEngine
from bridge.engines.cloud.keys import CloudOptions
from bridge.engines.cloud.replicate import ReplicateEngine
from bridge.errors import LOST, PASSING, BridgeError
from bridge.settings import Settings
from bridge.sounds.opening import open_service
from bridge.sounds.orders import generate_order
from bridge.system import addresses
from bridge.system.addresses import SPECIAL, Table
from tests.provider import Script, Stage, asked, break_off, hang, hang_up, nothing, say, wav

ASKED = {"prompt": "warm pad", "duration": 0.5}
VERSION = "0123456789abcdef" * 4


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http.Patience, "sleep", lambda self, _: self.listen())


def posts(stage: Stage, path: str = "") -> int:
    return sum(each.startswith("POST") and path in each for each in stage.paths())


def endpoint(stage: Stage) -> EndpointEngine:
    return EndpointEngine(options=CloudOptions(address=f"{stage.url}/make", token="hf_secret", patience=20.0))


def replicate(stage: Stage) -> ReplicateEngine:
    options = CloudOptions(
        address=f"{stage.url}/v1", token="r8_secret", model=f"meta/musicgen:{VERSION}", patience=20.0
    )
    return ReplicateEngine(options=options)


def failure(engine: Any) -> BridgeError:
    with pytest.raises(BridgeError) as caught:
        list(engine.stream(asked(), 1.0, nothing))
    return caught.value


async def its_file(request: Any) -> Any:
    return await say(json={"audio": f"http://{request.host}/x.wav"})(request)


LATER: dict[str, list[Script]] = {
    "its file stays busy": [its_file, say(503, json={})],
    "its file breaks the server": [its_file, say(500, json={})],
    "its file is hung up on": [its_file, hang_up],
    "its file breaks off": [its_file, break_off],
    "its file has gone": [its_file, say(404, json={})],
    "its file is no audio": [its_file, say(body=b"no audio")],
    "its file is elsewhere": [its_file, say(302, headers={"Location": "https://127.0.0.1:9/"})],
    "its file is inside": [say(json={"audio": "https://127.0.0.2:9/x.wav"})],
    "hung up on": [hang_up],
    "broken off": [break_off],
    **{f"status {each}": [say(each, json={"error": "broken"})] for each in (500, 502, 504, 520, 524)},
}


@pytest.mark.parametrize("what", LATER)
def test_what_fails_after_the_request_has_arrived_is_not_asked_again(stage: Stage, quick: None, what: str) -> None:
    stage.script = LATER[what]
    error = failure(endpoint(stage))
    assert posts(stage) == 1
    assert error.code not in PASSING, "the queue would send it again"


def test_an_answer_that_needs_too_much_memory_is_not_asked_again(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    def decoded(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr("bridge.engines.cloud.answers.decoded", decoded)
    stage.script = [say(body=wav())]
    assert failure(endpoint(stage)).code == LOST


def test_one_that_says_when_to_come_again_is_asked_again(stage: Stage, quick: None) -> None:
    stage.script = [say(502, json={}, headers={"Retry-After": "1"}), say(body=wav())]
    list(endpoint(stage).stream(asked(), 1.0, nothing))
    assert posts(stage) == 2


def test_a_prediction_that_cannot_be_asked_about_is_asked_about_again_and_never_made_again(
    stage: Stage, quick: None
) -> None:
    running = {"id": "abc123", "status": "processing"}
    done = {"id": "abc123", "status": "succeeded", "output": f"{stage.url}/x.wav"}
    broken = [say(503, json={}), hang_up, say(502, json={}), say(429, json={})] * 3
    stage.script = [say(201, json=running), *broken, say(json=done), say(body=wav())]
    list(replicate(stage).stream(asked(), 1.0, nothing))
    assert posts(stage) == 1


def test_a_predictions_file_that_cannot_be_fetched_does_not_make_another(stage: Stage, quick: None) -> None:
    done = {"id": "abc123", "status": "succeeded", "output": f"{stage.url}/x.wav"}
    stage.script = [say(201, json=done), say(503, json={})]
    error = failure(replicate(stage))
    assert (error.code, posts(stage)) == (LOST, 1)
    assert "may charge for it" in error.message


FORMS = ["127.0.0.1", "127.0.0.2", "2130706433", "0x7f.1", "127.1", "0.0.0.0", "[::ffff:127.0.0.1]", "[::1]",
         "localhost", "localhost.", "[::1%25lo]", "user@127.0.0.1", "a.localhost"]  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("way", ["answer", "redirect"])
def test_an_address_inside_is_not_connected_to_and_not_told_about(
    stage: Stage, quick: None, form: str, way: str
) -> None:
    """Somebody listens at the one, and nobody at the other: the asker hears the same."""
    said = []
    for listens in (True, False):
        with socket.create_server(("0.0.0.0", 0)) as listener:
            listener.settimeout(0.05)
            port = listener.getsockname()[1]
            if not listens:
                listener.close()
            there = f"https://{form}:{port}/x.wav"
            stage.got.clear()
            stage.script = (
                [say(json={"audio": there})]
                if way == "answer"
                else [say(json={"audio": f"{stage.url}/x"}), say(302, headers={"Location": there})]
            )
            said.append(failure(endpoint(stage)).message)
            if listens:
                with pytest.raises(TimeoutError):
                    listener.accept()
    assert said[0] == said[1]


def test_a_public_address_is_connected_to_and_what_is_found_there_is_not_told(
    stage: Stage, quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    outside = Table([each for each in SPECIAL if each != "127.0.0.0/8"] + ["127.0.0.1/32"])
    monkeypatch.setattr(addresses, "PUBLIC", outside)
    said = []
    with socket.create_server(("127.0.0.2", 0)) as listener:
        listener.settimeout(5)
        port = listener.getsockname()[1]

        stage.script = [say(json={"audio": f"https://127.0.0.2:{port}/x.wav"})]

        def answer() -> None:
            for _ in range(4):
                connection, _ = listener.accept()
                connection.sendall(b"220 mail.internal ESMTP\r\n")
                connection.close()

        thread = threading.Thread(target=answer)
        thread.start()
        said.append(failure(endpoint(stage)).message)
        thread.join(10)
    said.append(failure(endpoint(stage)).message)
    assert said[0] == said[1]
    assert "SSL" not in said[0]
    assert "refused" not in said[0]


def settings(stage: Stage, tmp_path: Path) -> Settings:
    return Settings(
        data_dir=tmp_path, engine="endpoint", endpoint_url=f"{stage.url}/make", hf_token="hf_secret", pregenerate=False
    )


async def _sent(stage: Stage, count: int = 1) -> None:
    while posts(stage) < count:
        await asyncio.sleep(0.02)


async def test_an_engine_that_is_killed_while_its_provider_works_does_not_ask_again(
    stage: Stage, tmp_path: Path
) -> None:
    stage.script = [hang]
    async with open_service(settings(stage, tmp_path)) as service:
        (ticket,) = await service.ask(generate_order(ASKED)[0])
        await _sent(stage)
        (pid,) = service.engines.hosted("endpoint").pids
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(BridgeError) as caught:
            service.placed(await service.queue.wait(ticket.id))
    assert (caught.value.code, posts(stage)) == (LOST, 1)


async def test_neither_a_stop_nor_a_kill_of_the_server_makes_the_next_one_ask_again(
    stage: Stage, tmp_path: Path
) -> None:
    journal = [tmp_path / each for each in ("jobs.sqlite3", "jobs.sqlite3-wal")]
    stage.script = [hang]
    async with open_service(settings(stage, tmp_path)) as service:
        (ticket,) = await service.ask(generate_order(ASKED)[0])
        await _sent(stage)
        as_killed = [each.read_bytes() for each in journal]
    for killed in (False, True):
        if killed:
            for path, content in zip(journal, as_killed, strict=True):
                path.write_bytes(content)
        async with open_service(settings(stage, tmp_path)) as service:
            with pytest.raises(BridgeError, match="may have been paid") as caught:
                service.placed(await service.queue.ticket(ticket.id))
            assert caught.value.code == LOST
    assert posts(stage) == 1


async def test_of_several_takes_those_that_came_are_kept_and_not_asked_again(stage: Stage, tmp_path: Path) -> None:
    stage.script = [say(body=wav(1.0)), say(503, json={}, headers={"Retry-After": "3600"})]
    async with open_service(settings(stage, tmp_path)) as service:
        tickets = await service.ask(generate_order({**ASKED, "variations": 2})[0])
        for ticket in tickets:
            await service.queue.wait(ticket.id)
    assert posts(stage) == 2

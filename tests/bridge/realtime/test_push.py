"""Push, over a real server and real Socket.IO clients."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import aiohttp
import pytest
import socketio

from bridge.jobs import State
from bridge.realtime import hub as hub_module
from bridge.settings import Settings
from tests.servers import Listener, order, settings_for, until

GOLDEN = Path(__file__).parents[2] / "protocol"
WEBSOCKET = "/socket.io/?EIO=4&transport=websocket"


def keys(name: str) -> set[str]:
    return set(json.loads((GOLDEN / f"{name}.json").read_text()))


# ---------------------------------------------------------------- hello


async def test_who_is_new_gets_everything(service, connect):
    placed = await service.make(order("tone 440 hz"))
    page = await connect()
    assert page.reply.keys() == keys("hello_reply_reset")
    assert (page.reply["reset"], page.reply["head"]) == (True, 2)
    assert page.reply["server"].keys() == {"version", "engine", "device", "why"}
    (sound,) = page.reply["sounds"]
    assert sound.keys() == keys("sound")
    assert sound["urls"] == {"a4": f"/samples/{placed.sample.sample_id}.wav"}


async def test_who_was_away_gets_what_it_missed_in_order_and_once(service, connect):
    page = await connect()
    await service.make(order("tone 300 hz"))
    await until(lambda: page.since == 2)
    await page.leave()
    await service.make(order("tone 400 hz"))
    await service.library.rename("gen_tone_300_hz", "low")
    with pytest.raises(Exception, match="fail"):
        await service.make(order("tone fail"))
    await until(lambda: service.library._store.head() == 7)
    await page.connect()
    assert page.reply.keys() == keys("hello_reply_events")
    assert [event["seq"] for event in page.reply["events"]] == [3, 4, 5, 6, 7]
    assert [event["type"] for event in page.reply["events"]] == ["sound", "job", "sound_removed", "sound", "job"]
    for event in page.reply["events"]:
        golden = (
            "job_progress"
            if event.get("state") == "completed"
            else {"job": "job_ended"}.get(event["type"], event["type"])
        )
        assert event.keys() | {"seq"} == keys(golden) | {"type", "seq"}
    assert [event["seq"] for event in page.events] == [1, 2, 3, 4, 5, 6, 7]
    assert page.resets == 1


async def test_who_missed_nothing_gets_nothing(service, connect):
    await service.make(order("tone 440 hz"))
    page = await connect()
    reply = await page.hello()
    assert (reply["events"], reply["head"]) == ([], 2)
    assert "reset" not in reply


@pytest.mark.parametrize(
    "known",
    [
        {"epoch": "of another library"},
        {"since": 99},
        {"since": -1},
        {"since": 10**30},
        {"since": True},
        {"since": "1"},
        {"since": 1.0},
        {"since": None},
        {"epoch": None},
        {"epoch": {"$ne": 1}},
    ],
)
async def test_whose_number_says_nothing_here_gets_everything(service, connect, known):
    await service.make(order("tone 440 hz"))
    page = await connect()
    reply = await page.hello(**known)
    assert reply["reset"] is True
    assert len(reply["sounds"]) == 1


async def test_who_was_away_too_long_gets_everything(service, connect, monkeypatch):
    monkeypatch.setattr("cache._events.KEPT", 5)
    page = await connect()
    await page.leave()
    for number in range(6):
        await service.library.log("job", {"job_id": f"gen_{number}"})
    await page.connect()
    assert page.resets == 2
    assert page.since == 6


# ---------------------------------------------------------------- events


async def test_events_reach_everybody_in_the_order_of_their_numbers(service, connect):
    pages = [await connect() for _ in range(3)]
    await asyncio.gather(*(service.make(order(f"tone {300 + number} hz")) for number in range(10)))
    await until(lambda: all(page.since == 20 for page in pages))
    for page in pages:
        numbered = [message["seq"] for _, message in page.pushed if "seq" in message]
        assert numbered == list(range(1, 21)), "as they came over the wire"
        assert {frozenset(message) for message in page.of("sound")} == {frozenset(keys("sound"))}
    assert pages[0].events == pages[1].events == pages[2].events


async def test_an_audio_url_works_the_moment_it_is_pushed(service, connect, bridge_url):
    page = await connect()
    heard: asyncio.Queue[dict] = asyncio.Queue()
    page.client.on("sound", heard.put)
    await service.ask(order("tone 440 hz"))
    sound = await heard.get()
    async with aiohttp.ClientSession() as session, session.get(bridge_url + sound["urls"]["a4"]) as response:
        assert (response.status, (await response.read())[:4]) == (200, b"RIFF")


async def test_nobody_who_has_not_said_hello_hears_anything(service, bridge_url):
    silent = Listener(bridge_url)
    await silent.client.connect(bridge_url, transports=["websocket"])
    await service.make(order("tone 440 hz"))
    assert silent.pushed == []
    await silent.hello()
    assert silent.since == 2
    assert silent.pushed == []
    await silent.leave()


async def test_progress_has_no_number_and_comes_at_most_five_times_a_second(service, connect):
    page = await connect()
    loop = asyncio.get_running_loop()
    begun = loop.time()
    ack = await page.ask("generate", {"prompt": "tone slow", "duration": 2})
    await until(lambda: page.since == 2)
    took = loop.time() - begun
    progress = [job for job in page.of("job") if "seq" not in job]
    assert 3 < len(progress) <= 5 * took + 1
    for job in progress:
        assert job.keys() == keys("job_progress")
        assert (job["job_id"], job["state"], job["name"]) == (ack["job_id"], "running", "gen_tone_slow")
    (ended,) = [job for job in page.of("job") if "seq" in job]
    assert ended.keys() == keys("job_progress") | {"seq"}
    assert (ended["job_id"], ended["state"], ended["progress"]) == (ack["job_id"], "completed", 1.0)


class TestHeads:
    """A server that tells its head often."""

    @pytest.fixture(autouse=True)
    def often(self, monkeypatch):
        monkeypatch.setattr(hub_module, "HEAD_SECONDS", 0.05)

    async def test_the_head_is_told_from_time_to_time(self, service, connect):
        page = await connect()
        await service.make(order("tone 440 hz"))
        await until(lambda: any(head["head"] == 2 for head in page.of("head")))
        head = page.of("head")[-1]
        assert head.keys() == keys("head")
        assert head["epoch"] == service.library._store.epoch


# ---------------------------------------------------------------- generate and cancel


async def test_a_generate_is_answered_at_once_and_its_sound_comes_as_an_event(connect):
    page = await connect()
    ack = await page.ask("generate", json.loads((GOLDEN / "generate_request.json").read_text()) | {"session": "main"})
    assert ack.keys() == keys("generate_reply") - {"standin_url"}
    assert ack["name"] == "gen_dusty_vinyl_break"
    await until(lambda: page.of("sound"))
    (sound,) = page.of("sound")
    assert (sound["name"], sound["session"], sound["bpm"], sound["kind"]) == (ack["name"], "main", 92, "loop")


async def test_what_is_kept_is_answered_as_completed(service, connect):
    await service.make(order("tone 440 hz"))
    page = await connect()
    ack = await page.ask("generate", {"prompt": "tone 440 hz", "duration": 0.3})
    assert (ack["state"], ack["n"]) == ("completed", 0)


async def test_a_name_that_looks_mistyped_is_made_when_somebody_says_so(service, connect):
    await service.make(order("tone 440 hz", name="gen_electric_piano"))
    page = await connect()
    request = {"prompt": "electric paino", "name": "gen_electric_paino"}
    refused = (await page.ask("generate", request | {"make": False}))["error"]
    assert (refused["code"], refused["nearest"]) == ("mistyped_name", ["gen_electric_piano"])
    assert "looks like a typing error of gen_electric_piano" in refused["message"]
    made = await page.ask("generate", request | {"make": True})
    assert (made["name"], made["nearest"]) == ("gen_electric_paino", ["gen_electric_piano"])
    await until(lambda: any(sound["name"] == "gen_electric_paino" for sound in page.of("sound")))
    # It is kept now: no typing error any more.
    again = await page.ask("generate", request | {"make": False, "fresh": True})
    assert "nearest" not in again
    assert again["name"] == "gen_electric_paino"


async def test_the_words_decide_the_kind(connect):
    page = await connect()
    await page.ask("generate", {"prompt": "vinyl break, 120 bpm"})
    await until(lambda: page.of("sound"))
    (sound,) = page.of("sound")
    assert (sound["kind"], sound["bars"], sound["seconds"]) == ("loop", 2, 4)


async def test_cancel_answers_and_tells_everybody(service, connect):
    page, other = await connect(), await connect()
    ack = await page.ask("generate", {"prompt": "tone slow", "duration": 60})
    answer = await other.ask("cancel", {"job_id": ack["job_id"]})
    assert answer == {"job_id": ack["job_id"], "state": "cancelled"}
    await until(lambda: other.since == page.since == 1)
    assert page.of("job")[-1]["state"] == "cancelled"
    assert await service.queue.count(State.RUNNING) == 0
    again = await page.ask("cancel", {"job_id": ack["job_id"]})
    assert again["error"]["code"] == "already_finished"


# ---------------------------------------------------------------- sessions


async def test_a_session_is_shared_by_its_players_alone(connect):
    one, two, other = await connect(session="main"), await connect(session="main"), await connect(session="other")
    answer = await one.ask("session", {"session": "main", "bpm": 124, "key": "F minor", "colour": "red"})
    assert answer == {"session": "main", "bpm": 124, "key": "fm"}
    await until(lambda: two.of("session"))
    assert two.of("session") == [answer]
    assert answer.keys() == keys("session")
    late = await connect(session="main")
    await until(lambda: late.of("session"))
    assert late.of("session") == [answer], "who comes later is told, too"
    assert one.of("session") == other.of("session") == []


async def test_a_session_gives_its_tempo_and_key_to_what_says_none(connect):
    page = await connect(session="main")
    await page.ask("session", {"session": "main", "bpm": 150, "key": "am"})
    await page.ask("generate", {"prompt": "vinyl break", "session": "main"})
    await page.ask("generate", {"prompt": "vinyl break 90 bpm in c minor", "session": "main"})
    await page.ask("generate", {"prompt": "kick drum", "session": "main"})
    await page.ask("generate", {"prompt": "vinyl break", "name": "alone"})
    await until(lambda: len(page.of("sound")) == 4)
    facts = {sound["name"]: (sound["bpm"], sound["key"]) for sound in page.of("sound")}
    assert facts == {
        "gen_vinyl_break": (150, "am"),
        "gen_vinyl_break_90_bpm_in_c_minor": (90, "cm"),
        "gen_kick_drum": (None, None),
        "alone": (120, None),
    }


async def test_http_follows_the_tempo_and_key_that_a_page_set_and_both_get_the_same_sound(bridge_url, connect):
    page = await connect(session="main")
    await page.ask("session", {"session": "main", "bpm": 150, "key": "am"})
    posts = {
        "raw": {"prompt": "vinyl break"},
        "loop": {"prompt": "vinyl break", "kind": "loop"},
        "said": {"prompt": "vinyl break 90 bpm in c minor"},
        "hit": {"prompt": "kick drum"},
    }
    async with aiohttp.ClientSession() as http:
        for name, body in posts.items():
            async with http.post(
                f"{bridge_url}/generate", json={**body, "name": name, "session": "main", "duration": 2}
            ) as response:
                assert response.status == 200, await response.text()
        async with http.post(f"{bridge_url}/generate_stem", json={"type": "bass", "session": "main"}) as response:
            assert response.status == 200, await response.text()
    await until(lambda: len(page.of("sound")) >= 6)  # a stem has a name of its own beside its list
    found = {sound["name"]: sound for sound in page.of("sound")}
    facts = {name: (found[name]["bpm"], found[name]["key"]) for name in (*posts, "musicgen_bass")}
    assert facts == {
        "raw": (150, "am"),
        "loop": (150, "am"),
        "said": (90, "cm"),
        "hit": (None, None),
        "musicgen_bass": (150, "am"),
    }
    again = {"prompt": "vinyl break", "kind": "loop", "name": "loop", "session": "main", "duration": 2}
    reply = await page.ask("generate", again)
    assert (reply["state"], reply["n"]) == ("completed", 0), "asked over Socket.IO it is the sound that HTTP made"


async def test_a_page_is_in_one_session_at_a_time(connect):
    wanderer, stays = await connect(session="first"), await connect(session="first")
    for number in range(20):
        await wanderer.ask("session", {"session": f"session {number}", "bpm": 100})
    await stays.ask("session", {"session": "first", "bpm": 124})
    await wanderer.ask("cancel", {})  # what was sent before has arrived by now
    assert wanderer.of("session") == []


# ---------------------------------------------------------------- bad input

ODD = [
    [],
    None,
    "text",
    "x" * 10_000,
    5,
    True,
    [[]],
    [{"prompt": "tone"}],
    {},
    {"prompt": None},
    {"prompt": 5},
    {"prompt": ""},
    {"prompt": " \n\t "},
    {"prompt": "\u0000"},
    {"prompt": "\ud800"},
    {"prompt": "x" * 501},
    {"prompt": ["tone"]},
    {"prompt": {"$gt": ""}},
    {"prompt": "tone", "duration": 0},
    {"prompt": "tone", "duration": -1},
    {"prompt": "tone", "duration": 1e400},
    {"prompt": "tone", "duration": "8"},
    {"prompt": "tone", "duration": 121},
    {"prompt": "tone", "duration": True},
    {"prompt": "tone", "bpm": 10**40},
    {"prompt": "tone", "kind": "opera"},
    {"prompt": "tone", "key": "H major"},
    {"prompt": "tone", "engine": "theremin"},
    {"prompt": "tone", "engine": "../../x"},
    {"prompt": "tone", "model": "/etc/passwd"},
    {"prompt": "tone", "name": "../x"},
    {"prompt": "tone", "name": "wt_x"},
    {"prompt": "tone", "variations": 10_000},
    {"prompt": "tone", "variations": "2"},
    {"prompt": "tone", "session": ""},
    {"prompt": "tone", "session": 5},
    {"prompt": "tone", "seed": -1},
    {"prompt": "tone", "bars": 64, "bpm": 20},
]


@pytest.mark.parametrize("message", ["generate", "cancel", "session"])
async def test_whatever_is_sent_gets_a_sentence_and_the_connection_lives(service, connect, message, caplog):
    page = await connect()
    for odd in ODD:
        answer = await page.ask(message, odd)
        assert answer.keys() == keys("generate_error"), odd
        assert answer["error"].keys() == {"code", "message"}
        assert answer["error"]["code"] not in ("internal", ""), (odd, answer)
        assert len(answer["error"]["message"]) < 500, odd
    assert (await page.hello())["events"] == []
    assert await service.queue.tickets() == []
    assert "Traceback" not in caplog.text


async def test_hello_takes_whatever_is_sent(connect, caplog):
    page = await connect()
    for odd in [*ODD, {"session": 5}, {"session": "\ud800"}, {"token": "\ud800"}, {"token": {}}, {"since": []}]:
        answer = await page.ask("hello", odd)
        if is_readable(odd):
            assert answer["reset"] is True, odd
        else:
            assert answer["error"]["code"] in {"bad_text", "invalid_request"}, (odd, answer)
    assert "Traceback" not in caplog.text


def is_readable(document: object) -> bool:
    """Whether it is Unicode text and finite numbers throughout; what is no object counts as an empty one."""
    text = json.dumps(document)
    return not isinstance(document, dict) or not ("\\ud8" in text or "Infinity" in text or "NaN" in text)


async def test_a_message_without_or_with_too_many_arguments_is_answered(connect):
    page = await connect()
    assert "error" in await page.client.call("generate", timeout=20)
    assert "error" in await page.client.call("generate", ({}, 1, 2), timeout=20)


RAW = [
    "2",
    "3probe",
    "42",
    "42[",
    "42[]",
    "42{}",
    "42null",
    '42["generate"]',
    '42["nobody knows this",1]',
    '42["connect",{}]',
    '42["connect"]',
    '42["disconnect","x"]',
    '42["disconnect"]',
    '42["connect_error",{}]',
    "42[5,{}]",
    "421" + "9" * 5000 + '["hello",{}]',
    '451-["generate",{"_placeholder":true,"num":0}]',
    '4599999999-["generate",{"_placeholder":true,"num":5}]',
    "43[1]",
    "439999[]",
    "44nonsense",
    "40/admin,",
    "40",
    "\x00\x01",
    "",
    "x",
    "42" + "[" * 20_000,
    '42["generate",{"prompt":' + "[" * 5000 + "]" * 5000 + "}]",
]


async def test_broken_packets_end_at_most_their_own_connection(service, connect, bridge_url):
    page = await connect()
    async with aiohttp.ClientSession() as session:
        for packet in RAW:
            async with session.ws_connect(bridge_url + WEBSOCKET, max_msg_size=0) as socket:
                await socket.receive_str()
                await socket.send_str("40")
                await socket.receive_str()
                await socket.send_str(packet)
                await socket.send_bytes(b"\x04binary")
        async with session.ws_connect(bridge_url + WEBSOCKET) as socket:
            await socket.receive_str()
            await socket.send_str("40")
            await socket.receive_str()
            await socket.send_str("x" * 100_000)
            while (await socket.receive()).type is aiohttp.WSMsgType.TEXT:
                pass
            assert socket.close_code == 1009, "a message beyond the limit"
    await until(lambda: service.pages() == 1)
    await service.make(order("tone 440 hz"))
    await until(lambda: page.since == 2)


async def test_pages_are_counted_whatever_they_pretend(service, connect, bridge_url):
    await connect()
    async with aiohttp.ClientSession() as session, session.ws_connect(bridge_url + WEBSOCKET) as socket:
        await socket.receive_str()
        await socket.send_str("40")
        await socket.receive_str()
        for name in ("disconnect", "connect", "disconnect", "disconnect"):
            await socket.send_str(json.dumps([name, "x"]).join(("42", "")))
        await socket.send_str('421["cancel",{}]')
        while not (await socket.receive_str()).startswith("431"):
            pass
        assert service.pages() == 2
    await until(lambda: service.pages() == 1)


# ---------------------------------------------------------------- who may


class TestWithAKey:
    """A server that asks for a key."""

    @pytest.fixture
    def settings(self, tmp_path: Path) -> Settings:
        return settings_for(tmp_path / "data", api_key="secret")

    async def test_who_does_not_show_it_hears_but_may_not_ask(self, service, connect):
        page = await connect()
        for message, data in (
            ("generate", {"prompt": "tone"}),
            ("cancel", {"job_id": "x"}),
            ("session", {"session": "a"}),
        ):
            assert (await page.ask(message, data))["error"]["code"] == "key_required"
        wrong = await connect(token="secre")
        assert (await wrong.ask("generate", {"prompt": "tone"}))["error"]["code"] == "key_required"
        await service.make(order("tone 440 hz"))
        await until(lambda: page.since == wrong.since == 2)

    async def test_who_shows_it_may(self, connect, bridge_url):
        page = await connect(token="secret")
        assert "job_id" in await page.ask("generate", {"prompt": "tone 440 hz", "duration": 0.3})
        early = Listener(bridge_url)
        await early.client.connect(bridge_url, transports=["websocket"], auth={"token": "secret"})
        assert "job_id" in await early.ask("generate", {"prompt": "tone 441 hz", "duration": 0.3})
        await early.leave()


class TestOverTheNetwork:
    """A server that others reach, and that has no key, only reads."""

    @pytest.fixture
    def settings(self, tmp_path: Path) -> Settings:
        return settings_for(tmp_path / "data", host="0.0.0.0")

    async def test_nobody_may_ask(self, connect):
        page = await connect(token="anything")
        assert (await page.ask("generate", {"prompt": "tone"}))["error"]["code"] == "read_only"


class TestFull:
    """A server that takes two pages."""

    @pytest.fixture
    def settings(self, tmp_path: Path) -> Settings:
        return settings_for(tmp_path / "data", max_clients=2)

    async def test_one_page_too_many_is_refused_and_a_place_comes_free(self, service, connect, bridge_url):
        first, _ = await connect(), await connect()
        for _ in range(3):
            third = socketio.AsyncClient(reconnection=False)
            with pytest.raises(socketio.exceptions.ConnectionError):
                await third.connect(bridge_url, transports=["websocket"])
            await third.disconnect()
        await first.leave()
        await until(lambda: service.pages() == 1)
        await connect()


# ---------------------------------------------------------------- the wire


async def test_compression_is_not_negotiated(bridge_url):
    async with aiohttp.ClientSession() as session, session.ws_connect(bridge_url + WEBSOCKET, compress=15) as socket:
        assert socket.compress == 0
        assert "Sec-WebSocket-Extensions" not in socket._response.headers


async def test_long_polling_is_not_offered(bridge_url):
    async with aiohttp.ClientSession() as session:
        async with session.get(f"{bridge_url}/socket.io/?EIO=4&transport=polling") as response:
            assert response.status == 400
        async with session.ws_connect(bridge_url + WEBSOCKET) as socket:
            assert json.loads((await socket.receive_str())[1:])["upgrades"] == []


async def test_stopping_the_server_does_not_wait_for_pages(service, aiohttp_server):
    from bridge.app import create_app

    server = await aiohttp_server(create_app(service))
    page = Listener(f"http://127.0.0.1:{server.port}")
    await page.connect()
    loop = asyncio.get_running_loop()
    begun = loop.time()
    await server.close()
    assert loop.time() - begun < 4, "the grace time is longer"
    await until(lambda: not page.client.connected)
    await page.leave()

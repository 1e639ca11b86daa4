"""Answers about the whole library: the same as if they were read anew, shared, and without words where asked."""

from __future__ import annotations

import asyncio
import json
import random
import shutil
from pathlib import Path

import pytest

from bridge.app import create_app
from bridge.events import sound_message
from bridge.realtime import large, sync
from bridge.sounds.library import Library
from bridge.sounds.snapshots import Snapshots, sample_map
from bridge.sounds.turns import Turns
from cache import SampleStore, Target, sound_data
from tests.benchmarks._kept import fill
from tests.servers import order

NASTY = ("_base", "__proto__", "constructor", "tostring", "hasownproperty", "bd", "sine", "gm_piano", "piano")
SUPERDOUGH = Path(__file__).parents[3] / "web_client" / "node_modules" / "superdough"
REGISTER = """
import fs from 'fs';
const source = fs.readFileSync(process.argv[1], 'utf8');
const start = source.indexOf('export const processSampleMap');
const code = source.slice(start, source.indexOf('// allows adding a custom url prefix handler')).replace('export ', '');
const process_ = new Function('resolveSpecialPaths', 'githubPath', code + '; return processSampleMap')(
  (base) => (base.startsWith('bubo:') ? base : base), (base) => base);
const map = JSON.parse(fs.readFileSync(0, 'utf8'));
const found = {__proto__: null};
process_(map, (key, value) => { found[key] = value; }, map._base || 'http://localhost:5001');
console.log(JSON.stringify(Object.entries(found)));
"""


async def everything(snapshots: Snapshots, **options: bool) -> list[dict[str, object]]:
    return json.loads(b"".join((await snapshots.everything(**options)).chunks()))


async def test_kept_up_to_date_it_is_what_the_store_would_tell_anew(service) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    dice, library = random.Random(seed), service.library
    snapshots = Snapshots(library)
    await service.make(order("tone 200 hz"))
    reading = asyncio.create_task(snapshots.warm())
    for number in range(12):
        await service.make(order(f"tone {300 + number} hz", duration=0.1, name=f"any_{dice.randrange(6)}"))
        names = [sound.name for sound in library._store.sounds()]
        await dice.choice([
            lambda: library.rename(dice.choice(names), f"new_{number}"),  # noqa: B023
            lambda: library.delete(dice.choice(names)),  # noqa: B023
            lambda: library.pin(dice.choice(names), True),  # noqa: B023
        ])()  # fmt: skip
    await reading
    anew = [dict(sound_message(sound.seq, sound_data(sound))) for sound in library._store.sounds(order="name")]
    told = sorted(await everything(snapshots), key=lambda message: str(message["name"]))
    assert told == anew
    assert (await snapshots.everything()).head == library._store.head()
    redacted = await everything(snapshots, redacted=True)
    assert {message["prompt"] for message in redacted} == {""}
    assert [{**message, "prompt": 0} for message in redacted] == [
        {**message, "prompt": 0} for message in await everything(snapshots)
    ]
    snapshots.close()


async def test_a_map_is_sent_once_and_told_apart_by_what_is_in_it(service, aiohttp_client) -> None:
    client = await aiohttp_client(create_app(service))
    await service.make(order("tone 200 hz", name="first"))
    for path in ("/strudel.json", "/strudel.json?licence=commercial", "/"):
        async with client.get(path) as answer:
            tag, names = answer.headers["ETag"], await answer.json()
            assert answer.headers["Content-Length"] == str(len(await answer.read()))
            assert "first" in names
        async with client.get(path, headers={"If-None-Match": f'"other", W/{tag}'}) as same:
            assert (same.status, await same.read(), same.headers["ETag"]) == (304, b"", tag)
        async with client.head(path) as head:
            assert (head.status, head.headers["ETag"], await head.read()) == (200, tag, b"")
        await service.library.rename("first", "second")
        async with client.get(path, headers={"If-None-Match": tag}) as other:
            assert other.status == 200
            assert "second" in await other.json()
        await service.library.rename("second", "first")


async def test_of_one_client_one_answer_is_under_way_and_others_do_not_wait() -> None:
    turns, under_way, most = Turns(), {"a": 0, "b": 0}, []

    async def answer(client: str) -> None:
        async with turns.of(client):
            under_way[client] += 1
            most.append(dict(under_way))
            await asyncio.sleep(0.01)
            under_way[client] -= 1

    await asyncio.gather(*(answer(client) for client in "aaabbb"))
    assert max(each["a"] for each in most) == max(each["b"] for each in most) == 1
    assert {"a": 1, "b": 1} in most


async def test_hellos_of_a_client_that_has_gone_are_not_worked_off(service, aiohttp_client, monkeypatch) -> None:
    client = await aiohttp_client(create_app(service))
    await service.make(order("tone 200 hz"))
    made = 0
    reset = sync.reset_reply
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def everything_slowly(self, *, redacted: bool = False):
        nonlocal made
        made += 1
        begun.set()
        await go_on.wait()
        return await read(self, redacted=redacted)

    read = Snapshots.everything
    monkeypatch.setattr(Snapshots, "everything", everything_slowly)
    socket = await client.ws_connect("/socket.io/?EIO=4&transport=websocket")
    await socket.receive_str()
    await socket.send_str("40")
    await socket.receive_str()
    for number in range(60):
        await socket.send_str(f'42{number}["hello",{{}}]')
    await begun.wait()
    await socket.close()
    await asyncio.sleep(0.2)
    go_on.set()
    await asyncio.sleep(0.2)
    assert made == 1
    assert reset is sync.reset_reply
    assert large.MOST_AT_ONCE >= 60, "all of them were taken in"


def nasty_store(folder: Path) -> None:
    """Keep sounds under names that the server refuses now: older versions took them."""
    fill(folder, len(NASTY) + 2)
    with SampleStore.open(folder) as store:
        for number, name in enumerate(NASTY):
            store.rename(f"gen_kept_{number}", name)
        store.rename(f"gen_kept_{len(NASTY)}", "gen_bd")
        store.publish(None, [Target("nasty_alias", aliases=("gen___proto__",), spec_id=spec_of(store, "piano"))])


def spec_of(store: SampleStore, name: str) -> str:
    sound = store.sound(name)
    assert sound is not None
    return sound.slot.spec_id


async def test_no_name_breaks_the_map_that_strudel_itself_reads(tmp_path: Path) -> None:
    if shutil.which("node") is None or not SUPERDOUGH.is_dir():
        pytest.skip("node or web_client/node_modules is not installed")
    nasty_store(tmp_path / "nasty")
    with SampleStore.open(tmp_path / "nasty") as store:
        snapshots = Snapshots(Library(store))
        document = await snapshots.sample_map()
        pieces = {piece["name"]: piece for piece in await everything(snapshots)}
        snapshots.close()
    process = await asyncio.create_subprocess_exec(
        "node", "--input-type=module", "-e", REGISTER, str(SUPERDOUGH / "sampler.mjs"),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, _ = await process.communicate(b"".join(document.chunks))
    registered = dict(json.loads(out))
    assert process.returncode == 0
    assert registered.keys().isdisjoint(NASTY)
    for name in NASTY:
        offered = {"bd": "gen_bd_2", "__proto__": "gen___proto___2"}.get(name, f"gen_{name}")
        assert registered[offered] == [f"http://localhost:5001{url}" for url in pieces[name]["urls"]]
    assert registered["gen_bd"] == [f"http://localhost:5001{url}" for url in pieces["gen_bd"]["urls"]]
    assert set(NASTY) <= pieces.keys(), "on our own page they are what they were"
    assert b"".join(sample_map({})) == b"{}"


@pytest.mark.parametrize("name", ["_base", "__proto__", "Constructor", "toString", "bd", "sine", "gm_piano"])
async def test_every_door_refuses_a_reserved_name_and_offers_another(service, aiohttp_client, name) -> None:
    client = await aiohttp_client(create_app(service))
    await service.make(order("tone 200 hz", name="mine"))
    body = {"prompt": "tone", "name": name, "type": "drums", "duration": 0.2}
    for method, path, given in (
        ("POST", "/generate", body),
        ("POST", "/generate_stem", body),
        ("POST", "/api/v1/generate", body),
        ("PATCH", "/sounds/mine", {"name": name}),
    ):
        async with client.request(method, path, json=given) as answer:
            error = (await answer.json())["error"]
            assert (answer.status, error["code"], error["offered"]) == (422, "reserved_name", f"gen_{name.lower()}")
            assert f"gen_{name.lower()}" in error["message"]
    async with client.ws_connect("/socket.io/?EIO=4&transport=websocket") as socket:
        await socket.receive_str()
        await socket.send_str("40")
        await socket.receive_str()
        await socket.send_str(f"421{json.dumps(['generate', body])}")
        (said,) = json.loads((await socket.receive_str())[3:])
        assert said["error"]["code"] == "reserved_name"

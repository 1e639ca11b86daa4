"""Formats, provenance and licences over HTTP."""

from __future__ import annotations

import io
import json
import struct
from collections.abc import AsyncIterator

import numpy as np
import pytest
import soundfile
from aiohttp.test_utils import TestClient

from bridge.api.answers import chosen_format
from bridge.app import create_app
from bridge.audio.files import riff, tags
from bridge.audio.formats import FORMATS
from bridge.errors import InvalidRequest
from bridge.settings import Settings
from bridge.sounds.opening import open_service

LOOP = {"prompt": "tone 110 hz «loop»", "kind": "loop", "bars": 1, "bpm": 120, "name": "gen_loop"}


@pytest.fixture
async def loop(client) -> dict:
    """One kept loop of two seconds."""
    return await (await client.post("/generate", json=LOOP)).json()


def sample_id(answer: dict) -> str:
    return answer["audio_url"].split("/")[2].partition(".")[0]


@pytest.mark.parametrize("name", FORMATS)
async def test_every_format_has_its_address_and_its_type_and_the_exact_length(client, loop, name) -> None:
    form = FORMATS[name]
    by_address = await client.get(f"/samples/{sample_id(loop)}.{form.suffix}")
    by_name = await client.get("/sounds/gen_loop", params={"format": name})
    assert (by_address.status, by_address.content_type) == (200, form.content_type)
    assert by_name.headers["Content-Location"].endswith(form.suffix)
    assert by_name.headers["Content-Disposition"].endswith(f'gen_loop_0.{form.suffix}"')
    data = await by_address.read()
    assert await by_name.read() == data
    assert len(soundfile.read(io.BytesIO(data))[0]) == 88200


@pytest.mark.parametrize("name", FORMATS)
async def test_every_file_carries_what_the_sounds_api_tells(client, loop, name) -> None:
    data = await (await client.get(f"/samples/{sample_id(loop)}.{FORMATS[name].suffix}")).read()
    told = await (await client.get("/sounds/gen_loop", params={"format": "json"})).json()
    provenance = told["samples"][0]["provenance"]
    assert tags.read(data)[1] == provenance
    assert provenance["sample_id"] == sample_id(loop)
    assert provenance["prompt"] == LOOP["prompt"]
    assert provenance["digital_source_type"] == "algorithmicMedia"
    assert provenance["engine"]["licence"] == "CC0-1.0"


@pytest.mark.parametrize("name", FORMATS)
async def test_a_file_made_again_is_the_same_byte_by_byte(client, service, loop, name) -> None:
    """The first WAV comes from the engine's process, every other file from the server's: they must agree."""
    url = f"/samples/{sample_id(loop)}.{FORMATS[name].suffix}"
    before = await (await client.get(url)).read()
    service.library._store.delivery(sample_id(loop), name).unlink()
    assert await (await client.get(url)).read() == before


async def test_the_first_wav_and_the_master_have_loop_points_and_tempo(client, service, loop) -> None:
    master = service.library._store.master(sample_id(loop)).read_bytes()
    for data in (await (await client.get(loop["audio_url"])).read(), master):
        chunks = {chunk.name: chunk.data for chunk in riff.chunks(data)}
        assert struct.unpack("<6I", chunks[b"smpl"][36:])[2:4] == (0, 88199)
        assert struct.unpack("<IHHfIHHf", chunks[b"acid"])[4:] == (4, 4, 4, 120.0)
        assert tags.read(data)[1]["prompt"] == LOOP["prompt"]
    assert service.library._store.verify() == {}


async def test_wav_24_and_flac_are_the_master(client, service, loop) -> None:
    master = soundfile.read(service.library._store.master(sample_id(loop)), dtype="int32")[0]
    for suffix in ("24.wav", "flac"):
        data = await (await client.get(f"/samples/{sample_id(loop)}.{suffix}")).read()
        assert np.array_equal(soundfile.read(io.BytesIO(data), dtype="int32")[0], master)


async def test_base64_is_the_same_wav(client, loop) -> None:
    import base64

    assert base64.b64decode(loop["audio_base64"]) == await (await client.get(loop["audio_url"])).read()


@pytest.mark.parametrize(
    ("accept", "extension"),
    [
        ("audio/flac", "flac"),
        ("audio/ogg;q=0.9, audio/mpeg", "mp3"),
        ("audio/mpeg;q=0.5, audio/flac;q=0.6, text/html", "flac"),
        ("audio/flac;q=0, audio/ogg", "ogg"),
        ("audio/flac; q=x", "flac"),
        ("audio/*", "wav"),
        ("audio/x-wav", "wav"),
        ("*/*", "base64"),
        ("", "base64"),
        (";;;,,,q=", "base64"),
    ],
)
def test_accept_says_what_is_wanted_most(accept: str, extension: str) -> None:
    assert chosen_format(None, accept, "base64") == extension
    assert chosen_format("wav24", accept, "base64") == "wav24"


@pytest.mark.parametrize("asked", ["aiff", "WAV", "../wav", ""])
def test_any_other_format_is_refused_with_the_list(asked: str) -> None:
    with pytest.raises(InvalidRequest, match="wav24, flac"):
        chosen_format(asked, "", "wav")


async def test_prompts_can_be_kept_out_of_files(tmp_path, aiohttp_client) -> None:
    settings = Settings(data_dir=tmp_path / "data", engine="tone", pregenerate=False, prompts_in_files=False)
    async with open_service(settings) as service:
        client = await aiohttp_client(create_app(service))
        made = await (await client.post("/generate", json=LOOP)).json()
        files = [service.library._store.master(sample_id(made)).read_bytes()]
        for form in FORMATS.values():
            files.append(await (await client.get(f"/samples/{sample_id(made)}.{form.suffix}")).read())
        for data in files:
            assert tags.read(data)[1]["prompt"] == ""
            assert "«loop»".encode() not in data
            assert json.dumps("«loop»")[1:-1].encode() not in data
        told = await (await client.get("/sounds/gen_loop?format=json")).json()
        assert told["samples"][0]["facts"]["prompt"] == LOOP["prompt"], "the library still knows"


# ---------------------------------------------------------------- licences


@pytest.fixture
async def mixed(tmp_path, installed, aiohttp_client) -> AsyncIterator[TestClient]:
    """A sound free for everything, one not to be sold, and one with a slot of each kind."""
    settings = Settings(data_dir=tmp_path / "mixed", engine="quick", pregenerate=False)
    async with open_service(settings) as service:
        client = await aiohttp_client(create_app(service))
        for name, engine in (("free", "tone"), ("unfree", "quick"), ("both", "quick"), ("both", "tone")):
            body = {"prompt": "tone 200 hz", "duration": 0.1, "name": name, "engine": engine}
            assert (await client.post("/generate", json=body)).status == 200
        yield client


@pytest.mark.parametrize(
    ("licence", "names"),
    [
        ("commercial", {"free"}),
        ("CC0-1.0", {"free"}),
        ("cc-by-nc-4.0", {"unfree"}),
        ("MIT", set()),
        ("", {"free", "unfree", "both"}),
    ],
)
async def test_lists_and_maps_show_only_sounds_whose_every_slot_has_the_licence(mixed, licence, names) -> None:
    listed = await (await mixed.get("/sounds", params={"licence": licence})).json()
    assert {sound["name"] for sound in listed["sounds"]} == names
    found = await (await mixed.get("/sounds", params={"licence": licence, "q": "free unfree both"})).json()
    assert {sound["name"] for sound in found["sounds"]} == names
    for path in ("/strudel.json", "/"):
        shown = await (await mixed.get(path, params={"licence": licence}, headers={"Accept": "*/*"})).json()
        assert set(shown) & {"free", "unfree", "both"} == names


async def test_a_map_made_of_words_comes_from_an_engine_with_the_licence(mixed) -> None:
    for licence, engine in (("commercial", "procedural"), ("CC-BY-NC-4.0", "quick"), ("", "quick")):
        word = f"kick {licence or 'any'}"
        shown = await (await mixed.get(f"/gen/{word}.json", params={"licence": licence, "wait": 20})).json()
        short, name = sorted(set(shown) - {"_base"}, key=len)
        assert name == f"gen_{short}"  # the map lists its sound with and without the prefix
        assert shown[short] == shown[name]
        assert len(shown[name]) == 1
        told = await (await mixed.get(f"/sounds/{name}?format=json")).json()
        assert told["samples"][0]["facts"]["engine"] == engine
    refused = await mixed.get("/gen/kick.json?licence=MIT")
    assert (refused.status, (await refused.json())["error"]["code"]) == (422, "unknown_licence")

"""The sounds API, the samples' bytes, and the maps that Strudel reads."""

from __future__ import annotations

import io

import pytest
import soundfile


@pytest.fixture
async def kick(client) -> dict:
    """One kept sound."""
    body = {"prompt": "tone 60 hz kick", "duration": 0.4, "name": "gen_kick"}
    return await (await client.post("/generate", json=body)).json()


async def test_a_keyword_finds_its_sound_by_name_words_and_in_spite_of_typos(client, kick) -> None:
    for keyword in ("gen_kick", "kick", "kik", "musicgen_kick"):
        response = await client.get(f"/sounds/{keyword}")
        assert (response.status, response.content_type) == (200, "audio/wav"), keyword
        assert response.headers["X-Bridge-Name"] == "gen_kick"


async def test_a_loop_is_cut_into_slices_that_strudel_plays_by_their_number(client, kick) -> None:
    body = {"prompt": "house drum beat", "kind": "loop", "bars": 1, "bpm": 120, "engine": "procedural", "name": "beat"}
    loop = await (await client.post("/generate", json=body)).json()
    cut = await client.post("/sounds/beat/slices", json={})
    assert cut.status == 200
    document = await cut.json()
    assert (document["name"], document["kind"], document["root"]) == ("beat_sl", "oneshot", None)
    addresses = (await (await client.get("/strudel.json")).json())["beat_sl"]
    assert addresses == document["urls"], "a list, so that n is the number of the slice"
    assert 4 <= len(addresses) <= 16
    frames = [len(soundfile.read(io.BytesIO(await (await client.get(url)).read()))[0]) for url in addresses]
    assert sum(frames) == loop["duration"] * loop["sampling_rate"], "one after the other they are the loop again"
    facts = await (await client.get("/sounds/beat_sl?n=2&format=json")).json()
    sample_id = loop["audio_url"].removeprefix("/samples/").removesuffix(".wav")
    assert facts["samples"][2]["provenance"]["parents"] == [sample_id]
    again = await (await client.post("/sounds/beat/slices", json={})).json()
    assert again["urls"] == document["urls"]


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/sounds/gen_kick/slices", 422, "no_slices"),
        ("/sounds/gen_kick/slices?n=1", 404, "unknown_slot"),
        ("/sounds/gen_kick/slices?n=first", 422, "invalid_request"),
        ("/sounds/gamelan/slices", 404, "unknown_sound"),
    ],
)
async def test_what_cannot_be_cut_says_why(client, kick, path: str, status: int, code: str) -> None:
    response = await client.post(path, json={})
    assert (response.status, (await response.json())["error"]["code"]) == (status, code)


async def test_a_sound_comes_as_base64_facts_or_a_file(client, kick) -> None:
    as_base64 = await (await client.get("/sounds/kick?format=base64")).json()
    assert as_base64["audio_base64"] == kick["audio_base64"]
    facts = await (await client.get("/sounds/kick?format=json")).json()
    assert facts["samples"][0]["facts"]["engine"] == "tone"
    flac = await client.get("/sounds/kick", headers={"Accept": "audio/flac"})
    assert len(soundfile.read(io.BytesIO(await flac.read()))[0]) == 17640
    beyond = await client.get("/sounds/kick?n=1")
    assert (beyond.status, (await beyond.json())["error"]["code"]) == (404, "unknown_slot")


async def test_samples_are_immutable_and_know_range_head_and_etag(client, kick) -> None:
    url = kick["audio_url"]
    whole = await client.get(url)
    data = await whole.read()
    assert "immutable" in whole.headers["Cache-Control"]
    assert whole.headers["Access-Control-Allow-Origin"] == "*"
    part = await client.get(url, headers={"Range": "bytes=10-19"})
    assert (part.status, await part.read()) == (206, data[10:20])
    assert part.headers["Content-Range"] == f"bytes 10-19/{len(data)}"
    head = await client.head(url)
    assert (head.status, int(head.headers["Content-Length"]), await head.read()) == (200, len(data), b"")
    known = await client.get(url, headers={"If-None-Match": whole.headers["ETag"]})
    assert (known.status, await known.read()) == (304, b"")
    beyond = await client.get(url, headers={"Range": f"bytes={len(data)}-"})
    assert beyond.status == 416


async def test_a_vanished_delivery_is_made_again_with_the_same_bytes_and_etag(client, service, kick) -> None:
    url = kick["audio_url"]
    before = await client.get(url)
    data, etag = await before.read(), before.headers["ETag"]
    path = service.library._store.delivery(url.split("/")[2].split(".")[0], "wav")
    path.unlink()
    after = await client.get(url)
    assert (await after.read(), after.headers["ETag"]) == (data, etag)


async def test_the_outline_of_a_sample_is_small_made_once_and_as_immutable_as_its_file(client, service, kick) -> None:
    url = kick["audio_url"].removesuffix(".wav") + ".peaks"
    first = await client.get(url)
    outline = await first.read()
    assert (first.status, len(outline), first.content_type) == (200, 720, "application/octet-stream")
    assert first.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert max(outline) > 0
    sample_id = url.split("/")[2].removesuffix(".peaks")
    kept = service.library._store.delivery(sample_id, "peaks").stat()
    assert await (await client.get(url)).read() == outline
    assert service.library._store.delivery(sample_id, "peaks").stat() == kept
    known = await client.get(url, headers={"If-None-Match": first.headers["ETag"]})
    assert (known.status, known.headers["ETag"]) == (304, first.headers["ETag"])


@pytest.mark.parametrize(
    "name", ["0" * 32 + ".wav", "0" * 32 + ".peaks", "x.wav", "..%2f..%2fetc%2fpasswd", "0" * 32 + ".exe", "0" * 32]
)
async def test_an_unknown_sample_is_a_404(client, name: str) -> None:
    response = await client.get(f"/samples/{name}")
    assert (response.status, (await response.json())["error"]["code"]) in ((404, "unknown_sample"), (404, "not_found"))


async def test_lists_are_paged_filtered_and_searched(client) -> None:
    for number in range(5):
        body = {"prompt": f"tone {200 + number} hz", "duration": 0.1, "name": f"tone_{number}", "kind": "oneshot"}
        await client.post("/generate", json=body)
    first = await (await client.get("/sounds?limit=3")).json()
    rest = await (await client.get(f"/sounds?limit=3&cursor={first['next']}")).json()
    names = [sound["name"] for sound in (*first["sounds"], *rest["sounds"])]
    assert names == ["tone_4", "tone_3", "tone_2", "tone_1", "tone_0"]
    assert rest["next"] is None
    assert (await (await client.get("/sounds?kind=loop")).json())["sounds"] == []
    found = await (await client.get("/sounds?q=tone_2&limit=1")).json()
    assert found["sounds"][0]["name"] == "tone_2"


async def test_a_renamed_sound_still_plays_under_its_old_name(client, kick) -> None:
    response = await client.patch("/sounds/gen_kick", json={"name": "my_kick", "pinned": True})
    changed = await response.json()
    assert (changed["name"], changed["pinned"]) == ("my_kick", True)
    assert "gen_kick" in changed["aliases"]
    old = await client.get("/sounds/gen_kick")
    assert old.headers["X-Bridge-Name"] == "my_kick"
    names = await (await client.get("/strudel.json")).json()
    assert names["my_kick"] == names["gen_kick"]


async def test_a_name_that_is_taken_is_a_409(client, kick) -> None:
    await client.post("/generate", json={"prompt": "tone 90 hz", "duration": 0.1, "name": "other"})
    response = await client.patch("/sounds/other", json={"name": "gen_kick"})
    assert (response.status, (await response.json())["error"]["code"]) == (409, "name_taken")


@pytest.mark.parametrize("change", [{}, [], {"pinned": "yes"}, {"colour": "red"}, {"deleted": True}, {"name": "a b"}])
async def test_a_change_that_makes_no_sense_is_a_422(client, kick, change) -> None:
    response = await client.patch("/sounds/gen_kick", json=change)
    assert response.status == 422


async def test_a_deleted_sound_is_gone_and_can_be_brought_back(client, kick) -> None:
    deleted = await (await client.delete("/sounds/gen_kick")).json()
    assert deleted["undo"]["body"] == {"deleted": False}
    assert (await client.get("/sounds/gen_kick")).status == 404
    assert "gen_kick" not in await (await client.get("/strudel.json")).json()
    undo = deleted["undo"]
    restored = await client.request(undo["method"], undo["path"], json=undo["body"])
    assert restored.status == 200
    assert (await client.get("/sounds/gen_kick")).status == 200


async def test_the_root_is_the_page_for_browsers_and_the_map_for_strudel(client, kick) -> None:
    strudel = await client.get("/", headers={"Accept": "*/*"})
    assert (await strudel.json())["gen_kick"] == [kick["audio_url"]]
    assert "Accept" in strudel.headers["Vary"]
    browser = await client.get("/", headers={"Accept": "text/html,application/xhtml+xml"})
    assert browser.content_type == "text/html"
    assert "'unsafe-eval'" in browser.headers["Content-Security-Policy"]


async def test_a_map_made_of_words_lists_urls_whose_bytes_exist(client) -> None:
    response = await client.get("/gen/tone 300 hz:2,kick_drum.json?wait=10")
    made = await response.json()
    assert made["_base"] == f"http://{client.host}:{client.port}"
    names = {"gen_tone_300_hz", "tone_300_hz", "gen_kick_drum", "kick_drum"}
    assert set(made) == {"_base", *names}, "names work as the words were written, too"
    assert (made["tone_300_hz"], made["kick_drum"]) == (made["gen_tone_300_hz"], made["gen_kick_drum"])
    notes, takes = made["gen_tone_300_hz"], made["gen_kick_drum"]
    assert {note: len(urls) for note, urls in notes.items()} == {"d4": 2}, "what has a pitch is known by its root"
    assert len(takes) == 1
    for url in (*notes["d4"], *takes):
        assert (await client.get(url)).status == 200


async def test_a_pitched_sound_is_made_at_the_roots_that_are_asked_for(client) -> None:
    body = {"prompt": "warm marimba", "roots": ["c2", "C4", "f#3"], "engine": "procedural", "variations": 2}
    made = await (await client.post("/generate", json=body)).json()
    assert (made["name"], made["kind"]) == ("gen_warm_marimba", "pitched")
    notes = (await (await client.get("/strudel.json")).json())["gen_warm_marimba"]
    assert {note: len(urls) for note, urls in notes.items()} == {"c2": 2, "c4": 2, "fs3": 2}


async def test_a_map_of_words_takes_roots_for_what_is_pitched(client, service) -> None:
    made = await (await client.get("/gen/marimba:2,snare:2.json?roots=c2,c4,f%233&wait=10")).json()
    assert {"gen_marimba", "gen_snare"} <= set(made)
    assert "marimba" not in made, "Strudel has a marimba of its own"
    slots = {name: service.library._store.sound(name).slots for name in made if name.startswith("gen_")}
    assert {name: len(found) for name, found in slots.items()} == {"gen_marimba": 6, "gen_snare": 2}
    assert (await client.get("/gen/marimba.json?roots=h2")).status == 422


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"roots": ["h3"]}, "not a note"),
        ({"roots": ["c"]}, "not a note"),
        ({"roots": [3]}, "not a note"),
        ({"roots": 3}, "roots"),
        ({"roots": [f"c{n % 9}" if n < 9 else "d3" for n in range(10)]}, "at most 8"),
        ({"roots": ["c2", "c3", "c4"], "variations": 16}, "times variations"),
    ],
)
async def test_roots_that_are_none_are_a_422(client, body: dict, words: str) -> None:
    response = await client.post("/generate", json={"prompt": "piano", "kind": "pitched", **body})
    assert response.status == 422
    assert words in (await response.json())["error"]["message"]


async def test_the_licence_filter_leaves_nothing_out_that_may_be_sold(client, kick) -> None:
    assert "gen_kick" in await (await client.get("/strudel.json?licence=commercial")).json()
    assert (await (await client.get("/sounds?licence=CC-BY-NC-4.0")).json())["sounds"] == []


async def test_probes_tell_how_the_service_stands(client, service) -> None:
    await service.engines.hosted("tone").start()
    health = await (await client.get("/health")).json()
    assert (health["status"], health["engine"], health["services"]["mode"]) == ("healthy", "tone", "mock")
    assert (await client.get("/health/live")).status == 200
    assert (await client.get("/health/ready")).status == 200


@pytest.mark.parametrize("path", ["/notices", "/licence", "/source"])
async def test_what_the_licence_owes_is_there_or_says_how_to_make_it(client, path: str) -> None:
    response = await client.get(path)
    assert response.status in (200, 404)
    if response.status == 404:
        assert "make build" in (await response.json())["error"]["message"]

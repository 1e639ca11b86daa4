"""Bad input: a status, a stable code and a sentence; never a traceback, never a lost sample."""

from __future__ import annotations

import io
import json

import pytest

BAD_BODIES = [
    ({}, 422, "prompt"),
    ({"prompt": ""}, 422, "prompt"),
    ({"prompt": "   "}, 422, "prompt"),
    ({"prompt": "x" * 501}, 422, "prompt"),
    ({"prompt": 7}, 422, "prompt"),
    ({"prompt": ["kick"]}, 422, "prompt"),
    ({"prompt": "a\u0000b"}, 422, "prompt"),
    ({"prompt": "tone", "duration": 0}, 422, "duration"),
    ({"prompt": "tone", "duration": -1}, 422, "duration"),
    ({"prompt": "tone", "duration": 121}, 422, "duration"),
    ({"prompt": "tone", "duration": "8"}, 422, "duration"),
    ({"prompt": "tone", "duration": True}, 422, "duration"),
    ({"prompt": "tone", "duration_seconds": 0.01}, 422, "duration_seconds"),
    ({"prompt": "tone", "key": "H minor"}, 422, "key"),
    ({"prompt": "tone", "kind": "song"}, 422, "kind"),
    ({"prompt": "tone", "format": "aiff"}, 422, "format"),
    ({"prompt": "tone", "format": 3}, 422, "format"),
    ({"prompt": "tone", "engine": "theremin"}, 422, "engine"),
    ({"prompt": "tone", "engine": "../../etc"}, 422, "engine"),
    ({"prompt": "tone", "model": "/etc/passwd"}, 422, "model"),
    ({"prompt": "tone", "bpm": 19}, 422, "bpm"),
    ({"prompt": "tone", "tempo": 300}, 422, "tempo"),
    ({"prompt": "tone", "bpm": 90, "tempo": 120}, 422, "body"),
    ({"prompt": "tone", "temperature": 3}, 422, "temperature"),
    ({"prompt": "tone", "top_k": 1.5}, 422, "top_k"),
    ({"prompt": "tone", "num_beams": 0}, 422, "num_beams"),
    ({"prompt": "tone", "variations": 1000}, 422, "variations"),
    ({"prompt": "tone", "name": "../x"}, 422, "name"),
    ({"prompt": "tone", "seed": -1}, 422, "seed"),
    ({"prompt": "tone", "bars": 64, "bpm": 20}, 422, None),
]


async def assert_refused(response, status: int, code: str | None = None) -> dict:
    text = await response.text()
    assert response.status == status, text
    document = json.loads(text)
    assert document["success"] is False
    assert document["error"]["message"] == document["detail"]
    assert len(document["detail"]) > 10
    assert "Traceback" not in text
    if code is not None:
        assert document["error"]["code"] == code
    return document["error"]


@pytest.mark.parametrize(("body", "status", "field"), BAD_BODIES)
async def test_a_bad_value_is_a_422_that_names_the_field(client, body: dict, status: int, field: str | None) -> None:
    error = await assert_refused(await client.post("/generate", json=body), status)
    if field is not None:
        assert error["field"] == field


async def test_a_type_that_is_none_is_answered_with_the_nearest_names(client) -> None:
    error = await assert_refused(await client.post("/generate_stem", json={"type": "voicce"}), 422, "unknown_type")
    assert "voice" in error["nearest"]
    await assert_refused(await client.post("/generate_stem", json={}), 422)


@pytest.mark.parametrize(
    "text", ["{", "not json", '{"prompt": NaN}', '{"prompt": "a", "duration": Infinity}', "[" * 5000]
)
async def test_broken_json_is_a_400(client, text: str) -> None:
    response = await client.post("/generate", data=text, headers={"Content-Type": "application/json"})
    await assert_refused(response, 400, "malformed_body")


@pytest.mark.parametrize("text", ["[]", '"kick"', "5"])
async def test_json_that_is_no_object_is_a_422(client, text: str) -> None:
    response = await client.post("/generate", data=text, headers={"Content-Type": "application/json"})
    await assert_refused(response, 422)


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "text/json"])
async def test_another_content_type_is_a_415(client, content_type: str) -> None:
    response = await client.post("/generate", data='{"prompt": "kick"}', headers={"Content-Type": content_type})
    await assert_refused(response, 415, "unsupported_media_type")


async def test_a_body_of_ten_megabytes_is_a_413(client) -> None:
    body = json.dumps({"prompt": "kick", "padding": "x" * 10_000_000}).encode()
    response = await client.post("/generate", data=io.BytesIO(body), headers={"Content-Type": "application/json"})
    await assert_refused(response, 413, "too_large")


async def test_an_unknown_keyword_is_a_404_with_the_nearest_words(client) -> None:
    await client.post("/generate", json={"prompt": "tone", "duration": 0.2, "name": "bright_marimba"})
    error = await assert_refused(await client.get("/sounds/xqzwv"), 404, "unknown_sound")
    assert "nearest" in error


async def test_an_unknown_path_is_a_404_and_a_wrong_method_a_405(client) -> None:
    await assert_refused(await client.get("/nothing/here"), 404, "not_found")
    response = await client.put("/health", json={})
    await assert_refused(response, 405, "method_not_allowed")
    assert "GET" in response.headers["Allow"]


async def test_foreign_hosts_and_origins_are_refused_with_the_same_shape(client) -> None:
    await assert_refused(await client.get("/health", headers={"Host": "evil.example"}), 421, "misdirected")
    response = await client.post("/generate", json={"prompt": "kick"}, headers={"Origin": "https://evil.example"})
    await assert_refused(response, 403, "foreign_origin")
    crossing = await client.get("/gen/kick.json", headers={"Sec-Fetch-Site": "cross-site"})
    await assert_refused(crossing, 403, "cross_site")


@pytest.mark.parametrize(
    ("prompt", "status", "code"),
    [
        ("tone fail", 502, "engine_failed"),
        ("tone nan", 502, "bad_audio"),
        ("tone silence", 502, "bad_audio"),
        ("tone crash", 502, "engine_crashed"),
    ],
)
async def test_an_engine_that_fails_is_a_5xx_and_the_next_request_works(client, prompt, status, code) -> None:
    response = await client.post("/generate", json={"prompt": prompt, "duration": 0.5})
    await assert_refused(response, status, code)
    fine = await client.post("/generate", json={"prompt": "tone 330 hz", "duration": 0.5})
    assert fine.status == 200


async def test_a_prompt_of_html_stays_text(client) -> None:
    prompt = '<img src=x onerror="alert(1)"> tone'
    answer = await (await client.post("/generate", json={"prompt": prompt, "duration": 0.2})).json()
    assert answer["prompt"] == prompt
    assert answer["name"] == "gen_img_src_x_onerror_alert_1_tone"
    listed = await client.get("/sounds")
    assert listed.content_type == "application/json"


@pytest.mark.parametrize("path", ["/gen/kick:33.json", "/gen/kick:0.json", "/gen/a:32,b:32,c.json", "/gen/:.json"])
async def test_a_map_of_too_much_is_a_400(client, path: str) -> None:
    await assert_refused(await client.get(path), 400, "invalid_keywords")


@pytest.mark.parametrize("query", ["wait=x", "wait=21", "wait=nan", "wait=-1", "bpm=x", "bpm=1000", "key=zz"])
async def test_a_map_with_a_bad_number_is_a_422(client, query: str) -> None:
    await assert_refused(await client.get(f"/gen/tone.json?{query}"), 422)


@pytest.mark.parametrize("query", ["limit=0", "limit=x", "kind=song", "bpm=x", "key=q", "cursor=x"])
async def test_a_list_with_a_bad_filter_is_a_422(client, query: str) -> None:
    await assert_refused(await client.get(f"/sounds?{query}"), 422)

"""Pages that show the API; tests/browser/test_api_pages.py looks at them in a browser."""

from __future__ import annotations

import json

import pytest

from bridge.api.description.asyncapi import describe_sockets


async def test_the_served_description_is_of_this_very_server(client) -> None:
    answer = await client.get("/openapi.json")
    assert answer.status == 200
    document = await answer.json()
    assert document["openapi"] == "3.1.0"
    assert "tone" in document["components"]["schemas"]["GenerateBody"]["properties"]["engine"]["anyOf"][0]["enum"]
    assert await (await client.get("/asyncapi.json")).json() == json.loads(json.dumps(describe_sockets()))


@pytest.mark.parametrize("path", ["/docs", "/redoc", "/asyncapi"])
async def test_a_page_names_no_other_host_and_has_no_script_inside(client, path: str) -> None:
    answer = await client.get(path)
    assert answer.status == 200
    assert answer.content_type == "text/html"
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "http" not in policy
    html = await answer.text()
    assert "//" not in html.replace("<!doctype html>", "").replace("ws://", "")
    assert html.count("<script") == html.count('<script src="/viewers/')


async def test_the_page_of_the_sockets_shows_every_message(client) -> None:
    html = await (await client.get("/asyncapi")).text()
    for message in describe_sockets()["components"]["messages"].values():
        if "answered" not in message["name"]:
            assert f"<code>{message['name']}</code>" in html
    for address in ("/socket.io/", "/ws", "/ws/stream/{session_id}"):
        assert address in html


async def test_a_viewers_parts_are_served_with_their_types(client) -> None:
    answer = await client.get("/viewers/show-swagger.js")
    assert answer.status == 200
    assert answer.content_type == "text/javascript"


@pytest.mark.parametrize(
    "name", ["nothing.js", "..%2f..%2fdocs.py", "..%2fopenapi.py", "show-swagger.js%00", ".gitkeep"]
)
async def test_no_name_leads_out_of_the_folder(client, name: str) -> None:
    answer = await client.get(f"/viewers/{name}")
    assert answer.status == 404

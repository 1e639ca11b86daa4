"""Text that is no text, numbers that are none, too much of either: refused with a code at every door, never a 500."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bridge.app import create_app

DESCRIPTION = Path(__file__).parents[3] / "docs" / "openapi.json"

HALF = '"\\ud800 half"'
ODD_VALUES = {
    "half of a surrogate pair": HALF,
    "a number beyond all": "1e999",
    "a number that is none": "NaN",
    "NUL": '"a\\u0000b"',
    "60 KB of chords": json.dumps("C " * 30_000),
    "a long list": json.dumps(["C"] * 12_000),
    "a deep list": "[" * 2000 + "]" * 2000,
    "a long number": "9" * 5000,
    "the same name twice": '1, "prompt": 2, "prompt": {}',
}


def fields_of(schema: dict[str, Any], spec: dict[str, Any]) -> set[str]:
    """Names of the fields at the top of a body, whichever of its shapes has them."""
    if "$ref" in schema:
        schema = spec["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    found = set(schema.get("properties", {}))
    for part in (*schema.get("anyOf", ()), *schema.get("oneOf", ()), *schema.get("allOf", ())):
        found |= fields_of(part, spec)
    return found


def doors() -> Iterator[tuple[str, str, str]]:
    """(method, path, field) of everything in the description that takes a JSON body."""
    spec = json.loads(DESCRIPTION.read_text())
    for path, methods in spec["paths"].items():
        for method, operation in methods.items():
            content = operation.get("requestBody", {}).get("content", {})
            if "application/json" in content:
                for field in sorted(fields_of(content["application/json"]["schema"], spec)):
                    yield method.upper(), path.replace("{", "").replace("}", ""), field


def test_the_doors_are_found() -> None:
    found = list(doors())
    assert len(found) > 100
    assert {("POST", "/generate", "chords"), ("PATCH", "/sounds/keyword", "name")} <= set(found)


async def refused(response: Any) -> dict[str, Any]:
    text = await response.text()
    assert 400 <= response.status < 500, text
    error: dict[str, Any] = json.loads(text)["error"]
    assert error["code"] != "internal", text
    assert error["message"].encode(), "a sentence that can be written"
    return error


@pytest.mark.parametrize("odd", ODD_VALUES)
async def test_no_field_of_any_call_brings_the_server_down(client, odd: str) -> None:
    headers = {"Content-Type": "application/json"}
    for method, path, field in doors():
        if path == "/forget":
            continue
        body = f'{{"prompt": "tone", "wait": false, "type": "drums", "{field}": {ODD_VALUES[odd]}}}'
        async with client.request(method, path, data=body, headers=headers) as response:
            text = await response.text()
            assert response.status < 500, (method, path, field, text)
            if odd == "half of a surrogate pair" and response.status != 403:  # who may not call at all is told that
                error = await refused(response)
                assert (response.status, error["code"], error.get("field")) == (422, "bad_text", field), (path, error)


@pytest.mark.parametrize(
    "path",
    ["/sounds", "/sounds/%ED%A0%80", "/gen/%ED%A0%80.json", "/assets/%ED%A0%80", "/strudel.json", "/generate/%ED%A0%80"]
    + [f"/{folder}/{'x' * 300}" for folder in ("assets", "samples", "viewers", "stems/a", "download", "sounds", "gen")]
    + ["/assets/a%00b", "/viewers/a%00b", "/samples/a%00b", "/stems/a%00b/c", "/sounds/a%00b", "/assets/%2e%2e"],
)  # fmt: skip
async def test_odd_addresses_are_refused_or_not_found(client, path: str) -> None:
    for query in ("", "?q=%ED%A0%80&licence=%ED%A0%80&engine=%00&session=%ff&format=%ED%A0%80&key=%ED%A0%80&wait=0"):
        async with client.get(path + query) as response:
            assert response.status < 500, await response.text()


async def test_bytes_that_are_no_text_are_refused_in_addresses_and_headers(aiohttp_server, service) -> None:
    server = await aiohttp_server(create_app(service))
    for request in (
        b"GET /sounds/\xff\xfe HTTP/1.1\r\n",
        b"GET /sounds?q=\xff HTTP/1.1\r\n",
        b"GET /sounds/kick HTTP/1.1\r\nAccept: \xff\r\n",
        b"GET /health HTTP/1.1\r\nX-Request-Id: \xff\xfe\r\n",
        b"GET /strudel.json HTTP/1.1\r\nIf-None-Match: \xff\r\n",
        b"GET /samples/\xff HTTP/1.1\r\nRange: \xff\r\n",
    ):
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(request + b"Host: localhost\r\nConnection: close\r\n\r\n")
        answer = await asyncio.wait_for(reader.read(), 30)
        writer.close()
        assert answer.split()[1] in {b"400", b"404", b"422", b"403"}, (request, answer)


async def test_a_form_s_names_that_are_no_text_come_back_as_text(client) -> None:
    body = (
        b'--b\r\nContent-Disposition: form-data; name="\xff\xfe"\r\n\r\nx\r\n'
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="\xff.wav"\r\n\r\nRIFFxxxx\r\n--b--\r\n'
    )
    for path in ("/evaluate", "/api/upload"):
        async with client.post(
            path, data=body, headers={"Content-Type": "multipart/form-data; boundary=b"}
        ) as response:
            await refused(response)


@pytest.mark.parametrize("message", [f'["generate",{{"prompt":{HALF}}}]', f'["hello",{{"session":{HALF}}}]'])
async def test_socket_messages_that_are_no_text_are_refused(client, message: str) -> None:
    async with client.ws_connect("/socket.io/?EIO=4&transport=websocket") as socket:
        await socket.receive_str()
        await socket.send_str("40")
        await socket.receive_str()
        await socket.send_str(f"421{message}")
        answer = json.loads((await socket.receive_str())[3:])
        assert answer[0]["error"]["code"] == "bad_text"


async def test_the_sockets_of_jobs_refuse_them_too(client) -> None:
    async with client.ws_connect("/ws") as socket:
        await socket.send_str(f'{{"type": "subscribe", "job_id": {HALF}}}')
        assert (await socket.receive_json())["error"]["code"] == "bad_text"

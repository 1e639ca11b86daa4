"""What a server says to requests that are hardly HTTP: always our error, and the connection is closed."""

from __future__ import annotations

import gzip
import json
import socket

import pytest

from tests.bridge.commands.conftest import Server

GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n"
JSON = b"Host: localhost\r\nContent-Type: application/json\r\n"
POST = b"POST /generate HTTP/1.1\r\n" + JSON
CLOSE = b"Connection: close\r\nContent-Length: 2\r\n\r\n{}"
CASES = {
    "no host": (b"GET /health HTTP/1.1\r\n\r\n", 400, "misdirected"),
    "no host in 1.0": (b"GET /health HTTP/1.0\r\n\r\n", 421, "misdirected"),
    "two hosts": (b"GET /health HTTP/1.1\r\nHost: localhost\r\nHost: example.org\r\n\r\n", 400, "misdirected"),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400, "malformed_request"),
    "one word": (b"HELLO\r\n\r\n", 400, "malformed_request"),
    "a header without a colon": (GET + b"bad header\r\n\r\n", 400, "malformed_request"),
    "a long header": (GET + b"X: " + b"a" * 20000 + b"\r\n\r\n", 400, "malformed_request"),
    "a long address": (b"GET /" + b"a" * 20000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", 400, "malformed_request"),
    "no number of bytes": (POST + b"Content-Length: x\r\n\r\n", 400, "malformed_request"),
    "a broken chunk": (POST + b"Transfer-Encoding: chunked\r\n\r\nZZ\r\n", 400, None),
    "no gzip": (
        POST + b"Content-Encoding: gzip\r\n" + CLOSE,
        400,
        "malformed_body",
    ),
    "an odd wish": (
        POST + b"Expect: magic\r\n" + CLOSE,
        417,
        "unknown_expect",
    ),
    "an odd wish where nothing is": (
        b"POST /nothing HTTP/1.1\r\n" + JSON + b"Expect: \xe9\xff\r\n" + CLOSE,
        417,
        "unknown_expect",
    ),
    "an odd wish of a socket": (
        b"PUT /ws HTTP/1.1\r\n" + JSON + b"Expect: \xe9\xff\r\n" + CLOSE,
        417,
        "unknown_expect",
    ),
    "Engine.IO by polling": (
        b"GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        400,
        "invalid_request",
    ),
}  # fmt: skip


def said(url: str, request: bytes) -> tuple[int, bytes]:
    """The status and the body of what comes until the server hangs up; it never tells what it is made of."""
    host, _, port = url.removeprefix("http://").rpartition(":")
    with socket.create_connection((host, int(port)), timeout=30) as line:
        line.sendall(request)
        answer = b""
        while piece := line.recv(65536):
            answer += piece
    assert b"aiohttp" not in answer
    assert b"Python" not in answer
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), body


@pytest.mark.parametrize("case", CASES)
def test_what_is_hardly_http_gets_a_status_a_code_and_a_sentence(server: Server, case: str) -> None:
    request, status, code = CASES[case]
    found, body = said(server.url, request)
    document = json.loads(body)
    assert found == status, document
    assert document["success"] is False
    assert document["error"]["message"] == document["detail"]
    assert document["detail"].endswith(".")
    if code is not None:
        assert document["error"]["code"] == code


def test_a_client_that_asks_first_may_send_its_body_and_a_packed_one_is_read(server: Server) -> None:
    body = gzip.compress(b'{"genre": "jazz"}')
    head = b"POST /api/v1/prompt/build HTTP/1.1\r\n" + JSON + b"Connection: close\r\nContent-Length: %d\r\n" % len(body)
    status, answer = said(server.url, head + b"Content-Encoding: gzip\r\nExpect: 100-continue\r\n\r\n" + body)
    assert status == 100
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"jazz music" in answer

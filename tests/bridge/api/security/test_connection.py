"""Requests that reach no application; a whole server is asked in tests/bridge/commands/test_serve_http.py."""

from __future__ import annotations

import asyncio
import json
import logging

import pytest
from aiohttp import web

from bridge.api.security.connection import Runner


@pytest.mark.parametrize("request_", [b"HELLO\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00\r\n\r\n"])
async def test_what_cannot_be_read_is_answered_without_a_word_in_the_log(
    request_: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    runner = Runner(web.Application(), access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        reader, writer = await asyncio.open_connection(*runner.addresses[0][:2])
        writer.write(request_)
        head, _, body = (await asyncio.wait_for(reader.read(), 30)).partition(b"\r\n\r\n")
        writer.close()
    finally:
        await runner.cleanup()
    assert head.split()[1] == b"400"
    assert json.loads(body)["success"] is False
    assert caplog.text == ""

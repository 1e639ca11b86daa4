"""Sounds made through a running server: what it is asked for them."""

from __future__ import annotations

from pathlib import Path

import pytest
from aiohttp import ClientSession, web

from bridge.app import create_app
from bridge.client.server import ServerMaker
from bridge.client.wishes import read_wish
from bridge.errors import BridgeError
from bridge.sounds.opening import open_service
from tests.servers import settings_for


async def test_a_kept_sound_takes_one_request_since_its_task_has_all_that_is_told_of_it(
    tmp_path: Path, aiohttp_server
) -> None:
    asked: list[str] = []

    @web.middleware
    async def noted(request: web.Request, handler) -> web.StreamResponse:
        asked.append(f"{request.method} {request.path}")
        return await handler(request)

    async with open_service(settings_for(tmp_path)) as service:
        app = create_app(service)
        app.middlewares.append(noted)
        server = await aiohttp_server(app)
        async with ClientSession() as session:
            maker = ServerMaker(session, str(server.make_url("")).rstrip("/"))
            wish = read_wish({"prompt": "tone 440 hz", "duration": 0.3, "engine": "tone"})
            (made,) = await maker.make(wish)
            assert {line.split("/")[1] for line in asked} == {"generate"}
            del asked[:]
            (kept,) = await maker.make(wish)
            assert asked == ["POST /generate"]
    assert (made.cached, kept.cached) == (False, True)
    assert (made.sample_id, made.facts.prompt, made.facts.seconds) == (kept.sample_id, "tone 440 hz", 0.3)


async def test_an_older_server_is_told_to_restart(aiohttp_server) -> None:
    async def old(_: web.Request) -> web.Response:
        return web.json_response(
            {"task_id": "gen_1", "status": "completed", "progress": 1.0, "eta_s": None}, status=202
        )

    app = web.Application()
    app.router.add_post("/generate", old)
    server = await aiohttp_server(app)
    async with ClientSession() as session:
        maker = ServerMaker(session, str(server.make_url("")).rstrip("/"))
        with pytest.raises(BridgeError, match="Restart it"):
            await maker.make(read_wish({"prompt": "tone 440 hz"}))

"""Making sounds through a running server, over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import ClientError, ClientResponse, ClientSession, ClientTimeout, FormData

from bridge.audio.facts import SampleFacts
from bridge.audio.formats import FORMATS
from bridge.client.maker import MadeSimilar, MadeSound, OnProgress
from bridge.client.wishes import Wish
from bridge.errors import BridgeError, StartupError

_TIMEOUT = ClientTimeout(total=None, sock_connect=5.0, sock_read=60.0)
_FIRST_POLL_SECONDS, _LAST_POLL_SECONDS = 0.03, 0.3
"""A kept or synthesised sound is there at once; a model's is not missed by a third of a second."""
_ENDED = ("completed", "failed", "cancelled")


class ServerLost(StartupError):
    """The server does not answer any more."""

    default_code = "server_lost"


class ServerMaker:
    """Asks a server for sounds and follows its tasks."""

    def __init__(self, session: ClientSession, url: str) -> None:
        self._session = session
        self._url = url

    async def make(
        self, wish: Wish, on_progress: OnProgress = lambda *_: None, *, batch: bool = False
    ) -> list[MadeSound]:
        """See Maker."""
        body = {**wish.document, "wait": False, "priority": "batch" if batch else "player"}
        first = await self._json("POST", "/generate", json=body)
        tasks = [first, *[await self._task(task_id) for task_id in first.get("variations", ())[1:]]]
        return [self._made(task) for task in await self._ended(tasks, on_progress)]

    async def audio(self, sound: MadeSound, extension: str) -> bytes:
        """See Maker."""
        async with self._call("GET", f"/samples/{sound.sample_id}.{FORMATS[extension].suffix}") as answer:
            return await answer.read()

    async def similar(self, file: Path, wish: Mapping[str, Any]) -> MadeSimilar:
        """See Maker."""
        with file.open("rb") as content:
            form = FormData()
            form.add_field("file", content, filename="audio")
            upload = await self._json("POST", "/api/upload", data=form)
        started = await self._json("POST", f"/api/generate/{upload['audio_id']}", json=dict(wish))
        (task,) = await self._ended([await self._task(started["generation_id"])])
        sound = self._made(task)
        async with self._call("GET", f"/api/download/{task['task_id']}") as answer:
            return MadeSimilar(upload["audio_id"], upload["features"], sound, await answer.read())

    async def forget(self, wish: Mapping[str, Any]) -> dict[str, Any]:
        """See Maker."""
        # Every file is written again: with many of them it takes its time, and says nothing meanwhile.
        patient = ClientTimeout(total=None, sock_connect=5.0)
        return await self._json("POST", "/forget", json=dict(wish), timeout=patient)

    async def _ended(
        self, tasks: list[dict[str, Any]], on_progress: OnProgress = lambda *_: None
    ) -> list[dict[str, Any]]:
        """Follow tasks until all have ended."""
        pause = _FIRST_POLL_SECONDS
        while any(task["status"] not in _ENDED for task in tasks):
            estimates = [task["eta_s"] for task in tasks if task["eta_s"] is not None]
            on_progress(sum(task["progress"] for task in tasks) / len(tasks), max(estimates, default=None))
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, _LAST_POLL_SECONDS)
            tasks = [task if task["status"] in _ENDED else await self._task(task["task_id"]) for task in tasks]
        return tasks

    async def _task(self, task_id: str) -> dict[str, Any]:
        return await self._json("GET", f"/generate/{task_id}")

    def _made(self, task: Mapping[str, Any]) -> MadeSound:
        if task["status"] != "completed":
            error = task.get("error") or {"code": task["status"], "message": task["message"]}
            raise BridgeError(error["message"], code=error["code"])
        if "facts" not in task:
            raise BridgeError("The running server is older than this program. Restart it.", code="bad_answer")
        where = {key: task[key] for key in ("name", "n", "cached", "strudel", "sample_id")}
        return MadeSound(**where, facts=SampleFacts.of(task["facts"]))

    async def _json(self, method: str, path: str, **keywords: Any) -> dict[str, Any]:
        async with self._call(method, path, **keywords) as answer:
            document: dict[str, Any] = await answer.json()
            return document

    @asynccontextmanager
    async def _call(self, method: str, path: str, **keywords: Any) -> AsyncIterator[ClientResponse]:
        """Ask the server. Raises its errors as ours, and ServerLost when it does not answer."""
        try:
            async with self._session.request(method, self._url + path, **keywords) as answer:
                if answer.status >= 400:
                    raise await _error_of(answer)
                yield answer
        except (ClientError, TimeoutError, OSError) as error:
            raise ServerLost(
                f"The server at {self._url} stopped answering ({type(error).__name__}). "
                "Start it again and repeat the command: what was made is kept."
            ) from None


@asynccontextmanager
async def open_server(url: str, api_key: str | None) -> AsyncIterator[ServerMaker]:
    """Talk to the server at ``url``."""
    headers = {"X-API-Key": api_key} if api_key else {}
    async with ClientSession(headers=headers, timeout=_TIMEOUT) as session:
        yield ServerMaker(session, url)


async def _error_of(answer: ClientResponse) -> BridgeError:
    try:
        error = (await answer.json())["error"]
        return BridgeError(error["message"], code=error["code"])
    except (ValueError, KeyError, TypeError, ClientError):
        return BridgeError(f"The server answered {answer.status} {answer.reason}.", code="bad_answer")

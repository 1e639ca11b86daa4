"""Real disks that fail under a running server: mounted from a file, turned read-only, filled, frozen.

They run where root may mount; ``tests/bridge/api/test_bad_disk.py`` shows the same everywhere.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.reliability.results import note
from tests.served import Served

pytestmark = [pytest.mark.reliability, pytest.mark.extra]

SECONDS = 20.0 if os.environ.get("RELIABILITY") == "full" else 5.0


def sh(*command: object) -> str:
    return subprocess.run([str(each) for each in command], check=True, capture_output=True, text=True).stdout


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Callable[..., Path]]:
    """Mount a disk of some MiB: ``ext4`` on a file, or ``tmpfs``. Skips where that is not allowed."""
    folders: list[Path] = []

    def mount(kind: str, megabytes: int) -> Path:
        folder = tmp_path / f"disk{len(folders)}"
        folder.mkdir()
        try:
            if kind == "tmpfs":
                sh("mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=0700", "tmpfs", folder)
            else:
                image = tmp_path / f"image{len(folders)}"
                with image.open("wb") as file:
                    file.truncate(megabytes * 2**20)
                sh("mkfs.ext4", "-q", "-F", image)
                sh("mount", "-o", "loop,errors=remount-ro", image, folder)
        except (OSError, subprocess.CalledProcessError) as error:
            pytest.skip(f"no disk can be mounted here: {error}")
        folders.append(folder)
        return folder

    yield mount
    for folder in folders:
        subprocess.run(["umount", "-l", str(folder)], check=False)


class Client:
    """Asks one server."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self.url, self._session = url, session

    async def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        async with self._session.request(method, self.url + path, json=body) as response:
            kind = response.content_type
            return response.status, await (response.json() if kind == "application/json" else response.read())

    async def make(self, prompt: str, **fields: object) -> tuple[int, Any]:
        return await self.ask("POST", "/generate", {"prompt": prompt, "duration": 0.3, "format": "base64", **fields})

    async def comes_to_be(self, status: int, reason: str | None = None) -> None:
        async with asyncio.timeout(30):
            while True:
                found, document = await self.ask("GET", "/health/ready")
                if found == status and (reason is None or document["error"]["reason"] == reason):
                    return
                await asyncio.sleep(0.1)

    async def kept_sounds_play(self, url: str) -> None:
        for path in (url, "/sounds/kick", "/sounds", "/strudel.json", "/health", "/health/live"):
            assert (await self.ask("GET", path))[0] == 200, path
        assert (await self.make("kick"))[0] == 200


@asynccontextmanager
async def serving(folder: Path) -> AsyncIterator[Client]:
    served = Served(folder, "--engine", "tone")
    async with AsyncExitStack() as stack:
        stack.push_async_callback(served.kill)
        await served.start()
        timeout = aiohttp.ClientTimeout(total=60)
        session = await stack.enter_async_context(
            aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(limit=0))
        )
        yield Client(served.url, session)


async def test_a_disk_that_turns_read_only_while_the_server_runs(mounted):
    disk = mounted("ext4", 200)
    device = Path(sh("findmnt", "-no", "SOURCE", disk).strip()).name
    async with serving(disk / "data") as client:
        url = (await client.make("kick"))[1]["audio_url"]
        Path(f"/sys/fs/ext4/{device}/trigger_fs_error").write_text("x")
        await client.comes_to_be(503, "store_not_writable")
        status, document = await client.make("snare")
        assert (status, document["error"]["code"]) == (503, "store_not_writable")
        assert "read-only" in document["error"]["message"]
        status, document = await client.ask("GET", "/health")
        assert (status, document["status"]) == (200, "degraded")
        await client.kept_sounds_play(url)
        status, document = await client.ask("DELETE", "/sounds/gen_kick")
        assert status == 503
        assert document["error"]["code"] in {"store_not_writable", "store_failed"}


def fill(disk: Path) -> Path:
    """Take every byte; the file that has them."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(bytes(4096)):
            pass
    assert os.statvfs(disk).f_bavail == 0
    return filler


async def test_a_disk_that_is_full_to_the_last_byte_takes_deletions_and_then_sounds(mounted):
    disk = mounted("tmpfs", 120)
    async with serving(disk / "data") as client:
        url = (await client.make("kick"))[1]["audio_url"]
        names = []
        for number in range(300, 304):
            status, document = await client.make(f"tone {number} hz", duration=2)
            assert status == 200
            names.append(document["name"])
        filler = fill(disk)
        await client.comes_to_be(503, "storage_full")
        status, document = await client.make("snare")
        assert (status, document["error"]["code"]) == (507, "storage_full")
        await client.kept_sounds_play(url)
        for name in names:
            status, document = await client.ask("DELETE", f"/sounds/{name}")
            assert (status, document.get("restorable_until")) == (200, None), document
        assert not [path for path in (disk / "data" / "incoming").iterdir() if path.suffix == ".wav"]
        filler.unlink()
        await client.comes_to_be(200)
        assert (await client.make("snare"))[0] == 200
        assert (await client.ask("GET", "/health"))[1]["status"] == "healthy"


@contextmanager
def frozen(disk: Path) -> Iterator[None]:
    sh("fsfreeze", "-f", disk)
    try:
        yield
    finally:
        sh("fsfreeze", "-u", disk)


async def test_a_disk_that_hangs_stops_nothing_but_new_sounds(mounted):
    disk = mounted("ext4", 200)
    async with serving(disk / "data") as client:
        url = (await client.make("kick"))[1]["audio_url"]
        paths = ["/health", "/health/live", "/health/ready", url, "/sounds/kick", "/sounds", "/strudel.json"]
        slowest = dict.fromkeys(paths, 0.0)
        with frozen(disk):
            ends = time.monotonic() + SECONDS
            writers = [asyncio.create_task(client.make(f"tone {number} hz")) for number in range(300, 310)]

            async def look(path: str) -> None:
                while time.monotonic() < ends:
                    begun = time.monotonic()
                    status, _ = await client.ask("GET", path)
                    assert status == 200 or path == "/health/ready"
                    slowest[path] = max(slowest[path], time.monotonic() - begun)
                    await asyncio.sleep(0.05)

            await asyncio.gather(*map(look, paths))
            await client.comes_to_be(503, "disk_not_answering")
            assert (await client.ask("GET", "/health"))[1]["status"] == "degraded"
            status, document = await client.make("snare")
            assert (status, document["error"]["code"]) == (503, "disk_not_answering")
        for status, document in await asyncio.gather(*writers):
            assert status == 200 or document["error"]["code"] in {"disk_busy", "disk_not_answering"}
        await client.comes_to_be(200)
        assert (await client.make("snare"))[0] == 200
    listed = ", ".join(
        f"{'a kept sample' if path == url else path} {1000 * seconds:.0f} ms" for path, seconds in slowest.items()
    )
    note("Frozen disk", f"{SECONDS:.0f} s, ten writers; the slowest answers: {listed}; 0 failed")
